"""Posting alone: a batch in a commit of its own, in as few round trips as it allows."""

from collections.abc import Sequence

import asyncpg
from ironloop.settlement.v1 import settlement_pb2

from services.kit.database import Database
from services.kit.transaction import Transaction
from services.settlement import commit_store
from services.settlement import posting_store as store
from services.settlement.events import event_id, events_of, payload_digest, told
from services.settlement.ledger_state import Chain
from services.settlement.memory import Memory
from services.settlement.plan import plan
from services.settlement.posting import (
    Posting,
    event_time,
    look,
    post_locked,
    state_of,
    window_of,
)
from services.settlement.posting_store import Sight
from services.settlement.transfer import REVERSAL, Outcome, Transfer, TransferKind

AT_ONCE_MAX = 256  # transfers; COPY is the faster way to write more, and works beside the service


async def post_alone(
    database: Database,
    ledger_id: int,
    batch: Sequence[Chain],
    *,
    ledgers: frozenset[int],
    memory: Memory,
    sent: Sequence[settlement_pb2.Transfer] | None = None,
) -> Sequence[Outcome]:
    """Post chains of one ledger in a commit of its own; one outcome a transfer, in order.

    Args:
        memory: Of this process; nothing else posts to the ledger from here at the same time.
        ledgers: Every ledger that exists.
        sent: The transfers as the contract has them, in order, where they came in so.

    Raises:
        LedgerBroken: What the database holds contradicts the rules; a defect.
    """
    try:
        outcomes = await database.run_unopened(
            lambda tx: post_at_once(tx, ledger_id, batch, ledgers=ledgers, memory=memory, sent=sent)
        )
    except asyncpg.UniqueViolationError:
        outcomes = None  # one of the ids is a transfer by now: it is told under the lock
    if outcomes is None:
        outcomes = await _alone_locked(database, ledger_id, batch, ledgers, memory, sent)
    return outcomes


async def _alone_locked(
    database: Database,
    ledger_id: int,
    batch: Sequence[Chain],
    ledgers: frozenset[int],
    memory: Memory,
    sent: Sequence[settlement_pb2.Transfer] | None,
) -> Sequence[Outcome]:
    async def locked(tx: Transaction) -> Posting:
        # The lock travels with BEGIN, the ledger's counters with COMMIT.
        return await post_locked(tx, ledger_id, batch, ledgers, sent, is_alone=True)

    opening = store.locking(ledger_id)
    try:
        made = await database.run(locked, opening=opening)
    except asyncpg.UniqueViolationError:
        # Another ledger took one of the ids between our look and our write: it is known now.
        made = await database.run(locked, opening=opening)
    if len(made.plan.outcomes) > AT_ONCE_MAX:
        memory.forget(ledger_id)  # what so many accounts cost to keep outweighs the next one's look
    else:
        _remember(memory, made, locks=1)
    return made.plan.outcomes


async def post_at_once(
    tx: Transaction,
    ledger_id: int,
    batch: Sequence[Chain],
    *,
    ledgers: frozenset[int],
    memory: Memory,
    sent: Sequence[settlement_pb2.Transfer] | None = None,
) -> Sequence[Outcome] | None:
    """Post plain transfers that all succeed in one write, outside a transaction.

    It is planned on what is remembered, or else on a look. No lock is held before the write, which
    goes through only if nothing came between. None where something did, or where something is not
    plain; nothing is written then.

    Raises:
        asyncpg.UniqueViolationError: One of the ids is a transfer already; nothing is written.
    """
    rows = [row for chain in batch for row in chain.rows]
    if len(rows) > AT_ONCE_MAX or not all(_is_plain(row) for row in rows):
        return None
    numbers = {row.debit_account for row in rows} | {row.credit_account for row in rows}
    sight = memory.sight(ledger_id, numbers)
    if sight is not None:
        outcomes = await _write_at_once(tx, sight, batch, rows, ledgers, memory, sent)
        if outcomes is not None:
            return outcomes
    sight = await look(tx.connection, ledger_id, numbers, rows)
    memory.saw(sight)
    if sight.posted or sight.refused:
        return None
    return await _write_at_once(tx, sight, batch, rows, ledgers, memory, sent)


async def _write_at_once(
    tx: Transaction,
    sight: Sight,
    batch: Sequence[Chain],
    rows: Sequence[Transfer],
    ledgers: frozenset[int],
    memory: Memory,
    sent: Sequence[settlement_pb2.Transfer] | None,
) -> Sequence[Outcome] | None:
    """Plan plain transfers on a sight and write them; None where they are not written."""
    at = event_time(tx, sight.ledger)
    made = plan(state_of(ledgers, sight), batch, at=at, window=window_of(sight, at))
    if len(made.created) < len(rows):
        return None
    (event,) = events_of(sight.ledger, made.created, told(made, rows, sent))
    await tx.emit(event, event_id=event_id(event, at))
    is_written = False
    try:
        is_written = await commit_store.insert_at_once(
            tx.connection,
            sight.ledger,
            made.created,
            tx.events[-1],
            at=at,
            event_digest=payload_digest(tx.events[-1].payload),
            server_start=sight.server_start,
        )
    finally:
        if not is_written:
            memory.forget(sight.ledger.id)
            tx.events.clear()
    if not is_written:
        return None
    _remember(memory, Posting(sight, made, at, event_count=1), locks=0)
    return made.outcomes


def _remember(memory: Memory, made: Posting, *, locks: int) -> None:
    memory.committed(
        made.sight,
        made.plan.sums,
        at=made.at,
        transfer_count=len(made.plan.created),
        event_count=made.event_count,
        locks=locks,
    )


def _is_plain(row: Transfer) -> bool:
    return row.kind == TransferKind.POSTED and row.pending_id is None and row.code != REVERSAL
