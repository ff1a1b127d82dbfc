"""Readings in by stream and by page, on a real database."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from google.type import decimal_pb2
from ironloop.maintenance.v1 import telemetry_pb2
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc

from services.iso15143.model import Engine, Equipment, Header, Hours, Location, Part, Switch
from services.iso15143.reader import read_page
from services.kit import wire
from tests.integration.maintenance.field import (
    HOURS,
    Field,
    header_of,
    rid,
    stream,
    telemetry,
    us,
)
from tests.support.refusals import refused
from tests.unit.iso15143 import dialects

pb = telemetry_pb2
LOCATION = pb.TELEMETRY_ELEMENT_LOCATION
FUEL = pb.TELEMETRY_ELEMENT_FUEL_REMAINING
SWITCH = pb.TELEMETRY_ELEMENT_SWITCH_STATUS
SNAPSHOT = Path(__file__).parents[4] / "shared" / "data" / "telematics" / "fleet_snapshot_a.xml"


async def test_a_stream_sent_again_changes_nothing(field: Field) -> None:
    machine = (await field.machine()).name
    rows = [field.row(machine, quarter / 4, f"{quarter / 4}") for quarter in range(40)]
    messages = [pb.IngestTelemetryRequest(readings=rows[start : start + 10]) for start in (0, 20)]
    first = await telemetry(field.owner).IngestTelemetry(stream(messages))
    assert (first.accepted, first.duplicate, first.refused) == (20, 0, 0)
    again = await telemetry(field.owner).IngestTelemetry(
        stream([pb.IngestTelemetryRequest(readings=rows)])
    )
    assert (again.accepted, again.duplicate) == (20, 20)
    listed = await telemetry(field.owner).ListReadings(
        pb.ListReadingsRequest(machine=machine, element=HOURS, page_size=25)
    )
    rest = await telemetry(field.owner).ListReadings(
        pb.ListReadingsRequest(
            machine=machine, element=HOURS, page_size=25, page_token=listed.next_page_token
        )
    )
    shown = [reading.value.value for reading in (*listed.readings, *rest.readings)]
    assert shown == [f"{quarter / 4}" for quarter in range(40)]


async def test_a_row_that_cannot_be_taken_refuses_nothing_but_itself(field: Field) -> None:
    machine = (await field.machine()).name
    theirs = (
        await Field(field.world, await field.world.party("LESSOR"), field.start).machine()
    ).name
    row = field.row
    bad = {
        "value": row(machine, 1, "many"),
        "negative": row(machine, 1, "-1"),
        "percent": row(machine, 1, "100.5", element=FUEL),
        "latitude": row(machine, 1, "91", element=LOCATION, longitude="1"),
        "longitude": row(machine, 1, "48", element=LOCATION, longitude=""),
        "element": row(machine, 1, "1", element=99),
        "ahead": row(machine, 24 * 365, "1"),
        "early": row(machine, -24 * 365 * 40, "1"),
        "outside the calendar": row(machine, 1, "1", read_at_us=2**62),
        "NUL": row(machine, 1, "1", label="a\0b"),
        "switch without a number": row(machine, 1, "", element=SWITCH, text="on"),
        "another party's": row(theirs, 1, "1"),
        "unknown": row(f"machines/{rid()}", 1, "1"),
        "no name": row("", 1, "1"),
        "no machine": row("parties/1", 1, "1"),
    }
    answer = await field.send(row(machine, 1, "7"), *bad.values(), row(machine, 2, "8"))
    assert (answer.accepted, answer.refused) == (2, len(bad))
    assert len(answer.problems) == len(bad)
    assert all(problem.description for problem in answer.problems)
    assert (await field.meter(machine)).figure.value == "8"


async def test_machines_are_named_by_pin_or_serial_number_too(field: Field) -> None:
    machine = await field.machine(pin="NWX0220LCBWZ00017")
    answer = await field.send(
        field.row("pin/nwx0220lcbwz00017", 1, "7"),
        field.row(f"serial/{machine.serial_number}", 2, "8"),
        field.row("serial/none", 2, "8"),
    )
    assert (answer.accepted, answer.refused) == (2, 1)


async def test_the_latest_reading_of_each_series_is_shown(field: Field) -> None:
    machine = (await field.machine()).name
    await field.send(
        field.row(machine, 2, "12"),
        field.row(machine, 1, "11"),
        field.row(machine, 1, "-48.5", element=LOCATION, longitude="11.25", altitude="300"),
        field.row(machine, 1, "", element=SWITCH, label="3", text="on"),
        field.row(machine, 2, "", element=SWITCH, label="3", text="off"),
        field.row(machine, 1, "", element=SWITCH, label="4", text="on"),
    )
    await field.send(field.row(machine, -24 * 400, "5"))  # another month, another partition
    shown = await telemetry(field.owner).GetTelemetry(pb.GetTelemetryRequest(machine=machine))
    by_series = {(reading.element, reading.label): reading for reading in shown.readings}
    assert len(by_series) == 4
    assert by_series[HOURS, ""].value.value == "12"
    assert by_series[SWITCH, "3"].text == "off"
    location = by_series[LOCATION, ""]
    assert (location.value.value, location.longitude.value) == ("-48.5", "11.25")
    assert shown.last_read_time == wire.instant(field.at(2))
    other = await field.world.party("LESSOR")
    with refused("NOT_FOUND"):
        await telemetry(other).GetTelemetry(pb.GetTelemetryRequest(machine=machine))
    with refused("NOT_FOUND"):
        await telemetry(other).ListReadings(pb.ListReadingsRequest(machine=machine, element=HOURS))


async def test_a_page_is_taken_row_by_row(field: Field) -> None:
    known, hidden = await field.machine(), await field.machine()
    at = field.at(1)
    first = Equipment(
        header_of(known),
        location=Location(Decimal("48.1"), Decimal(11), None, at),
        operating_hours=Hours(Decimal("4120.55"), at),
        engine=Engine("1", True, at),
        switches=(Switch("3", "on", at), Switch("4", "off", None)),
        extras=(Part("Tilt", "3"),),
    )
    stranger = Equipment(Header("NOBODY'S"), operating_hours=Hours(Decimal(1), at))
    other = await field.world.party("LESSEE")
    report = await field.take(first, stranger)
    again = await field.take(first, stranger)
    assert [row.outcome for row in report.rows] == [
        pb.FLEET_ROW_OUTCOME_TAKEN,
        pb.FLEET_ROW_OUTCOME_UNKNOWN_MACHINE,
    ]
    assert (report.rows[0].machine, report.rows[0].accepted) == (known.name, 6)
    assert (again.accepted, again.duplicate, again.unknown_machines) == (0, 6, 1)
    theirs = await field.take(first, by=other)
    assert (theirs.accepted, theirs.unknown_machines) == (0, 1)
    # By the sender's own id alone, as known from the earlier page.
    by_id = replace(first, header=Header(header_of(known).equipment_id), switches=())
    later = Hours(Decimal("4121"), at + timedelta(hours=1))
    again = await field.take(replace(by_id, operating_hours=later))
    assert (again.accepted, again.duplicate) == (2, 2)  # the hours, and what nobody dates
    assert hidden.name not in {row.machine for row in report.rows}


async def test_what_a_page_says_wrong_is_reported_with_machine_and_element(field: Field) -> None:
    machine = await field.machine(serial_number="X-1-SERIAL")
    page = dialects.BROKEN.replace(b"X-1", b"X-1-SERIAL")
    report = await field.take(document=page)
    by_id = {row.equipment_id: row for row in report.rows}
    assert [row.equipment_id for row in report.rows] == ["#0", "X-1-SERIAL", "#2", "LAST-ONE"]
    assert by_id["#0"].outcome == pb.FLEET_ROW_OUTCOME_UNREADABLE
    taken = by_id["X-1-SERIAL"]
    assert (taken.machine, taken.outcome) == (machine.name, pb.FLEET_ROW_OUTCOME_TAKEN)
    assert [problem.element for problem in taken.problems][:2] == [
        "Location",
        "CumulativeOperatingHours",
    ]
    assert report.unreadable == 9


async def test_a_page_of_a_machine_that_two_carry_is_left_out(field: Field) -> None:
    await field.machine(serial_number="TWIN-1", make="Alpha")
    second = await field.machine(serial_number="TWIN-1", make="Beta")
    hours = Hours(Decimal(1), field.at(1))
    unclear = Equipment(Header("E", serial_number="TWIN-1"), operating_hours=hours)
    clear = Equipment(Header("E", oem_name="BETA", serial_number="twin-1"), operating_hours=hours)
    report = await field.take(unclear, clear)
    assert [row.outcome for row in report.rows] == [
        pb.FLEET_ROW_OUTCOME_AMBIGUOUS,
        pb.FLEET_ROW_OUTCOME_TAKEN,
    ]
    assert report.rows[1].machine == second.name


@pytest.mark.parametrize(
    "document", [b"no page", b"<!DOCTYPE Fleet><Fleet/>", b"{}", b"<Fleet>" + b" " * 70_000]
)
async def test_a_page_that_is_none_is_refused(field: Field, document: bytes) -> None:
    with refused("PAGE_REFUSED"):
        await field.take(document=document)


async def test_a_lessee_sees_what_it_has_and_its_lessor_what_it_owns(field: Field) -> None:
    machine = await field.machine()
    lessee = await field.world.party("LESSEE")
    service = field.world.service("leasing").stub(machines_pb2_grpc.MachineServiceStub)
    await service.ReserveMachine(
        machines_pb2.ReserveMachineRequest(
            request_id=rid(),
            name=machine.name,
            reference="leases/l1",
            party=lessee.party,
            expire_time=wire.instant(field.at(240)),
        )
    )
    await service.HandOverMachine(
        machines_pb2.HandOverMachineRequest(
            request_id=rid(),
            name=machine.name,
            custody=machines_pb2.CUSTODY_ON_LEASE,
            custodian=lessee.party,
            reference="leases/l1",
        )
    )
    reading = await field.report(machine.name, "10", at=1, by=lessee, reference="leases/l1")
    assert reading.reporter == lessee.subject
    assert (await field.meter(machine.name)).figure == decimal_pb2.Decimal(value="10.00")


@pytest.mark.skipif(not SNAPSHOT.exists(), reason=f"development page not found at {SNAPSHOT}")
async def test_a_real_page_is_taken_whole(field: Field) -> None:
    page = SNAPSHOT.read_bytes()
    for equipment in read_page(page).fleet.equipment:
        header = equipment.header
        await field.machine(
            serial_number=header.serial_number, make=header.oem_name, model=header.model or ""
        )
    report = await field.take(document=page)
    assert len(report.rows) == 27
    assert report.unknown_machines == report.unreadable == report.quarantined == 0
    assert report.accepted > 100
    assert us(field.start)
