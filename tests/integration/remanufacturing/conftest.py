"""The peers that remanufacturing works with, real ones, in one world a module."""

from collections.abc import AsyncIterator

import pytest_asyncio

from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.remanufacturing.definition import DEFINITION as REMANUFACTURING
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.remanufacturing.shop import DRAIN_S, Shop, open_shop
from tests.support.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(world: World) -> AsyncIterator[Shop]:
    """Return a shop in a world with a ledger and a registry of machines."""
    await world.start(SETTLEMENT, MARKETPLACE)
    await world.start(REMANUFACTURING, drain_s=DRAIN_S)
    yield await open_shop(world)
