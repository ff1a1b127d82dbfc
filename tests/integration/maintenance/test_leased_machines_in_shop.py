"""A leased machine in the shop, and one back from its lease."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from ironloop.leasing.v1 import leasing_events_pb2 as leasing
from ironloop.maintenance.v1 import work_orders_pb2 as pb
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc

from infra.local.client import Actor
from services.kit import wire
from services.kit.ids import name, new_id
from services.kit.principals import enter, service_principal
from services.maintenance import work_consumers
from tests.integration.maintenance.workshop import Shop, orders, request_id
from tests.support.refusals import refused


async def leased(shop: Shop) -> tuple[str, str, Actor]:
    """Return a machine out on lease, the lease, and its lessee."""
    machine, lease = await shop.machine(), name("leases", new_id())
    lessee = await shop.world.party("LESSEE")
    stub = shop.world.service("leasing").stub(machines_pb2_grpc.MachineServiceStub)
    tomorrow = shop.world.running["marketplace"].runtime.clock.now() + timedelta(days=1)
    await stub.ReserveMachine(
        machines_pb2.ReserveMachineRequest(
            request_id=request_id(),
            name=machine,
            reference=lease,
            party=lessee.party,
            expire_time=wire.instant(tomorrow),
        )
    )
    await hand_over(shop, machine, lease, machines_pb2.CUSTODY_ON_LEASE, lessee.party)
    return machine, lease, lessee


async def hand_over(
    shop: Shop,
    machine: str,
    reference: str,
    custody: machines_pb2.Custody.ValueType,
    custodian: str,
) -> None:
    """Hand a machine over as leasing does."""
    stub = shop.world.service("leasing").stub(machines_pb2_grpc.MachineServiceStub)
    await stub.HandOverMachine(
        machines_pb2.HandOverMachineRequest(
            request_id=request_id(),
            name=machine,
            custody=custody,
            custodian=custodian,
            reference=reference,
        )
    )


@pytest.mark.parametrize("ends_meanwhile", [False, True])
async def test_a_leased_machine_goes_back_under_its_lease_if_that_still_runs(
    shop: Shop, ends_meanwhile: bool
) -> None:
    machine, lease, lessee = await leased(shop)
    tenant = replace(shop, owner=lessee)
    order = await tenant.started(machine, work_place=pb.WORK_PLACE_SHOP)
    held = await shop.look_up(machine)
    assert (held.custody, held.lease) == (machines_pb2.CUSTODY_IN_SHOP, lease)
    if ends_meanwhile:
        await hand_over(shop, machine, lease, machines_pb2.CUSTODY_AVAILABLE, shop.owner.party)
    await shop.complete(order.name)
    await tenant.verify(order.name)
    held = await shop.look_up(machine)
    expected = (
        (machines_pb2.CUSTODY_AVAILABLE, shop.owner.party, "")
        if ends_meanwhile
        else (machines_pb2.CUSTODY_ON_LEASE, lessee.party, lease)
    )
    assert (held.custody, held.custodian, held.lease) == expected


@pytest.mark.parametrize("damage_fen", [0, 3_000_00])
async def test_a_machine_back_from_its_lease_gets_a_draft_for_its_lessor(
    shop: Shop, damage_fen: int
) -> None:
    machine, lease = await shop.machine(), name("leases", new_id())
    enter(service_principal("maintenance"), "events")
    returned = leasing.ReturnInspected(
        lease=lease,
        sequence=1,
        machine=machine,
        lessor=shop.owner.party,
        damage_charge=wire.money(damage_fen),
        condition="Bucket cracked",
    )
    database = shop.world.running["maintenance"].runtime.database
    await database.run(partial(work_consumers.draft_returned_order, event=returned))
    await shop.world.until_at_rest()
    listed = await orders(shop.owner).ListWorkOrders(pb.ListWorkOrdersRequest(machine=machine))
    (draft,) = listed.work_orders
    kind = pb.WORK_CLASS_CORRECTIVE if damage_fen else pb.WORK_CLASS_INSPECTION
    assert (draft.state, draft.work_class) == (pb.WORK_ORDER_STATE_DRAFT, kind)
    assert draft.title == f"Returned from {lease}: Bucket cracked"
    opening = pb.OpenWorkOrderRequest(request_id=request_id(), name=draft.name)
    with refused("WORKSHOP_MISSING"):
        await orders(shop.owner).OpenWorkOrder(opening)
    named = pb.OpenWorkOrderRequest(
        request_id=request_id(), name=draft.name, workshop=shop.technician.party
    )
    assert (await orders(shop.owner).OpenWorkOrder(named)).workshop == shop.technician.party
    assert (await shop.start(draft.name)).state == pb.WORK_ORDER_STATE_IN_PROGRESS
