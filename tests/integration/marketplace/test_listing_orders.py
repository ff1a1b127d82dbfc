"""Who gets a listing: one of two buyers, its order's end, and what nobody may buy."""

import asyncio
from datetime import timedelta

from ironloop.marketplace.v1 import listings_pb2, machines_pb2, offers_pb2

from infra.local.client import Actor
from services.kit import wire
from tests.integration.marketplace.listing_calls import (
    get_listing,
    get_machine,
    release,
    withdraw,
)
from tests.integration.marketplace.market import (
    WORTH_FEN,
    listings,
    machines,
    order_name,
    published,
    reserve,
    rid,
    sell,
)
from tests.support.refusals import refused
from tests.support.world import World

State = listings_pb2.ListingState


async def test_two_buyers_race_for_one_listing_and_one_wins(
    world: World, seller: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician)
    buyers = [await world.party("BUYER") for _ in range(6)]
    outcomes = await asyncio.gather(
        *(reserve(world, listing, order=order_name(), buyer=buyer) for buyer in buyers),
        return_exceptions=True,
    )
    winners = [place for place, one in enumerate(outcomes) if not isinstance(one, BaseException)]
    assert len(winners) == 1
    held = await get_listing(seller, listing.name)
    assert held.buyer == buyers[winners[0]].party
    assert (await get_machine(seller, listing.machine)).reservation.party == held.buyer


async def test_a_cancelled_order_puts_the_listing_on_offer_again(
    world: World, seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician)
    order = order_name()
    for _ in range(2):  # repeating it for the same order changes nothing
        held = await reserve(world, listing, order=order, buyer=buyer)
    assert held.event_sequence == 4
    with refused("NOT_FOUND"):
        await get_listing(await world.party("BUYER"), listing.name)
    with refused("TRANSITION_REFUSED"):
        await withdraw(seller, listing.name)
    untouched = await release(world, listing.name, order_name())
    assert untouched.state == State.LISTING_STATE_RESERVED
    for _ in range(2):
        freed = await release(world, listing.name, order)
        assert freed.state == State.LISTING_STATE_PUBLISHED
    assert (freed.order, freed.event_sequence) == ("", 5)
    free = await get_machine(seller, listing.machine)
    assert free.custody == machines_pb2.CUSTODY_AVAILABLE
    assert (await withdraw(seller, listing.name)).state == State.LISTING_STATE_WITHDRAWN


async def test_a_sale_is_complete_once_the_title_has_moved(
    world: World, seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician)
    order = order_name()
    await reserve(world, listing, order=order, buyer=buyer)
    service = listings(world.service("procurement"))
    with refused("TITLE_NOT_MOVED"):
        await service.CompleteListingSale(
            listings_pb2.CompleteListingSaleRequest(
                request_id=rid(), name=listing.name, order=order
            )
        )
    with refused("HELD_BY_OTHER"):
        await service.CompleteListingSale(
            listings_pb2.CompleteListingSaleRequest(
                request_id=rid(), name=listing.name, order=order_name()
            )
        )
    sold = await sell(world, listing, order=order, buyer=buyer)
    assert await sell(world, listing, order=order, buyer=buyer) == sold
    with refused("TRANSITION_REFUSED"):
        await release(world, listing.name, order)


async def test_nobody_buys_of_oneself_or_a_machine_that_is_held(
    world: World, seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician)
    with refused("BUYER_IS_SELLER"):
        await reserve(world, listing, order=order_name(), buyer=seller)
    expire_time = world.running["marketplace"].runtime.clock.now() + timedelta(days=2)
    await machines(world.service("leasing")).ReserveMachine(
        machines_pb2.ReserveMachineRequest(
            request_id=rid(),
            name=listing.machine,
            reference="leases/1",
            party=buyer.party,
            expire_time=wire.instant(expire_time),
        )
    )
    with refused("MACHINE_NOT_AVAILABLE"):
        await reserve(world, listing, order=order_name(), buyer=buyer)


async def test_a_listing_without_an_auction_takes_no_bids(
    seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician)
    bid = offers_pb2.PlaceBidRequest(
        request_id=rid(), listing=listing.name, amount=wire.money(WORTH_FEN)
    )
    with refused("NOT_FOUND"):
        await listings(buyer).PlaceBid(bid)
    bid.listing = ""
    with refused("INVALID_FIELD"):
        await listings(buyer).PlaceBid(bid)
