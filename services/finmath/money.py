"""Rounding at one fen, shares of an amount, and splits that lose nothing."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

# Roots and powers need more digits than amounts (19) and rates (12) together have.
PRECISION = Context(prec=40, rounding=ROUND_HALF_UP)

Number = int | Decimal | Fraction


def round_half_up(value: Number) -> int:
    """Return the nearest whole number; a half goes away from zero (domain page §3.1)."""
    exact = Fraction(value)
    whole, rest = divmod(abs(exact.numerator), exact.denominator)
    rounded = whole + (2 * rest >= exact.denominator)
    return -rounded if exact < 0 else rounded


def share_of(amount_fen: int, share: Decimal) -> int:
    """Return a share of an amount in fen: 201.00 at `Decimal("0.005")` is 1.01 (WE-19)."""
    return round_half_up(amount_fen * Fraction(share))


def ratio(part: Number, whole: Number, *, places: int) -> Decimal:
    """Return `part` over `whole`, rounded HALF_UP at `places` decimals.

    Raises:
        ZeroDivisionError: `whole` is zero.
    """
    scaled = round_half_up(Fraction(part) / Fraction(whole) * 10**places)
    return Decimal(scaled).scaleb(-places, context=PRECISION)


def split(amount_fen: int, weights: Sequence[Number]) -> list[int]:
    """Split an amount by weight; each line is rounded, the last one absorbs the difference.

    A line never takes more than is left, so no line is negative and the sum is the amount.

    Args:
        amount_fen: Zero or more.
        weights: Zero or more each, at least one above zero.

    Raises:
        ValueError: There is no positive weight, or a negative one, or the amount is negative.
    """
    total = sum((Fraction(weight) for weight in weights), Fraction(0))
    if amount_fen < 0 or total <= 0 or any(weight < 0 for weight in weights):
        raise ValueError("a split needs an amount of zero or more and weights that sum above zero")
    lines, left = [], amount_fen
    for weight in weights[:-1]:
        line = min(left, round_half_up(amount_fen * Fraction(weight) / total))
        lines.append(line)
        left -= line
    return [*lines, left]
