"""How a lot comes under the hammer for a load: its auction open, its bidders' deposits held."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from ironloop.marketplace.v1 import (
    auctions_pb2,
    auctions_pb2_grpc,
    listings_pb2,
    listings_pb2_grpc,
)

from infra.local.client import Actor
from infra.local.demo.scene import request_id
from services.kit import wire

OPEN_FOR = timedelta(hours=6)  # longer than a load may last
OPENS_WITHIN_S = 30.0
POLL_S = 0.05
DEPOSIT_FEN = 100_000


async def open_lot(seller: Actor, bidders: Sequence[Actor], listing: str) -> auctions_pb2.Auction:
    """Return an open auction of a listing that was just published, in which all these may bid."""
    published = await seller.stub(listings_pb2_grpc.ListingServiceStub).GetListing(
        listings_pb2.GetListingRequest(name=listing)
    )
    now = wire.to_instant(published.publish_time, field="publish_time")
    own = seller.stub(auctions_pb2_grpc.AuctionServiceStub)
    made = await own.CreateAuction(
        auctions_pb2.CreateAuctionRequest(
            request_id=request_id(),
            listing=listing,
            close_time=wire.instant(now + OPEN_FOR),
            deposit=auctions_pb2.DepositRule(amount=wire.money(DEPOSIT_FEN)),
        )
    )
    for bidder in bidders:
        await bidder.stub(auctions_pb2_grpc.AuctionServiceStub).PlaceDeposit(
            auctions_pb2.PlaceDepositRequest(request_id=request_id(), auction=made.name)
        )
    async with asyncio.timeout(OPENS_WITHIN_S):
        while True:
            seen = await own.GetAuction(auctions_pb2.GetAuctionRequest(name=made.name))
            if seen.state == auctions_pb2.AUCTION_STATE_OPEN:
                return seen
            await asyncio.sleep(POLL_S)
