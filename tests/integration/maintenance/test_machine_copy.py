"""The copy of machines follows marketplace through a real broker."""

from datetime import timedelta
from decimal import Decimal

import pytest_asyncio
from ironloop.maintenance.v1 import telemetry_pb2
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc

from services.iso15143.model import Equipment, Hours
from services.kit import wire
from services.maintenance import machine_store
from services.maintenance.definition import DEFINITION
from services.maintenance.machine_model import MonitoredMachine
from services.marketplace.definition import DEFINITION as MARKETPLACE
from tests.integration.maintenance.field import Field, header_of, machine_id, rid
from tests.support.world import World


@pytest_asyncio.fixture(loop_scope="session")
async def told(kafka_world: World) -> Field:
    """Return an owner in a world whose services hear each other."""
    await kafka_world.start(MARKETPLACE, DEFINITION)
    return await Field.open(kafka_world)


async def copy_of(field: Field, machine: machines_pb2.Machine) -> MonitoredMachine:
    """Return the copy, once everything that was told has arrived."""
    await field.world.until_at_rest()
    async with field.world.running["maintenance"].runtime.database.read() as connection:
        copy = await machine_store.find_machine(connection, machine_id(machine))
    assert copy is not None
    return copy


async def test_the_copy_follows_title_custody_and_facts(told: Field) -> None:
    machine = await told.machine(pin="NWX0220LCBWZ00099")
    copy = await copy_of(told, machine)
    assert (copy.pin, copy.title_holder, copy.custodian) == (
        "NWX0220LCBWZ00099",
        told.owner.party,
        told.owner.party,
    )
    # A service that sees all asks nobody: the page finds its machine by the copy alone.
    hours = Hours(Decimal(5), told.at(1))
    report = await told.take(
        Equipment(header_of(machine), operating_hours=hours), by=told.world.service("leasing")
    )
    assert report.rows[0].outcome == telemetry_pb2.FLEET_ROW_OUTCOME_TAKEN

    lessee = await told.world.party("LESSEE")
    service = told.world.service("leasing").stub(machines_pb2_grpc.MachineServiceStub)
    until = wire.instant(told.at(0) + timedelta(days=30))
    await service.ReserveMachine(
        machines_pb2.ReserveMachineRequest(
            request_id=rid(),
            name=machine.name,
            reference="leases/l1",
            party=lessee.party,
            expire_time=until,
        )
    )
    for custody, custodian, reference, expected in (
        (machines_pb2.CUSTODY_ON_LEASE, lessee.party, "leases/l1", "leases/l1"),
        (machines_pb2.CUSTODY_IN_SHOP, told.owner.party, "workOrders/w1", "leases/l1"),
        (machines_pb2.CUSTODY_ON_LEASE, lessee.party, "leases/l1", "leases/l1"),
        (machines_pb2.CUSTODY_AVAILABLE, lessee.party, "leases/l1", ""),
    ):
        await service.HandOverMachine(
            machines_pb2.HandOverMachineRequest(
                request_id=rid(),
                name=machine.name,
                custody=custody,
                custodian=custodian,
                reference=reference,
            )
        )
        copy = await copy_of(told, machine)
        assert (copy.custodian, copy.lease) == (custodian, expected)
        assert copy.custody == wire.enum_name(machines_pb2.Custody, custody, prefix="CUSTODY_")

    await service.TransferTitle(
        machines_pb2.TransferTitleRequest(
            request_id=rid(),
            name=machine.name,
            from_party=told.owner.party,
            to_party=lessee.party,
            reference="leases/l1",
        )
    )
    moved = await copy_of(told, machine)
    assert moved.title_holder == lessee.party
    seen = await service.GetMachine(machines_pb2.GetMachineRequest(name=machine.name))
    assert moved.registry_sequence == seen.event_sequence
