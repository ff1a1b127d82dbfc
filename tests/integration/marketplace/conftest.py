"""Fixtures of the marketplace's tests."""

from collections.abc import AsyncIterator

import pytest_asyncio

from infra.local.client import Actor
from services.marketplace.definition import DEFINITION
from tests.integration.marketplace.market import Valuer, open_valuer
from tests.support.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def valuer(world: World) -> AsyncIterator[Valuer]:
    """Return what values machines; marketplace runs beside it."""
    await world.start(DEFINITION)
    valuer, server = await open_valuer(world)
    yield valuer
    await server.stop(0)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def seller(world: World, valuer: Valuer) -> Actor:
    """Return a dealer that sells."""
    return await world.party("SELLER")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def buyer(world: World, valuer: Valuer) -> Actor:
    """Return a buyer."""
    return await world.party("BUYER")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def technician(world: World, valuer: Valuer) -> Actor:
    """Return an independent technician."""
    return await world.party("TECHNICIAN")
