"""A market whose parts go away in the middle of their work."""

import asyncio
import time

from ironloop.marketplace.v1 import listings_pb2

from services.marketplace.definition import DEFINITION
from tests.integration.marketplace.market import (
    inspected,
    listings,
    open_valuer,
    registered,
    rid,
)
from tests.support.refusals import finished
from tests.support.world import World

WITHIN_S = 30.0


async def test_a_publication_cut_short_is_finished_after_the_restart(world: World) -> None:
    await world.start(DEFINITION)
    seller, technician = await world.party("SELLER"), await world.party("TECHNICIAN")
    waiting = await inspected(seller, technician, await registered(seller))
    request = listings_pb2.PublishListingRequest(request_id=rid(), name=waiting.name)
    call = asyncio.ensure_future(listings(seller).PublishListing(request))
    await until_tried(world)  # valuation does not answer, so the saga stands at its first step
    await world.stop("marketplace")
    await asyncio.gather(call, return_exceptions=True)

    valuer, server = await open_valuer(world)
    try:
        await world.start(DEFINITION)
        answer = await finished(listings(seller).PublishListing, request)
    finally:
        await server.stop(0)
    assert answer.state == listings_pb2.LISTING_STATE_PUBLISHED
    assert len(valuer.made) == 1


async def until_tried(world: World) -> None:
    database = world.running["marketplace"].runtime.database
    deadline = time.monotonic() + WITHIN_S
    while True:
        async with database.read() as connection:
            if await connection.fetchval("select max(attempts) from saga"):
                return
        assert time.monotonic() < deadline, "no step was tried"
        await asyncio.sleep(0.02)
