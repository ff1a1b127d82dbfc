"""Hours of use by accepted readings, and what exceeds the allowance (WE-19)."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from services.finmath.dates import add_months
from services.finmath.money import round_half_up
from services.finmath.usage import excess_charge, excess_hours
from services.leasing.papers import TermUse
from services.leasing.terms import LeaseTerms

HOURS_PLACES = 2
HOURS_PER_DAY = 24


@dataclass(frozen=True, slots=True)
class Reading:
    """The hour meter on a day."""

    reported_on: date
    hours: Decimal


@dataclass(frozen=True, slots=True)
class Readings:
    """What use is counted from, and the last accepted reading; None where nothing was accepted.

    Attributes:
        first: The hours read at delivery, else the first accepted reading after it.
    """

    first: Reading | None
    last: Reading | None


@dataclass(frozen=True, slots=True)
class Usage:
    """Use since the lease began, by the last reading; hours at two decimals, the charge in fen."""

    last: Reading
    used: Decimal
    allowed: Decimal
    excess: Decimal
    charge_fen: int


def readings_of(
    *, delivery: Reading | None, first: Reading | None, last: Reading | None
) -> Readings:
    """Choose what use is counted from: the hours at delivery, which both sides know.

    Accepted hours count a machine's life over all its meters. Where those at delivery cannot lead
    to them, because an earlier meter was replaced, use is counted from the first accepted reading.

    Args:
        first, last: The first and the last accepted reading of the lease's time.
    """
    if first is None or last is None:
        return Readings(delivery, None)
    return Readings(delivery if delivery and _leads_to(delivery, first) else first, last)


def _leads_to(earlier: Reading, later: Reading) -> bool:
    """Whether a meter can have gone from one reading to the other: 24 hours a day and one."""
    days = (later.reported_on - earlier.reported_on).days
    return earlier.hours <= later.hours <= earlier.hours + HOURS_PER_DAY * days + 1


def usage_of(terms: LeaseTerms, readings: Readings, *, start_on: date) -> Usage:
    """Return the use to the last accepted reading against what the payments to then cover."""
    first, last = readings.first, readings.last
    if first is None or last is None:
        stand = first.hours if first else Decimal(0)
        return Usage(Reading(start_on, stand), Decimal(0), Decimal(0), Decimal(0), 0)
    used = max(last.hours - first.hours, Decimal(0))
    allowed = allowance(terms.hours_per_year, start=start_on, on=last.reported_on)
    excess = excess_hours(used, allowed)
    return Usage(last, used, allowed, excess, excess_charge(excess, terms.excess_hour_rate_fen))


def term_use(
    terms: LeaseTerms, readings: Readings, *, start_on: date, matures_on: date, ended_on: date
) -> TermUse:
    """Return the use of a whole term, which is charged, against what its payments cover.

    Days that the machine was kept beyond the term are covered by no payment.
    """
    allowed = allowance(terms.hours_per_year, start=start_on, on=min(matures_on, ended_on))
    first, last = readings.first, readings.last
    if first is None or last is None:
        return TermUse(None, None, None, allowed, Decimal(0), 0)
    excess = excess_hours(max(last.hours - first.hours, Decimal(0)), allowed)
    return TermUse(
        first=first.hours,
        last=last.hours,
        last_on=last.reported_on,
        allowed=allowed,
        excess=excess,
        charge_fen=excess_charge(excess, terms.excess_hour_rate_fen),
    )


def allowance(hours_per_year: int, *, start: date, on: date) -> Decimal:
    """Return the hours covered from `start` to `on`: whole years, then days over 365."""
    years = max(0, on.year - start.year)
    if years and add_months(start, 12 * years) > on:
        years -= 1
    days = (on - add_months(start, 12 * years)).days
    exact = hours_per_year * (years + Fraction(min(days, 365), 365))
    return Decimal(round_half_up(exact * 10**HOURS_PLACES)).scaleb(-HOURS_PLACES)
