"""Services run in process, on databases of their own, called through gRPC with real tokens."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import grpc

from infra.local.business_time import BusinessTime
from infra.local.client import Actor
from infra.local.databases import dsn_of, role_of
from infra.local.kafka import create_topics
from infra.local.processes import free_port
from services.kit.clients import CHANNEL_OPTIONS
from services.kit.contract import event_of
from services.kit.ids import new_id
from services.kit.service import RunningService, ServiceDefinition, serving
from services.parties import handlers, store
from services.parties.definition import DEFINITION as PARTIES
from services.parties.issuer import Issuer
from services.parties.model import uscc_of
from tests.support import servers

SERVICES = (
    "parties",
    "settlement",
    "marketplace",
    "procurement",
    "valuation",
    "finance",
    "leasing",
    "maintenance",
    "remanufacturing",
    "insights",
)
PAGE_TOKEN_KEY = "a key that signs page tokens in tests"


@dataclass(slots=True)
class World:
    """A small Ironloop: the services that a test starts, and who calls them.

    Attributes:
        operator: The platform's first user, with every operator role.
        running: The services by name.
        bootstrap: host:port of the broker, or "" where events stay in the outbox.
    """

    bootstrap: str
    stack: AsyncExitStack
    prefix: str = field(default_factory=lambda: f"w{secrets.token_hex(4)}.")
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in SERVICES})
    running: dict[str, RunningService] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict)
    operator: Actor = field(init=False)
    _issuer: Issuer = field(init=False)
    _channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)
    _exits: dict[str, AsyncExitStack] = field(default_factory=dict)

    async def start(self, *definitions: ServiceDefinition, **settings: Any) -> RunningService:
        """Start services on new databases, or again on those they had; return the last one.

        Args:
            settings: Settings of the services that differ from the world's.
        """
        for definition in definitions:
            name = definition.name
            if name not in self.databases:
                self.databases[name] = await servers.new_database(name)
                await self._make_topics(definition)
            values = self.settings_of(name) | settings
            exits = AsyncExitStack()
            self.running[name] = await exits.enter_async_context(
                serving(definition, definition.settings(**values))
            )
            self._exits[name] = exits
        return self.running[definitions[-1].name]

    async def stop(self, service: str) -> None:
        """Stop a service; its database stays, so that `start` goes on where it stood."""
        self.running.pop(service)
        await self._exits.pop(service).aclose()

    def settings_of(self, service: str) -> dict[str, Any]:
        """Return the settings with which a service joins this world."""
        values: dict[str, Any] = {
            "environment": "local",
            "listen": f"127.0.0.1:{self.ports[service]}",
            "postgres_dsn": self.dsn(service),
            "pool_size_max": 8,
            "kafka_bootstrap": self.bootstrap,
            "kafka_prefix": self.prefix,
            "page_token_key": PAGE_TOKEN_KEY,
            "client_secret": f"secret of {service}",
            "peers": {name: f"127.0.0.1:{port}" for name, port in self.ports.items()},
            "drain_s": 1.0,
        }
        if service == "parties":
            values["service_secrets"] = {name: f"secret of {name}" for name in self.ports}
            values["operator_password"] = "a long password of the operator"
        else:
            address = self.running["parties"].http_address
            values["jwks_url"] = f"http://{address}/.well-known/jwks.json"
        return values

    def dsn(self, service: str) -> str:
        """Return the DSN with which a service opens its own database."""
        return dsn_of(
            servers.postgres_dsn(),
            database=self.databases[service],
            user=role_of(service),
            password=servers.ROLE_PASSWORD,
        )

    async def party(self, *roles: str, legal_name: str = "") -> Actor:
        """Register a legal entity with one user who holds all its roles; "SELLER", "BUYER", …"""
        tag = secrets.token_hex(4)
        database = self.running["parties"].runtime.database
        party = await database.run(
            lambda tx: handlers.create_party(
                tx,
                legal_name=legal_name or f"Test party {tag}",
                uscc=new_uscc(),
                lei="",
                roles=list(roles),
            )
        )
        return await self.user(party.name, *roles)

    async def user(self, party: str, *roles: str) -> Actor:
        """Register another user of a party."""
        party_id = UUID(party.removeprefix("parties/"))
        user = await self.running["parties"].runtime.database.run(
            lambda tx: handlers.create_user(
                tx,
                party_id=party_id,
                login=f"user-{new_id()}",
                password_hash="no password signs in",
                roles=list(roles),
            )
        )
        return self._actor(user.name, party, list(roles))

    def service(self, name: str) -> Actor:
        """Return a service as a caller for itself."""
        token = self._issuer.issue(f"services/{name}", party="", roles=["SERVICE"])
        return Actor(self, f"services/{name}", "", token)

    def channel(self, service: str) -> grpc.aio.Channel:
        """Return the channel to a service, without a token."""
        if service not in self._channels:
            address = f"127.0.0.1:{self.ports[service]}"
            self._channels[service] = grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
        return self._channels[service]

    def today(self) -> date:
        """Return the business date."""
        return self.running["parties"].runtime.clock.today()

    async def advance_days(self, days: int) -> None:
        """Move every service's business date, from timer to timer, and wait for rest."""
        await self.advance_to(self.today() + timedelta(days=days))

    async def advance_to(self, day: date) -> None:
        """Move every service's business date on to `day`, from timer to timer."""
        await self._time().advance_to(day)

    async def until_at_rest(self) -> None:
        """Return once no service has anything under way.

        Raises:
            NotAtRest: Something still is after a minute.
        """
        await self._time().until_at_rest()

    def _time(self) -> BusinessTime:
        return BusinessTime(self.operator, lambda: self.running, with_broker=bool(self.bootstrap))

    def _actor(self, subject: str, party: str, roles: list[str]) -> Actor:
        return Actor(self, subject, party, self._issuer.issue(subject, party=party, roles=roles))

    async def _make_topics(self, definition: ServiceDefinition) -> None:
        if not self.bootstrap:
            return
        events = (*definition.produces, *definition.consumes)
        topics = {event_of(event.DESCRIPTOR).topic for event in events} | {"kit.saga.v1"}
        names = [f"{self.prefix}{topic}{end}" for topic in topics for end in ("", ".dlq")]
        await asyncio.to_thread(create_topics, self.bootstrap, names)

    async def _begin(self) -> None:
        parties = await self.start(PARTIES)
        self._issuer = Issuer(
            issuer="ironloop-local", audience="ironloop", lifetime=timedelta(hours=1)
        )
        await self._issuer.load(parties.runtime.database)
        async with parties.runtime.database.read() as connection:
            user = await store.find_user_by_login(connection, "operator")
        assert user is not None
        self.operator = self._actor(user.name, f"parties/{user.party_id}", user.roles)

    async def _end(self) -> None:
        for channel in self._channels.values():
            await channel.close()
        for service in list(self.running):
            await self.stop(service)
        for database in self.databases.values():
            await servers.drop_database(database)


@asynccontextmanager
async def open_world(*, kafka: bool) -> AsyncIterator[World]:
    """Hold a world open, parties already running, with or without a broker."""
    bootstrap = await asyncio.to_thread(servers.kafka_bootstrap) if kafka else ""
    async with AsyncExitStack() as stack:
        world = World(bootstrap, stack)
        stack.push_async_callback(world._end)
        await world._begin()
        yield world


def new_uscc() -> str:
    """Return an invented unified social credit code with a true check digit."""
    return uscc_of("91" + "".join(secrets.choice("0123456789") for _ in range(15)))
