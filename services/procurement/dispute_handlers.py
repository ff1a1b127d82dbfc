"""Disputes over a delivery: raised by the buyer, ended by an allowance or a return."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from ironloop.options.v1 import options_pb2
from ironloop.procurement.v1 import procurement_events_pb2 as events

from services.kit.amounts import yuan
from services.kit.errors import InvalidArgument
from services.kit.principals import principal
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.procurement import order_store
from services.procurement.errors import DisputeWindowClosed
from services.procurement.lifecycle import ORDER
from services.procurement.order_handlers import (
    ACCEPTANCE_TIMER,
    accept_order,
    event_of_machines,
    lock_idle,
    require_buyer,
    require_side,
)
from services.procurement.order_model import (
    Dispute,
    DisputeOutcome,
    Document,
    Order,
    check_resolution,
)
from services.procurement.order_wire import claimed_allowance, outcome_number
from services.procurement.unwind_handlers import begin_unwinding


async def dispute(
    tx: Transaction,
    order_id: UUID,
    *,
    etag: str,
    reason: str,
    claim: DisputeOutcome,
    claimed_allowance_fen: int,
    documents: Sequence[Document],
) -> Order:
    """Let the buyer dispute a delivery within the acceptance window.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        DisputeWindowClosed: The window has passed and its timer has not fired yet.
        InvalidArgument: More is claimed than the buyer paid.
    """
    order = await lock_idle(tx, order_id, etag=etag)
    step = ORDER.next(order.state, "dispute", subject=order.name)
    require_buyer(order, "dispute")
    assert order.acceptance_deadline_at is not None, "set from delivery on"
    if tx.now >= order.acceptance_deadline_at:
        raise DisputeWindowClosed(order.name, order.acceptance_deadline_at)
    _check_allowance(order, claimed_allowance_fen, field="claimed_allowance")
    raised = Dispute(reason, claim, claimed_allowance_fen, tuple(documents), tx.now)
    disputed = order.moved(step, at=tx.now, dispute=raised)
    await order_store.update_order(tx.connection, disputed)
    await order_store.write_dispute(tx.connection, order.id, raised)
    await tx.cancel_timers(order.name, kind=ACCEPTANCE_TIMER)
    await tx.emit(
        event_of_machines(
            order,
            events.OrderDisputed,
            disputed.event_sequence,
            claim=outcome_number(claim),
            claimed_allowance=claimed_allowance(raised),
        )
    )
    return disputed


async def grant_allowance(
    tx: Transaction, order_id: UUID, *, etag: str, allowance_fen: int
) -> Order:
    """End a dispute: the buyer keeps the machines and gets an allowance, which may be zero.

    Raises:
        NotFound, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        NotAPartyToThis, NotYoursToDecide: As they say.
        InvalidArgument: The allowance exceeds what the buyer paid.
    """
    order = await lock_idle(tx, order_id, etag=etag)
    ORDER.next(order.state, "grant_allowance", subject=order.name)
    _check_allowance(order, allowance_fen, field="allowance")
    _check_resolution(order, DisputeOutcome.ALLOWANCE, allowance_fen=allowance_fen)
    assert order.dispute is not None, "a disputed order has its dispute"
    ended = order.dispute.ended(DisputeOutcome.ALLOWANCE, resolver=principal().actor)
    await order_store.write_dispute(tx.connection, order.id, ended)
    return await accept_order(
        tx,
        replace(order, dispute=ended, allowance_fen=allowance_fen),
        command="grant_allowance",
    )


async def begin_return(tx: Transaction, order_id: UUID, *, etag: str) -> Saga:
    """Begin to end a dispute by a return: machines and money go back to where they came from.

    Raises:
        NotFound, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        NotAPartyToThis, NotYoursToDecide: As they say.
    """
    order = await lock_idle(tx, order_id, etag=etag)
    ORDER.next(order.state, "take_back", subject=order.name)
    _check_resolution(order, DisputeOutcome.RETURN, allowance_fen=0)
    return await begin_unwinding(tx, order, command="take_back", reason=None)


def _check_resolution(order: Order, outcome: DisputeOutcome, *, allowance_fen: int) -> None:
    assert order.dispute is not None, "a disputed order has its dispute"
    if not principal().holds(options_pb2.ROLE_OPERATOR):
        require_side(order, "resolve the dispute of")
    side = {order.buyer: "buyer", order.seller: "seller"}.get(principal().party, "")
    check_resolution(order.dispute, side=side, outcome=outcome, allowance_fen=allowance_fen)


def _check_allowance(order: Order, allowance_fen: int, *, field: str) -> None:
    if allowance_fen > order.total_fen:
        raise InvalidArgument(field, f"must not exceed the total of {yuan(order.total_fen)}")
