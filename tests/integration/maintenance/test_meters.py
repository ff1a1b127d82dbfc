"""Meters that never fall by themselves: telemetry and people, on a real database."""

from decimal import Decimal

import pytest
from google.protobuf.message import Message
from ironloop.maintenance.v1 import maintenance_events_pb2 as events
from ironloop.maintenance.v1 import meters_pb2, telemetry_pb2

from services.kit import wire
from tests.integration.maintenance.field import Field, meters, rid
from tests.support.refusals import refused

pb = meters_pb2


def told_hours(told: list[Message]) -> list[str]:
    return [e.hours.value for e in told if isinstance(e, events.MeterReadingAccepted)]


async def test_telemetry_moves_the_meter_and_is_told_once_an_hour(field: Field) -> None:
    machine = (await field.machine()).name
    for quarter in range(9):
        await field.hours(machine, (quarter / 4, f"{100 + quarter / 4}"))
    assert (await field.meter(machine)).life.value == "102.0"
    assert told_hours(await field.events(machine)) == ["100.0", "101.0", "102.0"]


async def test_a_reported_reading_is_told_at_once_and_is_one_however_often_it_comes(
    field: Field,
) -> None:
    machine = (await field.machine()).name
    first = await field.report(machine, "500", at=1, reference="leases/x")
    again = await field.report(machine, "500.00", at=1, reference="leases/x")
    assert first.state == pb.METER_READING_STATE_ACCEPTED
    assert (first.name, first.source) == (again.name, pb.READING_SOURCE_REPORTED)
    with refused("READING_EXISTS"):
        await field.report(machine, "501", at=1)
    (told,) = await field.events(machine)
    assert isinstance(told, events.MeterReadingAccepted)
    assert (told.reading, told.reference, told.sequence) == (first.name, "leases/x", 1)
    assert told.title_holder == field.owner.party
    assert not told.HasField("previous_hours")


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ("99.99", pb.QUARANTINE_REASON_BELOW_LAST),
        ("111.01", pb.QUARANTINE_REASON_TOO_FAST),
        ("300000.01", pb.QUARANTINE_REASON_TOO_LARGE),
        ("111.00", pb.QUARANTINE_REASON_UNSPECIFIED),
        ("100.00", pb.QUARANTINE_REASON_UNSPECIFIED),
    ],
)
async def test_a_reading_counts_within_its_limits(field: Field, shown: str, reason: int) -> None:
    machine = (await field.machine()).name
    await field.hours(machine, (0, "100"))
    reading = await field.report(machine, shown, at=10)  # ten hours later: 11 are plausible
    assert reading.quarantine_reason == reason
    is_accepted = reading.state == pb.METER_READING_STATE_ACCEPTED
    assert is_accepted == (reason == pb.QUARANTINE_REASON_UNSPECIFIED)
    assert Decimal((await field.meter(machine)).figure.value) == (
        Decimal(shown) if is_accepted else 100
    )


async def test_what_a_machine_says_wrong_again_and_again_waits_as_one(field: Field) -> None:
    machine = (await field.machine()).name
    await field.hours(machine, (0, "100"))
    sent = await field.hours(machine, (1, "5"), (2, "6"))
    again = await field.hours(machine, (1, "5"), (2, "6"), (3, "7"))
    assert (sent.accepted, sent.quarantined) == (2, 2)
    assert (again.accepted, again.duplicate, again.quarantined) == (1, 2, 1)
    (waiting,) = await field.readings(machine, state=pb.METER_READING_STATE_QUARANTINED)
    assert (waiting.occurrences, waiting.hours.value, waiting.last_hours.value) == (3, "7", "100")
    assert (await field.meter(machine)).quarantined == 1


async def test_an_older_reading_is_history(field: Field) -> None:
    machine = (await field.machine()).name
    await field.hours(machine, (5, "105"))
    sent = await field.hours(machine, (1, "101"))
    assert (sent.accepted, sent.quarantined) == (1, 0)
    assert (await field.meter(machine)).figure.value == "105"
    reported = await field.report(machine, "102", at=2)
    assert reported.state == pb.METER_READING_STATE_ACCEPTED
    contradicting = await field.report(machine, "106", at=3)
    assert contradicting.state == pb.METER_READING_STATE_QUARANTINED
    assert told_hours(await field.events(machine)) == ["105"]


async def test_a_replaced_meter_goes_on_from_where_the_old_one_ended(field: Field) -> None:
    machine = (await field.machine()).name
    await field.hours(machine, (0, "4000"))
    request = pb.ReplaceMeterRequest(
        request_id=rid(),
        machine=machine,
        replace_time=wire.instant(field.at(4)),
        old_figure=wire.decimal(Decimal(4003)),
        new_figure=wire.decimal(Decimal("0.5")),
        reference="workOrders/1",
    )
    meter = await meters(field.owner).ReplaceMeter(request)
    assert (meter.figure.value, meter.life.value, meter.replacements) == ("0.50", "4003.00", 1)
    assert await meters(field.owner).ReplaceMeter(request) == meter
    await field.hours(machine, (6, "2.5"))
    assert Decimal((await field.meter(machine)).life.value) == 4005
    assert [Decimal(hours) for hours in told_hours(await field.events(machine))] == [
        4000,
        4003,
        4005,
    ]
    too_early = pb.ReplaceMeterRequest()
    too_early.CopyFrom(request)
    too_early.request_id = rid()
    with refused("READING_OUT_OF_ORDER"):
        await meters(field.owner).ReplaceMeter(too_early)


async def test_a_meter_with_a_range_rolls_over(field: Field) -> None:
    machine = (await field.machine()).name
    await field.hours(machine, (0, "9998.5"))
    with refused("INVALID_FIELD"):
        await meters(field.owner).SetMeterRange(
            pb.SetMeterRangeRequest(
                request_id=rid(), machine=machine, rolls_over_at=wire.decimal(Decimal(9998))
            )
        )
    await meters(field.owner).SetMeterRange(
        pb.SetMeterRangeRequest(
            request_id=rid(), machine=machine, rolls_over_at=wire.decimal(Decimal(10_000))
        )
    )
    await field.hours(machine, (3, "1.5"), (4, "2"))
    meter = await field.meter(machine)
    assert (meter.figure.value, meter.life.value, meter.roll_overs) == ("2", "10002.00", 1)
    sent = await field.hours(machine, (5, "1"))  # a fall that no range explains
    assert sent.quarantined == 1


async def test_a_correction_leaves_the_wrong_reading_in_the_history(field: Field) -> None:
    machine = (await field.machine()).name
    await field.report(machine, "100", at=0)
    wrong = await field.report(machine, "124", at=24)
    for figure, reason in (("99", "METER_WOULD_FALL"),):
        with refused(reason):
            await _correct(field, wrong.name, figure)
    right = await _correct(field, wrong.name, "112.5")
    assert right.corrects == wrong.name
    assert right.source == pb.READING_SOURCE_CORRECTION
    states = {r.name: (r.state, r.hours.value) for r in await field.readings(machine)}
    assert states[wrong.name] == (pb.METER_READING_STATE_CORRECTED, "124.00")
    assert states[right.name] == (pb.METER_READING_STATE_ACCEPTED, "112.50")
    assert (await field.meter(machine)).figure.value == "112.50"
    last = (await field.events(machine))[-1]
    assert isinstance(last, events.MeterReadingAccepted)
    assert (last.hours.value, last.previous_hours.value) == ("112.50", "124.00")
    with refused("TRANSITION_REFUSED"):
        await _correct(field, wrong.name, "113")


async def test_the_owner_decides_on_what_waits_and_nobody_else(field: Field) -> None:
    machine = (await field.machine()).name
    await field.hours(machine, (0, "100"))
    fast = await field.report(machine, "150", at=10)
    low = await field.report(machine, "90", at=11)
    other = await field.world.party("LESSOR")
    with refused("NOT_FOUND"):
        await meters(other).AcceptReading(pb.AcceptReadingRequest(request_id=rid(), name=fast.name))
    request = pb.AcceptReadingRequest(request_id=rid(), name=fast.name, comment="seen")
    accepted = await meters(field.owner).AcceptReading(request)
    assert accepted.state == pb.METER_READING_STATE_ACCEPTED
    assert accepted.decided_by == field.owner.subject
    assert await meters(field.owner).AcceptReading(request) == accepted
    assert (await field.meter(machine)).figure.value == "150.00"
    with refused("METER_WOULD_FALL"):
        await meters(field.owner).AcceptReading(
            pb.AcceptReadingRequest(request_id=rid(), name=low.name)
        )
    rejected = await meters(field.owner).RejectReading(
        pb.RejectReadingRequest(request_id=rid(), name=low.name, comment="misread")
    )
    assert rejected.state == pb.METER_READING_STATE_REJECTED
    assert told_hours(await field.events(machine)) == ["100", "150.00"]


async def test_fuel_idle_and_distance_are_meters_in_one_unit(field: Field) -> None:
    machine = (await field.machine()).name
    elements = telemetry_elements()
    await field.send(
        field.row(machine, 0, "10", element=elements["FUEL_USED"], units="gallon"),
        field.row(machine, 0, "100", element=elements["DISTANCE"], units="miles"),
        field.row(machine, 0, "7.5", element=elements["CUMULATIVE_IDLE_HOURS"]),
        field.row(machine, 1, "5", element=elements["FUEL_USED"], units="litre"),
    )
    fuel = await field.meter(machine, pb.METER_KIND_FUEL)
    assert (fuel.figure.value, fuel.quarantined) == ("37.854", 1)
    assert (await field.meter(machine, pb.METER_KIND_DISTANCE)).figure.value == "160.934"
    assert (await field.meter(machine, pb.METER_KIND_IDLE_HOURS)).figure.value == "7.5"
    assert await field.events(machine) == []
    await field.hours(machine, (1, "20"))
    (told,) = await field.events(machine)
    assert isinstance(told, events.MeterReadingAccepted)
    assert told.idle_hours.value == "7.5"


async def test_another_party_sees_no_meter(field: Field) -> None:
    machine = (await field.machine()).name
    reading = await field.report(machine, "1", at=0)
    other = await field.world.party("LESSOR")
    with refused("NOT_FOUND"):
        await meters(other).GetMeter(pb.GetMeterRequest(machine=machine))
    with refused("NOT_FOUND"):
        await meters(other).GetMeterReading(pb.GetMeterReadingRequest(name=reading.name))
    with refused("NOT_FOUND"):
        await field.report(machine, "2", at=1, by=other)
    service = field.world.service("leasing")
    assert (
        await meters(service).GetMeterReading(pb.GetMeterReadingRequest(name=reading.name))
    ).name == reading.name


async def test_a_machine_that_nobody_registered_has_no_meter(field: Field) -> None:
    with refused("NOT_FOUND"):
        await field.report(f"machines/{rid()}", "1", at=0)


async def _correct(field: Field, name: str, figure: str) -> pb.MeterReading:
    reading: pb.MeterReading = await meters(field.owner).CorrectReading(
        pb.CorrectReadingRequest(
            request_id=rid(), name=name, hours=wire.decimal(Decimal(figure)), comment="misread"
        )
    )
    return reading


def telemetry_elements() -> dict[str, int]:
    """Return the numbers of elements by name."""
    prefix = "TELEMETRY_ELEMENT_"
    return {
        name.removeprefix(prefix): number for name, number in telemetry_pb2.TelemetryElement.items()
    }
