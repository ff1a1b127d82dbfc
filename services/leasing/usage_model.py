"""Hours of use: whether a reading can be, and what exceeds the allowance (WE-19)."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from services.finmath.dates import add_months
from services.finmath.money import round_half_up
from services.finmath.usage import excess_charge, excess_hours
from services.kit.errors import InvalidArgument
from services.leasing.errors import HoursBelowLast, HoursImplausible
from services.leasing.terms import LeaseTerms

HOURS_PLACES = 2
HOURS_PER_DAY = 24


@dataclass(frozen=True, slots=True)
class Reading:
    """The hour meter on a day."""

    reported_on: date
    hours: Decimal


@dataclass(frozen=True, slots=True)
class Usage:
    """Use since the lease began, by the last reading; hours at two decimals, the charge in fen."""

    last: Reading
    used: Decimal
    allowed: Decimal
    excess: Decimal
    charge_fen: int


def check_reading(reading: Reading, *, last: Reading, today: date) -> None:
    """Check a reading against the last one: no day back, no hour back, at most 24 a day and one.

    Raises:
        InvalidArgument: Its day lies before the last one or after today.
        HoursBelowLast, HoursImplausible: The hours cannot be.
    """
    if not last.reported_on <= reading.reported_on <= today:
        raise InvalidArgument("report_date", f"must lie in {last.reported_on} to {today}")
    if reading.hours < last.hours:
        raise HoursBelowLast(reading.hours, last.hours)
    days = (reading.reported_on - last.reported_on).days
    limit = last.hours + HOURS_PER_DAY * days + 1
    if reading.hours > limit:
        raise HoursImplausible(reading.hours, limit)


def usage_of(terms: LeaseTerms, *, first: Reading, last: Reading) -> Usage:
    """Return the use between two readings against what the payments of that time cover."""
    used = last.hours - first.hours
    allowed = allowance(terms.hours_per_year, start=first.reported_on, on=last.reported_on)
    excess = excess_hours(used, allowed)
    return Usage(last, used, allowed, excess, excess_charge(excess, terms.excess_hour_rate_fen))


def allowance(hours_per_year: int, *, start: date, on: date) -> Decimal:
    """Return the hours covered from `start` to `on`: whole years, then days over 365."""
    years = max(0, on.year - start.year)
    if years and add_months(start, 12 * years) > on:
        years -= 1
    days = (on - add_months(start, 12 * years)).days
    exact = hours_per_year * (years + Fraction(min(days, 365), 365))
    return Decimal(round_half_up(exact * 10**HOURS_PLACES)).scaleb(-HOURS_PLACES)
