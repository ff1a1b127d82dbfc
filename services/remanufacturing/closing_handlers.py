"""How core returns end: credited, rejected, forfeited or cancelled, one transaction a command."""

from uuid import UUID

from services.kit import sagas
from services.kit.lifecycle import TransitionRefused
from services.kit.sagas import Saga
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.remanufacturing import core_store
from services.remanufacturing.core_handlers import FORFEITURE_TIMER, lock, lock_own, money_facts
from services.remanufacturing.core_model import CoreReturn, CoreState
from services.remanufacturing.core_wire import (
    cancelled_event,
    credited_event,
    forfeited_event,
    rejected_event,
)
from services.remanufacturing.lifecycle import CORE_RETURN

CANCEL_RETURN = "cancel_core_return"
REJECT_CORE = "reject_core"
FORFEIT_DEPOSIT = "forfeit_core_deposit"


async def begin_rejection(
    tx: Transaction, core_return_id: UUID, *, etag: str, why: str, freight_fen: int
) -> Saga:
    """Begin to send a core back at the payer's cost.

    Raises:
        NotFound, NotYours, EtagMismatch, SagaRunning: As they say.
        TransitionRefused: It is not here, or not graded to be sent back.
    """
    core_return = await lock_own(tx, core_return_id, "reject", etag=etag)
    step = CORE_RETURN.next(core_return.state, "reject", subject=core_return.name)
    grading = core_return.grading
    if step.source is CoreState.GRADED and not (grading and grading.send_back):
        raise TransitionRefused(
            CORE_RETURN.aggregate, step.source, step.command, subject=core_return.name
        )
    facts = money_facts(core_return) | {"freight_fen": freight_fen, "why": why}
    return await tx.start_saga(REJECT_CORE, core_return.name, facts=facts)


async def begin_cancellation(tx: Transaction, core_return_id: UUID) -> Saga:
    """Begin to give a deposit back; one that is back already is not paid again.

    Raises:
        NotFound, SagaRunning, TransitionRefused: As they say.
    """
    core_return = await lock(tx, core_return_id)
    await sagas.require_idle(tx.connection, core_return.name)
    is_done = core_return.state is CoreState.CANCELLED
    if not is_done:
        CORE_RETURN.next(core_return.state, "cancel", subject=core_return.name)
    facts = money_facts(core_return) | {
        "credit_fen": core_return.deposit_fen,
        "is_done": is_done,
    }
    return await tx.start_saga(CANCEL_RETURN, core_return.name, facts=facts)


async def forfeit_when_due(tx: Transaction, timer: Timer) -> None:
    """Begin to keep a deposit whose core has not come in by day 180.

    Raises:
        SagaRunning: The return is being cancelled or rejected; the timer comes again.
    """
    core_return = await lock(tx, UUID(timer.subject.removeprefix("coreReturns/")))
    if core_return.state not in (CoreState.DEPOSIT_CHARGED, CoreState.AUTHORISED):
        return
    await sagas.require_idle(tx.connection, core_return.name)
    await tx.start_saga(FORFEIT_DEPOSIT, core_return.name, facts=money_facts(core_return))


async def mark_credited(tx: Transaction, core_return_id: UUID, *, txn: UUID) -> None:
    """Write that a core's credit is in the payer's wallet."""
    core_return = await lock(tx, core_return_id)
    assert core_return.grading is not None, "what is credited was graded"
    credited = await _close(
        tx, core_return, "credit", credit_fen=core_return.grading.credit_fen, closing_txn=txn
    )
    await tx.emit(credited_event(credited))


async def mark_rejected(
    tx: Transaction, core_return_id: UUID, *, why: str, freight_fen: int, txn: UUID
) -> None:
    """Write that a core goes back and its deposit is kept."""
    rejected = await _close(
        tx,
        await lock(tx, core_return_id),
        "reject",
        credit_fen=0,
        return_freight_fen=freight_fen,
        reject_reason=why,
        closing_txn=txn,
    )
    await tx.emit(rejected_event(rejected))


async def mark_forfeited(tx: Transaction, core_return_id: UUID, *, txn: UUID) -> None:
    """Write that a deposit is kept."""
    core_return = await lock(tx, core_return_id)
    forfeited = await _close(tx, core_return, "forfeit", credit_fen=0, closing_txn=txn)
    await tx.emit(forfeited_event(forfeited))


async def mark_cancelled(tx: Transaction, core_return_id: UUID, *, txn: UUID) -> None:
    """Write that a deposit is back with its payer."""
    core_return = await lock(tx, core_return_id)
    cancelled = await _close(
        tx, core_return, "cancel", credit_fen=core_return.deposit_fen, closing_txn=txn
    )
    await tx.emit(cancelled_event(cancelled))


async def _close(
    tx: Transaction, core_return: CoreReturn, command: str, **changes: object
) -> CoreReturn:
    step = CORE_RETURN.next(core_return.state, command, subject=core_return.name)
    closed = core_return.moved(step, at=tx.now, **changes)
    await core_store.update_core_return(tx.connection, closed)
    await tx.cancel_timers(core_return.name, kind=FORFEITURE_TIMER)
    return closed
