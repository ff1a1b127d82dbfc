"""Posting: one batch of one ledger in one transaction."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import asyncpg
from ironloop.settlement.v1 import settlement_pb2

from services.kit import timers
from services.kit.connection import Connection
from services.kit.database import Database
from services.kit.ids import fact_id, name
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.settlement import commit_store, hold_store
from services.settlement import posting_store as store
from services.settlement.account import Ledger, ledger_of
from services.settlement.events import event_id, events_of, payload_digest, told
from services.settlement.ledger_state import Chain, Hold, State, reversed_id
from services.settlement.memory import Memory
from services.settlement.plan import Plan, plan, plan_expiry
from services.settlement.posting_store import Sight
from services.settlement.transfer import REVERSAL, IdWindow, Outcome, Transfer, TransferKind

EXPIRY_TIMER = "expire_holds"
EXPIRED_MAX = 1_000  # holds released in one transaction; more follow in the next
AT_ONCE_MAX = 256  # transfers; COPY is the faster way to write more, and works beside the service
TICK = timedelta(microseconds=1)  # the least by which PostgreSQL tells two instants apart
ID_AHEAD = timedelta(days=1)  # clocks of clients differ; more is a defect of theirs


class _Made(NamedTuple):
    """A batch that was planned on a sight and written."""

    sight: Sight
    plan: Plan
    at: datetime
    event_count: int


async def post(
    tx: Transaction, ledger_id: int, batch: Sequence[Chain], *, ledgers: frozenset[int]
) -> Sequence[Outcome]:
    """Post chains of one ledger in the course of a transaction; one outcome a transfer, in order.

    Args:
        ledgers: Every ledger that exists.

    Raises:
        LedgerBroken: What the database holds contradicts the rules; a defect.
    """
    await store.lock_ledger(tx.connection, ledger_id)
    return (await _post(tx, ledger_id, batch, ledgers, None)).plan.outcomes


async def post_alone(
    database: Database,
    ledger_id: int,
    batch: Sequence[Chain],
    *,
    ledgers: frozenset[int],
    memory: Memory,
    sent: Sequence[settlement_pb2.Transfer] | None = None,
) -> Sequence[Outcome]:
    """Do as `post` in a transaction of its own, in as few round trips as the batch allows.

    Args:
        memory: Of this process; nothing else posts to the ledger from here at the same time.
        sent: The transfers as the contract has them, in order, where they came in so.
    """
    try:
        outcomes = await database.run_unopened(
            lambda tx: post_at_once(tx, ledger_id, batch, ledgers=ledgers, memory=memory, sent=sent)
        )
    except asyncpg.UniqueViolationError:
        outcomes = None  # one of the ids is a transfer by now: it is told under the lock
    if outcomes is None:
        outcomes = await _post_locked(database, ledger_id, batch, ledgers, memory, sent)
    return outcomes


async def _post_locked(
    database: Database,
    ledger_id: int,
    batch: Sequence[Chain],
    ledgers: frozenset[int],
    memory: Memory,
    sent: Sequence[settlement_pb2.Transfer] | None,
) -> Sequence[Outcome]:
    async def locked(tx: Transaction) -> _Made:
        # The lock travels with BEGIN, the ledger's counters with COMMIT.
        return await _post(tx, ledger_id, batch, ledgers, sent, is_alone=True)

    opening = store.locking(ledger_id)
    try:
        made = await database.run(locked, opening=opening)
    except asyncpg.UniqueViolationError:
        # Another ledger took one of the ids between our look and our write: it is known now.
        made = await database.run(locked, opening=opening)
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
    sight = await _look(tx.connection, ledger_id, numbers, rows)
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
    at = _event_time(tx, sight.ledger)
    made = plan(_state(ledgers, sight), batch, at=at, window=_window(sight, at))
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
    _remember(memory, _Made(sight, made, at, event_count=1), locks=0)
    return made.outcomes


async def _post(
    tx: Transaction,
    ledger_id: int,
    batch: Sequence[Chain],
    ledgers: frozenset[int],
    sent: Sequence[settlement_pb2.Transfer] | None,
    *,
    is_alone: bool = False,
) -> _Made:
    rows = [row for chain in batch for row in chain.rows]
    state, sight = await _load(tx.connection, ledger_id, rows, ledgers)
    at = _event_time(tx, sight.ledger)
    made = plan(state, batch, at=at, window=_window(sight, at))
    await _write(tx, sight.ledger, made, at, lambda: told(made, rows, sent), is_alone=is_alone)
    return _Made(sight, made, at, event_count=len(tx.events))


def _remember(memory: Memory, made: _Made, *, locks: int) -> None:
    memory.committed(
        made.sight,
        made.plan.sums,
        at=made.at,
        transfer_count=len(made.plan.created),
        event_count=made.event_count,
        locks=locks,
    )


async def expire_holds(tx: Transaction, timer: Timer) -> None:
    """Release the holds of a ledger whose time is up, and set the timer for the next.

    Those of one instant may be more than one transaction takes; the timer then follows at once.
    """
    ledger_id = timer.payload["ledger"]
    await store.lock_ledger(tx.connection, ledger_id)
    ledger = await store.find_ledger(tx.connection, ledger_id)
    at = _event_time(tx, ledger)
    expired = await hold_store.list_expired_holds(
        tx.connection, ledger_id, at=at, limit=EXPIRED_MAX
    )
    if expired:
        state = await _load_expired(tx, ledger, expired)
        rows = [expiry_of(hold, state.posted[hold.pending_id].transfer) for hold in expired]
        made = plan_expiry(state, rows, at=at)
        await _write(tx, ledger, made, at, lambda: told(made, rows, None))
    following_at = await hold_store.next_expiry(tx.connection, ledger_id)
    if following_at is not None:
        await _set_expiry_timer(tx, ledger, max(following_at, timer.due_at + TICK))


def ledger_of_rows(rows: Sequence[Transfer], ledgers: frozenset[int]) -> int | None:
    """Return the ledger of the first account that has one, which is the batch's; None if none."""
    for row in rows:
        for number in (row.debit_account, row.credit_account):
            if (ledger := ledger_of(number)) in ledgers:
                return ledger
    return None


def _event_time(tx: Transaction, ledger: Ledger) -> datetime:
    """Return domain time; a ledger's never runs backwards, whichever replica posts."""
    return max(tx.now, ledger.last_event_at) if ledger.last_event_at else tx.now


def _window(sight: Sight, at: datetime) -> IdWindow:
    newest = max(at, datetime.now(UTC)) + ID_AHEAD
    return IdWindow(sight.oldest_ms, int(newest.timestamp() * 1000))


def _is_plain(row: Transfer) -> bool:
    return row.kind == TransferKind.POSTED and row.pending_id is None and row.code != REVERSAL


async def _look(
    connection: Connection, ledger_id: int, numbers: Collection[int], rows: Sequence[Transfer]
) -> Sight:
    return await store.look(
        connection,
        ledger_id,
        accounts=[number for number in numbers if ledger_of(number) == ledger_id],
        ids=[row.id for row in rows],
    )


def _state(ledgers: frozenset[int], sight: Sight) -> State:
    """Return what a batch of new transfers can see."""
    return State(
        ledger=sight.ledger.id,
        ledgers=ledgers,
        accounts=sight.accounts,
        last_number=sight.ledger.transfer_count,
    )


async def _load(
    connection: Connection, ledger_id: int, rows: Sequence[Transfer], ledgers: frozenset[int]
) -> tuple[State, Sight]:
    """Return what the batch can see, and the look that told most of it."""
    pending_ids = [row.pending_id for row in rows if row.pending_id is not None]
    originals = [
        original
        for row in rows
        if row.code == REVERSAL and (original := reversed_id(row)) is not None
    ]
    holds = await hold_store.find_holds(connection, pending_ids) if pending_ids else {}
    numbers = {row.debit_account for row in rows}
    numbers.update(row.credit_account for row in rows)
    for hold in holds.values():
        numbers |= {hold.debit_account, hold.credit_account}
    sight = await _look(connection, ledger_id, numbers, rows)
    known = [*sight.posted, *pending_ids, *originals]
    state = replace(
        _state(ledgers, sight),
        posted=await store.find_transfers(connection, known) if known else {},
        refused=await store.find_refusals(connection, sight.refused) if sight.refused else {},
        holds=holds,
        reversals=await store.find_reversals(connection, originals) if originals else {},
    )
    return state, sight


async def _load_expired(tx: Transaction, ledger: Ledger, expired: Sequence[Hold]) -> State:
    numbers = {hold.debit_account for hold in expired} | {hold.credit_account for hold in expired}
    return State(
        ledger=ledger.id,
        ledgers=frozenset({ledger.id}),
        accounts=await store.find_accounts(tx.connection, numbers),
        posted=await store.find_transfers(tx.connection, [hold.pending_id for hold in expired]),
        holds={hold.pending_id: hold for hold in expired},
        last_number=ledger.transfer_count,
    )


async def _write(
    tx: Transaction,
    ledger: Ledger,
    made: Plan,
    at: datetime,
    tell: Callable[[], Sequence[settlement_pb2.Transfer]],
    *,
    is_alone: bool = False,
) -> None:
    connection = tx.connection
    if made.refused:
        await store.insert_refusals(connection, made.refused, ledger=ledger.id, at=at)
    if not made.created:
        return
    digest, events = await commit_store.insert_transfers(
        connection,
        made.created,
        ledger=ledger.id,
        at=at,
        meanwhile=lambda: events_of(ledger, made.created, tell()),
    )
    if made.opened:
        await hold_store.insert_holds(connection, made.opened)
    if made.resolved:
        await hold_store.resolve_holds(connection, made.resolved)
    if made.reversals:
        await store.insert_reversals(connection, made.reversals)
    for event in events:
        await tx.emit(event, event_id=event_id(event, at))
    digests = [payload_digest(row.payload) for row in tx.events[-len(events) :]]
    for statement, arguments in commit_store.advanced(
        ledger,
        transfer_count=len(made.created),
        event_count=len(events),
        at=at,
        digest=digest,
        event_digest=b"".join(digests),
    ):
        if is_alone:
            tx.write_last(statement, *arguments)
        else:
            await tx.connection.execute(statement, *arguments)
    expiries = [hold.expires_at for hold in made.opened if hold.expires_at is not None]
    if expiries:
        await _expire_by(tx, ledger, min(expiries))


async def _expire_by(tx: Transaction, ledger: Ledger, due_at: datetime) -> None:
    """See to it that the expiry timer fires by an instant.

    A timer that fires earlier is only looked at, not written: while it fires, its runner holds its
    row and waits for the ledger that is locked here. It reads the next expiry once it has it.
    """
    set_to = await timers.find_due_at(tx.connection, EXPIRY_TIMER, ledger.name)
    if set_to is None or set_to > due_at:
        await _set_expiry_timer(tx, ledger, due_at)


async def _set_expiry_timer(tx: Transaction, ledger: Ledger, due_at: datetime) -> None:
    await tx.set_timer(EXPIRY_TIMER, ledger.name, due_at=due_at, payload={"ledger": ledger.id})


def expiry_of(hold: Hold, pending: Transfer) -> Transfer:
    """Return settlement's own transfer that releases a hold, always the same for a hold."""
    assert hold.expires_at is not None
    return pending._replace(
        id=fact_id(hold.expires_at, name("transfers", hold.pending_id), "expiry"),
        kind=TransferKind.EXPIRE_PENDING,
        pending_id=hold.pending_id,
        timeout_s=0,
        linked=False,
    )
