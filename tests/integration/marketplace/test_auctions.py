"""Auctions from their schedule to their close, with deposits at a real settlement."""

import asyncio
import random
from datetime import timedelta

import grpc
import pytest
import pytest_asyncio
from google.type import decimal_pb2
from ironloop.marketplace.v1 import auctions_pb2, listings_pb2, machines_pb2, offers_pb2

from infra.local.client import Actor
from services.kit import wire
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.marketplace.bidding import bidders, closed
from tests.integration.marketplace.lots import (
    auctions,
    bid,
    bids_of,
    close_in,
    get,
    listed,
    now,
    opened,
    scheduled,
    until_state,
)
from tests.integration.marketplace.market import (
    YUAN,
    listings,
    machines,
    published,
    registered,
    rid,
)
from tests.support.refusals import refused
from tests.support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOLD = auctions_pb2.AUCTION_STATE_CLOSED_SOLD
UNSOLD = auctions_pb2.AUCTION_STATE_CLOSED_UNSOLD


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def settlement(world: World) -> None:
    """Run settlement, which holds the deposits."""
    await world.start(SETTLEMENT)


async def test_an_auction_opens_and_closes_by_itself_and_holds_its_machine_meanwhile(
    world: World, seller: Actor, technician: Actor, buyer: Actor
) -> None:
    auction = await opened(world, seller, technician)
    held = await machines(seller).GetMachine(machines_pb2.GetMachineRequest(name=auction.machine))
    assert (held.custody, held.reservation.reference) == (
        machines_pb2.CUSTODY_RESERVED,
        auction.name,
    )
    first = await bid(buyer, auction.name, 1_000)
    assert (first.sequence, first.state) == (1, offers_pb2.BID_STATE_ACCEPTED)
    ended = await closed(world, seller, auction.name, SOLD)
    assert (ended.winner, ended.high, ended.accepted_bids) == (
        buyer.party,
        wire.money(1_000 * YUAN),
        1,
    )
    with refused("AUCTION_OVER"):
        await bid(buyer, auction.name, 5_000)


async def test_a_lot_without_a_bid_or_below_its_reserve_stays_unsold_and_comes_up_again(
    world: World, seller: Actor, technician: Actor, buyer: Actor
) -> None:
    listing = await listed(seller, technician)
    first = await scheduled(world, seller, listing)
    await until_state(seller, first.name, auctions_pb2.AUCTION_STATE_OPEN)
    with refused("AUCTION_LIVE"):
        await scheduled(world, seller, listing)
    with refused("AUCTION_UNDER_WAY"):
        await listings(seller).WithdrawListing(
            listings_pb2.WithdrawListingRequest(request_id=rid(), name=listing.name)
        )
    assert (await closed(world, seller, first.name, UNSOLD)).unsold_count == 1
    free = await machines(seller).GetMachine(machines_pb2.GetMachineRequest(name=listing.machine))
    assert free.custody == machines_pb2.CUSTODY_AVAILABLE
    second = await scheduled(world, seller, listing, reserve=wire.money(300_000 * YUAN))
    await until_state(seller, second.name, auctions_pb2.AUCTION_STATE_OPEN)
    await bid(buyer, second.name, 299_999)
    seen = await get(buyer, second.name)
    assert (seen.has_reserve, seen.reserve_met, seen.HasField("reserve")) == (True, False, False)
    ended = await closed(world, seller, second.name, UNSOLD)
    assert (ended.unsold_count, ended.winner, ended.reserve) == (
        2,
        "",
        wire.money(300_000 * YUAN),
    )


async def test_a_seller_gives_an_auction_up_before_it_opens_and_not_after(
    world: World, seller: Actor, technician: Actor
) -> None:
    listing = await listed(seller, technician)
    later = await scheduled(
        world,
        seller,
        listing,
        open_time=wire.instant(now(world) + timedelta(minutes=30)),
    )
    with refused("NOT_FOUND"):
        await auctions(await world.party("SELLER")).CancelAuction(
            auctions_pb2.CancelAuctionRequest(request_id=rid(), name=later.name)
        )
    with refused("AUCTION_NOT_OPEN"):
        await bid(await world.party("BUYER"), later.name, 1_000)
    request = auctions_pb2.CancelAuctionRequest(request_id=rid(), name=later.name)
    cancelled = await auctions(seller).CancelAuction(request)
    assert cancelled.state == auctions_pb2.AUCTION_STATE_CANCELLED
    assert await auctions(seller).CancelAuction(request) == cancelled
    open_now = await scheduled(world, seller, listing)
    await until_state(seller, open_now.name, auctions_pb2.AUCTION_STATE_OPEN)
    with refused("TRANSITION_REFUSED"):
        await auctions(seller).CancelAuction(
            auctions_pb2.CancelAuctionRequest(request_id=rid(), name=open_now.name)
        )


async def test_a_withdrawn_listing_takes_its_scheduled_auction_with_it(
    world: World, seller: Actor, technician: Actor
) -> None:
    listing = await listed(seller, technician)
    auction = await scheduled(
        world, seller, listing, open_time=wire.instant(now(world) + timedelta(minutes=30))
    )
    await listings(seller).WithdrawListing(
        listings_pb2.WithdrawListingRequest(request_id=rid(), name=listing.name)
    )
    assert (await get(seller, auction.name)).state == auctions_pb2.AUCTION_STATE_CANCELLED


async def test_an_auction_whose_machine_is_taken_does_not_open(
    world: World, seller: Actor, technician: Actor
) -> None:
    listing = await listed(seller, technician)
    await machines(world.service("leasing")).ReserveMachine(
        machines_pb2.ReserveMachineRequest(
            request_id=rid(),
            name=listing.machine,
            reference="leases/1",
            party=seller.party,
            expire_time=wire.instant(now(world) + timedelta(days=1)),
        )
    )
    auction = await scheduled(world, seller, listing)
    await until_state(seller, auction.name, auctions_pb2.AUCTION_STATE_CANCELLED)


async def test_only_a_published_listing_of_that_format_is_auctioned(
    world: World, seller: Actor, technician: Actor
) -> None:
    with refused("FORMAT_NOT_AUCTION"):
        await scheduled(world, seller, await published(seller, technician))
    listing = await listed(seller, technician)
    with refused("NOT_FOUND"):
        await scheduled(world, await world.party("SELLER"), listing)
    soon = wire.instant(now(world) + timedelta(seconds=100))
    with refused("INVALID_FIELD"):
        await scheduled(world, seller, listing, close_time=soon)
    rate = decimal_pb2.Decimal(value="0.6")
    with refused("INVALID_FIELD"):
        await scheduled(world, seller, listing, deposit=auctions_pb2.DepositRule(rate_of_ask=rate))
    with refused("INVALID_FIELD"):
        await scheduled(world, seller, listing, deposit=auctions_pb2.DepositRule())


async def test_a_bid_keeps_its_answer_and_its_refusal_under_its_request(
    world: World, technician: Actor, buyer: Actor
) -> None:
    seller = await world.party("SELLER", "BUYER")
    auction = await opened(world, seller, technician)
    accepted, too_low = rid(), rid()
    first = await bid(buyer, auction.name, 5_000, request_id=accepted)
    assert await bid(buyer, auction.name, 5_000, request_id=accepted) == first
    for _ in range(2):
        with refused("BID_TOO_LOW") as refusal:
            await bid(buyer, auction.name, 5_999, request_id=too_low)
        assert refusal.metadata["minimum_fen"] == str(6_000 * YUAN)
        assert refusal.metadata["sequence"] == "2"
    with refused("REQUEST_ID_REUSED"):
        await bid(buyer, auction.name, 7_000, request_id=accepted)
    with refused("INVALID_FIELD"):
        await bid(buyer, auction.name, 100_000_000_001)
    with refused("BIDDER_IS_SELLER"):
        await bid(seller, auction.name, 9_000)
    assert [one.sequence for one in await bids_of(seller, auction.name)] == [1, 2]
    stranger = await world.party("BUYER")
    seen = await bids_of(stranger, auction.name)
    assert [(one.sequence, one.bidder) for one in seen] == [(1, "")]
    by_listing = await listings(buyer).PlaceBid(
        offers_pb2.PlaceBidRequest(
            request_id=rid(), listing=auction.listing, amount=wire.money(6_000 * YUAN)
        )
    )
    assert (by_listing.auction, by_listing.sequence) == (auction.name, 3)


async def test_a_storm_of_bids_on_one_lot_loses_doubles_and_reorders_none(
    world: World, seller: Actor, technician: Actor
) -> None:
    auction, crowd = await opened(world, seller, technician), await bidders(world, 8)
    sent = [(number % 8, rid(), random.randrange(1_000, 200_000)) for number in range(400)]

    async def one(who: int, request_id: str, yuan: int) -> tuple[str, int]:
        try:
            placed = await bid(crowd[who], auction.name, yuan, request_id=request_id)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
            return "REFUSED", 0
        return "ACCEPTED", placed.sequence

    # Every third call is made twice at once, as a client does that got no answer.
    calls = [*sent, *sent[::3]]
    answers = await asyncio.gather(*(one(*call) for call in calls))
    assert answers[len(sent) :] == answers[: len(sent) : 3]
    log = await bids_of(seller, auction.name)
    assert [one.sequence for one in log] == list(range(1, len(sent) + 1))
    high = 0
    for entry in log:
        yuan = wire.fen(entry.amount, field="amount") // YUAN
        step = 1_000 if high < 100_000 else 2_500
        assert (entry.state == offers_pb2.BID_STATE_ACCEPTED) == (yuan >= high + step)
        high = yuan if entry.state == offers_pb2.BID_STATE_ACCEPTED else high
    by_sequence = {entry.sequence: entry for entry in log}
    for (who, _, yuan), (outcome, sequence) in zip(sent, answers, strict=False):
        if outcome == "ACCEPTED":
            entry = by_sequence[sequence]
            assert (entry.bidder, entry.amount) == (crowd[who].party, wire.money(yuan * YUAN))
    asked = sorted((crowd[who].party, yuan) for who, _, yuan in sent)
    kept = sorted((e.bidder, wire.fen(e.amount, field="amount") // YUAN) for e in log)
    assert asked == kept
    ended = await get(seller, auction.name)
    assert (ended.high, ended.bid_sequence) == (wire.money(high * YUAN), len(sent))


async def test_of_two_bidders_in_the_last_second_one_wins_a_thousand_times(
    world: World, seller: Actor, technician: Actor
) -> None:
    auction, (left, right) = await opened(world, seller, technician), await bidders(world, 2)
    yuan, won = 0, {left.party: 0, right.party: 0}
    for number in range(1, 1_001):
        yuan += 1_000 if yuan < 100_000 else 2_500 if yuan < 500_000 else 5_000
        yuan += 5_000 if yuan >= 2_000_000 else 0
        close_time = await close_in(world, auction.name, timedelta(seconds=0.9))
        order = (left, right) if number % 2 else (right, left)
        answers = await asyncio.gather(
            *(bid(who, auction.name, yuan) for who in order), return_exceptions=True
        )
        accepted = [one for one in answers if isinstance(one, offers_pb2.Bid)]
        refusals = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
        assert (len(accepted), len(refusals)) == (1, 1)
        (winner,) = accepted
        assert winner.sequence == 2 * number - 1
        assert winner.close_time == wire.instant(close_time + timedelta(seconds=120))
        won[winner.bidder] += 1
    ended = await get(seller, auction.name)
    assert (ended.extensions, ended.accepted_bids, ended.bid_sequence) == (1_000, 1_000, 2_000)
    assert ended.state == auctions_pb2.AUCTION_STATE_EXTENDED
    assert sum(won.values()) == 1_000


async def test_an_auction_keeps_the_table_of_increments_that_it_began_with(
    world: World, seller: Actor, technician: Actor, buyer: Actor
) -> None:
    auction = await opened(world, seller, technician)
    steps = [auctions_pb2.IncrementStep(increment=wire.money(7_000 * YUAN))]
    request = auctions_pb2.PublishIncrementPolicyRequest(request_id=rid(), steps=steps)
    with refused("PERMISSION_DENIED"):
        await auctions(seller).PublishIncrementPolicy(request)
    policy = await auctions(world.operator).PublishIncrementPolicy(request)
    assert policy.version == auction.increment_policy_version + 1
    await bid(buyer, auction.name, 1_000)
    under_new = await opened(world, seller, technician)
    assert under_new.minimum_bid == wire.money(7_000 * YUAN)
    with refused("BID_TOO_LOW"):
        await bid(buyer, under_new.name, 6_999)
    former = await auctions(buyer).GetIncrementPolicy(
        auctions_pb2.GetIncrementPolicyRequest(version=auction.increment_policy_version)
    )
    assert len(former.steps) == 4
    with refused("NOT_FOUND"):
        await auctions(buyer).GetIncrementPolicy(
            auctions_pb2.GetIncrementPolicyRequest(version=999)
        )
    assert await registered(seller)


async def test_auctions_are_listed_by_listing_and_by_state(
    world: World, seller: Actor, technician: Actor, buyer: Actor
) -> None:
    auction = await opened(world, seller, technician)
    of_listing = await auctions(buyer).ListAuctions(
        auctions_pb2.ListAuctionsRequest(listing=auction.listing)
    )
    assert [one.name for one in of_listing.auctions] == [auction.name]
    is_open = auctions_pb2.ListAuctionsRequest(state=auctions_pb2.AUCTION_STATE_OPEN, page_size=1)
    page = await auctions(buyer).ListAuctions(is_open)
    assert [one.name for one in page.auctions] == [auction.name]
    assert page.next_page_token
