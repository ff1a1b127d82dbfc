"""The contract of draws: protobuf to arguments and back."""

from typing import Any

from ironloop.finance.v1 import finance_pb2

from services.finance import (
    claim_store,
    default_handlers,
    draw_store,
    messages,
    payment_handlers,
    payment_saga,
    policy_store,
)
from services.finance.draw_model import Draw
from services.finance.loss_model import expect_loss
from services.finance.rpc_base import RpcPart, facility_filter, found, state_name
from services.kit import wire
from services.kit.connection import Connection
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.sagas import Saga
from services.kit.transaction import Transaction


class DrawRpc(RpcPart):
    """The part of FinanceService about draws."""

    async def GetDraw(self, request: finance_pb2.GetDrawRequest, context: Any) -> finance_pb2.Draw:
        """Return a draw."""
        async with self._database.read() as connection:
            draw = await self._find_draw(connection, request.name)
            lines = await draw_store.list_instalments(connection, draw.id)
            claim = await claim_store.find_claim(connection, draw.id)
        return messages.draw(draw, lines, today=self._runtime.clock.today(), claim=claim)

    async def ListDraws(
        self, request: finance_pb2.ListDrawsRequest, context: Any
    ) -> finance_pb2.ListDrawsResponse:
        """List draws."""
        rows, token = await self._page(
            request,
            draw_store.list_draws,
            viewer=principal(),
            state=state_name(finance_pb2.DrawState, request.state, "DRAW_STATE_"),
            facility_id=facility_filter(request.facility),
            machine=request.machine or None,
            collateral_state=state_name(
                finance_pb2.CollateralState, request.collateral_state, "COLLATERAL_STATE_"
            ),
        )
        async with self._database.read() as connection:
            schedules = await draw_store.list_instalments_of(connection, [row.id for row in rows])
            claims = await claim_store.list_claims_of(connection, [row.id for row in rows])
        today = self._runtime.clock.today()
        return finance_pb2.ListDrawsResponse(
            draws=[
                messages.draw(row, schedules.get(row.id, []), today=today, claim=claims.get(row.id))
                for row in rows
            ],
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
        """Declare a draw in default."""
        funder = principal().require_party()

        async def work(tx: Transaction) -> finance_pb2.Draw:
            draw = await default_handlers.declare_default(
                tx, parse_name(request.name, "draws"), funder=funder
            )
            lines = await draw_store.list_instalments(tx.connection, draw.id)
            return messages.draw(draw, lines, today=tx.today)

        return await self._commands.run(request, work)

    async def _find_draw(self, connection: Connection, draw_name: str) -> Draw:
        draw_id = parse_name(draw_name, "draws")
        return found(await draw_store.find_draw(connection, draw_id, viewer=principal()), draw_name)

    async def _pay(self, request: Any, amount_fen: int | None) -> finance_pb2.Draw:
        borrower = principal().require_party()

        async def begin(tx: Transaction) -> Saga:
            return await payment_saga.begin_payment(
                tx, parse_name(request.name, "draws"), borrower=borrower, amount_fen=amount_fen
            )

        draw: finance_pb2.Draw = await self._commands.run_saga(request, begin)
        return draw
