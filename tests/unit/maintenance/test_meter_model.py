"""Meters judged: monotone, plausible, rolling over."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.maintenance.meter_model import (
    Meter,
    MeterKind,
    Reason,
    judge,
    new_meter,
    rise_max,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
MACHINE = UUID(int=1)


def meter(figure: str = "100", kind: MeterKind = MeterKind.HOURS) -> Meter:
    return new_meter(MACHINE, kind, figure=Decimal(figure), read_at=START, now=START)


def judged(before: Meter, figure: str, *, hours: float) -> tuple[Meter | None, Reason]:
    at = START + timedelta(hours=hours)
    return tuple(judge(before, Decimal(figure), at, now=at))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("figure", "hours", "reason"),
    [
        ("100", 1, Reason.NONE),
        ("101", 0.001, Reason.NONE),  # an hour's rise at any time
        ("102", 1, Reason.NONE),
        ("102.01", 1, Reason.TOO_FAST),
        ("125", 24, Reason.NONE),
        ("125.01", 24, Reason.TOO_FAST),
        ("99.99", 24, Reason.BELOW_LAST),
        ("300000.01", 24 * 365 * 40, Reason.TOO_LARGE),
    ],
)
def test_a_reading_may_rise_by_the_time_and_an_hour(
    figure: str, hours: float, reason: Reason
) -> None:
    moved, why = judged(meter(), figure, hours=hours)
    assert why == reason
    assert (moved is None) == bool(reason)


@pytest.mark.parametrize(
    ("kind", "per_hour"),
    [
        (MeterKind.HOURS, 1),
        (MeterKind.IDLE_HOURS, 1),
        (MeterKind.FUEL, 500),
        (MeterKind.DISTANCE, 120),
    ],
)
def test_each_kind_has_its_own_pace(kind: MeterKind, per_hour: int) -> None:
    assert rise_max(kind, START, START + timedelta(hours=3)) == per_hour * 4


def test_an_older_or_equal_instant_moves_nothing_and_waits_for_nobody() -> None:
    for hours in (0, -5):
        assert judged(meter(), "50", hours=hours) == (None, Reason.NONE)


def test_a_roll_over_is_no_fall() -> None:
    before = meter("9998")._replace(rolls_over_at=Decimal(10_000))
    moved, reason = judged(before, "1", hours=5)
    assert moved is not None
    assert (reason, moved.roll_overs) == (Reason.NONE, 1)
    assert (moved.figure, moved.life) == (Decimal(1), Decimal(10_001))
    assert judged(before, "9", hours=5)[1] == Reason.BELOW_LAST  # eleven hours in five
    assert judged(meter("9998"), "1", hours=5)[1] == Reason.BELOW_LAST  # no range is known
    assert judged(before, "10000", hours=5)[0] is not None  # still below: the next turn


def test_news_are_hours_and_first_readings_of_a_day() -> None:
    told = meter().told()
    assert meter().is_news
    assert not told.is_news
    assert not told._replace(figure=Decimal("100.9")).is_news
    assert told._replace(figure=Decimal("101")).is_news
    assert told._replace(figure=Decimal("90")).is_news
    tomorrow = told._replace(read_at=START + timedelta(days=1))
    assert not tomorrow.is_news  # nothing has moved
    assert tomorrow._replace(figure=Decimal("100.1")).is_news


@given(
    st.lists(
        st.tuples(
            st.integers(-5, 200),
            st.decimals(0, 12_000, places=2),
        ),
        max_size=30,
    ),
    st.none() | st.just(Decimal(10_000)),
)
def test_a_machines_life_never_falls_whatever_it_says(
    readings: list[tuple[int, Decimal]], rolls_over_at: Decimal | None
) -> None:
    present = meter()._replace(rolls_over_at=rolls_over_at)
    at = START
    for hours, figure in readings:
        at += timedelta(hours=hours)
        before = present
        moved, reason = judge(present, figure, at, now=at)
        assert not (moved and reason)
        present = moved or present
        assert present.life >= before.life
        assert present.read_at >= before.read_at
        if moved is not None:
            allowed = rise_max(MeterKind.HOURS, before.read_at, at)
            assert present.life - before.life <= allowed
