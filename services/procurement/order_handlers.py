"""What is done with orders up to their acceptance, one transaction a command."""

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from google.protobuf.message import Message
from ironloop.procurement.v1 import procurement_events_pb2 as events

from services.kit import sagas, wire
from services.kit.calendar import BusinessCalendar
from services.kit.database import Database
from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal, principal
from services.kit.sagas import Saga
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.procurement import order_store, policy_store
from services.procurement.errors import MachineInOrder, NotAPartyToThis, TotalTooLarge
from services.procurement.lifecycle import ORDER
from services.procurement.order_model import (
    ORDER_TOTAL_FEN_MAX,
    Address,
    Document,
    Order,
    OrderLine,
    OrderState,
    Origin,
    TradePolicy,
    acceptance_deadline,
    payment_deadline,
)
from services.procurement.order_wire import lines_to_wire

CREATE_ORDER = "create_order"
FUND_ORDER = "fund_order"
DELIVER_ORDER = "deliver_order"
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
    policy: TradePolicy,
    origin: Origin,
) -> Order:
    """Write an order whose machines are reserved.

    Raises:
        TotalTooLarge: Its lines sum to more than an order may.
        MachineInOrder: A machine is in another live order.
    """
    order = Order(
        id=order_id,
        version=1,
        event_sequence=1,
        state=OrderState.CREATED,
        buyer=buyer,
        seller=seller,
        origin=origin,
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
            pool=name("demandPools", origin.pool_id) if origin.pool_id else "",
        )
    )
    return order


async def confirm(tx: Transaction, order_id: UUID, *, etag: str) -> Order:
    """Let the seller confirm an order; its time to be paid begins.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
    """
    order = await lock_idle(tx, order_id, etag=etag)
    ORDER.next(order.state, "confirm", subject=order.name)
    require_seller(order, "confirm")
    return await confirm_order(tx, order)


async def confirm_order(tx: Transaction, order: Order) -> Order:
    """Confirm a locked order; its time to be paid begins."""
    step = ORDER.next(order.state, "confirm", subject=order.name)
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
        FUND_ORDER,
        order.name,
        facts={"buyer": order.buyer, "total_fen": order.total_fen, "auction": order.origin.auction},
    )


async def mark_funded(tx: Transaction, order_id: UUID, *, escrow: str) -> None:
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
    await tx.emit(event_of_machines(order, events.OrderDispatched, dispatched.event_sequence))
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
) -> None:
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
        event_of_machines(
            order,
            events.OrderDelivered,
            delivered.event_sequence,
            acceptance_deadline_time=wire.instant(deadline_at),
        )
    )


async def accept(tx: Transaction, order_id: UUID, *, etag: str) -> Order:
    """Let the buyer accept a delivery; settlement begins.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
    """
    order = await lock_idle(tx, order_id, etag=etag)
    ORDER.next(order.state, "accept", subject=order.name)
    require_buyer(order, "accept")
    return await accept_order(tx, order, command="accept")


async def accept_when_due(tx: Transaction, timer: Timer) -> None:
    """Accept a delivery that the buyer neither accepted nor disputed in time."""
    order = await lock(tx, UUID(timer.subject.removeprefix("orders/")))
    if order.state is OrderState.DELIVERED:
        await accept_order(tx, order, command="accept_automatically")


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


async def accept_order(tx: Transaction, order: Order, *, command: str) -> Order:
    """Accept a locked order by one of the commands that lead there, and begin to settle it."""
    step = ORDER.next(order.state, command, subject=order.name)
    automatically = command == "accept_automatically"
    accepted = order.moved(step, at=tx.now, accepted_automatically=automatically)
    await order_store.update_order(tx.connection, accepted)
    await tx.cancel_timers(order.name, kind=ACCEPTANCE_TIMER)
    await tx.start_saga(SETTLE_ORDER, order.name)
    await tx.emit(
        event_of_machines(
            order,
            events.OrderAccepted,
            accepted.event_sequence,
            automatically=automatically,
            allowance=wire.money(order.allowance_fen),
        )
    )
    return accepted


def event_of_machines(
    order: Order, event: type[Message], sequence: int, **values: object
) -> Message:
    """Return an event that names an order, its parties and its machines."""
    return event(
        order=order.name,
        sequence=sequence,
        buyer=order.buyer,
        seller=order.seller,
        machines=order.machines,
        **values,
    )
