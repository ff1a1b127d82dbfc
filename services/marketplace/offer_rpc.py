"""The contract of offers: protobuf to arguments and back, nothing else."""

from datetime import UTC
from typing import Any

from ironloop.marketplace.v1 import offers_pb2

from services.kit import wire
from services.kit.database import Database
from services.kit.errors import NotFound
from services.kit.ids import parse_name
from services.kit.paging import Pages
from services.kit.principals import principal
from services.kit.requests import Commands
from services.kit.transaction import Transaction
from services.marketplace import offer_handlers, offer_store
from services.marketplace.listing_wire import offer_to_wire


class OfferRpc:
    """The part of ListingService that takes offers."""

    _database: Database
    _commands: Commands
    _pages: Pages

    async def MakeOffer(
        self, request: offers_pb2.MakeOfferRequest, context: Any
    ) -> offers_pb2.Offer:
        """Offer an amount for a listing."""

        async def work(tx: Transaction) -> offers_pb2.Offer:
            has_time = request.HasField("expire_time")
            offer = await offer_handlers.make_offer(
                tx,
                parse_name(request.listing, "listings", field="listing"),
                amount_fen=wire.fen(request.amount, field="amount", positive=True),
                expire_time=request.expire_time.ToDatetime(tzinfo=UTC) if has_time else None,
                viewer=principal(),
            )
            return offer_to_wire(offer)

        return await self._commands.run(request, work)

    async def AcceptOffer(
        self, request: offers_pb2.AcceptOfferRequest, context: Any
    ) -> offers_pb2.Offer:
        """Accept an offer."""

        async def work(tx: Transaction) -> offers_pb2.Offer:
            offer_id = parse_name(request.name, "offers")
            return offer_to_wire(
                await offer_handlers.accept_offer(
                    tx, offer_id, etag=request.etag, viewer=principal()
                )
            )

        return await self._commands.run(request, work)

    async def RejectOffer(
        self, request: offers_pb2.RejectOfferRequest, context: Any
    ) -> offers_pb2.Offer:
        """Refuse an offer."""

        async def work(tx: Transaction) -> offers_pb2.Offer:
            offer_id = parse_name(request.name, "offers")
            return offer_to_wire(
                await offer_handlers.reject_offer(
                    tx, offer_id, etag=request.etag, viewer=principal()
                )
            )

        return await self._commands.run(request, work)

    async def WithdrawOffer(
        self, request: offers_pb2.WithdrawOfferRequest, context: Any
    ) -> offers_pb2.Offer:
        """Take an offer back."""

        async def work(tx: Transaction) -> offers_pb2.Offer:
            offer_id = parse_name(request.name, "offers")
            return offer_to_wire(
                await offer_handlers.withdraw_offer(
                    tx, offer_id, etag=request.etag, viewer=principal()
                )
            )

        return await self._commands.run(request, work)

    async def GetOffer(self, request: offers_pb2.GetOfferRequest, context: Any) -> offers_pb2.Offer:
        """Return an offer to its buyer or seller."""
        offer_id = parse_name(request.name, "offers")
        async with self._database.read() as connection:
            offer = await offer_store.find_offer(connection, offer_id, viewer=principal())
        if offer is None:
            raise NotFound(request.name)
        return offer_to_wire(offer)

    async def ListOffers(
        self, request: offers_pb2.ListOffersRequest, context: Any
    ) -> offers_pb2.ListOffersResponse:
        """List offers made or got."""
        viewer = principal()
        page = self._pages.open(request)
        (after,) = page.after or (None,)
        limit = page.limit + 1
        async with self._database.read() as connection:
            if request.listing:
                rows = await offer_store.list_of_listing(
                    connection,
                    parse_name(request.listing, "listings", field="listing"),
                    viewer=viewer,
                    after=after,
                    limit=limit,
                )
            else:
                rows = await offer_store.list_of_buyer(
                    connection, viewer.party, after=after, limit=limit
                )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
        return offers_pb2.ListOffersResponse(
            offers=[offer_to_wire(offer) for offer in kept], next_page_token=token
        )
