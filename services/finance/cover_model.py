"""How a draw's balance stands to its machine's value in each month of the rest of its term.

The state of a draw follows from today's OLV q10 after the haircut; the month of a breach from FLV
q10 along the curve of its newest valuation (WE-8). Month 0 is the day of that valuation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from services.finance.draw_model import RATIO_PLACES, Draw, Instalment
from services.finance.subordination_model import capped_fen, principal_fen
from services.finmath.cover import Cover, through_life_cover
from services.finmath.dates import add_months
from services.finmath.money import ratio, share_of

CURVE_MONTHS_MAX = 84  # how far valuation's curve reaches
ONE_FEN = 1  # a worthless machine covers nothing, and a ratio needs a divisor


@dataclass(frozen=True, slots=True)
class ValueCurve:
    """The curve of a draw's newest valuation, in fen by month.

    Attributes:
        as_of: The day of the valuation: month 0.
    """

    draw_id: UUID
    valuation: str
    as_of: date
    olv_q10_fen: list[int]
    flv_q10_fen: list[int]


@dataclass(frozen=True, slots=True)
class Senior:
    """A draw whose lien ranks before another's, with its schedule."""

    draw: Draw
    lines: Sequence[Instalment]


@dataclass(frozen=True, slots=True)
class CoverPoint:
    """One month; amounts in fen, ratios at four decimals.

    Attributes:
        balance_fen: With what ranks before the draw then.
    """

    month: int
    on: date
    balance_fen: int
    collateral_fen: int
    loan_to_value: Decimal
    flv_q10_fen: int
    flv_ratio: Decimal


@dataclass(frozen=True, slots=True)
class TermCover:
    """The cover of a draw over the rest of its term.

    Attributes:
        forced: Balance against FLV q10, with its worst month and the first breach.
        cap_month: The first month whose LTV exceeds the maintenance cap; None where none does.
    """

    curve: ValueCurve
    forced: Cover
    cap_month: int | None
    points: tuple[CoverPoint, ...]


def months_to(as_of: date, maturity_on: date) -> int:
    """Return the whole months after which a date is reached, as far as a curve goes."""
    months = (maturity_on.year - as_of.year) * 12 + maturity_on.month - as_of.month
    if add_months(as_of, months) < maturity_on:
        months += 1
    return min(max(months, 0), CURVE_MONTHS_MAX)


def cover_of(
    draw: Draw,
    lines: Sequence[Instalment],
    curve: ValueCurve,
    *,
    seniors: Sequence[Senior] = (),
) -> TermCover:
    """Return the cover of an outstanding draw along a curve.

    Args:
        seniors: The draws whose liens rank before its own.
    """
    points = tuple(
        _point(draw, lines, curve, month, seniors)
        for month in range(min(len(curve.flv_q10_fen), len(curve.olv_q10_fen)))
    )
    forced = through_life_cover(
        [point.balance_fen for point in points],
        [max(point.flv_q10_fen, ONE_FEN) for point in points],
    )
    cap_month = next(
        (point.month for point in points if point.loan_to_value > draw.maintenance_cap), None
    )
    return TermCover(curve, forced, cap_month, points)


def _point(
    draw: Draw,
    lines: Sequence[Instalment],
    curve: ValueCurve,
    month: int,
    seniors: Sequence[Senior],
) -> CoverPoint:
    on = add_months(curve.as_of, month)
    until = on if month else None
    ahead_fen = sum(
        capped_fen(draw, senior.draw, principal_fen(senior.lines, until)) for senior in seniors
    )
    balance_fen = ahead_fen + max(0, principal_fen(lines, until) - draw.top_up_fen)
    collateral_fen = share_of(curve.olv_q10_fen[month], 1 - draw.haircut)
    flv_fen = curve.flv_q10_fen[month]
    return CoverPoint(
        month=month,
        on=on,
        balance_fen=balance_fen,
        collateral_fen=collateral_fen,
        loan_to_value=ratio(balance_fen, max(collateral_fen, ONE_FEN), places=RATIO_PLACES),
        flv_q10_fen=flv_fen,
        flv_ratio=ratio(balance_fen, max(flv_fen, ONE_FEN), places=RATIO_PLACES),
    )
