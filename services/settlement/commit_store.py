"""SQL of a commit: its transfers, its ledger's counters, and its permanent row."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import asyncpg

from services.kit.connection import Connection
from services.kit.copying import copy_while
from services.kit.outbox import COLUMNS as OUTBOX_COLUMNS
from services.kit.outbox import OutboxRow
from services.settlement.account import Ledger
from services.settlement.copy_form import COLUMNS, copy_form
from services.settlement.transfer import Posted, TransferKind

Made = TypeVar("Made")


class LedgerBroken(Exception):
    """What the database holds is not what the rules say; nothing of the batch is committed."""


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
    server_start: datetime,
) -> bool:
    """Write a commit of plain transfers in one statement, which is a transaction of its own.

    Args:
        ledger: As it was seen; nothing is written, and False returned, where it is so no longer,
            or where one of the ids was refused before.
        created: Transfers that are neither pending nor resolve anything.
        event: Tells all of them.
        server_start: Of the server on which the ledger was seen.

    Raises:
        asyncpg.UniqueViolationError: One of the ids is a transfer already.
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
            server_start,
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


# What differs from row to row comes as arrays, the rest is that of a plain posted transfer. The
# ledger's row is written first; where it is not as it was seen, so is nothing else. Refusals are
# looked for id by id, by their key: joined or by `any`, a plan made while there were few of them
# reads all of them for each commit until the table is analyzed.
_INSERT_AT_ONCE = f"""
    with moved as (
        update ledger set commit_count = commit_count + 1, event_sequence = $5::bigint,
            transfer_count = transfer_count + cardinality($14::uuid[]),
            last_event_at = $6::timestamptz
        where id = $1 and commit_count = $2::bigint and revision = $3
            and pg_postmaster_start_time() = $28::timestamptz
            and not exists (
                select from unnest((select $14::uuid[])) as sent (id) where exists (
                    select from rejection where rejection.id = sent.id offset 0))
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
            offset 0 -- hides the lengths from the planner, as in `posting_store.look`
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
