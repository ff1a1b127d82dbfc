"""Fixtures of every test: the run's servers, and worlds on them."""

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck, settings

from tests.support import servers
from tests.support.world import World, open_world

# Tracebacks with every local, as a terminal's default is, take seconds each.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)

# A machine may be busy: how long an example takes says nothing of what it proves.
settings.register_profile("ironloop", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ironloop")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Make the run's folder, once for all workers."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        servers.begin_run()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the run's servers, once all workers have ended."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        servers.end_run()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world() -> AsyncIterator[World]:
    """Return a world without a broker: events stay in the outboxes."""
    async with open_world(kafka=False) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kafka_world() -> AsyncIterator[World]:
    """Return a world whose services are linked by a real Kafka."""
    async with open_world(kafka=True) as opened:
        yield opened
