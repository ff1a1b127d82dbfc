"""The charge for hours beyond what a lease allows (WE-19)."""

from decimal import Decimal
from fractions import Fraction

from services.finmath.money import round_half_up


def excess_hours(hours: Decimal, allowed: Decimal) -> Decimal:
    """Return the hours beyond what is allowed, zero or more."""
    return max(hours - allowed, Decimal(0))


def excess_charge(hours: Decimal, rate_fen: int) -> int:
    """Return the charge in fen for excess hours at so many fen an hour."""
    return round_half_up(Fraction(hours) * rate_fen)
