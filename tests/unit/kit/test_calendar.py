"""The business calendar and business dates."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.calendar import CHINA
from services.kit.clock import BusinessClock, business_date, start_of

DAYS = st.dates(date(2025, 1, 1), date(2027, 12, 31))


@pytest.mark.parametrize(
    ("day", "is_worked"),
    [
        (date(2026, 2, 14), True),  # a Saturday worked for the Spring Festival
        (date(2026, 2, 16), False),  # a Monday of the Spring Festival
        (date(2026, 10, 7), False),
        (date(2026, 10, 10), True),
        (date(2026, 11, 23), True),
        (date(2026, 11, 22), False),
    ],
)
def test_holidays_and_worked_weekends(day: date, is_worked: bool) -> None:
    assert CHINA.is_business_day(day) is is_worked


def test_a_due_date_moves_over_the_whole_holiday() -> None:
    assert CHINA.adjust_following(date(2026, 2, 15)) == date(2026, 2, 24)


@given(DAYS)
def test_adjusting_leads_to_the_next_worked_day(day: date) -> None:
    adjusted = CHINA.adjust_following(day)
    assert CHINA.is_business_day(adjusted)
    between = (day + timedelta(days=n) for n in range((adjusted - day).days))
    assert not any(CHINA.is_business_day(skipped) for skipped in between)


@given(DAYS, st.integers(0, 30))
def test_business_days_add_up(day: date, count: int) -> None:
    one_by_one = CHINA.adjust_following(day)
    for _ in range(count):
        one_by_one = CHINA.add_business_days(one_by_one, 1)
    assert CHINA.add_business_days(day, count) == one_by_one


def test_a_year_that_the_table_lacks_is_known_to_be_missing() -> None:
    assert CHINA.knows(date(2026, 1, 1))
    assert not CHINA.knows(date(2030, 1, 1))


def test_the_business_day_begins_in_shanghai() -> None:
    assert business_date(datetime(2026, 3, 1, 15, 59, tzinfo=UTC)) == date(2026, 3, 1)
    assert business_date(datetime(2026, 3, 1, 16, 0, tzinfo=UTC)) == date(2026, 3, 2)
    assert start_of(date(2026, 3, 2)) == datetime(2026, 3, 1, 16, 0, tzinfo=UTC)


def test_a_clock_ahead_keeps_the_time_of_day() -> None:
    clock = BusinessClock()
    before = clock.now()
    clock.days_ahead = 40
    assert abs(clock.now() - before - timedelta(days=40)) < timedelta(seconds=5)
