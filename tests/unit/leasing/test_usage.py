"""Hours of use against the allowance (WE-19)."""

from datetime import date
from decimal import Decimal

import pytest

from services.kit.errors import InvalidArgument
from services.leasing.errors import HoursBelowLast, HoursImplausible
from services.leasing.usage_model import Reading, allowance, check_reading, usage_of
from tests.unit.leasing.samples import START, TERMS


def test_we_19_excess_hours_of_a_year() -> None:
    usage = usage_of(
        TERMS,
        first=Reading(START, Decimal("100.00")),
        last=Reading(date(2026, 7, 1), Decimal("2410.50")),
    )
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


LAST = Reading(date(2025, 8, 1), Decimal(200))
TODAY = date(2025, 8, 11)


def test_a_plausible_reading_is_taken() -> None:
    for hours in ("200", "440", "441"):
        check_reading(Reading(TODAY, Decimal(hours)), last=LAST, today=TODAY)


@pytest.mark.parametrize(
    ("day", "hours", "refusal"),
    [
        (TODAY, "199.99", HoursBelowLast),
        (TODAY, "441.01", HoursImplausible),
        (date(2025, 7, 31), "210", InvalidArgument),
        (date(2025, 8, 12), "210", InvalidArgument),
    ],
)
def test_an_impossible_reading_is_refused(day: date, hours: str, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        check_reading(Reading(day, Decimal(hours)), last=LAST, today=TODAY)
