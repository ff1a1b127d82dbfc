"""The peers that procurement trades with, real ones, in one world a module."""

from collections.abc import AsyncIterator

import pytest_asyncio

from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.procurement.definition import DEFINITION as PROCUREMENT
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.procurement.trade import Trade
from tests.support.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def trade(world: World) -> AsyncIterator[Trade]:
    """Return a world in which machines are traded."""
    await world.start(SETTLEMENT, MARKETPLACE, PROCUREMENT)
    yield Trade(world)
