"""The contract of offers: protobuf to arguments and back."""

from typing import Any

from ironloop.finance.v1 import finance_pb2

from services.finance import draw_saga, messages, offer_handlers, offer_saga, offer_store
from services.finance.offer_model import Wish
from services.finance.rpc_base import RpcPart, facility_filter, found, state_name
from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.sagas import Saga
from services.kit.transaction import Transaction


class OfferRpc(RpcPart):
    """The part of FinanceService about offers."""

    async def RequestOffer(
        self, request: finance_pb2.RequestOfferRequest, context: Any
    ) -> finance_pb2.Offer:
        """Ask for an offer."""
        borrower = principal().require_party()
        facility_id = parse_name(request.facility, "facilities", field="facility")

        async def begin(tx: Transaction) -> Saga:
            return await offer_saga.begin(tx, facility_id, _wish(request), borrower=borrower)

        offer: finance_pb2.Offer = await self._commands.run_saga(request, begin)
        return offer

    async def GetOffer(
        self, request: finance_pb2.GetOfferRequest, context: Any
    ) -> finance_pb2.Offer:
        """Return an offer."""
        offer_id = parse_name(request.name, "offers")
        async with self._database.read() as connection:
            row = await offer_store.find_offer(connection, offer_id, viewer=principal())
        return messages.offer(found(row, request.name))

    async def ListOffers(
        self, request: finance_pb2.ListOffersRequest, context: Any
    ) -> finance_pb2.ListOffersResponse:
        """List offers."""
        rows, token = await self._page(
            request,
            offer_store.list_offers,
            viewer=principal(),
            state=state_name(finance_pb2.OfferState, request.state, "OFFER_STATE_"),
            facility_id=facility_filter(request.facility),
        )
        return finance_pb2.ListOffersResponse(
            offers=[messages.offer(row) for row in rows], next_page_token=token
        )

    async def AcceptOffer(
        self, request: finance_pb2.AcceptOfferRequest, context: Any
    ) -> finance_pb2.Offer:
        """Accept an offer."""
        borrower = principal().require_party()

        async def work(tx: Transaction) -> finance_pb2.Offer:
            offer_id = parse_name(request.name, "offers")
            return messages.offer(
                await offer_handlers.accept_offer(
                    tx, offer_id, borrower=borrower, etag=request.etag
                )
            )

        return await self._commands.run(request, work)

    async def WithdrawOffer(
        self, request: finance_pb2.WithdrawOfferRequest, context: Any
    ) -> finance_pb2.Offer:
        """Take an offer back."""
        party = principal().require_party()

        async def work(tx: Transaction) -> finance_pb2.Offer:
            offer_id = parse_name(request.name, "offers")
            return messages.offer(
                await offer_handlers.withdraw_offer(tx, offer_id, party=party, etag=request.etag)
            )

        return await self._commands.run(request, work)

    async def DrawOffer(
        self, request: finance_pb2.DrawOfferRequest, context: Any
    ) -> finance_pb2.Draw:
        """Draw an accepted offer."""
        borrower = principal().require_party()

        async def begin(tx: Transaction) -> Saga:
            offer_id = parse_name(request.name, "offers")
            return await draw_saga.begin(tx, offer_id, borrower=borrower)

        draw: finance_pb2.Draw = await self._commands.run_saga(request, begin)
        return draw


def _wish(request: finance_pb2.RequestOfferRequest) -> Wish:
    requested_fen = None
    if request.HasField("requested_amount"):
        requested_fen = wire.fen(request.requested_amount, field="requested_amount", positive=True)
    has_balloon = request.HasField("balloon")
    return Wish(
        machine=request.machine,
        purchase_price_fen=wire.fen(request.purchase_price, field="purchase_price", positive=True),
        requested_fen=requested_fen,
        term_months=request.term_months,
        balloon_fen=wire.fen(request.balloon, field="balloon") if has_balloon else 0,
        hours_per_year=request.hours_per_year,
        purchase_money=request.purchase_money,
        subordination_id=(
            parse_name(request.subordination, "subordinations", field="subordination")
            if request.subordination
            else None
        ),
    )
