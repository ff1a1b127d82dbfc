"""Money handed down an order of claims until it runs out (WE-17)."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from services.finmath.money import share_of


class Claimant(StrEnum):
    """As what somebody is paid from the disposal of a machine, in the order DISPOSAL.

    WE-17 knows no assignee: who bought instalments stands before the lessor, who sold them.
    """

    DISPOSAL_COST = "DISPOSAL_COST"
    TRANSPORT = "TRANSPORT"
    SENIOR_INTEREST = "SENIOR_INTEREST"
    SENIOR_PRINCIPAL = "SENIOR_PRINCIPAL"
    SENIOR_PENALTY = "SENIOR_PENALTY"
    JUNIOR = "JUNIOR"
    ASSIGNEE = "ASSIGNEE"
    LESSOR_RESIDUAL = "LESSOR_RESIDUAL"


DISPOSAL = tuple(Claimant)


@dataclass(frozen=True, slots=True)
class Distribution:
    """An amount handed down an order of claims, in fen.

    Attributes:
        paid_fen: Paid on each claim, in the order given.
        short_fen: Left unpaid of each.
        surplus_fen: Left once all claims are paid.
    """

    paid_fen: tuple[int, ...]
    short_fen: tuple[int, ...]
    surplus_fen: int


def distribute(amount_fen: int, dues_fen: Sequence[int]) -> Distribution:
    """Pay claims in order, each whole before the next gets anything; Σ paid + surplus = amount.

    Raises:
        ValueError: The amount or a claim is negative.
    """
    if amount_fen < 0 or any(due_fen < 0 for due_fen in dues_fen):
        raise ValueError("an amount and the claims on it are zero or more")
    paid, left_fen = [], amount_fen
    for due_fen in dues_fen:
        paid.append(min(due_fen, left_fen))
        left_fen -= paid[-1]
    short = tuple(due_fen - paid_fen for due_fen, paid_fen in zip(dues_fen, paid, strict=True))
    return Distribution(tuple(paid), short, left_fen)


def distribute_disposal(
    sale_fen: int, *, cost_rate: Decimal, claims: Sequence[tuple[Claimant, int]]
) -> Distribution:
    """Distribute the proceeds of a machine, the cost of the disposal first.

    Args:
        cost_rate: Cost of the disposal as a share of the sale.
        claims: The other claims in fen, in the order DISPOSAL; several may share a claimant.

    Raises:
        ValueError: The sale or a claim is negative, or the claims are out of order.
    """
    ranks = [DISPOSAL.index(claimant) for claimant, _ in claims]
    if ranks != sorted(ranks):
        raise ValueError("claims on a disposal stand in the order DISPOSAL")
    cost_fen = share_of(sale_fen, cost_rate)
    return distribute(sale_fen, [cost_fen, *(due_fen for _, due_fen in claims)])
