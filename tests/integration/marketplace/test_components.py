"""Components on a machine's record, and machines in and out of the workshop."""

from datetime import timedelta
from typing import Any

import pytest
from google.type import decimal_pb2
from ironloop.marketplace.v1 import components_pb2, listings_pb2, machines_pb2

from infra.local.client import Actor
from services.kit import wire
from services.kit.clock import BusinessClock
from services.kit.ids import name, new_id
from tests.integration.marketplace.market import (
    content,
    drafted,
    listings,
    machines,
    registered,
    rid,
)
from tests.support.refusals import refused
from tests.support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")


def engine(serial_number: str = "ENG-1", **changes: Any) -> components_pb2.Component:
    """Return an engine installed today."""
    stated: dict[str, Any] = {
        "kind": "ENGINE",
        "serial_number": serial_number,
        "manufacture_class": components_pb2.MANUFACTURE_CLASS_REMANUFACTURED,
        "install_date": wire.date(BusinessClock().today()),
        "hours_at_install": decimal_pb2.Decimal(value="6000"),
        "label_no": "RM-2026-17",
        "unit": "units/u1",
    }
    return components_pb2.Component(**stated | changes)


async def record(
    world: World, machine: str, component: components_pb2.Component
) -> machines_pb2.Machine:
    """Record a component, as remanufacturing does."""
    return await machines(world.service("remanufacturing")).RecordComponent(
        components_pb2.RecordComponentRequest(
            request_id=rid(), machine=machine, component=component, reference="workOrders/w1"
        )
    )


async def test_a_component_takes_the_place_of_the_one_before_and_the_history_keeps_both(
    world: World, seller: Actor
) -> None:
    machine = await registered(seller)
    first = await record(world, machine.name, engine())
    assert [part.serial_number for part in first.components] == ["ENG-1"]
    again = await record(world, machine.name, engine())
    assert again.event_sequence == first.event_sequence == machine.event_sequence + 1
    await record(world, machine.name, engine("PUMP-1", kind="HYDRAULIC_PUMP", position="LEFT"))
    changed = await record(world, machine.name, engine("ENG-2"))
    assert [(part.kind, part.serial_number) for part in changed.components] == [
        ("ENGINE", "ENG-2"),
        ("HYDRAULIC_PUMP", "PUMP-1"),
    ]
    seen = await machines(seller).GetMachine(machines_pb2.GetMachineRequest(name=machine.name))
    assert list(seen.components) == list(changed.components)
    history = await machines(seller).ListComponentHistory(
        components_pb2.ListComponentHistoryRequest(machine=machine.name)
    )
    assert [
        (each.number, each.component.serial_number, each.HasField("end_time"))
        for each in history.intervals
    ] == [(1, "ENG-1", True), (2, "PUMP-1", False), (3, "ENG-2", False)]
    assert history.intervals[0].end_time == history.intervals[2].start_time


async def test_only_a_service_records_a_component_and_never_ahead_of_time(
    world: World, seller: Actor, buyer: Actor
) -> None:
    machine = await registered(seller)
    request = components_pb2.RecordComponentRequest(
        request_id=rid(), machine=machine.name, component=engine()
    )
    with refused("PERMISSION_DENIED"):
        await machines(seller).RecordComponent(request)
    tomorrow = wire.date(BusinessClock().today() + timedelta(days=2))
    with refused("INVALID_FIELD"):
        await record(world, machine.name, engine(install_date=tomorrow))
    with refused("INVALID_FIELD"):
        await record(
            world, machine.name, engine(hours_at_install=decimal_pb2.Decimal(value="200001"))
        )
    with refused("NOT_FOUND"):
        await record(world, name("machines", new_id()), engine())
    with refused("NOT_FOUND"):
        await machines(buyer).ListComponentHistory(
            components_pb2.ListComponentHistoryRequest(machine=machine.name)
        )


async def test_a_workshop_gives_a_leased_machine_back_under_its_work_order(
    world: World, seller: Actor
) -> None:
    machine, lessee = await registered(seller), await world.party("LESSEE")
    service = machines(world.service("maintenance"))
    lease, work_order = name("leases", new_id()), "workOrders/w7"
    await service.ReserveMachine(
        machines_pb2.ReserveMachineRequest(
            request_id=rid(),
            name=machine.name,
            reference=lease,
            party=lessee.party,
            expire_time=wire.instant(BusinessClock().now() + timedelta(days=3)),
        )
    )

    async def hand_over(
        custody: "machines_pb2.Custody.ValueType", custodian: str, reference: str
    ) -> machines_pb2.Machine:
        return await service.HandOverMachine(
            machines_pb2.HandOverMachineRequest(
                request_id=rid(),
                name=machine.name,
                custody=custody,
                custodian=custodian,
                reference=reference,
            )
        )

    leased = await hand_over(machines_pb2.CUSTODY_ON_LEASE, lessee.party, lease)
    assert leased.lease == lease
    in_shop = await hand_over(machines_pb2.CUSTODY_IN_SHOP, seller.party, work_order)
    assert in_shop.lease == lease
    with refused("HELD_BY_OTHER"):
        await hand_over(machines_pb2.CUSTODY_ON_LEASE, lessee.party, "workOrders/w8")
    with refused("HELD_BY_OTHER"):
        await hand_over(machines_pb2.CUSTODY_AVAILABLE, seller.party, work_order)
    back = await hand_over(machines_pb2.CUSTODY_ON_LEASE, lessee.party, work_order)
    assert (back.custody, back.lease) == (machines_pb2.CUSTODY_ON_LEASE, lease)


async def test_a_listing_carries_the_disposal_that_its_sale_is_part_of(
    world: World, seller: Actor, buyer: Actor
) -> None:
    machine = await registered(seller)
    disposal = name("disposals", new_id())
    request = listings_pb2.CreateListingRequest(
        request_id=rid(), machine=machine.name, content=content(), disposal=disposal
    )
    assert (await listings(seller).CreateListing(request)).disposal == disposal
    request.request_id = rid()
    by_service = await listings(world.service("leasing")).CreateListing(request)
    assert (by_service.disposal, by_service.seller) == (disposal, seller.party)
    request.request_id = rid()
    with refused("NOT_FOUND"):
        await listings(await world.party("SELLER")).CreateListing(request)
    assert (await drafted(seller, machine)).disposal == ""
