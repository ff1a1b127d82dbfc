"""What repairs cost, how long machines are down, and how reliable they are."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from services.maintenance.reliability_model import Reliability
from services.maintenance.work_order_model import (
    WorkLabour,
    WorkPart,
    cost_of,
    down_for,
    warranty_end,
)


def test_reliability_is_the_domains_example() -> None:
    """Domain page §3.4: 600 h and 3 failures of 12 h together."""
    subject = Reliability(hours_run=Decimal(600), failures=3, downtime_hours=Decimal(12))
    assert subject.mtbf_hours == Decimal("200.00")
    assert subject.mttr_hours == Decimal("4.00")
    assert subject.availability == Decimal("0.9804")


@pytest.mark.parametrize(
    ("hours_run", "failures", "downtime", "expected"),
    [
        (None, 0, "0", (None, None, None)),
        ("600", 0, "0", (None, None, Decimal("1.0000"))),
        ("0", 0, "0", (None, None, None)),
        ("0", 1, "8", (Decimal("0.00"), Decimal("8.00"), Decimal("0.0000"))),
        (None, 1, "8", (None, Decimal("8.00"), None)),
    ],
)
def test_what_is_not_known_is_not_made_up(
    hours_run: str | None, failures: int, downtime: str, expected: tuple[Decimal | None, ...]
) -> None:
    run = None if hours_run is None else Decimal(hours_run)
    subject = Reliability(run, failures, Decimal(downtime))
    assert (subject.mtbf_hours, subject.mttr_hours, subject.availability) == expected


def part(quantity: str, price_fen: int, *, under_warranty: bool = False) -> WorkPart:
    return WorkPart("60082694", "Filter", Decimal(quantity), price_fen, under_warranty)


def labour(hours: str, rate_fen: int, *, under_warranty: bool = False) -> WorkLabour:
    return WorkLabour("users/1", Decimal(hours), rate_fen, under_warranty)


def test_each_line_is_rounded_half_up_and_a_warrantys_lines_are_left_out() -> None:
    cost = cost_of(
        [part("2.5", 105_05), part("1", 200_00, under_warranty=True)],
        [labour("0.25", 100_02), labour("1", 80_00, under_warranty=True)],
        units_fen=45_000_00,
        all_under_warranty=False,
    )
    assert (cost.parts_fen, cost.labour_fen, cost.warranty_fen) == (262_63, 25_01, 280_00)
    assert (cost.work_fen, cost.total_fen) == (287_64, 45_287_64)


def test_under_a_repairs_warranty_the_payer_bears_nothing() -> None:
    cost = cost_of([part("1", 100_00)], [labour("1", 50_00)], units_fen=7, all_under_warranty=True)
    assert (cost.total_fen, cost.warranty_fen) == (0, 150_07)


def test_downtime_counts_from_when_the_machine_stopped() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert down_for(None, now) == 0
    assert down_for(now - timedelta(hours=4, seconds=18), now) == Decimal("4.01")


def test_a_warranty_ends_on_the_same_day_of_a_later_month() -> None:
    assert warranty_end(date(2026, 8, 31), 6) == date(2027, 2, 28)
    assert warranty_end(date(2026, 8, 31), 0) is None
