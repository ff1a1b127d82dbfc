"""A world in which every service runs that can be imported."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from argon2 import PasswordHasher

from infra.gate.events_page import definitions
from infra.local.client import Actor
from services.kit.service import ServiceDefinition
from services.parties import handlers
from tests.contract.rpcs import Rpc, rpcs_of
from tests.support.world import World, open_world


@dataclass(frozen=True, slots=True)
class Everything:
    """Every service, running.

    Attributes:
        rpcs: What they serve.
    """

    world: World
    definitions: list[ServiceDefinition]
    rpcs: list[Rpc]

    def actor(self, role: str) -> Actor:
        """Return somebody of no registered party who holds one role."""
        if role == "SERVICE":
            return self.world.service("finance")
        return self.world._actor(
            "users/0190a0a0-0000-7000-8000-000000000001",
            "parties/0190a0a0-0000-7000-8000-000000000002",
            [role],
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def everything() -> AsyncIterator[Everything]:
    """Return all services on databases of their own, without a broker."""
    found = definitions()
    with pytest.MonkeyPatch.context() as patch:
        # The cost of a password's hash is not what these tests are about.
        cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(handlers, "_hasher", cheap)
        async with open_world(kafka=False) as world:
            for definition in found:
                if definition.name not in world.running:
                    await world.start(definition)
            yield Everything(world, found, list(rpcs_of(found)))
