"""A stand-in for finance with the draws of WE-17 on every machine, to the fen.

The real service's draws follow their schedules; `test_pledged_machines.py` and the end-to-end run
work on those.
"""

from dataclasses import dataclass, field
from typing import Any

import grpc
from ironloop.finance.v1 import finance_pb2, finance_pb2_grpc

from services.kit import wire
from services.kit.ids import name, new_id
from tests.integration.leasing.fleet import fen
from tests.support import money
from tests.support.world import World


@dataclass(slots=True)
class Lenders(finance_pb2_grpc.FinanceServiceServicer):
    """Serves payoffs, and keeps by which parts draws were closed.

    Attributes:
        payoffs: Of every machine.
        settled: The claims by draw, as they were settled.
        is_away: Whether claims are not taken now.
    """

    payoffs: list[finance_pb2.Payoff] = field(default_factory=list)
    settled: dict[str, finance_pb2.SettleDisposalClaimRequest] = field(default_factory=dict)
    is_away: bool = False

    async def QuotePayoff(  # noqa: N802
        self, request: finance_pb2.QuotePayoffRequest, context: Any
    ) -> finance_pb2.QuotePayoffResponse:
        """Return the payoffs."""
        return finance_pb2.QuotePayoffResponse(payoffs=self.payoffs)

    async def SettleDisposalClaim(  # noqa: N802
        self, request: finance_pb2.SettleDisposalClaimRequest, context: Any
    ) -> finance_pb2.Draw:
        """Close a draw, once."""
        if self.is_away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.settled.setdefault(request.draw, request)
        return finance_pb2.Draw(name=request.draw)

    async def lend(
        self,
        world: World,
        *,
        interest_fen: int = 0,
        principal_fen: int = 0,
        penalty_fen: int = 0,
        priority: int = 1,
    ) -> finance_pb2.Payoff:
        """Put a draw of a new funder on the machines."""
        funder = (await world.party("FUNDER")).party
        draw = name("draws", new_id())
        payoff = finance_pb2.Payoff(
            draw=draw,
            lien=name("liens", new_id()),
            amount=wire.money(interest_fen + principal_fen + penalty_fen),
            pay_to_account=f"accounts/{await money.wallet_of(world, funder)}",
            funder=funder,
            purpose=draw,
            interest=wire.money(interest_fen),
            principal=wire.money(principal_fen),
            penalty=wire.money(penalty_fen),
            priority=priority,
        )
        self.payoffs.append(payoff)
        return payoff

    def parts(self, payoff: finance_pb2.Payoff) -> tuple[int, int, int, int]:
        """Return what a draw was closed by: interest, principal, penalty, and what is short."""
        settled = self.settled[payoff.draw]
        amounts = (settled.interest, settled.principal, settled.penalty, settled.short)
        interest_fen, principal_fen, penalty_fen, short_fen = (fen(each) for each in amounts)
        return interest_fen, principal_fen, penalty_fen, short_fen


async def open_lenders(world: World) -> tuple[Lenders, grpc.aio.Server]:
    """Serve lenders where the world's services look for finance."""
    lenders = Lenders()  # type: ignore[abstract]  # what leasing does not call is not served
    server = grpc.aio.server()
    finance_pb2_grpc.add_FinanceServiceServicer_to_server(lenders, server)
    server.add_insecure_port(f"127.0.0.1:{world.ports['finance']}")
    await server.start()
    return lenders, server
