"""Holds whose time is up are released, however many there are, and nothing waits for that."""

import asyncio
import time

import asyncpg
import pytest_asyncio
from ironloop.settlement.v1 import settlement_pb2 as pb

from infra.local.databases import dsn_of
from services.settlement.definition import DEFINITION
from services.settlement.posting import EXPIRED_MAX
from tests.integration.settlement.ledger_client import PENDING, LedgerClient, codes, transfer
from tests.support import servers
from tests.support.world import World

HOUR_S = 3_600
UNDER_LOAD_S = 4.0
EXPIRIES_MIN = 3  # rounds of expiry; fewer say nothing
WITHIN_S = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(world: World) -> LedgerClient:
    """Return a caller of settlement."""
    await world.start(DEFINITION)
    return LedgerClient(world, world.service("procurement"))


async def test_more_holds_than_one_transaction_takes_expire_at_one_instant(
    client: LedgerClient,
) -> None:
    payer, payee = await client.funded_wallets(2, 10_000)
    holds = [
        transfer(payer, payee, 1, kind=PENDING, timeout_s=HOUR_S) for _ in range(2 * EXPIRED_MAX)
    ]
    assert set(codes(await client.post(*holds, transfer(payer, payee, 1)))) == {"CREATED"}
    await client.world.advance_days(1)
    answer = await client.stub.LookupTransfers(
        pb.LookupTransfersRequest(ids=[holds[0].id, holds[-1].id])
    )
    assert {row.hold_state for row in answer.transfers} == {pb.HOLD_STATE_EXPIRED}
    account = await client.account(payer)
    assert not account.debits_pending.units
    assert not account.debits_pending.nanos


async def test_an_earlier_expiry_goes_before_a_later_one_that_is_set(client: LedgerClient) -> None:
    payer, payee = await client.funded_wallets(2, 10_000)
    late = transfer(payer, payee, 1, kind=PENDING, timeout_s=30 * 24 * HOUR_S)
    early = transfer(payer, payee, 1, kind=PENDING, timeout_s=HOUR_S)
    await client.post(late)
    await client.post(early)
    await client.world.advance_days(2)
    answer = await client.stub.LookupTransfers(pb.LookupTransfersRequest(ids=[late.id, early.id]))
    states = {row.transfer.id: row.hold_state for row in answer.transfers}
    assert states == {late.id: pb.HOLD_STATE_OPEN, early.id: pb.HOLD_STATE_EXPIRED}
    await client.world.advance_days(30)
    answer = await client.stub.LookupTransfers(pb.LookupTransfersRequest(ids=[late.id]))
    assert answer.transfers[0].hold_state == pb.HOLD_STATE_EXPIRED


async def test_postings_and_expiries_at_the_same_time_do_not_lock_each_other_out(
    client: LedgerClient,
) -> None:
    world = client.world
    owner = await asyncpg.connect(
        dsn_of(servers.postgres_dsn(), database=world.databases["settlement"])
    )
    payer, payee = await client.funded_wallets(2, 1_000_000)
    until_s = time.monotonic() + UNDER_LOAD_S
    enough = asyncio.Event()

    async def count_expiries() -> int:
        count: int = await owner.fetchval(
            "select count(distinct event_at) from transfer where kind = 5"
        )
        return count

    async def watch() -> None:
        async with asyncio.timeout(WITHIN_S):
            while time.monotonic() < until_s or await count_expiries() < EXPIRIES_MIN:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        enough.set()

    async def hold() -> None:
        while not enough.is_set():
            row = transfer(payer, payee, 1, kind=PENDING, timeout_s=1)
            assert codes(await client.post(row)) == ["CREATED"]

    await asyncio.gather(watch(), *(hold() for _ in range(4)))
    async with asyncio.timeout(WITHIN_S):
        while await owner.fetchval("select count(*) from hold where state = 1"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    deadlocks = await owner.fetchval(
        "select deadlocks from pg_stat_database where datname = current_database()"
    )
    await owner.close()
    assert deadlocks == 0
