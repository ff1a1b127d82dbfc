"""Worlds with the services that a lease needs, and that a sale of its machine needs."""

from collections.abc import AsyncIterator

import pytest_asyncio

from services.finance.definition import DEFINITION as FINANCE
from services.leasing.definition import DEFINITION as LEASING
from services.maintenance.definition import DEFINITION as MAINTENANCE
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.finance.valuer import Valuer, open_valuer
from tests.integration.leasing.fleet import Fleet
from tests.integration.leasing.lenders import Lenders, open_lenders
from tests.integration.leasing.sale import Sale
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


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def parts(world: World) -> AsyncIterator[tuple[World, Lenders, Valuer]]:
    """Return the module's world, whose lenders and values are those of the worked examples."""
    await world.start(SETTLEMENT, MARKETPLACE, MAINTENANCE, LEASING)
    lenders, finance = await open_lenders(world)
    valuer, valuation = await open_valuer(world)
    yield world, lenders, valuer
    for server in (finance, valuation):
        await server.stop(0)


@pytest_asyncio.fixture(loop_scope="session")
async def sale(parts: tuple[World, Lenders, Valuer]) -> Sale:
    """Return a new fleet in the module's world, nothing lent on its machines."""
    world, lenders, valuer = parts
    lenders.payoffs.clear()
    return Sale(await Fleet.open(world), lenders, valuer)
