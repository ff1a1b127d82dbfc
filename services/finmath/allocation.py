"""A payment spread over what is due on an instalment (WE-18), and the penalty of late payment."""

from dataclasses import astuple, dataclass
from decimal import Decimal
from fractions import Fraction

from services.finmath.money import round_half_up
from services.finmath.waterfall import distribute


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of an instalment, in fen, in the order in which a payment settles them.

    The order costs, penalty, interest, principal follows Article 561 of the Civil Code.
    """

    fees_fen: int = 0
    penalty_fen: int = 0
    interest_fen: int = 0
    principal_fen: int = 0

    @property
    def total_fen(self) -> int:
        """The sum of the parts."""
        return self.fees_fen + self.penalty_fen + self.interest_fen + self.principal_fen

    def __add__(self, other: "Parts") -> "Parts":
        return Parts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: "Parts") -> "Parts":
        return Parts(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a payment settles, and what it leaves over because nothing more is due."""

    paid: Parts
    surplus_fen: int


def allocate(received_fen: int, due: Parts) -> Allocation:
    """Spread a payment over what is due: fees, penalty, interest, principal.

    Raises:
        ValueError: The payment or a part is negative.
    """
    spread = distribute(received_fen, astuple(due))
    return Allocation(Parts(*spread.paid_fen), spread.surplus_fen)


def penalty(overdue_fen: int, *, daily_rate: Decimal, days: int, cap_fen: int) -> int:
    """Return the penalty of an amount overdue for some days, in fen, never above the cap.

    Args:
        daily_rate: Share of the overdue amount a day.
    """
    return min(round_half_up(overdue_fen * Fraction(daily_rate) * days), cap_fen)
