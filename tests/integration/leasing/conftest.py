"""A world with every service that a lease needs."""

from collections.abc import AsyncIterator

import pytest_asyncio

from services.finance.definition import DEFINITION as FINANCE
from services.leasing.definition import DEFINITION as LEASING
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.leasing.fleet import Fleet
from tests.integration.leasing.meters import open_meters
from tests.support.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def leasing_world(world: World) -> AsyncIterator[World]:
    """Return the module's world, its services started."""
    await world.start(SETTLEMENT, MARKETPLACE, FINANCE, LEASING)
    _, server = await open_meters(world)
    yield world
    await server.stop(0)


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(leasing_world: World) -> Fleet:
    """Return a new lessor, lessee and programme in the module's world."""
    return await Fleet.open(leasing_world)
