"""How much of a year lies between two dates, and the interest of that time (WE-11)."""

from calendar import isleap
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from services.finmath.dates import is_end_of_february
from services.finmath.money import round_half_up


class DayCount(StrEnum):
    """A day count convention (ISDA 2006 definitions, section 4.16); named as in the contract."""

    ACT_360 = "ACT_360"
    ACT_365F = "ACT_365F"
    THIRTY_360 = "30_360"
    THIRTY_E_360 = "30E_360"
    ACT_ACT = "ACT_ACT"


def year_fraction(start: date, end: date, day_count: DayCount) -> Fraction:
    """Return the part of a year from `start` (counted) to `end` (not counted), exact.

    Raises:
        ValueError: `end` lies before `start`.
    """
    if end < start:
        raise ValueError(f"{end} lies before {start}")
    match day_count:
        case DayCount.ACT_360:
            return Fraction((end - start).days, 360)
        case DayCount.ACT_365F:
            return Fraction((end - start).days, 365)
        case DayCount.THIRTY_360:
            return Fraction(_thirty_us(start, end), 360)
        case DayCount.THIRTY_E_360:
            return Fraction(_thirty(start, end, min(start.day, 30), min(end.day, 30)), 360)
        case DayCount.ACT_ACT:
            return _actual_actual(start, end)


def simple_interest(
    amount_fen: int, rate: Decimal, *, start: date, end: date, day_count: DayCount
) -> int:
    """Return the interest on an amount from `start` to `end`, not compounded, in fen.

    Raises:
        ValueError: `end` lies before `start`.
    """
    return round_half_up(amount_fen * Fraction(rate) * year_fraction(start, end, day_count))


def _thirty_us(start: date, end: date) -> int:
    """Days of 30/360 with the United States rule for the end of February."""
    start_day, end_day = start.day, end.day
    if is_end_of_february(start):
        if is_end_of_february(end):
            end_day = 30
        start_day = 30
    if end_day == 31 and start_day >= 30:
        end_day = 30
    return _thirty(start, end, min(start_day, 30), end_day)


def _thirty(start: date, end: date, start_day: int, end_day: int) -> int:
    months = (end.year - start.year) * 12 + end.month - start.month
    return months * 30 + end_day - start_day


def _actual_actual(start: date, end: date) -> Fraction:
    """Days in leap years over 366 and the others over 365 (ISDA)."""
    fraction, day = Fraction(0), start
    while day.year < end.year:
        next_year = date(day.year + 1, 1, 1)
        fraction += Fraction((next_year - day).days, _days_in(day.year))
        day = next_year
    return fraction + Fraction((end - day).days, _days_in(day.year))


def _days_in(year: int) -> int:
    return 366 if isleap(year) else 365
