"""Fills a ledger with millions of transfers inside PostgreSQL, as if they had been posted.

The rows go where new ones will go, into the partition of the present month, whose indexes are
built afterwards; accounts, commits, digests and the ledger's counters come to agree with them, so
that the proof of the ledger reads all of it and finds it sound. Two things are left out: events,
of which the commits keep no digests either, and how accounts stood after each transfer, which is 0.
"""

from datetime import UTC, datetime

import asyncpg

from infra.bench.ledger_traffic import AMOUNT_FEN_MAX
from services.settlement.verify_store import DIGEST

COMMIT_SIZE = 1_000

_INDEXES = "select indexrelid::regclass::text as name from pg_index where indrelid = $1::regclass"

# Accounts lie side by side by number; both are drawn from all of them, and never the same twice.
_ROWS = f"""
    insert into {{part}} (id, txn, number, debit_account, credit_account, amount, released,
        debit_balance, debit_available, credit_balance, credit_available, event_at, ledger,
        timeout_s, kind, code, linked, purpose, memo, pending_id, digest)
    select t.*, {DIGEST}
    from (
        select r.id, r.id as txn, n as number, $2::bigint + debit as debit_account,
            $2::bigint + (debit + 1 + ahead) % $3::bigint as credit_account,
            1 + n % {AMOUNT_FEN_MAX} as amount, 0::bigint as released,
            0::bigint as debit_balance, 0::bigint as debit_available,
            0::bigint as credit_balance, 0::bigint as credit_available,
            $4::timestamptz as event_at, 1 as ledger, 0 as timeout_s, 1::smallint as kind,
            8::smallint as code, false as linked, 'leases/' || r.id as purpose, '' as memo,
            null::uuid as pending_id
        from generate_series(1::bigint, $1::bigint) as n
        cross join lateral (
            select floor(random() * $3::bigint)::bigint as debit,
                floor(random() * ($3::bigint - 1))::bigint as ahead,
                (lpad(to_hex($5::bigint + n / 500), 12, '0') || '7'
                    || right(lpad(to_hex(n), 8, '0'), 3) || '8'
                    || right(md5(n::text), 15))::uuid as id
        ) as r
        offset 0 -- each row is drawn once, then digested
    ) as t
"""

_ACCOUNTS = """
    update account a set debits_posted = a.debits_posted + s.debits,
        credits_posted = a.credits_posted + s.credits
    from (
        select account, sum(debits)::bigint as debits, sum(credits)::bigint as credits
        from (
            select debit_account as account, sum(amount) as debits, 0 as credits
            from transfer where number <= $1 group by 1
            union all
            select credit_account, 0, sum(amount) from transfer where number <= $1 group by 1
        ) as side group by account
    ) as s where a.id = s.account
"""

_COMMITS = """
    insert into ledger_commit (ledger, sequence, first_number, transfer_count, first_event,
        event_count, event_at, digest, event_digest)
    select 1, n, (n - 1) * $2::bigint + 1, $2, 2 * n - 1, 2, $3::timestamptz,
        sha256(string_agg(digest, ''::bytea order by number)), ''
    from (select (number - 1) / $2::bigint + 1 as n, number, digest from transfer
          where number <= $1) as t
    group by n
"""

_LEDGER = """
    update ledger set transfer_count = $1::bigint, commit_count = $1::bigint / $2::bigint,
        event_sequence = 2 * ($1::bigint / $2::bigint), last_event_at = $3::timestamptz
    where id = 1
"""


async def fill(owner_dsn: str, count: int, *, first_account: int, accounts: int) -> None:
    """Put `count` transfers into an empty main ledger, between accounts that lie side by side.

    Args:
        count: A multiple of `COMMIT_SIZE`.
    """
    owner = await asyncpg.connect(owner_dsn)
    try:
        at = datetime.now(UTC)
        first_of_month = datetime(at.year, at.month, 1, tzinfo=UTC)
        part = f"transfer_{at:%Y%m}"
        await _rows(owner, part, count, first_account, accounts, at, first_of_month)
        async with owner.transaction():
            await owner.execute(_ACCOUNTS, count)
            await owner.execute(_COMMITS, count, COMMIT_SIZE, at)
            await owner.execute(_LEDGER, count, COMMIT_SIZE, at)
        await owner.execute("vacuum (analyze) transfer, account, ledger_commit", timeout=None)
        await owner.execute("checkpoint")
        counted = await owner.fetchval("select count(*) from transfer")
        assert counted == count, f"{counted} transfers were filled in, not {count}"
    finally:
        await owner.close()


async def _rows(
    owner: "asyncpg.Connection[asyncpg.Record]",
    part: str,
    count: int,
    first_account: int,
    accounts: int,
    at: datetime,
    first_of_month: datetime,
) -> None:
    """Fill the partition apart from its table, then let it take its place again."""
    bounds = await owner.fetchval(
        "select pg_get_expr(relpartbound, oid) from pg_class where oid = $1::regclass", part
    )
    async with owner.transaction():
        await owner.execute(f"alter table transfer detach partition {part}")
        for index in await owner.fetch(_INDEXES, part):
            is_key = index["name"].endswith("_pkey")
            await owner.execute(
                f"alter table {part} drop constraint {index['name']}"
                if is_key
                else f"drop index {index['name']}"
            )
        start_ms = int(first_of_month.timestamp() * 1000)
        await owner.execute("set local synchronous_commit = off")
        await owner.execute("set local maintenance_work_mem = '1GB'")
        await owner.execute(
            _ROWS.format(part=part), count, first_account, accounts, at, start_ms, timeout=None
        )
        await owner.execute(f"alter table {part} alter id set not null")
        # Attaching builds every index that the table has.
        await owner.execute(f"alter table transfer attach partition {part} {bounds}")
