"""Faults raised, counted, made graver, cleared: by streams, pages and people."""

from datetime import timedelta

from ironloop.maintenance.v1 import faults_pb2, telemetry_pb2
from ironloop.maintenance.v1 import maintenance_events_pb2 as events

from services.iso15143.model import Equipment, Fault
from services.maintenance.definition import DEFINITION
from tests.integration.maintenance.field import Field, faults, header_of, rid, us
from tests.support.refusals import refused

pb = faults_pb2
STOP, WARN = pb.FAULT_SEVERITY_STOP, pb.FAULT_SEVERITY_WARN


def row(field: Field, machine: str, at: float, **values: object) -> telemetry_pb2.FaultRow:
    stated = {"spn": 100, "fmi": 1, "source_address": 0, "severity": "amber"} | values
    return telemetry_pb2.FaultRow(
        machine=machine,
        read_at_us=us(field.at(at)),
        **stated,  # type: ignore[arg-type]
    )


async def listed(field: Field, machine: str, **values: object) -> list[pb.Fault]:
    answer = await faults(field.owner).ListFaults(
        pb.ListFaultsRequest(machine=machine, **values)  # type: ignore[arg-type]
    )
    return list(answer.faults)


async def test_the_same_code_counts_up_while_it_is_open(field: Field) -> None:
    machine = (await field.machine()).name
    sent = await field.send(faults=[row(field, machine, 1), row(field, machine, 2)])
    again = await field.send(faults=[row(field, machine, 1), row(field, machine, 2)])
    assert (sent.faults, again.faults) == (2, 0)
    await field.send(
        faults=[
            row(field, machine, 3, occurrences=40),
            row(field, machine, 3, source_address=3),
            row(field, machine, 3, fmi=2),
        ]
    )
    counts = {(f.code.fmi, f.code.source_address): f.count for f in await listed(field, machine)}
    assert counts == {(1, 0): 40, (1, 3): 1, (2, 0): 1}
    assert len(await listed(field, machine, fmi=2)) == 1
    assert len(await listed(field, machine, source_address=3)) == 1
    told = await field.events(machine)
    assert [type(event) for event in told] == [events.FaultRaised] * 3


async def test_a_graver_report_is_told_like_a_new_fault(field: Field) -> None:
    machine = (await field.machine()).name
    await field.send(faults=[row(field, machine, 1), row(field, machine, 2, severity="STOP!")])
    await field.send(faults=[row(field, machine, 3)])
    (fault,) = await listed(field, machine)
    assert (fault.severity, fault.count) == (STOP, 3)
    first, second = await field.events(machine)
    assert isinstance(first, events.FaultRaised)
    assert isinstance(second, events.FaultRaised)
    assert (first.severity, first.open_stop_faults) == (WARN, 0)
    assert (second.severity, second.open_stop_faults) == (STOP, 1)
    assert (second.spn, second.fmi, second.fault) == (100, 1, fault.name)
    assert second.title_holder == field.owner.party


async def test_a_fault_is_gone_when_the_machine_says_so_and_new_when_it_comes_again(
    field: Field,
) -> None:
    machine = (await field.machine()).name
    await field.send(faults=[row(field, machine, 1, severity="red")])
    await field.send(faults=[row(field, machine, 2, cleared=True)])
    await field.send(faults=[row(field, machine, 1.5)])  # older than the clearing: nothing
    (gone,) = await listed(field, machine)
    assert gone.state == pb.FAULT_STATE_CLEARED
    assert gone.cleared_by == ""
    await field.send(faults=[row(field, machine, 3)])
    assert len(await listed(field, machine, open_only=True)) == 1
    told = await field.events(machine)
    assert [type(event) for event in told] == [
        events.FaultRaised,
        events.FaultCleared,
        events.FaultRaised,
    ]
    assert told[1].open_stop_faults == 0  # type: ignore[attr-defined]


async def test_a_controllers_message_clears_what_it_leaves_out(field: Field) -> None:
    machine = (await field.machine()).name

    def frame(at: float, payload: str) -> telemetry_pb2.Dm1Frame:
        return telemetry_pb2.Dm1Frame(
            machine=machine,
            source_address=0,
            payload=bytes.fromhex(payload),
            read_at_us=us(field.at(at)),
        )

    # Red lamp; SPN 100 FMI 1 twice, SPN 524287 FMI 31 unknown count.
    await field.send(frames=[frame(1, "10ff" + "64000102" + "ffffff7f")])
    by_code = {(f.code.spn, f.code.fmi): f for f in await listed(field, machine)}
    assert by_code.keys() == {(100, 1), (524_287, 31)}
    assert by_code[100, 1].count == 2
    assert by_code[100, 1].severity == STOP
    assert list(by_code[100, 1].lamps) == [pb.FAULT_LAMP_RED_STOP]
    await field.send(faults=[row(field, machine, 1, source_address=9)])
    await field.send(frames=[frame(2, "00ff" + "64000103")])
    still = await listed(field, machine, open_only=True)
    assert {(f.code.spn, f.code.source_address) for f in still} == {(100, 0), (100, 9)}
    await field.send(frames=[frame(3, "00ff" + "00000000" + "ffff")])
    (other,) = await listed(field, machine, open_only=True)
    assert other.code.source_address == 9
    refused_frame = await field.send(frames=[frame(4, "00ff6400")])
    assert refused_frame.refused == 1


async def test_a_pages_fault_codes_are_faults(field: Field) -> None:
    machine = await field.machine()
    at = field.at(1)
    report = await field.take(
        Equipment(
            header_of(machine),
            faults=(
                Fault("SPN 110 FMI 0", "coolant hot", "red", "J1939 SA 0", at),
                Fault("E-77", "seat belt", None, None, at + timedelta(minutes=1)),
            ),
        )
    )
    assert report.rows[0].faults == 2
    coolant, belt = sorted(await listed(field, machine.name), key=lambda f: f.code.oem_code)
    assert (coolant.code.spn, coolant.code.fmi, coolant.code.source_address) == (110, 0, 0)
    assert (coolant.severity, coolant.description) == (STOP, "coolant hot")
    assert (belt.code.oem_code, belt.severity) == ("E-77", WARN)


async def test_people_acknowledge_and_clear_a_fault(field: Field) -> None:
    machine = (await field.machine()).name
    await field.send(faults=[row(field, machine, 1, severity="stop")])
    (fault,) = await listed(field, machine, severity=STOP)
    stub = faults(field.owner)
    request = pb.AcknowledgeFaultRequest(request_id=rid(), name=fault.name, etag=fault.etag)
    seen = await stub.AcknowledgeFault(request)
    assert (seen.state, seen.acknowledged_by) == (
        pb.FAULT_STATE_ACKNOWLEDGED,
        field.owner.subject,
    )
    assert await stub.AcknowledgeFault(request) == seen
    with refused("TRANSITION_REFUSED"):
        await stub.AcknowledgeFault(pb.AcknowledgeFaultRequest(request_id=rid(), name=fault.name))
    with refused("ETAG_MISMATCH"):
        await stub.ClearFault(
            pb.ClearFaultRequest(request_id=rid(), name=fault.name, etag=fault.etag)
        )
    other = await field.world.party("LESSOR")
    for call in (
        faults(other).GetFault(pb.GetFaultRequest(name=fault.name)),
        faults(other).ClearFault(pb.ClearFaultRequest(request_id=rid(), name=fault.name)),
        faults(other).ListFaults(pb.ListFaultsRequest(machine=machine)),
    ):
        with refused("NOT_FOUND"):
            await call
    assert list((await faults(other).ListFaults(pb.ListFaultsRequest())).faults) == []
    gone = await stub.ClearFault(pb.ClearFaultRequest(request_id=rid(), name=fault.name))
    assert (gone.state, gone.cleared_by) == (pb.FAULT_STATE_CLEARED, field.owner.subject)
    last = (await field.events(machine))[-1]
    assert isinstance(last, events.FaultCleared)
    assert (last.fault, last.cleared_by) == (fault.name, field.owner.subject)


async def test_a_fault_is_simulated_locally_and_nowhere_else(field: Field) -> None:
    machine = (await field.machine()).name
    stub = faults(field.world.operator)

    def asked(**values: object) -> pb.SimulateFaultRequest:
        code = pb.FaultCode(spn=100, fmi=1, source_address=0)
        stated = {"request_id": rid(), "machine": machine, "code": code} | values
        return pb.SimulateFaultRequest(**stated)  # type: ignore[arg-type]

    fault = await stub.SimulateFault(asked(lamps=[pb.FAULT_LAMP_RED_STOP]))
    assert (fault.severity, fault.state) == (STOP, pb.FAULT_STATE_ACTIVE)
    with refused("INVALID_FIELD"):
        await stub.SimulateFault(asked(code=pb.FaultCode(spn=100)))
    with refused("NOT_FOUND"):
        await stub.SimulateFault(asked(machine=f"machines/{rid()}"))
    with refused("PERMISSION_DENIED"):
        await faults(field.owner).SimulateFault(asked())
    await field.world.stop("maintenance")
    await field.world.start(DEFINITION, environment="production")
    try:
        with refused("SIMULATION_DISABLED"):
            await stub.SimulateFault(asked(), wait_for_ready=True)
    finally:
        await field.world.stop("maintenance")
        await field.world.start(DEFINITION)
