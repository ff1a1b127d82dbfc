"""SQL of posting: what a batch reads under its locks, and what it writes."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar
from uuid import UUID

import asyncpg

from services.kit.connection import Connection, Row
from services.kit.copying import copy_while
from services.kit.outbox import COLUMNS as OUTBOX_COLUMNS
from services.kit.outbox import OutboxRow
from services.settlement.account import Account, Ledger
from services.settlement.copy_form import COLUMNS, copy_form
from services.settlement.ledger_state import Hold, HoldState
from services.settlement.transfer import (
    Posted,
    Refused,
    ResultCode,
    Standing,
    Transfer,
    TransferKind,
)

Made = TypeVar("Made")


class LedgerBroken(Exception):
    """What the database holds is not what the rules say; nothing of the batch is committed."""


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
        posted: Which of the ids looked for are transfers.
        refused: Which of them are stored refusals.
    """

    ledger: Ledger
    oldest_ms: int
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
    *of_ledger, oldest_ms, posted, refused = row[:12]
    columns = row[12:]
    found = (
        {}
        if columns[0] is None
        else {
            columns[0][place]: account
            for place, account in enumerate(map(Account._make, zip(*columns, strict=True)))
        }
    )
    return Sight(Ledger(*of_ledger), oldest_ms or 0, found, posted, refused)


async def find_ledger_of_hold(connection: Connection, pending_ids: Sequence[UUID]) -> int | None:
    """Return the ledger of the first pending transfer that exists."""
    ledger: int | None = await connection.fetchval(
        """
        select h.ledger from unnest($1::uuid[]) with ordinality as p (id, place)
        join hold h on h.pending_id = p.id order by place limit 1
        """,
        pending_ids,
    )
    return ledger


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


async def find_holds(connection: Connection, pending_ids: Sequence[UUID]) -> dict[UUID, Hold]:
    """Return holds by the id of their pending transfer."""
    rows = await connection.fetch(
        "select * from hold where pending_id = any($1::uuid[])", pending_ids
    )
    return {row["pending_id"]: _hold_of(row) for row in rows}


async def find_reversals(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Return by which transfer each of `ids` was reversed, where it was."""
    rows = await connection.fetch("select * from reversal where reversed = any($1::uuid[])", ids)
    return {row["reversed"]: row["reversed_by"] for row in rows}


async def list_expired_holds(
    connection: Connection, ledger: int, *, at: datetime, limit: int
) -> list[Hold]:
    """Return open holds whose time is up, the earliest first."""
    rows = await connection.fetch(
        """
        select * from hold where ledger = $1 and state = 1 and expires_at <= $2
        order by expires_at, pending_id limit $3
        """,
        ledger,
        at,
        limit,
    )
    return [_hold_of(row) for row in rows]


async def next_expiry(connection: Connection, ledger: int) -> datetime | None:
    """Return when the first open hold of a ledger expires."""
    expires_at: datetime | None = await connection.fetchval(
        """
        select min(expires_at) from hold
        where ledger = $1 and state = 1 and expires_at is not null
        """,
        ledger,
    )
    return expires_at


async def insert_transfers(
    connection: Connection,
    created: Sequence[Posted],
    *,
    ledger: int,
    at: datetime,
    meanwhile: Callable[[], Made],
) -> tuple[bytes, Made]:
    """Write transfers, which moves their accounts; return the digest of the batch.

    Args:
        meanwhile: Is called while PostgreSQL works, which takes longer than all else of a
            posting; what it returns is returned too.

    Raises:
        LedgerBroken: The accounts would not come to stand as planned.
    """
    digests, content = copy_form(created, ledger=ledger, at=at)
    try:
        made = await copy_while(
            connection,
            "transfer",
            [content],
            columns=COLUMNS,
            form="binary",
            meanwhile=meanwhile,
        )
    except asyncpg.IntegrityConstraintViolationError as error:
        raise _broken(error) from error
    return hashlib.sha256(b"".join(digests)).digest(), made


async def insert_at_once(
    connection: Connection,
    ledger: Ledger,
    created: Sequence[Posted],
    event: OutboxRow,
    *,
    at: datetime,
    event_digest: bytes,
) -> bool:
    """Write a commit of plain transfers in one statement, which is a transaction of its own.

    Args:
        ledger: As it was seen; nothing is written, and False returned, where it is so no longer.
        created: Transfers that are neither pending nor resolve anything.
        event: Tells all of them.

    Raises:
        LedgerBroken: The accounts would not come to stand as planned.
    """
    digests, _ = copy_form(created, ledger=ledger.id, at=at)
    try:
        written = await connection.fetchval(
            _INSERT_AT_ONCE,
            ledger.id,
            ledger.commit_count,
            ledger.revision,
            ledger.transfer_count,
            ledger.event_sequence + 1,
            at,
            hashlib.sha256(b"".join(digests)).digest(),
            event_digest,
            event.event_id,
            event.topic,
            event.key,
            event.headers,
            event.payload,
            *_columns(created),
            digests,
        )
    except asyncpg.IntegrityConstraintViolationError as error:
        raise _broken(error) from error
    return written is not None


def _columns(created: Sequence[Posted]) -> Iterator[list[object]]:
    """Return what differs among plain transfers, a list a column."""
    rows, _, _, _, debits, credits_ = zip(*created, strict=True)
    ids, txns, _, debit_accounts, credit_accounts, amounts, _, _, linked, codes, purposes, memos = (
        zip(*rows, strict=True)
    )
    yield from map(list, (ids, txns, debit_accounts, credit_accounts, amounts, linked, codes))
    yield from map(list, (purposes, memos))
    yield from map(list, zip(*debits, strict=True))
    yield from map(list, zip(*credits_, strict=True))


def _broken(error: asyncpg.IntegrityConstraintViolationError) -> Exception:
    """Return what a refused write means: an id that is known by now, or a defect."""
    is_known = isinstance(error, asyncpg.UniqueViolationError)
    return error if is_known else LedgerBroken(str(error))


async def insert_holds(connection: Connection, holds: Sequence[Hold]) -> None:
    """Write new holds."""
    await connection.execute(
        """
        insert into hold (pending_id, ledger, debit_account, credit_account, amount, state,
            expires_at, resolved_by)
        select * from unnest($1::uuid[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[],
            $6::smallint[], $7::timestamptz[], $8::uuid[])
        """,
        *zip(*holds, strict=True),
    )


async def resolve_holds(connection: Connection, holds: Sequence[Hold]) -> None:
    """Mark open holds as resolved.

    Raises:
        LedgerBroken: One of them was resolved before.
    """
    status = await connection.execute(
        """
        update hold set state = r.state, resolved_by = r.resolved_by
        from unnest($1::uuid[], $2::smallint[], $3::uuid[]) as r (pending_id, state, resolved_by)
        where hold.pending_id = r.pending_id and hold.state = 1
        """,
        [hold.pending_id for hold in holds],
        [hold.state for hold in holds],
        [hold.resolved_by for hold in holds],
    )
    if status != f"UPDATE {len(holds)}":
        raise LedgerBroken(f"{status} of {len(holds)} holds to resolve")


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


# What differs from row to row comes as arrays, the rest is that of a plain posted transfer. The
# ledger's row is written first; where it is not as it was seen, so is nothing else.
_INSERT_AT_ONCE = f"""
    with moved as (
        update ledger set commit_count = commit_count + 1, event_sequence = $5::bigint,
            transfer_count = transfer_count + cardinality($14::uuid[]),
            last_event_at = $6::timestamptz
        where id = $1 and commit_count = $2::bigint and revision = $3
        returning id
    ), kept as (
        insert into ledger_commit (ledger, sequence, first_number, transfer_count, first_event,
            event_count, event_at, digest, event_digest)
        select id, $2::bigint + 1, $4::bigint + 1, cardinality($14::uuid[]), $5::bigint, 1,
            $6::timestamptz, $7::bytea, $8::bytea
        from moved
    ), told as (
        insert into outbox ({OUTBOX_COLUMNS})
        select $9::uuid, $10::text, $11::text, $12::jsonb, $13::bytea from moved
    ), added as (
        insert into transfer (ledger, event_at, number, id, txn, kind, debit_account,
            credit_account, amount, released, timeout_s, linked, code, debit_balance,
            debit_available, credit_balance, credit_available, purpose, memo, pending_id, digest)
        select moved.id, $6::timestamptz, $4::bigint + r.place, r.id, r.txn,
            {TransferKind.POSTED:d}, r.debit_account, r.credit_account, r.amount, 0, 0, r.linked,
            r.code, r.debit_balance, r.debit_available, r.credit_balance, r.credit_available,
            r.purpose, r.memo, null, r.digest
        from moved, (
            select $14::uuid[] as ids, $15::uuid[] as txns, $16::bigint[] as debit_accounts,
                $17::bigint[] as credit_accounts, $18::bigint[] as amounts,
                $19::boolean[] as linked, $20::smallint[] as codes, $21::text[] as purposes,
                $22::text[] as memos, $23::bigint[] as debit_balances,
                $24::bigint[] as debit_availables, $25::bigint[] as credit_balances,
                $26::bigint[] as credit_availables, $27::bytea[] as digests
            offset 0 -- hides the lengths from the planner, as in `look`
        ) as sent, unnest(ids, txns, debit_accounts, credit_accounts, amounts, linked, codes,
            purposes, memos, debit_balances, debit_availables, credit_balances,
            credit_availables, digests) with ordinality
            as r (id, txn, debit_account, credit_account, amount, linked, code, purpose, memo,
                debit_balance, debit_available, credit_balance, credit_available, digest, place)
    )
    select id from moved
"""
_ADVANCE_LEDGER = """
    update ledger set commit_count = $2, transfer_count = $3, event_sequence = $4,
        last_event_at = $5::timestamptz
    where id = $1
"""
_INSERT_COMMIT = """
    insert into ledger_commit (ledger, sequence, first_number, transfer_count, first_event,
        event_count, event_at, digest, event_digest)
    values ($1, $2, $3, $4, $5, $6, $7::timestamptz, $8::bytea, $9::bytea)
"""


def advanced(
    ledger: Ledger,
    *,
    transfer_count: int,
    event_count: int,
    at: datetime,
    digest: bytes,
    event_digest: bytes,
) -> list[tuple[str, Sequence[object]]]:
    """Return the statements, with arguments, that move a locked ledger's counters by one commit
    and keep the commit's permanent row.
    """
    sequence, number = ledger.commit_count + 1, ledger.transfer_count + 1
    event = ledger.event_sequence + 1
    moved = (sequence, ledger.transfer_count + transfer_count, ledger.event_sequence + event_count)
    return [
        (_ADVANCE_LEDGER, (ledger.id, *moved, at)),
        (
            _INSERT_COMMIT,
            (
                ledger.id,
                sequence,
                number,
                transfer_count,
                event,
                event_count,
                at,
                digest,
                event_digest,
            ),
        ),
    ]


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


def _hold_of(row: Row) -> Hold:
    return Hold(
        row["pending_id"],
        row["ledger"],
        row["debit_account"],
        row["credit_account"],
        row["amount"],
        HoldState(row["state"]),
        row["expires_at"],
        row["resolved_by"],
    )
