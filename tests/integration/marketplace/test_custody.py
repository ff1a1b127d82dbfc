"""Who holds a machine and whose it is: reservations, transfers, and the intervals they leave."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

from ironloop.marketplace.v1 import listings_pb2, machines_pb2

from infra.local.client import Actor
from services.kit import wire
from tests.integration.marketplace.machine_calls import (
    hand_over,
    lease_out,
    reserve_machine,
    scrap,
    transfer,
)
from tests.integration.marketplace.market import (
    Valuer,
    listings,
    machines,
    order_name,
    published,
    register_lien,
    registered,
    rid,
)
from tests.support.refusals import refused
from tests.support.world import World


async def test_a_reservation_that_runs_out_frees_the_machine(
    world: World, seller: Actor, buyer: Actor
) -> None:
    machine = await registered(seller)
    expire_time = world.running["marketplace"].runtime.clock.now() + timedelta(hours=20)
    held = await reserve_machine(
        world, machine.name, party=buyer.party, expire_time=wire.instant(expire_time)
    )
    assert held.custody == machines_pb2.CUSTODY_RESERVED
    with refused("TRANSITION_REFUSED"):
        await reserve_machine(world, machine.name, party=buyer.party)
    await world.advance_days(1)
    free = await machines(seller).GetMachine(machines_pb2.GetMachineRequest(name=machine.name))
    assert free.custody == machines_pb2.CUSTODY_AVAILABLE
    assert not free.HasField("reservation")


async def test_a_repeated_reservation_moves_its_expiry_and_a_release_is_harmless(
    world: World, seller: Actor, buyer: Actor
) -> None:
    machine = await registered(seller)
    now = world.running["marketplace"].runtime.clock.now()
    order = order_name()
    for days in (3, 9):
        held = await reserve_machine(
            world,
            machine.name,
            party=buyer.party,
            reference=order,
            expire_time=wire.instant(now + timedelta(days=days)),
        )
    assert held.reservation.expire_time == wire.instant(now + timedelta(days=9))
    with refused("INVALID_FIELD"):
        await reserve_machine(world, machine.name, party=buyer.party, expire_time=wire.instant(now))
    service = machines(world.service("leasing"))
    for reference, custody in (
        ("orders/other", machines_pb2.CUSTODY_RESERVED),
        (order, machines_pb2.CUSTODY_AVAILABLE),
        (order, machines_pb2.CUSTODY_AVAILABLE),
    ):
        freed = await service.ReleaseMachine(
            machines_pb2.ReleaseMachineRequest(
                request_id=rid(), name=machine.name, reference=reference
            )
        )
        assert freed.custody == custody
    assert [interval.custody for interval in await custodies(seller, machine.name)] == [
        machines_pb2.CUSTODY_AVAILABLE,
        machines_pb2.CUSTODY_RESERVED,
        machines_pb2.CUSTODY_AVAILABLE,
    ]


async def test_a_retried_transfer_moves_the_title_once(
    world: World, seller: Actor, buyer: Actor
) -> None:
    machine = await registered(seller)
    order = order_name()
    answers = [
        await transfer(world, machine.name, seller.party, buyer.party, reference=order)
        for _ in range(3)
    ]
    assert {answer.event_sequence for answer in answers} == {2}
    with refused("NOT_TITLE_HOLDER"):
        await transfer(world, machine.name, seller.party, buyer.party, reference=order_name())
    history = await titles(buyer, machine.name)
    assert [(one.holder, one.reference) for one in history] == [
        (seller.party, machine.name),
        (buyer.party, order),
    ]
    with refused("NOT_FOUND"):
        await titles(seller, machine.name)
    third = await world.party("BUYER")
    await transfer(world, machine.name, buyer.party, third.party, reference=order_name())
    late = await transfer(world, machine.name, seller.party, buyer.party, reference=order)
    assert (late.title_holder, late.event_sequence) == (third.party, 3)


async def test_a_title_under_a_lien_does_not_move(
    world: World, seller: Actor, buyer: Actor
) -> None:
    machine = await registered(seller)
    funder = await world.party("FUNDER")
    lien = await register_lien(world, machine.name, funder)
    with refused("LIENS_ACTIVE") as refusal:
        await transfer(world, machine.name, seller.party, buyer.party)
    assert refusal.metadata["liens"] == lien.name
    with refused("LIENS_ACTIVE"):
        await scrap(seller, machine.name)
    released = await machines(world.service("finance")).ReleaseLien(
        machines_pb2.ReleaseLienRequest(request_id=rid(), name=lien.name)
    )
    assert (released.state, released.priority) == (machines_pb2.LIEN_STATE_RELEASED, 0)
    moved = await transfer(world, machine.name, seller.party, buyer.party)
    assert moved.title_holder == buyer.party


async def test_a_title_does_not_move_past_a_reservation_for_another_order(
    world: World, seller: Actor, buyer: Actor
) -> None:
    machine = await registered(seller)
    await reserve_machine(world, machine.name, party=buyer.party)
    with refused("HELD_BY_OTHER"):
        await transfer(world, machine.name, seller.party, buyer.party)


async def test_intervals_of_title_and_custody_leave_no_gap_and_never_overlap(
    world: World, seller: Actor, buyer: Actor
) -> None:
    machine = await registered(seller)
    lessee = await world.party("LESSEE")
    order = order_name()
    await reserve_machine(world, machine.name, party=buyer.party, reference=order)
    delivered = await hand_over(
        world, machine.name, machines_pb2.CUSTODY_RESERVED, buyer.party, order
    )
    assert delivered.lifecycle == machines_pb2.MACHINE_LIFECYCLE_IN_SERVICE
    await transfer(world, machine.name, seller.party, buyer.party, reference=order)
    await machines(world.service("procurement")).ReleaseMachine(
        machines_pb2.ReleaseMachineRequest(request_id=rid(), name=machine.name, reference=order)
    )
    await lease_out(world, machine.name, lessee.party, reference="leases/9")
    shop = await hand_over(
        world, machine.name, machines_pb2.CUSTODY_IN_SHOP, seller.party, "workOrders/1"
    )
    assert shop.custody == machines_pb2.CUSTODY_IN_SHOP
    with refused("HELD_BY_OTHER"):
        await hand_over(
            world, machine.name, machines_pb2.CUSTODY_ON_LEASE, lessee.party, "leases/8"
        )
    for custody, custodian in (
        (machines_pb2.CUSTODY_ON_LEASE, lessee.party),
        (machines_pb2.CUSTODY_IN_TRANSIT, lessee.party),
        (machines_pb2.CUSTODY_AVAILABLE, buyer.party),
    ):
        for _ in range(2):  # a repeated hand-over changes nothing
            await hand_over(world, machine.name, custody, custodian, "leases/9")
    held = await custodies(buyer, machine.name)
    owned = await titles(buyer, machine.name)
    assert len(held) == 10
    check_without_gap(held)
    check_without_gap(owned)


async def test_a_machine_from_the_shop_is_not_leased_without_a_lease(
    world: World, seller: Actor
) -> None:
    machine = await registered(seller)
    await hand_over(world, machine.name, machines_pb2.CUSTODY_IN_SHOP, seller.party, "workOrders/2")
    with refused("HELD_BY_OTHER"):
        await hand_over(
            world, machine.name, machines_pb2.CUSTODY_ON_LEASE, seller.party, "leases/7"
        )
    with refused("TRANSITION_REFUSED"):
        await hand_over(
            world, machine.name, machines_pb2.CUSTODY_IN_TRANSIT, seller.party, "leases/7"
        )


async def test_title_moved_elsewhere_takes_the_listing_off_the_market(
    world: World, seller: Actor, buyer: Actor, technician: Actor, valuer: Valuer
) -> None:
    listing = await published(seller, technician)
    await transfer(world, listing.machine, seller.party, buyer.party)
    gone = await listings(seller).GetListing(listings_pb2.GetListingRequest(name=listing.name))
    assert gone.state == listings_pb2.LISTING_STATE_WITHDRAWN


async def test_one_of_two_reservations_at_once_wins(
    world: World, seller: Actor, buyer: Actor
) -> None:
    machine = await registered(seller)
    outcomes = await asyncio.gather(
        *(reserve_machine(world, machine.name, party=buyer.party) for _ in range(8)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, machines_pb2.Machine) for outcome in outcomes) == 1
    assert len(await custodies(seller, machine.name)) == 2


def check_without_gap(history: Sequence[Any]) -> None:
    assert [one.number for one in history] == list(range(1, len(history) + 1))
    for earlier, later in pairwise(history):
        assert earlier.end_time == later.start_time
        assert earlier.start_time.ToNanoseconds() < earlier.end_time.ToNanoseconds()
    assert not history[-1].HasField("end_time")


async def titles(actor: Actor, machine: str) -> list[machines_pb2.TitleInterval]:
    answer = await machines(actor).ListTitleHistory(
        machines_pb2.ListTitleHistoryRequest(machine=machine)
    )
    return list(answer.intervals)


async def custodies(actor: Actor, machine: str) -> list[machines_pb2.CustodyInterval]:
    answer = await machines(actor).ListCustodyHistory(
        machines_pb2.ListCustodyHistoryRequest(machine=machine)
    )
    return list(answer.intervals)
