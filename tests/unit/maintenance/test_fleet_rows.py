"""A page's machine as rows that are kept, and back: nothing is lost on the way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given, settings

from services.iso15143.model import Equipment, Fault, Header, Hours
from services.maintenance.fault_model import FaultCode, Severity
from services.maintenance.fleet_rows import equipment_of, header_of, rows_of, unit_of
from services.maintenance.telemetry_model import TelemetryRow
from tests.unit.iso15143.test_writer import EQUIPMENT, HEADERS

MACHINE = UUID(int=7)
AT = datetime(2026, 3, 1, tzinfo=UTC)
NOW = AT + timedelta(hours=1)


def dated(equipment: Equipment) -> Equipment:
    """Return a machine whose readings are all of one instant, no input twice, without faults."""
    values: dict[str, Any] = {}
    for attribute in Equipment.__slots__:
        value = getattr(equipment, attribute)
        if attribute == "switches":
            by_number = {switch.number: switch._replace(read_at=AT) for switch in value}
            values[attribute] = tuple(by_number[number] for number in sorted(by_number))
        elif hasattr(value, "read_at"):
            values[attribute] = value._replace(read_at=AT)
    return replace(equipment, faults=(), **values)


def as_listed(rows: list[TelemetryRow]) -> list[TelemetryRow]:
    """Return rows in the order in which the database has them."""
    return sorted(rows, key=lambda row: (row.element, row.label))


@settings(max_examples=60)
@given(EQUIPMENT)
def test_what_is_kept_of_a_machine_is_the_machine(equipment: Equipment) -> None:
    sent = dated(equipment)
    read = rows_of(MACHINE, sent, assumed_at=AT, now=NOW)
    assert read.problems == []
    keys = [(row.element, row.label, row.read_at) for row in read.rows]
    assert len(set(keys)) == len(keys)
    assert equipment_of(header_of(read.unit), as_listed(read.rows), []) == sent


@given(HEADERS)
def test_what_is_kept_of_a_header_is_the_header(header: Header) -> None:
    assert header_of(unit_of(header)) == header


def test_what_has_no_instant_is_of_the_pages_own_and_what_lies_ahead_is_reported() -> None:
    undated = Equipment(Header("A"), operating_hours=Hours(Decimal(1), None))
    (row,) = rows_of(MACHINE, undated, assumed_at=AT, now=NOW).rows
    assert row.read_at == AT
    ahead = Equipment(
        Header("A"),
        operating_hours=Hours(Decimal(1), NOW + timedelta(days=2)),
        idle_hours=Hours(Decimal(1), datetime(1999, 12, 31, tzinfo=UTC)),
        faults=(Fault("X", None, None, None, NOW + timedelta(days=2)),),
    )
    read = rows_of(MACHINE, ahead, assumed_at=AT, now=NOW)
    assert (read.rows, read.faults) == ([], [])
    assert [element for element, _ in read.problems] == [
        "CumulativeOperatingHours",
        "CumulativeIdleHours",
        "FaultCode",
    ]


def test_a_pages_fault_is_a_report_of_its_code() -> None:
    fault = Fault("SPN 100 FMI 1", "oil pressure", "red", "J1939 SA 0", AT)
    (report,) = rows_of(
        MACHINE, Equipment(Header("A"), faults=(fault,)), assumed_at=AT, now=NOW
    ).faults
    assert report.code == FaultCode(100, 1, 0)
    assert (report.severity, report.description, report.at) == (Severity.STOP, "oil pressure", AT)
