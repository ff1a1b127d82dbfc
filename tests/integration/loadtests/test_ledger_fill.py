"""What the bench fills in is a ledger that stands, and that goes on being posted to."""

import asyncio

import asyncpg

from infra.bench.ledger_fill import fill
from infra.bench.ledger_traffic import parsed_batches, uniform
from infra.local.databases import dsn_of, role_of
from services.kit.clock import BusinessClock
from services.kit.database import Database
from services.settlement import verify_store
from services.settlement.engine import Engine
from services.settlement.transfer import ResultCode
from services.settlement.verify import Broker, verify
from tests.support import servers

FIRST, ACCOUNTS, COUNT = 1_000_000_000_001, 50, 5_000


async def test_a_filled_ledger_agrees_with_its_accounts_and_takes_new_transfers() -> None:
    name = await servers.new_database("settlement")
    owner_dsn = dsn_of(servers.postgres_dsn(), database=name)
    owner = await asyncpg.connect(owner_dsn)
    try:
        await owner.execute(
            "insert into account "
            "(id, ledger, code, flags, owner, reference, create_time, update_time) "
            "select $1::bigint + n, 1, 1010, 0, id_floor(0), n::text, now(), now() "
            "from generate_series(0, $2 - 1) n",
            FIRST,
            ACCOUNTS,
        )
        await fill(owner_dsn, COUNT, first_account=FIRST, accounts=ACCOUNTS)
        indexed = await owner.fetchval(
            "select count(*) from pg_index i join pg_inherits h on h.inhrelid = i.indrelid "
            "where h.inhparent = 'transfer'::regclass and i.indisvalid group by i.indrelid limit 1"
        )
        assert indexed == 4  # the key, debits, credits, numbers

        dsn = dsn_of(
            servers.postgres_dsn(),
            database=name,
            user=role_of("settlement"),
            password=servers.ROLE_PASSWORD,
        )
        async with Database.open(
            dsn,
            service="settlement",
            clock=BusinessClock(),
            size_max=2,
            statement_timeout_ms=15_000,
        ) as database:
            verdicts = await verify(database, Broker("", ""), since=None, say=lambda _: None)
            assert [verdict.findings for verdict in verdicts] == [[]] * len(verdicts)
            assert any(verdict.counted.startswith(f"{COUNT:,} transfers") for verdict in verdicts)
            engine = Engine(database, queued_max=1_000)
            lanes = asyncio.create_task(engine.lanes.run())
            [batch] = parsed_batches(1, 100, uniform(range(FIRST, FIRST + ACCOUNTS)))
            outcomes = await engine.post(batch)
            lanes.cancel()
        assert {outcome.code for outcome in outcomes} == {ResultCode.CREATED}
        assert await owner.fetchval("select max(number) from transfer") == COUNT + 100
        assert await verify_store.list_drifted_accounts(owner) == []
    finally:
        await owner.close()
        await servers.drop_database(name)
