"""SQL of posting: what a batch reads, under its locks or before, and the refusals it keeps."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.kit.connection import Connection, Row
from services.settlement.account import Account, Ledger
from services.settlement.transfer import (
    Posted,
    Refused,
    ResultCode,
    Standing,
    Transfer,
)


def locking(ledger: int) -> str:
    """Return the statement that locks a ledger until the commit.

    Whoever changes a ledger, its accounts or its holds locks its row first: its commits are one
    after the other, and none overlaps the closing of a partition. What is read in a later
    statement is read under the lock; what another saw before it no longer counts.
    """
    return f"update ledger set revision = revision + 1 where id = {ledger:d}"


async def lock_ledger(connection: Connection, ledger: int) -> None:
    """Lock a ledger until the commit."""
    await connection.execute(locking(ledger))


async def find_ledger(connection: Connection, ledger: int) -> Ledger:
    """Return a ledger."""
    row = await connection.fetchrow("select * from ledger where id = $1", ledger)
    assert row is not None, f"there is no ledger {ledger}"
    return Ledger(**row)


class Sight(NamedTuple):
    """What one look at a ledger tells of a batch.

    Attributes:
        oldest_ms: The lowest time of ids that is accepted, in milliseconds since 1970.
        server_start: Since when the server that was looked at is up; no two have it in common.
        posted: Which of the ids looked for are transfers.
        refused: Which of them are stored refusals.
    """

    ledger: Ledger
    oldest_ms: int
    server_start: datetime
    accounts: dict[int, Account]
    posted: Sequence[UUID]
    refused: Sequence[UUID]


async def look(
    connection: Connection, ledger: int, *, accounts: Collection[int], ids: Collection[UUID]
) -> Sight:
    """Return a ledger, those of the accounts that exist, and which ids it knows: one snapshot.

    The bounds of the ids let PostgreSQL pass over the partitions that hold none of them. Parameters
    stand in selects of their own, which hides their values from the planner: it would make a new
    plan for every short batch, which takes it longer than the look.
    """
    row = await connection.fetchrow(
        """
        select l.id, l.book, l.currency_code, l.event_sequence, l.commit_count, l.transfer_count,
            l.last_event_at, l.create_time, l.revision,
            (select min(lower_ms) from transfer_partition where state = 'ATTACHED') as oldest_ms,
            pg_postmaster_start_time() as server_start,
            array(select id from transfer
                  where id = any((select $3::uuid[])::uuid[])
                    and id between (select $4::uuid) and (select $5::uuid)) as posted,
            array(select id from rejection
                  where id = any((select $3::uuid[])::uuid[])) as refused, a.*
        from ledger l, (
            select array_agg(id) as accounts, array_agg(flags), array_agg(debits_pending),
                array_agg(credits_pending), array_agg(debits_posted), array_agg(credits_posted)
            from account where id = any((select $2::bigint[])::bigint[])
        ) as a
        where l.id = $1
        """,
        ledger,
        accounts,
        ids,
        min(ids),
        max(ids),
    )
    assert row is not None, f"there is no ledger {ledger}"
    *of_ledger, oldest_ms, server_start, posted, refused = row[:13]
    columns = row[13:]
    found = (
        {}
        if columns[0] is None
        else {
            columns[0][place]: account
            for place, account in enumerate(map(Account._make, zip(*columns, strict=True)))
        }
    )
    return Sight(Ledger(*of_ledger), oldest_ms or 0, server_start, found, posted, refused)


async def find_accounts(connection: Connection, numbers: Iterable[int]) -> dict[int, Account]:
    """Return accounts by number."""
    rows = await connection.fetch(
        """
        select id, flags, debits_pending, credits_pending, debits_posted, credits_posted
        from account where id = any($1::bigint[])
        """,
        list(numbers),
    )
    return {row["id"]: Account(*row) for row in rows}


async def find_transfers(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Posted]:
    """Return posted transfers by id."""
    rows = await connection.fetch("select * from transfer where id = any($1::uuid[])", ids)
    return {row["id"]: posted_of(row) for row in rows}


async def list_numbered(
    connection: Connection, ledger: int, *, first_number: int, end_number: int
) -> list[Posted]:
    """Return the transfers of a ledger in a range of numbers, in order."""
    rows = await connection.fetch(
        """
        select * from transfer where ledger = $1 and number >= $2 and number < $3 order by number
        """,
        ledger,
        first_number,
        end_number,
    )
    return [posted_of(row) for row in rows]


async def find_refusals(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Refused]:
    """Return stored refusals by id."""
    rows = await connection.fetch("select * from rejection where id = any($1::uuid[])", ids)
    return {row["id"]: Refused(_transfer_of(row), ResultCode(row["reason"])) for row in rows}


async def find_reversals(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Return by which transfer each of `ids` was reversed, where it was."""
    rows = await connection.fetch("select * from reversal where reversed = any($1::uuid[])", ids)
    return {row["reversed"]: row["reversed_by"] for row in rows}


async def insert_refusals(
    connection: Connection, refused: Sequence[Refused], *, ledger: int, at: datetime
) -> None:
    """Keep refusals."""
    await connection.execute(
        """
        insert into rejection
            (ledger, event_at, id, txn, kind, debit_account, credit_account, amount, pending_id,
             timeout_s, linked, code, purpose, memo, reason)
        select $1, $2, * from unnest(
            $3::uuid[], $4::uuid[], $5::int[], $6::bigint[], $7::bigint[], $8::bigint[],
            $9::uuid[], $10::int[], $11::boolean[], $12::int[], $13::text[], $14::text[],
            $15::smallint[])
        """,
        ledger,
        at,
        *zip(*(each.transfer for each in refused), strict=True),
        [each.reason for each in refused],
    )


async def insert_reversals(connection: Connection, pairs: Sequence[tuple[UUID, UUID]]) -> None:
    """Note by which transfer each was reversed."""
    await connection.execute(
        "insert into reversal (reversed, reversed_by) select * from unnest($1::uuid[], $2::uuid[])",
        *zip(*pairs, strict=True),
    )


def posted_of(row: Row) -> Posted:
    """Return a transfer from its row."""
    return Posted(
        _transfer_of(row),
        row["number"],
        row["released"],
        row["event_at"],
        Standing(row["debit_balance"], row["debit_available"]),
        Standing(row["credit_balance"], row["credit_available"]),
    )


def _transfer_of(row: Row) -> Transfer:
    return Transfer(
        row["id"],
        row["txn"],
        row["kind"],
        row["debit_account"],
        row["credit_account"],
        row["amount"],
        row["pending_id"],
        row["timeout_s"],
        row["linked"],
        row["code"],
        row["purpose"],
        row["memo"],
    )
