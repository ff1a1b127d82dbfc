"""The contract of listings: protobuf to arguments and back, nothing else."""

from typing import Any

from ironloop.marketplace.v1 import listings_pb2, listings_pb2_grpc, offers_pb2

from services.kit import wire
from services.kit.errors import NotFound
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.marketplace import (
    import_handlers,
    import_model,
    import_wire,
    listing_handlers,
    listing_store,
    publishing_sagas,
)
from services.marketplace.auction_rpc import AuctionRpc
from services.marketplace.consent_rpc import ConsentRpc
from services.marketplace.inspection_rpc import InspectionRpc
from services.marketplace.listing_views import seen, whole
from services.marketplace.listing_wire import content_from_wire, guide_to_wire, listing_to_wire
from services.marketplace.offer_rpc import OfferRpc
from services.marketplace.sale_rpc import SaleRpc
from services.marketplace.search_rpc import SearchRpc


class ListingRpc(
    InspectionRpc,
    OfferRpc,
    SaleRpc,
    ConsentRpc,
    SearchRpc,
    listings_pb2_grpc.ListingServiceServicer,
):
    """Serves ironloop.marketplace.v1.ListingService."""

    def __init__(self, runtime: Runtime, auctions: AuctionRpc) -> None:
        self._auctions = auctions
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def CreateListing(
        self, request: listings_pb2.CreateListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Draft a listing."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing = await listing_handlers.create_listing(
                tx,
                parse_name(request.machine, "machines", field="machine"),
                content_from_wire(request.content, field="content"),
                reference=request.reference,
                disposal=request.disposal,
                viewer=principal(),
            )
            return listing_to_wire(listing, None)

        return await self._commands.run(request, work)

    async def ImportListings(
        self, request: listings_pb2.ImportListingsRequest, context: Any
    ) -> listings_pb2.ImportListingsResponse:
        """Draft or correct many listings of the caller's party."""
        caller = principal()
        rows = [import_wire.listing_row(row) for row in request.rows]
        reports = await self._database.run(
            lambda tx: import_handlers.import_listings(tx, rows, viewer=caller)
        )
        return listings_pb2.ImportListingsResponse(
            reports=import_wire.reports_to_wire(reports, [row.reference for row in request.rows]),
            **dict(import_model.counted(reports)),
        )

    async def GetListing(
        self, request: listings_pb2.GetListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Return what the caller sees of a listing."""
        listing_id = parse_name(request.name, "listings")
        async with self._database.read() as connection:
            listing, inspection = await listing_handlers.get_listing(
                connection, listing_id, viewer=principal()
            )
        return listing_to_wire(listing, inspection)

    async def ListListings(
        self, request: listings_pb2.ListListingsRequest, context: Any
    ) -> listings_pb2.ListListingsResponse:
        """List a party's listings."""
        viewer = principal()
        seller = request.seller if viewer.sees_all else viewer.require_party()
        state = (
            wire.enum_name(listings_pb2.ListingState, request.state, prefix="LISTING_STATE_")
            if request.state
            else None
        )
        page = self._pages.open(request)
        (after,) = page.after or (None,)
        limit = page.limit + 1
        async with self._database.read() as connection:
            rows = (
                await listing_store.list_of_seller(
                    connection, seller=seller, state=state, after=after, limit=limit
                )
                if seller
                else await listing_store.list_all(connection, state=state, after=after, limit=limit)
            )
            kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
            listings = await seen(connection, kept)
        return listings_pb2.ListListingsResponse(listings=listings, next_page_token=token)

    async def ListInspectionQueue(
        self, request: listings_pb2.ListInspectionQueueRequest, context: Any
    ) -> listings_pb2.ListInspectionQueueResponse:
        """List submitted listings that wait for an inspection."""
        page = self._pages.open(request)
        (after,) = page.after or (None,)
        async with self._database.read() as connection:
            rows = await listing_store.list_submitted(
                connection, not_of=principal().party, after=after, limit=page.limit + 1
            )
            kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
            listings = await seen(connection, kept)
        return listings_pb2.ListInspectionQueueResponse(listings=listings, next_page_token=token)

    async def UpdateListing(
        self, request: listings_pb2.UpdateListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Replace the content of a draft."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing = await listing_handlers.update_listing(
                tx,
                parse_name(request.name, "listings"),
                content_from_wire(request.content, field="content"),
                etag=request.etag,
                viewer=principal(),
            )
            return await whole(tx, listing)

        return await self._commands.run(request, work)

    async def RepriceListing(
        self, request: listings_pb2.RepriceListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Change an ask."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing = await listing_handlers.reprice_listing(
                tx,
                parse_name(request.name, "listings"),
                ask_fen=wire.fen(request.ask, field="ask", positive=True),
                price_override_reason=request.price_override_reason,
                etag=request.etag,
                viewer=principal(),
            )
            return await whole(tx, listing)

        return await self._commands.run(request, work)

    async def SubmitListing(
        self, request: listings_pb2.SubmitListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Submit a draft."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing_id = parse_name(request.name, "listings")
            listing = await listing_handlers.submit_listing(
                tx, listing_id, etag=request.etag, viewer=principal()
            )
            return await whole(tx, listing)

        return await self._commands.run(request, work)

    async def PublishListing(
        self, request: listings_pb2.PublishListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Publish a listing with the value that valuation gives."""
        listing_id = parse_name(request.name, "listings")
        listing: listings_pb2.Listing = await self._commands.run_saga(
            request,
            lambda tx: publishing_sagas.begin(
                tx, listing_id, etag=request.etag, viewer=principal()
            ),
        )
        return listing

    async def WithdrawListing(
        self, request: listings_pb2.WithdrawListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Take a listing back."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing_id = parse_name(request.name, "listings")
            listing = await listing_handlers.withdraw_listing(
                tx, listing_id, etag=request.etag, viewer=principal()
            )
            return await whole(tx, listing)

        return await self._commands.run(request, work)

    async def GetPriceGuide(
        self, request: listings_pb2.GetPriceGuideRequest, context: Any
    ) -> listings_pb2.PriceGuide:
        """Return the price guide of a listing that the caller may see."""
        listing_id = parse_name(request.listing, "listings", field="listing")
        async with self._database.read() as connection:
            listing, _ = await listing_handlers.get_listing(
                connection, listing_id, viewer=principal()
            )
        if listing.guide is None:
            raise NotFound(f"the price guide of {listing.name}")
        return guide_to_wire(listing, listing.guide)

    async def PlaceBid(self, request: offers_pb2.PlaceBidRequest, context: Any) -> offers_pb2.Bid:
        """Bid in the auction of a listing."""
        return await self._auctions.PlaceBid(request, context)
