"""Machines read from marketplace at the moment of decision; never inside a transaction."""

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc

from services.kit import wire
from services.kit.ids import name
from services.kit.principals import Principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.maintenance import machine_store
from services.maintenance.machine_model import MonitoredMachine

PAGE = 200
PAGES_MAX = 100  # 20,000 machines of one party

pb = machines_pb2


async def ensure_known(
    runtime: Runtime, machine_id: UUID, *, viewer: Principal | None = None
) -> None:
    """Read a machine from marketplace where no copy is here yet.

    Args:
        viewer: Who asks: a copy that does not show them the machine may be older than a lease that
            has just begun, so it is read anew too.

    Raises:
        PeerRefused: NOT_FOUND: marketplace does not know it either.
        PeerUnavailable: Marketplace does not answer.
    """
    async with runtime.database.read() as connection:
        known = await (
            machine_store.find_machine(connection, machine_id)
            if viewer is None
            else machine_store.find_machine_seen(connection, machine_id, viewer=viewer)
        )
    if known is None:
        await refresh(runtime, machine_id)


async def refresh(runtime: Runtime, machine_id: UUID) -> None:
    """Read a machine from marketplace into the copy.

    Raises:
        PeerRefused, PeerUnavailable: As `ensure_known`.
    """
    stub = runtime.peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    request = pb.GetMachineRequest(name=name("machines", machine_id))
    found = await runtime.peers.call(stub.GetMachine, request)
    await _keep(runtime, [found])


async def refresh_fleet(runtime: Runtime, party: str) -> None:
    """Read every machine that a party owns or has from marketplace into the copy.

    Raises:
        PeerUnavailable: Marketplace does not answer.
    """
    for relation in (pb.MACHINE_RELATION_TITLE, pb.MACHINE_RELATION_CUSTODY):
        async for machines in _pages(runtime, party, relation):
            await _keep(runtime, machines)


async def _pages(
    runtime: Runtime, party: str, relation: pb.MachineRelation.ValueType
) -> AsyncIterator[list[pb.Machine]]:
    stub = runtime.peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    request = pb.ListMachinesRequest(page_size=PAGE, relation=relation, party=party)
    for _ in range(PAGES_MAX):
        answer = await runtime.peers.call(stub.ListMachines, request)
        yield list(answer.machines)
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


async def _keep(runtime: Runtime, machines: list[pb.Machine]) -> None:
    copies = [_copy(machine, at=runtime.clock.now()) for machine in machines]

    async def work(tx: Transaction) -> None:
        for copy in sorted(copies, key=lambda one: one.id):
            await machine_store.save_copy(tx.connection, copy)

    await runtime.database.run(work)


def _copy(machine: pb.Machine, *, at: datetime) -> MonitoredMachine:
    return MonitoredMachine(
        id=UUID(machine.uid),
        event_sequence=0,
        registry_sequence=machine.event_sequence,
        pin=machine.pin,
        serial_number=machine.serial_number,
        make=machine.make,
        model=machine.model,
        equipment_class=wire.enum_name(
            pb.EquipmentClass, machine.equipment_class, prefix="EQUIPMENT_CLASS_"
        ),
        title_holder=machine.title_holder,
        custodian=machine.custodian,
        custody=wire.enum_name(pb.Custody, machine.custody, prefix="CUSTODY_"),
        lease=machine.lease,
        create_time=at,
        update_time=at,
    )
