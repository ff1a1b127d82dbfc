"""Deposits of those who bid, and what a winner may and must do."""

from collections.abc import Awaitable

import pytest_asyncio
from ironloop.marketplace.v1 import auctions_pb2, listings_pb2, machines_pb2

from infra.local.client import Actor
from services.kit import wire
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.marketplace.bidding import available, bidders, closed
from tests.integration.marketplace.lots import (
    auctions,
    bid,
    deposit,
    opened,
    scheduled,
    until,
)
from tests.integration.marketplace.market import (
    YUAN,
    listings,
    machines,
    order_name,
    reserve,
    rid,
)
from tests.support.money import fund
from tests.support.refusals import refused
from tests.support.world import World

SOLD = auctions_pb2.AUCTION_STATE_CLOSED_SOLD
DEPOSIT = auctions_pb2.DepositRule(amount=wire.money(20_000 * YUAN))


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def settlement(world: World) -> None:
    """Run settlement, which holds the deposits."""
    await world.start(SETTLEMENT)


async def test_who_bids_has_a_deposit_held_which_only_the_winner_leaves(
    world: World, seller: Actor, technician: Actor
) -> None:
    auction = await opened(world, seller, technician, deposit=DEPOSIT)
    winner, loser, poor = await bidders(world, 3)
    for one in (winner, loser):
        await fund(world, one.party, 50_000 * YUAN)
    with refused("DEPOSIT_MISSING"):
        await bid(winner, auction.name, 10_000)
    with refused("INSUFFICIENT_FUNDS"):
        await deposit(poor, auction.name)
    held = await deposit(winner, auction.name)
    assert held.state == auctions_pb2.BID_DEPOSIT_STATE_HELD
    assert await deposit(winner, auction.name) == held
    await deposit(loser, auction.name)
    assert await available(world, winner.party) == await available(world, loser.party) == 30_000
    await bid(loser, auction.name, 10_000)
    await bid(winner, auction.name, 20_000)
    await closed(world, seller, auction.name, SOLD)
    await until(lambda: _is(available(world, loser.party), 50_000))
    assert await available(world, winner.party) == 30_000
    with refused("AUCTION_OVER"):
        await deposit(poor, auction.name)
    own = await auctions(loser).ListDeposits(auctions_pb2.ListDepositsRequest(auction=auction.name))
    assert [(one.bidder, one.state) for one in own.deposits] == [
        (loser.party, auctions_pb2.BID_DEPOSIT_STATE_RELEASED)
    ]
    await world.until_at_rest()


async def _is(asked: Awaitable[int], value: int) -> bool:
    return await asked == value


async def won_with_deposit(
    world: World, seller: Actor, technician: Actor
) -> tuple[auctions_pb2.Auction, Actor]:
    """Return an auction that is sold, and its winner, whose deposit is held."""
    auction = await opened(world, seller, technician, deposit=DEPOSIT)
    (winner,) = await bidders(world, 1, yuan=50_000)
    await deposit(winner, auction.name)
    await bid(winner, auction.name, 30_000)
    return await closed(world, seller, auction.name, SOLD), winner


async def settle(
    world: World, auction: str, order: str, outcome: "auctions_pb2.WinOutcome.ValueType"
) -> auctions_pb2.Auction:
    """End what a win holds, as procurement does."""
    return await auctions(world.service("procurement")).SettleWin(
        auctions_pb2.SettleWinRequest(
            request_id=rid(), auction=auction, order=order, outcome=outcome
        )
    )


async def test_a_listing_that_was_won_is_reserved_for_its_winner_at_the_winning_bid(
    world: World, seller: Actor, technician: Actor, buyer: Actor
) -> None:
    auction, winner = await won_with_deposit(world, seller, technician)
    listing = await listings(seller).GetListing(
        listings_pb2.GetListingRequest(name=auction.listing)
    )
    order = order_name()
    with refused("AUCTION_NOT_WON"):
        await reserve(world, listing, order=order, buyer=buyer)
    held = await reserve(world, listing, order=order, buyer=winner)
    assert held.agreed_price == wire.money(30_000 * YUAN)
    machine = await machines(seller).GetMachine(
        machines_pb2.GetMachineRequest(name=auction.machine)
    )
    assert machine.reservation.reference == order
    with refused("HELD_BY_OTHER"):
        await settle(world, auction.name, order_name(), auctions_pb2.WIN_OUTCOME_FUNDED)
    for _ in range(2):
        await settle(world, auction.name, order, auctions_pb2.WIN_OUTCOME_FUNDED)
    assert await available(world, winner.party) == 50_000


async def test_a_winner_that_does_not_pay_leaves_its_deposit_to_the_seller(
    world: World, seller: Actor, technician: Actor
) -> None:
    auction, winner = await won_with_deposit(world, seller, technician)
    before = await available(world, seller.party)
    order = order_name()
    for _ in range(2):
        await settle(world, auction.name, order, auctions_pb2.WIN_OUTCOME_DEFAULTED)
    assert await available(world, winner.party) == 30_000
    assert await available(world, seller.party) == before + 20_000
    machine = await machines(seller).GetMachine(
        machines_pb2.GetMachineRequest(name=auction.machine)
    )
    assert machine.custody == machines_pb2.CUSTODY_AVAILABLE
    listing = await listings(seller).GetListing(
        listings_pb2.GetListingRequest(name=auction.listing)
    )
    with refused("AUCTION_NOT_WON"):
        await reserve(world, listing, order=order, buyer=winner)
    await scheduled(world, seller, listing)  # it comes up again


async def test_only_a_sold_auction_has_a_win_to_settle(
    world: World, seller: Actor, technician: Actor
) -> None:
    auction = await opened(world, seller, technician)
    with refused("NOT_SOLD"):
        await settle(world, auction.name, order_name(), auctions_pb2.WIN_OUTCOME_VOID)
    with refused("NO_DEPOSIT_NEEDED"):
        await deposit(await world.party("BUYER"), auction.name)
