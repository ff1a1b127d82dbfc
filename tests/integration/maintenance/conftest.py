"""A world with the services that a machine's upkeep needs."""

from collections.abc import AsyncIterator

import pytest_asyncio

from infra.local.processes import free_port
from services.maintenance.definition import DEFINITION as MAINTENANCE
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.maintenance.field import Field
from tests.integration.maintenance.workshop import Shop
from tests.support.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop_world(world: World) -> World:
    """Return the module's world, its services started."""
    await world.start(SETTLEMENT, MARKETPLACE, MAINTENANCE)
    return world


@pytest_asyncio.fixture(loop_scope="session")
async def shop(shop_world: World) -> Shop:
    """Return a new owner and workshop in the module's world."""
    return await Shop.open(shop_world)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def field_world(world: World) -> World:
    """Return the module's world with what telemetry needs."""
    await world.start(MARKETPLACE, MAINTENANCE)
    return world


@pytest_asyncio.fixture(loop_scope="session")
async def field(field_world: World) -> Field:
    """Return a new owner with machines in the field."""
    return await Field.open(field_world)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pages_url(world: World) -> AsyncIterator[str]:
    """Return where the module's maintenance serves fleets."""
    port = free_port()
    await world.start(MARKETPLACE)
    await world.start(MAINTENANCE, fleet_listen=f"127.0.0.1:{port}")
    yield f"http://127.0.0.1:{port}"


@pytest_asyncio.fixture(loop_scope="session")
async def owner(world: World, pages_url: str) -> Field:
    """Return a new owner with machines in the field."""
    return await Field.open(world)
