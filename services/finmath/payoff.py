"""What ends a contract early: principal, interest to the day, and a fee on principal (WE-4)."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from services.finmath.day_count import DayCount, simple_interest
from services.finmath.money import share_of


@dataclass(frozen=True, slots=True)
class Payoff:
    """The parts of a payoff, in fen; none is negative. Interest not yet earned is not charged."""

    principal_fen: int
    interest_fen: int
    fee_fen: int

    @property
    def total_fen(self) -> int:
        """What is to be paid."""
        return self.principal_fen + self.interest_fen + self.fee_fen


def quote_payoff(
    principal_fen: int,
    rate: Decimal,
    *,
    interest_from: date,
    as_of: date,
    day_count: DayCount,
    fee_rate: Decimal = Decimal(0),
) -> Payoff:
    """Return what pays off an outstanding principal on a day.

    Args:
        principal_fen: Outstanding after the last payment, zero or more.
        rate: Nominal annual rate of the contract.
        interest_from: When interest was last settled: that payment's due date.
        fee_rate: Share of the principal alone.

    Raises:
        ValueError: The principal is negative, or `as_of` lies before `interest_from`.
    """
    if principal_fen < 0:
        raise ValueError(f"an outstanding principal is zero or more, not {principal_fen} fen")
    return Payoff(
        principal_fen=principal_fen,
        interest_fen=simple_interest(
            principal_fen, rate, start=interest_from, end=as_of, day_count=day_count
        ),
        fee_fen=share_of(principal_fen, fee_rate),
    )
