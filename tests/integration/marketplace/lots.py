"""Lots for tests: how a machine comes under the hammer, and who bids for it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from ironloop.marketplace.v1 import auctions_pb2, auctions_pb2_grpc, listings_pb2, offers_pb2

from infra.local.client import Actor
from services.kit import wire
from services.kit.transaction import Transaction
from tests.integration.marketplace.market import YUAN, published, rid
from tests.support.world import World

UNTIL_S = 10.0

T = TypeVar("T")


def auctions(actor: Actor) -> "auctions_pb2_grpc.AuctionServiceAsyncStub":
    """Return the auction service as an actor calls it."""
    return actor.stub(auctions_pb2_grpc.AuctionServiceStub)


def now(world: World) -> datetime:
    """Return the marketplace's domain time."""
    return world.running["marketplace"].runtime.clock.now()


async def listed(seller: Actor, technician: Actor) -> listings_pb2.Listing:
    """Bring a listing that is to be auctioned on offer."""
    return await published(seller, technician, format=listings_pb2.LISTING_FORMAT_TIMED_AUCTION)


async def scheduled(
    world: World, seller: Actor, listing: listings_pb2.Listing, **changes: Any
) -> auctions_pb2.Auction:
    """Schedule an auction that opens now and closes in an hour."""
    stated: dict[str, Any] = {
        "request_id": rid(),
        "listing": listing.name,
        "close_time": wire.instant(now(world) + timedelta(hours=1)),
    }
    return await auctions(seller).CreateAuction(
        auctions_pb2.CreateAuctionRequest(**stated | changes)
    )


async def opened(
    world: World, seller: Actor, technician: Actor, **changes: Any
) -> auctions_pb2.Auction:
    """Have an auction of a new listing opened by its timer."""
    auction = await scheduled(world, seller, await listed(seller, technician), **changes)
    return await until_state(seller, auction.name, auctions_pb2.AUCTION_STATE_OPEN)


async def get(actor: Actor, auction: str) -> auctions_pb2.Auction:
    """Return an auction as an actor sees it."""
    return await auctions(actor).GetAuction(auctions_pb2.GetAuctionRequest(name=auction))


async def until_state(
    actor: Actor, auction: str, state: "auctions_pb2.AuctionState.ValueType"
) -> auctions_pb2.Auction:
    """Return an auction once it has come into a state."""

    async def there() -> auctions_pb2.Auction | None:
        found = await get(actor, auction)
        return found if found.state == state else None

    return await until(there)


async def until(ask: Callable[[], Awaitable[T | None]]) -> T:
    """Return what `ask` answers once it answers something."""
    async with asyncio.timeout(UNTIL_S):
        while True:
            if answer := await ask():
                return answer
            await asyncio.sleep(0.02)


async def bid(
    bidder: Actor, auction: str, amount_yuan: int, *, request_id: str = ""
) -> offers_pb2.Bid:
    """Bid."""
    return await auctions(bidder).PlaceBid(
        offers_pb2.PlaceBidRequest(
            request_id=request_id or rid(), auction=auction, amount=wire.money(amount_yuan * YUAN)
        )
    )


async def bids_of(actor: Actor, auction: str) -> list[offers_pb2.Bid]:
    """Return every bid of an auction that an actor sees, page by page."""
    found: list[offers_pb2.Bid] = []
    token = ""
    while True:
        page = await auctions(actor).ListBids(
            auctions_pb2.ListBidsRequest(auction=auction, page_size=200, page_token=token)
        )
        found += page.bids
        token = page.next_page_token
        if not token:
            return found


async def deposit(bidder: Actor, auction: str, *, request_id: str = "") -> auctions_pb2.BidDeposit:
    """Have a deposit held."""
    return await auctions(bidder).PlaceDeposit(
        auctions_pb2.PlaceDepositRequest(request_id=request_id or rid(), auction=auction)
    )


async def close_in(world: World, auction: str, after: timedelta) -> datetime:
    """Move an auction's close to a little from now, as a test's clock would, and return it."""
    auction_id = UUID(auction.removeprefix("auctions/"))

    async def move(tx: Transaction) -> datetime:
        close_time = tx.now + after
        await tx.connection.execute(
            "update auction set close_time = $2 where id = $1", auction_id, close_time
        )
        await tx.set_timer("auction_close", auction, due_at=close_time)
        return close_time

    return await world.running["marketplace"].runtime.database.run(move)
