"""Calls of the registry of machines, as services and owners make them."""

from datetime import timedelta

from google.protobuf.field_mask_pb2 import FieldMask
from google.type import decimal_pb2
from ironloop.marketplace.v1 import machines_pb2

from infra.local.client import Actor
from services.kit import wire
from tests.integration.marketplace.market import (
    machines,
    order_name,
    rid,
)
from tests.support.world import World


async def reserve_machine(
    world: World, machine: str, *, party: str, **changes: object
) -> machines_pb2.Machine:
    """Reserve a machine for some order, as leasing does."""
    now = world.running["marketplace"].runtime.clock.now()
    stated = {
        "request_id": rid(),
        "name": machine,
        "reference": order_name(),
        "party": party,
        "expire_time": wire.instant(now + timedelta(days=5)),
    }
    return await machines(world.service("leasing")).ReserveMachine(
        machines_pb2.ReserveMachineRequest(**stated | changes)  # type: ignore[arg-type]
    )


async def lease_out(world: World, machine: str, lessee: str, *, reference: str) -> None:
    """Reserve a machine and hand it over to its lessee."""
    await reserve_machine(world, machine, party=lessee, reference=reference)
    await hand_over(world, machine, machines_pb2.CUSTODY_ON_LEASE, lessee, reference)


async def hand_over(
    world: World,
    machine: str,
    custody: "machines_pb2.Custody.ValueType",
    custodian: str,
    reference: str,
) -> machines_pb2.Machine:
    """Hand a machine over into a custody."""
    return await machines(world.service("leasing")).HandOverMachine(
        machines_pb2.HandOverMachineRequest(
            request_id=rid(),
            name=machine,
            custody=custody,
            custodian=custodian,
            reference=reference,
        )
    )


async def transfer(
    world: World, machine: str, from_party: str, to_party: str, *, reference: str = ""
) -> machines_pb2.Machine:
    """Move a title, as procurement does."""
    return await machines(world.service("procurement")).TransferTitle(
        machines_pb2.TransferTitleRequest(
            request_id=rid(),
            name=machine,
            from_party=from_party,
            to_party=to_party,
            reference=reference or order_name(),
        )
    )


async def scrap(owner: Actor, machine: str) -> machines_pb2.Machine:
    """Take a machine out of use."""
    return await machines(owner).ScrapMachine(
        machines_pb2.ScrapMachineRequest(request_id=rid(), name=machine)
    )


async def update(
    actor: Actor, machine: machines_pb2.Machine, path: str, *, hours: str, etag: str = ""
) -> machines_pb2.Machine:
    """Correct facts of a machine."""
    return await machines(actor).UpdateMachine(
        machines_pb2.UpdateMachineRequest(
            request_id=rid(),
            name=machine.name,
            etag=etag,
            update_mask=FieldMask(paths=[path]),
            model="LW500HV",
            hours_meter=decimal_pb2.Decimal(value=hours),
        )
    )
