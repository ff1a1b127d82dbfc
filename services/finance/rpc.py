"""The contract of lending: protobuf to arguments and back, nothing else."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from ironloop.common.v1 import common_pb2
from ironloop.finance.v1 import finance_pb2, finance_pb2_grpc

from services.finance import (
    clients,
    draw_saga,
    draw_store,
    facility_handlers,
    facility_store,
    messages,
    offer_handlers,
    offer_saga,
    offer_store,
    payment_handlers,
    payment_saga,
    policy_store,
)
from services.finance.draw_model import Draw
from services.finance.facility_model import Basis
from services.finance.lifecycle import DRAW
from services.finance.loss_model import expect_loss
from services.finance.offer_model import Wish
from services.finance.policy_model import Parameter, Value
from services.finmath.day_count import DayCount
from services.kit import wire
from services.kit.connection import Connection
from services.kit.errors import InvalidArgument, NotFound
from services.kit.ids import parse_name
from services.kit.postings import open_wallets
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.kit.transaction import Transaction

CURRENT_POLICY = "policies/current"

Found = TypeVar("Found")


class FinanceRpc(finance_pb2_grpc.FinanceServiceServicer):
    """Serves ironloop.finance.v1.FinanceService."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def GetPolicy(
        self, request: finance_pb2.GetPolicyRequest, context: Any
    ) -> finance_pb2.Policy:
        """Return one version of the policy tables."""
        async with self._database.read() as connection:
            if request.name == CURRENT_POLICY:
                return messages.policy(await policy_store.current_policy(connection))
            policy_id = parse_name(request.name, "policies")
            found = await policy_store.find_policy(connection, policy_id)
        return messages.policy(_found(found, request.name))

    async def ListPolicies(
        self, request: finance_pb2.ListPoliciesRequest, context: Any
    ) -> finance_pb2.ListPoliciesResponse:
        """List the versions of the policy tables."""
        rows, token = await self._page(request, policy_store.list_policies)
        return finance_pb2.ListPoliciesResponse(
            policies=[messages.policy(row) for row in rows], next_page_token=token
        )

    async def PublishPolicy(
        self, request: finance_pb2.PublishPolicyRequest, context: Any
    ) -> finance_pb2.Policy:
        """Publish a new version of the policy tables."""

        async def work(tx: Transaction) -> finance_pb2.Policy:
            return messages.policy(
                await facility_handlers.publish_policy(
                    tx,
                    version=request.version,
                    values=_policy_values(request),
                    hours_limits={
                        limit.equipment_class: limit.hours for limit in request.hours_limits
                    },
                )
            )

        return await self._commands.run(request, work)

    async def CreateFacility(
        self, request: finance_pb2.CreateFacilityRequest, context: Any
    ) -> finance_pb2.Facility:
        """Grant a facility."""
        funder = principal().require_party()
        await clients.require_party(self._runtime, request.borrower)

        async def work(tx: Transaction) -> finance_pb2.Facility:
            return messages.facility(
                await facility_handlers.create_facility(
                    tx,
                    funder=funder,
                    borrower=request.borrower,
                    limit_fen=wire.fen(request.limit, field="limit", positive=True),
                    nominal_rate=wire.to_decimal(request.nominal_rate, field="nominal_rate"),
                    day_count=DayCount(
                        wire.enum_name(common_pb2.DayCount, request.day_count, prefix="DAY_COUNT_")
                    ),
                    basis=_basis(request.basis),
                    overrides={
                        _parameter(line.parameter): wire.to_decimal(line.value, field="overrides")
                        for line in request.overrides
                    },
                )
            )

        return await self._commands.run(request, work)

    async def GetFacility(
        self, request: finance_pb2.GetFacilityRequest, context: Any
    ) -> finance_pb2.Facility:
        """Return a facility."""
        facility_id = parse_name(request.name, "facilities")
        async with self._database.read() as connection:
            found = await facility_store.find_facility(connection, facility_id, viewer=principal())
        return messages.facility(_found(found, request.name))

    async def ListFacilities(
        self, request: finance_pb2.ListFacilitiesRequest, context: Any
    ) -> finance_pb2.ListFacilitiesResponse:
        """List facilities."""
        rows, token = await self._page(
            request,
            facility_store.list_facilities,
            viewer=principal(),
            state=_state(finance_pb2.FacilityState, request.state, "FACILITY_STATE_"),
        )
        return finance_pb2.ListFacilitiesResponse(
            facilities=[messages.facility(row) for row in rows], next_page_token=token
        )

    async def SuspendFacility(
        self, request: finance_pb2.SuspendFacilityRequest, context: Any
    ) -> finance_pb2.Facility:
        """Suspend a facility."""
        return await self._change_facility(request, "suspend")

    async def ResumeFacility(
        self, request: finance_pb2.ResumeFacilityRequest, context: Any
    ) -> finance_pb2.Facility:
        """Put a facility back in use."""
        return await self._change_facility(request, "resume")

    async def CloseFacility(
        self, request: finance_pb2.CloseFacilityRequest, context: Any
    ) -> finance_pb2.Facility:
        """Close a facility for good."""
        return await self._change_facility(request, "close")

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
            found = await offer_store.find_offer(connection, offer_id, viewer=principal())
        return messages.offer(_found(found, request.name))

    async def ListOffers(
        self, request: finance_pb2.ListOffersRequest, context: Any
    ) -> finance_pb2.ListOffersResponse:
        """List offers."""
        rows, token = await self._page(
            request,
            offer_store.list_offers,
            viewer=principal(),
            state=_state(finance_pb2.OfferState, request.state, "OFFER_STATE_"),
            facility_id=_facility_filter(request.facility),
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

    async def GetDraw(self, request: finance_pb2.GetDrawRequest, context: Any) -> finance_pb2.Draw:
        """Return a draw."""
        async with self._database.read() as connection:
            draw = await self._find_draw(connection, request.name)
            lines = await draw_store.list_instalments(connection, draw.id)
        return messages.draw(draw, lines, today=self._runtime.clock.today())

    async def ListDraws(
        self, request: finance_pb2.ListDrawsRequest, context: Any
    ) -> finance_pb2.ListDrawsResponse:
        """List draws."""
        rows, token = await self._page(
            request,
            draw_store.list_draws,
            viewer=principal(),
            state=_state(finance_pb2.DrawState, request.state, "DRAW_STATE_"),
            facility_id=_facility_filter(request.facility),
            machine=request.machine or None,
            collateral_state=_state(
                finance_pb2.CollateralState, request.collateral_state, "COLLATERAL_STATE_"
            ),
        )
        async with self._database.read() as connection:
            schedules = await draw_store.list_instalments_of(connection, [row.id for row in rows])
        today = self._runtime.clock.today()
        return finance_pb2.ListDrawsResponse(
            draws=[messages.draw(row, schedules.get(row.id, []), today=today) for row in rows],
            next_page_token=token,
        )

    async def GetDrawSchedule(
        self, request: finance_pb2.GetDrawScheduleRequest, context: Any
    ) -> finance_pb2.DrawSchedule:
        """Return a draw's schedule."""
        async with self._database.read() as connection:
            draw = await self._find_draw(connection, request.name)
            return messages.schedule(draw, await draw_store.list_instalments(connection, draw.id))

    async def ListDrawPayments(
        self, request: finance_pb2.ListDrawPaymentsRequest, context: Any
    ) -> finance_pb2.ListDrawPaymentsResponse:
        """List what was paid on a draw."""
        async with self._database.read() as connection:
            draw = await self._find_draw(connection, request.draw)
        rows, token = await self._page(request, draw_store.list_payments, draw_id=draw.id)
        return finance_pb2.ListDrawPaymentsResponse(
            payments=[messages.payment(row) for row in rows], next_page_token=token
        )

    async def GetExpectedLoss(
        self, request: finance_pb2.GetExpectedLossRequest, context: Any
    ) -> finance_pb2.ExpectedLoss:
        """Return the expected loss of a draw."""
        async with self._database.read() as connection:
            draw = await self._find_draw(connection, request.name)
            draw.require_outstanding()
            lines = await draw_store.list_instalments(connection, draw.id)
            policy = await policy_store.get_policy_version(connection, draw.policy_version)
        loss = expect_loss(draw, lines, terms=policy.terms({}), today=self._runtime.clock.today())
        return messages.expected_loss(draw.name, loss)

    async def QuoteDrawPayoff(
        self, request: finance_pb2.QuoteDrawPayoffRequest, context: Any
    ) -> finance_pb2.DrawPayoff:
        """Return what pays a draw off."""
        today = self._runtime.clock.today()
        on = today
        if request.HasField("as_of_date"):
            on = wire.to_date(request.as_of_date, field="as_of_date")
        async with self._database.read() as connection:
            draw, owed = await payment_handlers.quote_draw(
                connection,
                parse_name(request.name, "draws"),
                viewer=principal(),
                on=on,
                today=today,
            )
        return messages.draw_payoff(draw, owed, on)

    async def RepayDraw(
        self, request: finance_pb2.RepayDrawRequest, context: Any
    ) -> finance_pb2.Draw:
        """Pay on a draw."""
        amount_fen = wire.fen(request.amount, field="amount", positive=True)
        return await self._pay(request, amount_fen)

    async def PayOffDraw(
        self, request: finance_pb2.PayOffDrawRequest, context: Any
    ) -> finance_pb2.Draw:
        """Pay a draw off."""
        return await self._pay(request, None)

    async def DeclareDefault(
        self, request: finance_pb2.DeclareDefaultRequest, context: Any
    ) -> finance_pb2.Draw:
        """Refuse: default is declared and not built."""
        async with self._database.read() as connection:
            draw = await self._find_draw(connection, request.name)
        DRAW.next(draw.state, "declare_default", subject=draw.name)
        raise AssertionError("the command is not available, so the line above has refused it")

    async def QuotePayoff(
        self, request: finance_pb2.QuotePayoffRequest, context: Any
    ) -> finance_pb2.QuotePayoffResponse:
        """Return the amounts that free a machine of its draws."""
        on = wire.to_date(request.as_of, field="as_of")
        async with self._database.read() as connection:
            owed = await payment_handlers.list_payoffs(connection, request.machine, on)
        wallets = await open_wallets(self._runtime.peers, (draw.funder for draw, _ in owed))
        return finance_pb2.QuotePayoffResponse(
            payoffs=[
                finance_pb2.Payoff(
                    draw=draw.name,
                    lien=draw.lien,
                    amount=wire.money(quoted.total_fen),
                    pay_to_account=wallets[draw.funder],
                    funder=draw.funder,
                    purpose=draw.name,
                )
                for draw, quoted in owed
            ]
        )

    async def SettlePayoff(
        self, request: finance_pb2.SettlePayoffRequest, context: Any
    ) -> finance_pb2.Draw:
        """Close a draw by a transfer that another service posted."""

        async def begin(tx: Transaction) -> Saga:
            return await payment_saga.begin_settlement(
                tx,
                parse_name(request.draw, "draws", field="draw"),
                transfer_id=request.transfer_id.lower(),
            )

        draw: finance_pb2.Draw = await self._commands.run_saga(request, begin)
        return draw

    async def _page(
        self, request: Any, read: Callable[..., Awaitable[list[Any]]], **filters: Any
    ) -> tuple[Sequence[Any], str]:
        """Read one page, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await read(connection, **filters, after=page.after, limit=page.limit + 1)
        return self._pages.cut(request, page, rows, key=lambda row: (row.create_time, row.id))

    async def _change_facility(self, request: Any, command: str) -> finance_pb2.Facility:
        funder = principal().require_party()

        async def work(tx: Transaction) -> finance_pb2.Facility:
            facility_id = parse_name(request.name, "facilities")
            return messages.facility(
                await facility_handlers.change_facility(
                    tx, facility_id, funder=funder, command=command, etag=request.etag
                )
            )

        return await self._commands.run(request, work)

    async def _find_draw(self, connection: Connection, draw_name: str) -> Draw:
        draw_id = parse_name(draw_name, "draws")
        return _found(
            await draw_store.find_draw(connection, draw_id, viewer=principal()), draw_name
        )

    async def _pay(self, request: Any, amount_fen: int | None) -> finance_pb2.Draw:
        borrower = principal().require_party()

        async def begin(tx: Transaction) -> Saga:
            return await payment_saga.begin_payment(
                tx, parse_name(request.name, "draws"), borrower=borrower, amount_fen=amount_fen
            )

        draw: finance_pb2.Draw = await self._commands.run_saga(request, begin)
        return draw


def _found(found: Found | None, resource: str) -> Found:
    if found is None:
        raise NotFound(resource)
    return found


def _state(enum: wire.EnumWrapper, number: int, prefix: str) -> str | None:
    return wire.enum_name(enum, number, prefix=prefix) if number else None


def _facility_filter(facility: str) -> Any:
    return parse_name(facility, "facilities", field="facility") if facility else None


def _parameter(number: int) -> Parameter:
    return Parameter(
        wire.enum_name(finance_pb2.PolicyParameter, number, prefix="POLICY_PARAMETER_")
    )


def _basis(number: int) -> Basis:
    return (
        Basis(wire.enum_name(common_pb2.ValueBasis, number, prefix="VALUE_BASIS_"))
        if (number)
        else Basis.OLV
    )


def _policy_values(request: finance_pb2.PublishPolicyRequest) -> dict[Parameter, Value]:
    values = {}
    for line in request.values:
        parameter = _parameter(line.parameter)
        if parameter in values:
            raise InvalidArgument("values", f"{parameter} stands twice")
        has_bounds = line.HasField("override_low"), line.HasField("override_high")
        values[parameter] = Value(
            wire.to_decimal(line.value, field="values"),
            wire.to_decimal(line.override_low, field="values") if has_bounds[0] else None,
            wire.to_decimal(line.override_high, field="values") if has_bounds[1] else None,
        )
    return values


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
    )
