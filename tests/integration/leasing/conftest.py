"""A world with every service that a lease needs."""

import pytest_asyncio

from services.finance.definition import DEFINITION as FINANCE
from services.leasing.definition import DEFINITION as LEASING
from services.maintenance.definition import DEFINITION as MAINTENANCE
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.leasing.fleet import Fleet
from tests.support.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def leasing_world(world: World) -> World:
    """Return the module's world, its services started."""
    await world.start(SETTLEMENT, MARKETPLACE, MAINTENANCE, FINANCE, LEASING)
    return world


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(leasing_world: World) -> Fleet:
    """Return a new lessor, lessee and programme in the module's world."""
    return await Fleet.open(leasing_world)
