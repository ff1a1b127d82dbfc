"""What binds a machine: the draws on it, and how their parts of its proceeds close them."""

from dataclasses import asdict
from datetime import date
from typing import Any

from services.finmath.waterfall import distribute
from services.kit.clock import business_date
from services.kit.runtime import Runtime
from services.kit.sagas import Saga, until_done
from services.leasing import clients, draw_clients
from services.leasing.disposal_model import Lender
from services.leasing.draw_clients import DrawPart, Payoff
from services.leasing.errors import LessorLacksTitle, LiensRemain


def as_of(saga: Saga) -> date:
    """Return the day to which a saga's payoffs are quoted: finance takes the day of its ids."""
    return business_date(saga.create_time)


async def quote_payoffs(
    runtime: Runtime, saga: Saga, *, title_moves: bool = True
) -> list[dict[str, Any]]:
    """Ask what frees the machine of its draws, as a saga keeps it.

    Args:
        title_moves: Whether nothing else may bind the machine.

    Raises:
        LiensRemain: A lien would stay, and the title could not move.
        LessorLacksTitle: The machine is the lessor's no more.
    """
    machine = saga.facts["machine"]
    payoffs = await draw_clients.quote_payoffs(runtime.peers, machine, as_of=as_of(saga))
    if title_moves:
        bound = await clients.get_machine(runtime.peers, machine, actor=saga.actor)
        if bound.title_holder != saga.facts["lessor"]:
            raise LessorLacksTitle(machine, saga.facts["lessor"])
        for lien in bound.liens:
            if lien not in {payoff.lien for payoff in payoffs}:
                raise LiensRemain(machine, lien)
    return [asdict(payoff) for payoff in payoffs]


def payoffs_of(saga: Saga) -> list[Payoff]:
    """Return the payoffs that a saga keeps, by the rank of their liens."""
    kept: list[dict[str, Any]] = saga.facts["payoffs"]
    payoffs = [Payoff(**each) for each in kept]
    return sorted(payoffs, key=lambda payoff: (payoff.priority, payoff.draw))


def lenders_of(saga: Saga) -> list[Lender]:
    """Return the payoffs that a saga keeps as claims on a machine's proceeds."""
    return [
        Lender(
            draw=payoff.draw,
            funder=payoff.funder,
            interest_fen=payoff.interest_fen,
            principal_fen=payoff.principal_fen,
            penalty_fen=payoff.penalty_fen,
            priority=payoff.priority,
        )
        for payoff in payoffs_of(saga)
    ]


def part_of(payoff: Payoff, paid_fen: int, transfer_ids: list[str]) -> DrawPart:
    """Return what an amount pays of a draw: interest, principal, penalty, and what is short."""
    dues = (payoff.interest_fen, payoff.principal_fen, payoff.penalty_fen)
    interest_fen, principal_fen, penalty_fen = distribute(paid_fen, dues).paid_fen
    return DrawPart(
        draw=payoff.draw,
        transfer_ids=tuple(transfer_ids),
        interest_fen=interest_fen,
        principal_fen=principal_fen,
        penalty_fen=penalty_fen,
        short_fen=payoff.amount_fen - paid_fen,
    )


async def settle_parts(runtime: Runtime, saga: Saga, parts: list[DrawPart]) -> None:
    """Close the draws by what they got; the money has moved, so it is tried until it is done."""
    for part in parts:
        async with until_done(f"claim of {part.draw}"):
            await draw_clients.settle_disposal_claim(
                runtime.peers,
                part,
                as_of=as_of(saga),
                request_id=saga.retry_request_id(f"settle {part.draw}"),
            )
