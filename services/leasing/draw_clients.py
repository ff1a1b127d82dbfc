"""What leasing asks of finance: what frees a machine of its draws, outside transactions."""

from dataclasses import dataclass
from datetime import date

from ironloop.finance.v1 import finance_pb2, finance_pb2_grpc

from services.kit import wire
from services.kit.clients import Peers


@dataclass(frozen=True, slots=True)
class Payoff:
    """What a draw on a machine is paid off with, and the account that takes it.

    Attributes:
        amount_fen: The sum of the three parts.
        priority: The rank of its lien, 1 first.
    """

    draw: str
    lien: str
    amount_fen: int
    account: str
    purpose: str
    funder: str
    interest_fen: int
    principal_fen: int
    penalty_fen: int
    priority: int


@dataclass(frozen=True, slots=True)
class DrawPart:
    """What a draw got of a disposal or an insurance payment, and what it is left short of."""

    draw: str
    transfer_ids: tuple[str, ...]
    interest_fen: int
    principal_fen: int
    penalty_fen: int
    short_fen: int


async def quote_payoffs(peers: Peers, machine: str, *, as_of: date) -> list[Payoff]:
    """Return what frees a machine of the draws on it, as of a business date."""
    stub = peers.stub("finance", finance_pb2_grpc.FinanceServiceStub)
    answer = await peers.call(
        stub.QuotePayoff,
        finance_pb2.QuotePayoffRequest(machine=machine, as_of=wire.date(as_of)),
    )
    return [
        Payoff(
            draw=payoff.draw,
            lien=payoff.lien,
            amount_fen=wire.fen(payoff.amount, field="amount"),
            account=payoff.pay_to_account,
            purpose=payoff.purpose,
            funder=payoff.funder,
            interest_fen=wire.fen(payoff.interest, field="interest"),
            principal_fen=wire.fen(payoff.principal, field="principal"),
            penalty_fen=wire.fen(payoff.penalty, field="penalty"),
            priority=payoff.priority,
        )
        for payoff in answer.payoffs
    ]


async def settle_payoff(peers: Peers, draw: str, *, transfer_id: str, request_id: str) -> None:
    """Close a draw by the transfer that paid it off."""
    stub = peers.stub("finance", finance_pb2_grpc.FinanceServiceStub)
    await peers.call(
        stub.SettlePayoff,
        finance_pb2.SettlePayoffRequest(request_id=request_id, draw=draw, transfer_id=transfer_id),
    )


async def settle_disposal_claim(
    peers: Peers, part: DrawPart, *, as_of: date, request_id: str
) -> None:
    """Close a draw by its part of a machine's proceeds, which may leave it short.

    Raises:
        PeerRefused: The transfers are not what is said, or the draw was closed otherwise.
    """
    stub = peers.stub("finance", finance_pb2_grpc.FinanceServiceStub)
    await peers.call(
        stub.SettleDisposalClaim,
        finance_pb2.SettleDisposalClaimRequest(
            request_id=request_id,
            draw=part.draw,
            transfer_ids=part.transfer_ids,
            interest=wire.money(part.interest_fen),
            principal=wire.money(part.principal_fen),
            penalty=wire.money(part.penalty_fen),
            short=wire.money(part.short_fen),
            as_of=wire.date(as_of),
        ),
    )
