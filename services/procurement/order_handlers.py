"""What is done with orders up to their acceptance, one transaction a command."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from uuid import UUID

from google.protobuf.message import Message
from ironloop.options.v1 import options_pb2
from ironloop.procurement.v1 import procurement_events_pb2 as events

from services.kit import sagas, wire
from services.kit.calendar import BusinessCalendar
from services.kit.database import Database
from services.kit.errors import InvalidArgument, NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal, principal
from services.kit.sagas import Saga
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.procurement import order_store, policy_store
from services.procurement.errors import (
    DisputeWindowClosed,
    MachineInOrder,
    NotAPartyToThis,
    TotalTooLarge,
    yuan,
)
from services.procurement.lifecycle import ORDER
from services.procurement.order_model import (
    ORDER_TOTAL_FEN_MAX,
    Address,
    CancelReason,
    Dispute,
    DisputeOutcome,
    Document,
    Order,
    OrderLine,
    OrderState,
    acceptance_deadline,
    check_resolution,
    payment_deadline,
)
from services.procurement.order_wire import (
    cancel_reason_number,
    claimed_allowance,
    lines_to_wire,
    outcome_number,
)

CREATE_ORDER = "create_order"
FUND_ORDER = "fund_order"
DELIVER_ORDER = "deliver_order"
UNWIND_ORDER = "unwind_order"
SETTLE_ORDER = "settle_order"

PAYMENT_TIMER = "order_payment"
ACCEPTANCE_TIMER = "order_acceptance"


async def get_order(database: Database, order_id: UUID, *, viewer: Principal) -> Order:
    """Return an order.

    Raises:
        NotFound: There is none that the viewer may see.
    """
    async with database.read() as connection:
        order = await order_store.find_order(connection, order_id, viewer=viewer)
    if order is None:
        raise NotFound(name("orders", order_id))
    return order


async def begin_order(
    tx: Transaction, *, listings: Sequence[str], address: Address, expected_total_fen: int | None
) -> Saga:
    """Begin to order listed machines: they are reserved first."""
    return await tx.start_saga(
        CREATE_ORDER,
        name("orders", new_id()),
        facts={
            "buyer": principal().require_party(),
            "listings": list(listings),
            "address": asdict(address),
            "expected_total_fen": expected_total_fen,
        },
    )


async def create_order(
    tx: Transaction,
    order_id: UUID,
    *,
    buyer: str,
    seller: str,
    lines: Sequence[OrderLine],
    address: Address,
    pool_id: UUID | None = None,
) -> Order:
    """Write an order whose machines are reserved.

    Raises:
        TotalTooLarge: Its lines sum to more than an order may.
        MachineInOrder: A machine is in another live order.
    """
    policy = await policy_store.policy_in_force(tx.connection)
    order = Order(
        id=order_id,
        version=1,
        event_sequence=1,
        state=OrderState.CREATED,
        buyer=buyer,
        seller=seller,
        pool_id=pool_id,
        lines=tuple(lines),
        address=address,
        policy_version=policy.version,
        create_time=tx.now,
        update_time=tx.now,
    )
    if order.total_fen > ORDER_TOTAL_FEN_MAX:
        raise TotalTooLarge(order.total_fen, ORDER_TOTAL_FEN_MAX)
    await order_store.insert_order(tx.connection, order)
    if taken := await order_store.insert_lines(tx.connection, order):
        raise MachineInOrder(taken)
    await tx.emit(
        events.OrderCreated(
            order=order.name,
            sequence=order.event_sequence,
            buyer=buyer,
            seller=seller,
            lines=lines_to_wire(lines),
            total=wire.money(order.total_fen),
            pool=name("demandPools", pool_id) if pool_id else "",
        )
    )
    return order


async def confirm(tx: Transaction, order_id: UUID, *, etag: str) -> Order:
    """Let the seller confirm an order; its time to be paid begins.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
    """
    order = await lock_idle(tx, order_id, etag=etag)
    step = ORDER.next(order.state, "confirm", subject=order.name)
    require_seller(order, "confirm")
    policy = await policy_store.get_policy(tx.connection, order.policy_version)
    deadline_at = payment_deadline(tx.today, policy)
    confirmed = order.moved(step, at=tx.now, payment_deadline_at=deadline_at)
    await order_store.update_order(tx.connection, confirmed)
    await tx.set_timer(PAYMENT_TIMER, order.name, due_at=deadline_at)
    await tx.emit(
        events.OrderConfirmed(
            order=order.name,
            sequence=confirmed.event_sequence,
            buyer=order.buyer,
            seller=order.seller,
            payment_deadline_time=wire.instant(deadline_at),
        )
    )
    return confirmed


async def begin_funding(tx: Transaction, order_id: UUID, *, etag: str) -> Saga:
    """Begin to pay an order's total into its escrow.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
    """
    order = await lock_idle(tx, order_id, etag=etag)
    ORDER.next(order.state, "fund", subject=order.name)
    require_buyer(order, "fund")
    return await tx.start_saga(
        FUND_ORDER, order.name, facts={"buyer": order.buyer, "total_fen": order.total_fen}
    )


async def mark_funded(tx: Transaction, order_id: UUID, *, escrow: str) -> Order:
    """Write that an order's total is in its escrow."""
    order = await lock(tx, order_id)
    step = ORDER.next(order.state, "fund", subject=order.name)
    funded = order.moved(step, at=tx.now, escrow_account=escrow, payment_deadline_at=None)
    await order_store.update_order(tx.connection, funded)
    await tx.cancel_timers(order.name, kind=PAYMENT_TIMER)
    await tx.emit(
        events.OrderFunded(
            order=order.name,
            sequence=funded.event_sequence,
            buyer=order.buyer,
            seller=order.seller,
            lines=lines_to_wire(order.lines),
            total=wire.money(order.total_fen),
            escrow_account=escrow,
        )
    )
    return funded


async def dispatch(tx: Transaction, order_id: UUID, *, etag: str, document: Document) -> Order:
    """Let the seller send an order's machines off.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
    """
    order = await lock_idle(tx, order_id, etag=etag)
    step = ORDER.next(order.state, "dispatch", subject=order.name)
    require_seller(order, "dispatch")
    dispatched = order.moved(step, at=tx.now, dispatch_document=document)
    await order_store.update_order(tx.connection, dispatched)
    await tx.emit(_of(order, events.OrderDispatched, dispatched.event_sequence))
    return dispatched


async def begin_delivery(tx: Transaction, order_id: UUID, *, etag: str, proof: Document) -> Saga:
    """Begin to record a delivery: marketplace makes the buyer custodian of the machines.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
    """
    order = await lock_idle(tx, order_id, etag=etag)
    ORDER.next(order.state, "deliver", subject=order.name)
    require_side(order, "deliver")
    return await tx.start_saga(
        DELIVER_ORDER,
        order.name,
        facts={
            "buyer": order.buyer,
            "seller": order.seller,
            "machines": order.machines,
            "proof": asdict(proof),
        },
    )


async def mark_delivered(
    tx: Transaction, order_id: UUID, *, proof: Document, calendar: BusinessCalendar
) -> Order:
    """Write that an order's machines have arrived; the acceptance window opens."""
    order = await lock(tx, order_id)
    step = ORDER.next(order.state, "deliver", subject=order.name)
    policy = await policy_store.get_policy(tx.connection, order.policy_version)
    deadline_at = acceptance_deadline(tx.today, policy, calendar)
    delivered = order.moved(
        step, at=tx.now, delivery_proof=proof, acceptance_deadline_at=deadline_at
    )
    await order_store.update_order(tx.connection, delivered)
    await tx.set_timer(ACCEPTANCE_TIMER, order.name, due_at=deadline_at)
    await tx.emit(
        _of(
            order,
            events.OrderDelivered,
            delivered.event_sequence,
            acceptance_deadline_time=wire.instant(deadline_at),
        )
    )
    return delivered


async def accept(tx: Transaction, order_id: UUID, *, etag: str) -> Order:
    """Let the buyer accept a delivery; settlement begins.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
    """
    order = await lock_idle(tx, order_id, etag=etag)
    ORDER.next(order.state, "accept", subject=order.name)
    require_buyer(order, "accept")
    return await _accept(tx, order, command="accept")


async def accept_when_due(tx: Transaction, timer: Timer) -> None:
    """Accept a delivery that the buyer neither accepted nor disputed in time."""
    order = await lock(tx, UUID(timer.subject.removeprefix("orders/")))
    if order.state is OrderState.DELIVERED:
        await _accept(tx, order, command="accept_automatically")


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
        _of(
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
    ended = await _end_dispute(tx, order, DisputeOutcome.ALLOWANCE, resolver=principal().actor)
    return await _accept(
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
    return await _begin_unwinding(tx, order, command="take_back", reason=None)


async def begin_cancel(tx: Transaction, order_id: UUID, *, etag: str) -> Saga:
    """Begin to cancel an order that is not dispatched.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
    """
    order = await lock_idle(tx, order_id, etag=etag)
    ORDER.next(order.state, "cancel", subject=order.name)
    require_side(order, "cancel")
    reason = CancelReason.BUYER if principal().party == order.buyer else CancelReason.SELLER
    return await _begin_unwinding(tx, order, command="cancel", reason=reason)


async def cancel_unpaid(tx: Transaction, timer: Timer) -> None:
    """Cancel an order whose time to be paid is over.

    Raises:
        SagaRunning: It is being funded or cancelled right now; the timer is tried again.
    """
    order = await lock_idle(tx, UUID(timer.subject.removeprefix("orders/")), etag="")
    if order.state is OrderState.CONFIRMED:
        await _begin_unwinding(tx, order, command="expire", reason=CancelReason.UNPAID)


async def mark_unwound(
    tx: Transaction, order_id: UUID, *, command: str, reason: str, resolver: str
) -> Order:
    """Write that money and machines of an order are back where they came from."""
    order = await lock(tx, order_id)
    step = ORDER.next(order.state, command, subject=order.name)
    refund = wire.money(order.total_fen if order.escrow_account else 0)
    if command == "take_back":
        ended = await _end_dispute(tx, order, DisputeOutcome.RETURN, resolver=resolver)
        unwound = order.moved(step, at=tx.now, dispute=ended)
        event: Message = _of(order, events.OrderReturned, unwound.event_sequence, refund=refund)
    else:
        cancelled_for = CancelReason(reason)
        unwound = order.moved(
            step, at=tx.now, cancel_reason=cancelled_for, payment_deadline_at=None
        )
        event = _of(
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
    return unwound


async def lock(tx: Transaction, order_id: UUID) -> Order:
    """Return an order, locked for change.

    Raises:
        NotFound: There is none that the caller may see.
    """
    order = await order_store.lock_order(tx.connection, order_id, viewer=principal())
    if order is None:
        raise NotFound(name("orders", order_id))
    return order


async def lock_idle(tx: Transaction, order_id: UUID, *, etag: str) -> Order:
    """Return an order, locked for change, that no saga works on.

    Raises:
        NotFound: There is none that the caller may see.
        SagaRunning: A saga works on it.
        EtagMismatch: It changed since `etag` was read.
    """
    order = await lock(tx, order_id)
    await sagas.require_idle(tx.connection, order.name)
    check_etag(etag, order.version)
    return order


def require_buyer(order: Order, command: str) -> None:
    """Check that the caller acts for the buyer.

    Raises:
        NotAPartyToThis: It does not.
    """
    if principal().party != order.buyer:
        raise NotAPartyToThis(command, side="buyer", order=order.name)


def require_seller(order: Order, command: str) -> None:
    """Check that the caller acts for the seller.

    Raises:
        NotAPartyToThis: It does not.
    """
    if principal().party != order.seller:
        raise NotAPartyToThis(command, side="seller", order=order.name)


def require_side(order: Order, command: str) -> None:
    """Check that the caller acts for the buyer or the seller.

    Raises:
        NotAPartyToThis: It acts for neither.
    """
    if principal().party not in (order.buyer, order.seller):
        raise NotAPartyToThis(command, side="buyer or seller", order=order.name)


async def _accept(tx: Transaction, order: Order, *, command: str) -> Order:
    step = ORDER.next(order.state, command, subject=order.name)
    automatically = command == "accept_automatically"
    accepted = order.moved(step, at=tx.now, accepted_automatically=automatically)
    await order_store.update_order(tx.connection, accepted)
    await tx.cancel_timers(order.name, kind=ACCEPTANCE_TIMER)
    await tx.start_saga(SETTLE_ORDER, order.name)
    await tx.emit(
        _of(
            order,
            events.OrderAccepted,
            accepted.event_sequence,
            automatically=automatically,
            allowance=wire.money(order.allowance_fen),
        )
    )
    return accepted


async def _begin_unwinding(
    tx: Transaction, order: Order, *, command: str, reason: CancelReason | None
) -> Saga:
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
        },
    )


async def _end_dispute(
    tx: Transaction, order: Order, outcome: DisputeOutcome, *, resolver: str
) -> Dispute:
    assert order.dispute is not None, "a disputed order has its dispute"
    ended = replace(order.dispute, outcome=outcome, resolver=resolver)
    await order_store.write_dispute(tx.connection, order.id, ended)
    return ended


def _check_resolution(order: Order, outcome: DisputeOutcome, *, allowance_fen: int) -> None:
    assert order.dispute is not None, "a disputed order has its dispute"
    if not principal().holds(options_pb2.ROLE_OPERATOR):
        require_side(order, "resolve the dispute of")
    side = {order.buyer: "buyer", order.seller: "seller"}.get(principal().party, "")
    check_resolution(order.dispute, side=side, outcome=outcome, allowance_fen=allowance_fen)


def _check_allowance(order: Order, allowance_fen: int, *, field: str) -> None:
    if allowance_fen > order.total_fen:
        raise InvalidArgument(field, f"must not exceed the total of {yuan(order.total_fen)}")


def _of(order: Order, event: type[Message], sequence: int, **values: object) -> Message:
    """Return an event that names an order, its parties and its machines."""
    return event(
        order=order.name,
        sequence=sequence,
        buyer=order.buyer,
        seller=order.seller,
        machines=order.machines,
        **values,
    )
