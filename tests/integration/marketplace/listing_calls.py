"""Calls of listings, as their sellers and services make them."""

from ironloop.marketplace.v1 import listings_pb2, machines_pb2

from infra.local.client import Actor
from services.kit import wire
from tests.integration.marketplace.market import (
    listings,
    machines,
    rid,
)
from tests.support.world import World


async def get_listing(actor: Actor, name: str) -> listings_pb2.Listing:
    """Return a listing as an actor sees it."""
    return await listings(actor).GetListing(listings_pb2.GetListingRequest(name=name))


async def get_machine(actor: Actor, name: str) -> machines_pb2.Machine:
    """Return a machine as an actor sees it."""
    return await machines(actor).GetMachine(machines_pb2.GetMachineRequest(name=name))


async def queue(technician: Actor) -> dict[str, listings_pb2.Listing]:
    """Return what waits for an inspection, by name."""
    page = await listings(technician).ListInspectionQueue(
        listings_pb2.ListInspectionQueueRequest(page_size=200)
    )
    return {listing.name: listing for listing in page.listings}


async def reprice(seller: Actor, listing: str, ask_fen: int) -> listings_pb2.Listing:
    """Change an ask."""
    return await listings(seller).RepriceListing(
        listings_pb2.RepriceListingRequest(request_id=rid(), name=listing, ask=wire.money(ask_fen))
    )


async def release(world: World, listing: str, order: str) -> listings_pb2.Listing:
    """Give a listing back whose order was cancelled."""
    return await listings(world.service("procurement")).ReleaseListing(
        listings_pb2.ReleaseListingRequest(request_id=rid(), name=listing, order=order)
    )


async def withdraw(seller: Actor, listing: str) -> listings_pb2.Listing:
    """Take a listing off the market."""
    return await listings(seller).WithdrawListing(
        listings_pb2.WithdrawListingRequest(request_id=rid(), name=listing)
    )
