"""Fixtures of the kit's own tests."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.integration.kit.probe import Probe, open_probe


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def probe_of_module() -> AsyncIterator[Probe]:
    """Return a database with the kit's tables."""
    async with open_probe() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def probe(probe_of_module: Probe) -> Probe:
    """Return an empty database with the kit's tables."""
    await probe_of_module.empty()
    return probe_of_module
