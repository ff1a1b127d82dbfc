"""A settlement database without a service around it; a party that pays, with one."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date, datetime

import pytest_asyncio

from infra.local.databases import dsn_of, role_of
from services.kit.clock import business_date
from services.kit.database import Database
from services.kit.ids import new_id
from services.settlement import partitions
from services.settlement.definition import DEFINITION
from services.settlement.transfer import Transfer, TransferKind
from tests.integration.settlement.ledger_client import LedgerClient, codes, transfer
from tests.integration.settlement.payer import Payer
from tests.support import servers
from tests.support.world import World
from tests.unit.settlement.batches import NOW


@dataclass(slots=True)
class FixedClock:
    """Domain time that stands where a test puts it."""

    at: datetime = field(default=NOW)

    def now(self) -> datetime:
        return self.at

    def today(self) -> date:
        return business_date(self.at)


@dataclass(frozen=True, slots=True)
class LedgerDatabase:
    """An open database under the service's own role, and its clock."""

    database: Database
    clock: FixedClock
    name: str

    @property
    def owner_dsn(self) -> str:
        """Return the DSN of the role that owns the tables."""
        return dsn_of(servers.postgres_dsn(), database=self.name)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ledger() -> AsyncIterator[LedgerDatabase]:
    """Return a new settlement database, opened as the service opens it."""
    name = await servers.new_database("settlement")
    dsn = dsn_of(
        servers.postgres_dsn(),
        database=name,
        user=role_of("settlement"),
        password=servers.ROLE_PASSWORD,
    )
    clock = FixedClock()
    async with Database.open(
        dsn, service="settlement", clock=clock, size_max=16, statement_timeout_ms=15_000
    ) as database:
        async with database.read() as connection:
            await partitions.make(connection, NOW.date())  # ids of the tests' own time
        yield LedgerDatabase(database, clock, name)
    await servers.drop_database(name)


@pytest_asyncio.fixture(loop_scope="session")
async def payer(world: World) -> Payer:
    """Return a party with a wallet of 100,000 yuan."""
    if "settlement" not in world.running:
        await world.start(DEFINITION)
    actor = await world.party("LESSEE")
    ledger = LedgerClient(world, world.operator)
    bank, wallet = await ledger.open_bank(), await ledger.open_wallet(actor.party)
    funded = await ledger.post(transfer(bank, wallet, 10_000_000, code=1))
    assert codes(funded) == ["CREATED"]
    return Payer(world, actor, wallet)


def row(debit: int, credit: int, amount_fen: int, *, linked: bool = False) -> Transfer:
    """Return a new transfer that is posted at once."""
    identifier = new_id()
    return Transfer(
        identifier,
        identifier,
        TransferKind.POSTED,
        debit,
        credit,
        amount_fen,
        None,
        0,
        linked,
        8,
        "",
        "",
    )
