"""The kit's parts on a database of their own, without a service around them."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_events_pb2
from pydantic import SecretStr

from infra.local.databases import dsn_of, role_of
from infra.local.kafka import create_topics
from services.kit.calendar import CHINA
from services.kit.clients import Peers
from services.kit.clock import BusinessClock
from services.kit.contract import dead_letter_topic
from services.kit.database import Database
from services.kit.paging import Pages
from services.kit.principals import Principal, enter
from services.kit.requests import Commands
from services.kit.runtime import Runtime
from services.kit.settings import ServiceSettings
from services.kit.transaction import Transaction
from tests.support import servers

SERVICE = "probe"
TOPIC = "parties.party.v1"
EVENT = parties_events_pb2.PartyRolesChanged
CALLER = Principal("users/tester", "parties/tested", frozenset({options_pb2.ROLE_ADMIN}))
METHOD = "/ironloop.parties.v1.PartiesService/CreateParty"
WITHIN_S = 30.0

TABLES = (
    "request_record",
    "outbox",
    "inbox",
    "parked_event",
    "timer",
    "saga",
    "operation",
    "counter",
    "seen",
)
SCRATCH = """
create table counter (
    key text primary key, sequence bigint not null default 0, effects int not null default 0
);
create table seen (key text not null, sequence bigint not null, seq bigserial);
"""


@dataclass(slots=True)
class Probe:
    """A database with the kit's tables and two of our own.

    Attributes:
        prefix: What its topics and groups begin with on the run's broker.
    """

    dsn: str
    database: Database
    clock: BusinessClock
    prefix: str = field(default_factory=lambda: f"k{secrets.token_hex(4)}.")

    def runtime(self) -> Runtime:
        """Return what a service on this database hands to its sagas."""
        settings = ServiceSettings(
            environment="local",
            postgres_dsn=SecretStr(self.dsn),
            page_token_key=SecretStr("k" * 32),
        )
        return Runtime(
            service=SERVICE,
            settings=settings,
            database=self.database,
            clock=self.clock,
            calendar=CHINA,
            pages=Pages("k" * 32),
            peers=Peers({}, service=SERVICE, secret=""),
            commands=self.commands(),
        )

    def commands(self) -> Commands:
        """Return the runner of writes, whose sagas nobody drives."""
        enter(CALLER, METHOD)
        return Commands(self.database, drive=lambda _: asyncio.create_task(asyncio.sleep(0)))

    async def bump(self, tx: Transaction, key: str) -> int:
        """Count an effect on an aggregate and emit its event; return the sequence."""
        sequence: int = await tx.connection.fetchval(
            """
            insert into counter (key, sequence, effects) values ($1, 1, 1)
            on conflict (key) do update
            set sequence = counter.sequence + 1, effects = counter.effects + 1 returning sequence
            """,
            key,
        )
        await tx.emit(EVENT(party=key, sequence=sequence))
        return sequence

    async def ask(self, query: str, *arguments: Any) -> Any:
        """Return one value."""
        async with self.database.read() as connection:
            return await connection.fetchval(query, *arguments)

    async def empty(self) -> None:
        """Remove every row."""
        async with self.database.read() as connection:
            for table in TABLES:
                await connection.execute(f"delete from {table}")
        self.database._on_commit.clear()
        self.clock.days_ahead = 0

    async def make_topics(self) -> None:
        """Create the topics of its events."""
        bootstrap = await asyncio.to_thread(servers.kafka_bootstrap)
        names = [f"{self.prefix}{topic}" for topic in (TOPIC, dead_letter_topic(TOPIC))]
        await asyncio.to_thread(create_topics, bootstrap, names)


@asynccontextmanager
async def open_probe(**options: Any) -> AsyncIterator[Probe]:
    """Hold a new database open for the length of the block."""
    name = await servers.new_database(SERVICE)
    owner = await asyncpg.connect(dsn_of(servers.postgres_dsn(), database=name))
    try:
        await owner.execute(SCRATCH)
    finally:
        await owner.close()
    dsn = dsn_of(
        servers.postgres_dsn(),
        database=name,
        user=role_of(SERVICE),
        password=servers.ROLE_PASSWORD,
    )
    async with open_database(dsn, **options) as (database, clock):
        yield Probe(dsn, database, clock)
    await servers.drop_database(name)


@asynccontextmanager
async def open_database(
    dsn: str, *, size_max: int = 10, statement_timeout_ms: int = 10_000
) -> AsyncIterator[tuple[Database, BusinessClock]]:
    """Hold a pool open."""
    clock = BusinessClock()
    async with Database.open(
        dsn,
        service=SERVICE,
        clock=clock,
        size_max=size_max,
        statement_timeout_ms=statement_timeout_ms,
    ) as database:
        yield database, clock


async def until(
    holds: Callable[[], Awaitable[Any]], *, what: str, within_s: float = WITHIN_S
) -> None:
    """Wait for a condition.

    Raises:
        AssertionError: It does not come about in time.
    """
    deadline_s = time.monotonic() + within_s
    while not await holds():
        assert time.monotonic() < deadline_s, f"{what} not within {within_s:.0f} s"
        await asyncio.sleep(0.02)
