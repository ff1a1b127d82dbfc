"""How much may be lent on a machine, and whether its value covers the balance to the end.

Sources: WE-7 (offer by loan to value) and WE-8 (through-life cover).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from services.finmath.money import ratio, share_of

RATIO_PLACES = 6


@dataclass(frozen=True, slots=True)
class LtvOffer:
    """The largest loan on a machine, in fen.

    Attributes:
        collateral_fen: The machine's value after the haircut.
        ltv_limit_fen: What the cap on loan to value allows.
        price_limit_fen: What the cap on the purchase price allows.
    """

    collateral_fen: int
    ltv_limit_fen: int
    price_limit_fen: int

    @property
    def amount_fen(self) -> int:
        """The smaller of the two limits."""
        return min(self.ltv_limit_fen, self.price_limit_fen)


@dataclass(frozen=True, slots=True)
class Cover:
    """How the balance stands to the machine's value over the term.

    Attributes:
        worst_ratio: The highest balance over value, at six decimals (1 is fully lent).
        worst_month: Where that is, the first of equal ones.
        breach_month: The first month whose balance exceeds the value; None where cover holds.
    """

    worst_ratio: Decimal
    worst_month: int
    breach_month: int | None

    @property
    def holds(self) -> bool:
        """Whether the balance never exceeds the value."""
        return self.breach_month is None


def offer_by_ltv(
    value_fen: int, *, haircut: Decimal, ltv_cap: Decimal, price_fen: int, price_cap: Decimal
) -> LtvOffer:
    """Return the largest loan on a machine (WE-7); the caps are shares of one."""
    collateral_fen = share_of(value_fen, 1 - haircut)
    return LtvOffer(
        collateral_fen=collateral_fen,
        ltv_limit_fen=share_of(collateral_fen, ltv_cap),
        price_limit_fen=share_of(price_fen, price_cap),
    )


def through_life_cover(
    balances_fen: Sequence[int], values: Sequence[int | Decimal | Fraction]
) -> Cover:
    """Compare the balance with the value after each month 0, 1, … n (WE-8).

    Args:
        values: The machine's value at the same months, in fen, above zero.

    Raises:
        ValueError: The two do not have the same length, or are empty, or a value is not positive.
    """
    if not balances_fen or len(balances_fen) != len(values):
        raise ValueError("cover needs one value for each balance, and at least one")
    if any(value <= 0 for value in values):
        raise ValueError("cover needs values above zero")
    ratios = [
        Fraction(balance) / Fraction(value)
        for balance, value in zip(balances_fen, values, strict=True)
    ]
    worst_month = max(range(len(ratios)), key=lambda month: (ratios[month], -month))
    return Cover(
        worst_ratio=ratio(ratios[worst_month], 1, places=RATIO_PLACES),
        worst_month=worst_month,
        breach_month=next((month for month, part in enumerate(ratios) if part > 1), None),
    )
