"""Hours of use against the allowance (WE-19)."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from services.leasing.usage_model import (
    Reading,
    Readings,
    allowance,
    readings_of,
    term_use,
    usage_of,
)
from tests.unit.leasing.samples import START, TERMS

DELIVERY = Reading(START, Decimal("100.00"))
A_YEAR_ON = Reading(date(2026, 7, 1), Decimal("2410.50"))


def test_we_19_excess_hours_of_a_year() -> None:
    usage = usage_of(TERMS, Readings(DELIVERY, A_YEAR_ON), start_on=START)
    assert (usage.used, usage.allowed) == (Decimal("2310.50"), Decimal("2000.00"))
    assert usage.excess == Decimal("310.50")
    assert usage.charge_fen == 2_639_250


@pytest.mark.parametrize(
    ("start", "on", "hours"),
    [
        (date(2025, 7, 1), date(2025, 7, 1), "0.00"),
        (date(2025, 7, 1), date(2025, 7, 11), "54.79"),
        (date(2024, 2, 29), date(2025, 2, 28), "2000.00"),
        (date(2024, 2, 29), date(2028, 2, 29), "8000.00"),
        (date(2023, 7, 1), date(2024, 6, 30), "2000.00"),  # a leap day adds no hours
        (date(2025, 12, 31), date(2026, 1, 1), "5.48"),
    ],
)
def test_the_allowance_is_by_year_then_by_day(start: date, on: date, hours: str) -> None:
    assert allowance(2_000, start=start, on=on) == Decimal(hours)


def test_use_is_counted_from_the_delivery_to_the_last_accepted_reading() -> None:
    readings = readings_of(
        delivery=DELIVERY,
        first=Reading(date(2025, 7, 20), Decimal("180.00")),
        last=A_YEAR_ON,
    )
    assert readings.first == DELIVERY
    usage = usage_of(TERMS, readings, start_on=START)
    assert (usage.used, usage.excess) == (Decimal("2310.50"), Decimal("310.50"))


@pytest.mark.parametrize("hours", ["99.99", "606.01", "5180.00"])
def test_where_another_meter_was_read_at_delivery_use_is_counted_from_the_first_accepted(
    hours: str,
) -> None:
    first = Reading(date(2025, 7, 22), Decimal(hours))  # 21 days on: 505 h at most
    last = replace(first, reported_on=date(2026, 7, 1), hours=first.hours + 100)
    readings = readings_of(delivery=DELIVERY, first=first, last=last)
    assert usage_of(TERMS, readings, start_on=START).used == 100


def test_without_hours_at_delivery_use_is_counted_from_the_first_accepted_reading() -> None:
    first = Reading(date(2025, 7, 20), Decimal("180.00"))
    readings = readings_of(delivery=None, first=first, last=A_YEAR_ON)
    assert usage_of(TERMS, readings, start_on=START).used == Decimal("2230.50")


def test_what_was_never_accepted_is_never_charged() -> None:
    readings = readings_of(delivery=DELIVERY, first=None, last=None)
    assert usage_of(TERMS, readings, start_on=START).charge_fen == 0
    use = term_use(
        TERMS, readings, start_on=START, matures_on=date(2026, 7, 1), ended_on=date(2026, 7, 9)
    )
    assert (use.charge_fen, use.first, use.last) == (0, None, None)


def test_we_19_days_beyond_the_term_are_covered_by_no_payment() -> None:
    late = Reading(date(2026, 7, 15), Decimal("2410.50"))
    use = term_use(
        TERMS,
        readings_of(delivery=DELIVERY, first=late, last=late),
        start_on=START,
        matures_on=date(2026, 7, 1),
        ended_on=date(2026, 7, 20),
    )
    assert (use.allowed, use.excess, use.charge_fen) == (
        Decimal("2000.00"),
        Decimal("310.50"),
        2_639_250,
    )
