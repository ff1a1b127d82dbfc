"""The contract of payoffs inside other services' settlements: protobuf to arguments and back."""

from typing import Any

from google.type import money_pb2
from ironloop.finance.v1 import finance_pb2

from services.finance import clients, disposal_saga, payment_handlers, payment_saga
from services.finance.rpc_base import RpcPart
from services.finmath.allocation import Parts
from services.kit import wire
from services.kit.ids import parse_name
from services.kit.postings import open_wallets
from services.kit.sagas import Saga
from services.kit.transaction import Transaction


class PayoffRpc(RpcPart):
    """The part of FinanceService that frees machines of their draws."""

    async def QuotePayoff(
        self, request: finance_pb2.QuotePayoffRequest, context: Any
    ) -> finance_pb2.QuotePayoffResponse:
        """Return the amounts that free a machine of its draws."""
        on = wire.to_date(request.as_of, field="as_of")
        async with self._database.read() as connection:
            owed = await payment_handlers.list_payoffs(connection, request.machine, on)
        ranks = await clients.lien_priorities(self._runtime, request.machine) if owed else {}
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
                    interest=wire.money(quoted.interest_fen),
                    principal=wire.money(quoted.principal_fen),
                    penalty=wire.money(quoted.penalty_fen),
                    priority=ranks.get(draw.lien, 0),
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

    async def SettleDisposalClaim(
        self, request: finance_pb2.SettleDisposalClaimRequest, context: Any
    ) -> finance_pb2.Draw:
        """Close a draw by its share of its machine's disposal."""

        async def begin(tx: Transaction) -> Saga:
            has_day = request.HasField("as_of")
            return await disposal_saga.begin(
                tx,
                parse_name(request.draw, "draws", field="draw"),
                transfer_ids=[transfer_id.lower() for transfer_id in request.transfer_ids],
                paid=Parts(
                    penalty_fen=_fen(request.penalty, "penalty"),
                    interest_fen=_fen(request.interest, "interest"),
                    principal_fen=_fen(request.principal, "principal"),
                ),
                short_fen=_fen(request.short, "short"),
                as_of=wire.to_date(request.as_of, field="as_of") if has_day else None,
            )

        draw: finance_pb2.Draw = await self._commands.run_saga(request, begin)
        return draw


def _fen(amount: money_pb2.Money, field: str) -> int:
    """Return a part of a payment in fen; nothing where it is absent."""
    return wire.fen(amount, field=field) if amount.ByteSize() else 0
