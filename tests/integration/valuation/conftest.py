"""Valuation with registry and maintenance, which it asks, real ones, in one world a module."""

from collections.abc import AsyncIterator

import pytest_asyncio

from services.maintenance.definition import DEFINITION as MAINTENANCE
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.valuation.definition import DEFINITION as VALUATION
from tests.integration.valuation.desk import Desk
from tests.support.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(world: World) -> AsyncIterator[Desk]:
    """Return a desk at which machines are valued."""
    await world.start(MARKETPLACE, MAINTENANCE, VALUATION)
    yield Desk(world)
