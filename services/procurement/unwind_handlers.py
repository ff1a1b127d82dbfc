"""The way back of an order's money and machines: cancelled, unpaid, or returned after a dispute."""

from uuid import UUID

from google.protobuf.message import Message
from ironloop.procurement.v1 import procurement_events_pb2 as events

from services.kit import wire
from services.kit.principals import principal
from services.kit.sagas import Saga
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.procurement import order_store
from services.procurement.clients import WIN_DEFAULTED, WIN_VOID
from services.procurement.lifecycle import ORDER
from services.procurement.order_handlers import event_of_machines, lock, lock_idle, require_side
from services.procurement.order_model import CancelReason, DisputeOutcome, Order, OrderState
from services.procurement.order_wire import cancel_reason_number

UNWIND_ORDER = "unwind_order"


async def begin_cancel(tx: Transaction, order_id: UUID, *, etag: str) -> Saga:
    """Begin to cancel an order that is not dispatched.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
    """
    order = await lock_idle(tx, order_id, etag=etag)
    ORDER.next(order.state, "cancel", subject=order.name)
    require_side(order, "cancel")
    reason = CancelReason.BUYER if principal().party == order.buyer else CancelReason.SELLER
    return await begin_unwinding(tx, order, command="cancel", reason=reason)


async def cancel_unpaid(tx: Transaction, timer: Timer) -> None:
    """Cancel an order whose time to be paid is over.

    Raises:
        SagaRunning: It is being funded or cancelled right now; the timer is tried again.
    """
    order = await lock_idle(tx, UUID(timer.subject.removeprefix("orders/")), etag="")
    if order.state is OrderState.CONFIRMED:
        await begin_unwinding(tx, order, command="expire", reason=CancelReason.UNPAID)


async def begin_unwinding(
    tx: Transaction, order: Order, *, command: str, reason: CancelReason | None
) -> Saga:
    """Begin to give back what a locked order holds; `command` says how it ends."""
    return await tx.start_saga(
        UNWIND_ORDER,
        order.name,
        facts={
            "command": command,
            "reason": reason or "",
            "buyer": order.buyer,
            "seller": order.seller,
            "escrow": order.escrow_account,
            "refund_fen": order.total_fen if order.escrow_account else 0,
            "lines": [[line.machine, line.listing] for line in order.lines],
            "resolver": principal().actor,
            "auction": order.origin.auction,
            "win_outcome": _win_outcome(order, command=command, reason=reason),
        },
    )


def _win_outcome(order: Order, *, command: str, reason: CancelReason | None) -> str:
    """Return how a win ends with its order: a winner that does not pay leaves its deposit."""
    is_unpaid = not order.escrow_account
    gave_up = command == "expire" or reason is CancelReason.BUYER
    return WIN_DEFAULTED if is_unpaid and gave_up else WIN_VOID


async def mark_unwound(
    tx: Transaction, order_id: UUID, *, command: str, reason: str, resolver: str
) -> None:
    """Write that money and machines of an order are back where they came from."""
    order = await lock(tx, order_id)
    step = ORDER.next(order.state, command, subject=order.name)
    refund = wire.money(order.total_fen if order.escrow_account else 0)
    if command == "take_back":
        assert order.dispute is not None, "only a disputed order is taken back"
        ended = order.dispute.ended(DisputeOutcome.RETURN, resolver=resolver)
        await order_store.write_dispute(tx.connection, order.id, ended)
        unwound = order.moved(step, at=tx.now, dispute=ended)
        event: Message = event_of_machines(
            order, events.OrderReturned, unwound.event_sequence, refund=refund
        )
    else:
        cancelled_for = CancelReason(reason)
        unwound = order.moved(
            step, at=tx.now, cancel_reason=cancelled_for, payment_deadline_at=None
        )
        event = event_of_machines(
            order,
            events.OrderCancelled,
            unwound.event_sequence,
            reason=cancel_reason_number(cancelled_for),
            refund=refund,
        )
    await order_store.update_order(tx.connection, unwound)
    await order_store.release_machines(tx.connection, order.id)
    await tx.cancel_timers(order.name)
    await tx.emit(event)
