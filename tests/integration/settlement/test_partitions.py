"""Partitions of transfers: made ahead, closed and detached with every account still explained."""

from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from ironloop.settlement.v1 import settlement_events_pb2 as events

from services.kit.ids import fact_id, new_id
from services.kit.kafka_log import KafkaEventLog
from services.kit.principals import enter, service_principal
from services.kit.transaction import Transaction
from services.settlement import handlers, partitions, posting, store
from services.settlement.account import AccountKey, AccountKind
from services.settlement.commands import run_partitions
from services.settlement.definition import DEFINITION
from services.settlement.ledger_state import chains
from services.settlement.partitions import Partition
from services.settlement.republish import republish
from services.settlement.transfer import Transfer, TransferKind
from tests.integration.settlement.conftest import LedgerDatabase
from tests.support.world import World

LEDGERS = frozenset({1})
TODAY = datetime.now(UTC).date()
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
OLD_MONTH = date(TODAY.year - 2, 3, 1)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def old_ledger(ledger: LedgerDatabase) -> LedgerDatabase:
    """Return a ledger that began two years ago: partitions of its first two months."""
    enter(service_principal("settlement"), "test")
    async with ledger.database.read() as connection:
        for month in (OLD_MONTH, OLD_MONTH.replace(month=4)):
            assert await partitions.make(connection, month)
    ledger.clock.at = datetime(OLD_MONTH.year, 3, 10, tzinfo=UTC)
    return ledger


async def open_accounts(ledger: LedgerDatabase) -> tuple[int, int]:
    keys = [
        AccountKey(1, AccountKind.BANK, None, str(new_id())),
        AccountKey(1, AccountKind.WALLET, new_id(), ""),
    ]
    records = await ledger.database.run(lambda tx: handlers.create_accounts(tx, keys))
    return records[0].account.id, records[1].account.id


def row(
    ledger: LedgerDatabase, debit: int, credit: int, amount_fen: int, **fields: Any
) -> Transfer:
    identifier = fact_id(ledger.clock.at, "test", str(new_id()))
    plain = Transfer(
        identifier,
        identifier,
        TransferKind.POSTED,
        debit,
        credit,
        amount_fen,
        None,
        0,
        False,
        8,
        "",
        "",
    )
    return plain._replace(**fields)


async def post(ledger: LedgerDatabase, *rows: Transfer) -> list[str]:
    outcomes = await ledger.database.run(
        lambda tx: posting.post(tx, 1, chains(rows), ledgers=LEDGERS)
    )
    return [outcome.code.name for outcome in outcomes]


async def list_all(ledger: LedgerDatabase) -> list[Partition]:
    async with ledger.database.read() as connection:
        return await partitions.list_all(connection)


async def test_the_service_makes_months_ahead_of_wall_time_and_of_the_business_date(
    ledger: LedgerDatabase,
) -> None:
    ahead = datetime.now(UTC) + timedelta(days=400)
    ledger.clock.at = ahead
    await ledger.database.run(partitions.make_ahead)
    months = {partition.month for partition in await list_all(ledger)}
    for instant in (datetime.now(UTC), ahead):
        assert instant.date().replace(day=1) in months
        assert (instant + timedelta(days=80)).date().replace(day=1) in months
    async with ledger.database.read() as connection:
        due_at = await connection.fetchval(
            "select due_at from timer where kind = 'make_partitions'"
        )
    assert due_at > ahead
    assert (due_at.day, due_at.hour) == (1, 0)


async def test_an_old_month_is_detached_and_nothing_of_it_is_forgotten(
    old_ledger: LedgerDatabase,
) -> None:
    ledger = old_ledger
    bank, wallet = await open_accounts(ledger)
    first = row(ledger, bank, wallet, 1_000)
    held = row(ledger, wallet, bank, 300, kind=TransferKind.PENDING)
    assert await post(ledger, first, held) == ["CREATED", "CREATED"]
    in_march = ledger.clock.at
    march, april = (await list_all(ledger))[:2]

    assert await close(ledger, april) == "an older partition is attached"
    assert await close(ledger, march) == "it holds pending transfers that are open"
    ledger.clock.at = datetime(OLD_MONTH.year, 4, 2, tzinfo=UTC)
    void = row(ledger, 0, 0, 0, kind=TransferKind.VOID_PENDING)._replace(pending_id=held.id)
    assert await post(ledger, void, row(ledger, wallet, bank, 10)) == ["CREATED", "CREATED"]

    assert await close(ledger, march) is None
    assert await post(ledger, first) == ["ID_TOO_OLD"]
    assert await ledger.database.run(lambda tx: partitions.detach(tx.connection, march)) == 2
    assert (await list_all(ledger))[0].state == "DETACHED"
    assert await post(ledger, first) == ["ID_TOO_OLD"]
    assert await close(ledger, march) is None

    async with ledger.database.read() as connection:
        for at, expected in (
            (in_march - timedelta(days=1), (0, 0)),
            (in_march, (1_000, 700)),
            (ledger.clock.at, (990, 990)),
        ):
            assert await store.standing_at(connection, wallet, ledger=1, at=at) == expected
        assert await unexplained_accounts(ledger) == []
        counted = await connection.fetch("select * from closing_count")
    assert [tuple(each)[1:] for each in counted] == [(1, 1, 2)]
    owner = await asyncpg.connect(ledger.owner_dsn)
    try:
        assert await owner.fetchval(f'select count(*) from "{march.name}"') == 2
    finally:
        await owner.close()


class Kept(KafkaEventLog):
    """A log that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__("nowhere", client_id="kept")
        self.events: list[events.TransfersPosted] = []

    async def publish(self, rows: Sequence[Any]) -> int:
        self.events += [events.TransfersPosted.FromString(each["payload"]) for each in rows]
        return len(rows)


async def test_events_of_a_detached_month_are_made_anew_as_long_as_its_table_is_there(
    old_ledger: LedgerDatabase,
) -> None:
    march = (await list_all(old_ledger))[0]
    assert march.state == "DETACHED"
    log = Kept()
    done = await republish(old_ledger.database, log, since=LONG_AGO, say=lambda _: None)
    assert done.unlike == []
    assert [event.commit for event in log.events] == list(range(1, len(log.events) + 1))
    assert [len(event.transfers) for event in log.events[:2]] == [2, 2]

    owner = await asyncpg.connect(old_ledger.owner_dsn)
    try:
        await owner.execute(f'alter table "{march.name}" rename to archived')
        log = Kept()
        done = await republish(old_ledger.database, log, since=LONG_AGO, say=lambda _: None)
        await owner.execute(f'alter table archived rename to "{march.name}"')
    finally:
        await owner.close()
    [unlike] = done.unlike
    assert unlike == (
        "ledgers/1 commit 1: 0 of 2 transfers are at hand; 2 were detached with their partition: "
        "bring its table back from the archive under its name, and run this again"
    )
    assert [event.commit for event in log.events] == list(range(2, len(log.events) + 2))


async def unexplained_accounts(ledger: LedgerDatabase) -> list[int]:
    """Return accounts that are not the sum of their transfers and of what was detached."""
    async with ledger.database.read() as connection:
        rows = await connection.fetch(
            """
            select a.id from account a
            where a.credits_posted <> (
                select coalesce(sum(amount), 0) from transfer
                where credit_account = a.id and kind in (1, 3)
            ) + (
                select coalesce(sum(credits_posted), 0) from closing_sum where account = a.id
            )
            """
        )
    return [each["id"] for each in rows]


async def close(ledger: LedgerDatabase, partition: Partition) -> str | None:
    async def work(tx: Transaction) -> str | None:
        return await partitions.close(tx.connection, partition)

    return await ledger.database.run(work)


async def test_recent_and_only_partitions_stay(ledger: LedgerDatabase) -> None:
    recent = next(p for p in await list_all(ledger) if p.month == TODAY.replace(day=1))
    assert await close(ledger, recent) in (
        "an older partition is attached",
        "it holds ids of the last twelve months",
    )
    unknown = Partition("transfer_000000", OLD_MONTH, "ATTACHED")
    assert await close(ledger, unknown) == "there is no such partition"
    with pytest.raises(asyncpg.RaiseError, match="is not closing"):
        await ledger.database.run(lambda tx: partitions.detach(tx.connection, recent))


async def test_a_month_whose_ids_rest_in_the_default_partition_stays_there(
    ledger: LedgerDatabase,
) -> None:
    ledger.clock.at = datetime(TODAY.year + 6, 5, 5, tzinfo=UTC)
    bank, wallet = await open_accounts(ledger)
    assert await post(ledger, row(ledger, bank, wallet, 5)) == ["CREATED"]
    async with ledger.database.read() as connection:
        assert await connection.fetchval("select count(*) from transfer_default") == 1
        assert not await partitions.make(connection, ledger.clock.at.date())
        assert await partitions.make(connection, date(TODAY.year + 6, 6, 1))


async def test_the_command_makes_what_is_missing_and_says_what_stays(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.start(DEFINITION)
    runtime = world.running["settlement"].runtime
    assert await run_partitions(runtime, Namespace(detach_before=None)) == 0
    assert f"{TODAY:%Y-%m}" in capsys.readouterr().out
    assert await run_partitions(runtime, Namespace(detach_before=TODAY)) == 1
    assert "it holds ids of the last twelve months" in capsys.readouterr().out
