"""Fixtures of finance's tests: real peers in one world a module."""

from collections.abc import AsyncIterator

import pytest_asyncio

from services.finance.definition import DEFINITION as FINANCE
from services.leasing.definition import DEFINITION as LEASING
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.finance.lending import Lending
from tests.integration.finance.valuer import open_valuer
from tests.support.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lending(world: World) -> AsyncIterator[Lending]:
    """Return a world in which machines are lent on at the values of WE-7 and WE-8."""
    await world.start(SETTLEMENT, MARKETPLACE, FINANCE)
    valuer, server = await open_valuer(world)
    yield Lending(world, valuer)
    await server.stop(0)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def factoring(kafka_world: World) -> AsyncIterator[Lending]:
    """Return a world in which machines are leased too, its services linked by a real Kafka."""
    await kafka_world.start(SETTLEMENT, MARKETPLACE, LEASING, FINANCE)
    valuer, server = await open_valuer(kafka_world)
    yield Lending(kafka_world, valuer)
    await server.stop(0)
