"""A batch's meters: which are new, which only go on, and of which more has changed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.maintenance.meter_desk import MeterDesk
from services.maintenance.telemetry_model import TelemetryElement, TelemetryRow

AT = datetime(2026, 3, 2, 4, tzinfo=UTC)
DAY_BEFORE = AT - timedelta(days=1)
FIRST, SECOND = UUID(int=1), UUID(int=2)
HOURS = TelemetryElement.CUMULATIVE_OPERATING_HOURS.value
IDLE = TelemetryElement.CUMULATIVE_IDLE_HOURS.value
FUEL = TelemetryElement.FUEL_USED.value


def locked(machine: UUID, kind: str, figure: str, **values: Any) -> Any:
    """Return a meter's row as the database gives it."""
    stated = {
        "machine_id": machine,
        "kind": kind,
        "version": 3,
        "figure": figure,
        "run_before": "0",
        "read_at": DAY_BEFORE,
        "rolls_over_at": None,
        "replacements": 0,
        "roll_overs": 0,
        "announced": None,
        "announced_on": None,
        "create_time": DAY_BEFORE,
        "update_time": DAY_BEFORE,
    }
    return tuple((stated | values).values())


def row(machine: UUID, element: int, value: str, *, at: datetime = AT) -> TelemetryRow:
    return TelemetryRow(machine, element, at, "", Decimal(value))


def judged(meters: list[Any], *rows: TelemetryRow) -> MeterDesk:
    desk = MeterDesk(meters, now=AT + timedelta(hours=1))
    desk.judge(rows)
    return desk


def test_a_meter_that_only_goes_on_is_written_in_four_columns() -> None:
    meters = [locked(FIRST, "FUEL", "100"), locked(SECOND, "IDLE_HOURS", "7.5")]
    desk = judged(meters, row(FIRST, FUEL, "120.5"), row(SECOND, IDLE, "8"))
    assert desk.advanced == (
        f"{{{FIRST},{SECOND}}}",
        "{FUEL,IDLE_HOURS}",
        "{120.5,8}",
        f"{{{AT},{AT}}}",
    )
    assert (desk.changed, desk.new, desk.news) == ((), [], [])


def test_hours_that_are_news_are_told_of_as_they_stood_and_written_whole() -> None:
    meters = [locked(FIRST, "HOURS", "10", announced="10", announced_on=DAY_BEFORE.date())]
    desk = judged(meters, row(FIRST, HOURS, "11"))
    (told,) = desk.news
    assert (told.figure, told.announced) == (Decimal(11), Decimal(10))
    assert desk.advanced == ()
    assert desk.changed[2] == "{11}"
    assert desk.changed[6:] == ("{11}", f"{{{AT.date()}}}")


def test_hours_that_are_no_news_go_on_unheard() -> None:
    meters = [locked(FIRST, "HOURS", "10", announced="10", announced_on=AT.date())]
    desk = judged(meters, row(FIRST, HOURS, "10.5"))
    assert (desk.news, desk.changed) == ([], ())
    assert desk.advanced[2] == "{10.5}"


def test_a_roll_over_is_written_whole_though_the_meter_goes_on_after_it() -> None:
    meters = [locked(FIRST, "IDLE_HOURS", "9999", rolls_over_at="10000")]
    later = AT + timedelta(minutes=30)
    desk = judged(meters, row(FIRST, IDLE, "3", at=later), row(FIRST, IDLE, "2"))
    assert desk.advanced == ()
    assert desk.changed[2:6] == ("{3}", "{10000}", f"{{{later}}}", "{1}")


def test_a_first_reading_makes_a_meter_which_later_ones_move() -> None:
    desk = judged([], row(FIRST, HOURS, "5"), row(FIRST, HOURS, "6", at=AT + timedelta(hours=2)))
    (new,) = desk.new
    assert (new.figure, new.announced) == (Decimal(6), Decimal(6))
    assert [meter.announced for meter in desk.news] == [None]
    assert (desk.advanced, desk.changed) == ((), ())


def test_what_waits_moves_nothing_and_is_counted() -> None:
    meters = [locked(FIRST, "FUEL", "100")]
    desk = judged(
        meters, row(FIRST, FUEL, "90"), row(FIRST, FUEL, "80", at=AT + timedelta(hours=1))
    )
    assert (desk.advanced, desk.changed, desk.new) == ((), (), [])
    (waiting,) = desk.quarantined()
    assert (waiting.figure, waiting.last_figure) == (Decimal(80), Decimal(100))
    assert waiting.occurrences == 2
    assert desk.quarantined_machines() == {FIRST: 2}


def test_a_reading_of_the_past_is_neither_moved_nor_counted() -> None:
    desk = judged([locked(FIRST, "FUEL", "100")], row(FIRST, FUEL, "99", at=DAY_BEFORE))
    assert (desk.advanced, desk.quarantined()) == ((), [])
