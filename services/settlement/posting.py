"""Posting: one batch of one ledger in one transaction."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ironloop.settlement.v1 import settlement_pb2

from services.kit import timers
from services.kit.connection import Connection
from services.kit.ids import fact_id, name
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.settlement import commit_store, hold_store
from services.settlement import posting_store as store
from services.settlement.account import Ledger, ledger_of
from services.settlement.events import event_id, events_of, payload_digest, told
from services.settlement.ledger_state import Chain, Hold, State, reversed_id
from services.settlement.plan import Plan, plan, plan_expiry
from services.settlement.posting_store import Sight
from services.settlement.transfer import REVERSAL, IdWindow, Outcome, Transfer, TransferKind

EXPIRY_TIMER = "expire_holds"
EXPIRED_MAX = 1_000  # holds released in one transaction; more follow in the next
TICK = timedelta(microseconds=1)  # the least by which PostgreSQL tells two instants apart
ID_AHEAD = timedelta(days=1)  # clocks of clients differ; more is a defect of theirs


class Posting(NamedTuple):
    """A batch that was planned on a sight and written, with so many events."""

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
    return (await post_locked(tx, ledger_id, batch, ledgers, None)).plan.outcomes


async def post_locked(
    tx: Transaction,
    ledger_id: int,
    batch: Sequence[Chain],
    ledgers: frozenset[int],
    sent: Sequence[settlement_pb2.Transfer] | None,
    *,
    is_alone: bool = False,
) -> Posting:
    """Post chains of a ledger whose row this transaction has locked.

    Args:
        sent: The transfers as the contract has them, in order, where they came in so.
        is_alone: Whether nothing follows in the transaction.

    Raises:
        LedgerBroken: What the database holds contradicts the rules; a defect.
    """
    rows = [row for chain in batch for row in chain.rows]
    state, sight = await _load(tx.connection, ledger_id, rows, ledgers)
    at = event_time(tx, sight.ledger)
    made = plan(state, batch, at=at, window=window_of(sight, at))
    await _write(tx, sight.ledger, made, at, lambda: told(made, rows, sent), is_alone=is_alone)
    return Posting(sight, made, at, event_count=len(tx.events))


async def expire_holds(tx: Transaction, timer: Timer) -> None:
    """Release the holds of a ledger whose time is up, and set the timer for the next.

    Those of one instant may be more than one transaction takes; the timer then follows at once.
    """
    ledger_id = timer.payload["ledger"]
    await store.lock_ledger(tx.connection, ledger_id)
    ledger = await store.find_ledger(tx.connection, ledger_id)
    at = event_time(tx, ledger)
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


def event_time(tx: Transaction, ledger: Ledger) -> datetime:
    """Return domain time; a ledger's never runs backwards, whichever replica posts."""
    return max(tx.now, ledger.last_event_at) if ledger.last_event_at else tx.now


def window_of(sight: Sight, at: datetime) -> IdWindow:
    """Return the times of ids that are accepted at domain time `at`."""
    newest = max(at, datetime.now(UTC)) + ID_AHEAD
    return IdWindow(sight.oldest_ms, int(newest.timestamp() * 1000))


async def look(
    connection: Connection, ledger_id: int, numbers: Collection[int], rows: Sequence[Transfer]
) -> Sight:
    """Return what a batch can see of its ledger, in one snapshot."""
    return await store.look(
        connection,
        ledger_id,
        accounts=[number for number in numbers if ledger_of(number) == ledger_id],
        ids=[row.id for row in rows],
    )


def state_of(ledgers: frozenset[int], sight: Sight) -> State:
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
    sight = await look(connection, ledger_id, numbers, rows)
    known = [*sight.posted, *pending_ids, *originals]
    state = replace(
        state_of(ledgers, sight),
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
