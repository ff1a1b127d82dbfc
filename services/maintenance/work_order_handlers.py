"""What is done with work orders until work begins, and what all their commands share.

The machine is locked first, after its meter where that is moved too; whatever else is locked for a
machine then has no second order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from ironloop.maintenance.v1 import maintenance_events_pb2 as events
from ironloop.maintenance.v1 import work_orders_pb2 as pb
from ironloop.options.v1 import options_pb2

from services.kit import sagas
from services.kit.database import Database
from services.kit.errors import InvalidArgument, NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal, principal
from services.kit.transaction import Transaction
from services.maintenance import (
    machine_store,
    meter_store,
    plan_handlers,
    plan_store,
    work_fault_handlers,
    work_order_store,
)
from services.maintenance.machine_model import MonitoredMachine
from services.maintenance.work_errors import (
    NotAPartyToThis,
    WarrantyEnded,
    WorkshopMissing,
)
from services.maintenance.work_lifecycle import WORK_ORDER
from services.maintenance.work_order_model import (
    DOWNTIME_HOURS_MAX,
    WorkClass,
    WorkOrder,
    WorkOrderState,
    WorkPart,
    WorkPlace,
)
from services.maintenance.work_order_wire import cost_to_wire, state_number

START_WORK = "work_order_start"
TITLE_CHARACTERS_MAX = 200  # as the contract says


@dataclass(frozen=True, slots=True)
class WorkRequest:
    """What is stated of a work order when it is drafted."""

    machine_id: UUID
    title: str
    work_class: WorkClass
    work_place: WorkPlace
    workshop: str
    payer: str
    fault_ids: tuple[UUID, ...]
    plan_items: tuple[str, ...]
    warranty_of: UUID | None
    planned_parts: tuple[WorkPart, ...]
    approved_cost_fen: int
    down_since: datetime | None


async def create_work_order(tx: Transaction, asked: WorkRequest) -> WorkOrder:
    """Draft a work order.

    Raises:
        NotFound: The machine, a fault, an item or the earlier order is not the caller's to see.
        NotAPartyToThis: Another party than the caller's is to pay.
        FaultNotOpen, FaultOfAnotherMachine, WarrantyEnded: As they say.
    """
    caller = principal()
    machine = await plan_handlers.lock_seen(tx, asked.machine_id)
    payer = asked.payer or caller.require_party()
    if payer != caller.party and not caller.holds(options_pb2.ROLE_SERVICE):
        raise NotAPartyToThis("open a work order for", side="service", subject=payer)
    _check_down_since(asked.down_since, now=tx.now)
    workshop = asked.workshop or caller.require_party()
    await work_fault_handlers.check_open(tx, machine, asked.fault_ids)
    plan_id, kits = await _kits_of(tx, machine, asked.plan_items)
    if asked.warranty_of is not None:
        await _check_warranty(tx, asked.warranty_of, machine=machine, workshop=workshop)
    order = WorkOrder(
        id=new_id(),
        version=1,
        event_sequence=1,
        state=WorkOrderState.DRAFT,
        machine_id=machine.id,
        title=asked.title,
        work_class=asked.work_class,
        work_place=asked.work_place,
        payer=payer,
        workshop=workshop,
        create_time=tx.now,
        update_time=tx.now,
        fault_ids=asked.fault_ids,
        plan_id=plan_id,
        plan_items=asked.plan_items,
        warranty_of=asked.warranty_of,
        planned_parts=(*kits, *asked.planned_parts),
        approved_cost_fen=asked.approved_cost_fen,
        down_since=asked.down_since,
    )
    await work_order_store.insert_work_order(tx.connection, order)
    await tx.emit(state_changed(order, before=None))
    return order


async def get_work_order(database: Database, order_id: UUID, *, viewer: Principal) -> WorkOrder:
    """Return a work order.

    Raises:
        NotFound: There is none that the viewer may see.
    """
    async with database.read() as connection:
        order = await work_order_store.find_work_order(connection, order_id, viewer=viewer)
    if order is None:
        raise NotFound(name("workOrders", order_id))
    return order


async def draft_returned(
    tx: Transaction, machine_id: UUID, *, lease: str, lessor: str, condition: str, is_damaged: bool
) -> None:
    """Draft what is to be done on a machine that came back from its lease, for its lessor."""
    work_class = WorkClass.CORRECTIVE if is_damaged else WorkClass.INSPECTION
    order = WorkOrder(
        id=new_id(),
        version=1,
        event_sequence=1,
        state=WorkOrderState.DRAFT,
        machine_id=machine_id,
        title=f"Returned from {lease}: {condition}"[:TITLE_CHARACTERS_MAX],
        work_class=work_class,
        work_place=WorkPlace.FIELD,
        payer=lessor,
        workshop="",
        create_time=tx.now,
        update_time=tx.now,
    )
    await work_order_store.insert_work_order(tx.connection, order)
    await tx.emit(state_changed(order, before=None))


async def open_work_order(
    tx: Transaction, order_id: UUID, *, etag: str, workshop: str
) -> WorkOrder:
    """Release a draft to its workshop; its faults become WORK_ORDERED.

    Args:
        workshop: Who does it; empty: as drafted.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        FaultNotOpen: A fault was cleared or ordered meanwhile.
        WorkshopMissing: Nobody is named who does it.
    """
    machine, order = await lock_idle(tx, order_id, etag=etag)
    step = WORK_ORDER.next(order.state, "open", subject=order.name)
    require_payer(order, "open")
    workshop = workshop or order.workshop
    if not workshop:
        raise WorkshopMissing(order.name)
    await work_fault_handlers.order_work(tx, machine, order.fault_ids, work_order=order.name)
    return await save(tx, order, order.moved(step, at=tx.now, workshop=workshop))


async def lock(tx: Transaction, order_id: UUID) -> tuple[MonitoredMachine, WorkOrder]:
    """Return a work order that the caller may see with its machine, both locked.

    Raises:
        NotFound: There is none that the caller may see.
    """
    seen = await work_order_store.find_work_order(tx.connection, order_id, viewer=principal())
    if seen is None:
        raise NotFound(name("workOrders", order_id))
    machine = await machine_store.lock_machine(tx.connection, seen.machine_id)
    order = await work_order_store.lock_work_order(tx.connection, order_id)
    assert machine is not None, "a work order's machine is known"
    assert order is not None, "no work order is deleted"
    return machine, order


async def lock_idle(
    tx: Transaction, order_id: UUID, *, etag: str
) -> tuple[MonitoredMachine, WorkOrder]:
    """Return a work order and its machine, both locked, that no saga works on.

    Raises:
        NotFound: There is none that the caller may see.
        SagaRunning: A saga works on it.
        EtagMismatch: It changed since `etag` was read.
    """
    machine, order = await lock(tx, order_id)
    await sagas.require_idle(tx.connection, order.name)
    check_etag(etag, order.version)
    return machine, order


async def save(tx: Transaction, before: WorkOrder, after: WorkOrder) -> WorkOrder:
    """Write a work order that has come into another state, and tell of it."""
    await work_order_store.update_work_order(tx.connection, after)
    await tx.emit(state_changed(after, before=before.state))
    return after


def require_payer(order: WorkOrder, command: str) -> None:
    """Check that the caller acts for who pays, or is a service.

    Raises:
        NotAPartyToThis: It does not.
    """
    caller = principal()
    if caller.party != order.payer and not caller.holds(options_pb2.ROLE_SERVICE):
        raise NotAPartyToThis(command, side="payer", subject=order.name)


def require_workshop(order: WorkOrder, command: str) -> None:
    """Check that the caller acts for the workshop, or is a service.

    Raises:
        NotAPartyToThis: It does not.
    """
    caller = principal()
    if caller.party != order.workshop and not caller.holds(options_pb2.ROLE_SERVICE):
        raise NotAPartyToThis(command, side="workshop", subject=order.name)


def require_side(order: WorkOrder, command: str) -> None:
    """Check that the caller acts for who pays or for the workshop, or is a service.

    Raises:
        NotAPartyToThis: It does not.
    """
    caller = principal()
    sides = (order.payer, order.workshop)
    if caller.party not in sides and not caller.holds(options_pb2.ROLE_SERVICE):
        raise NotAPartyToThis(command, side="payer or workshop", subject=order.name)


def state_changed(
    order: WorkOrder, *, before: WorkOrderState | None
) -> events.WorkOrderStateChanged:
    """Return the event that tells of a work order's state."""
    return events.WorkOrderStateChanged(
        work_order=order.name,
        sequence=order.event_sequence,
        machine=order.machine,
        from_state=state_number(before) if before else pb.WORK_ORDER_STATE_UNSPECIFIED,
        state=state_number(order.state),
        payer=order.payer,
        workshop=order.workshop,
        cost=cost_to_wire(order.completion.cost) if order.completion else None,
    )


def _check_down_since(down_since: datetime | None, *, now: datetime) -> None:
    """Check that a machine stopped before now, and no longer ago than a downtime can be.

    Raises:
        InvalidArgument: It did not.
    """
    earliest = now - timedelta(hours=int(DOWNTIME_HOURS_MAX))
    if down_since is not None and not earliest <= down_since <= now:
        raise InvalidArgument(
            "down_since", f"must lie in {earliest.isoformat()} to {now.isoformat()}"
        )


async def _kits_of(
    tx: Transaction, machine: MonitoredMachine, codes: Sequence[str]
) -> tuple[UUID | None, list[WorkPart]]:
    """Return the machine's plan and the kits of some of its items."""
    if not codes:
        return None, []
    plan = await plan_store.find_active(tx.connection, machine.id)
    if plan is None:
        raise NotFound(f"a service plan of {machine.name}")
    kits = []
    for code in codes:
        item = plan.find_item(code)
        if item is None:
            raise NotFound(f"{plan.name}/items/{code}")
        kits += [
            WorkPart(part.part_number, part.description, part.quantity, part.unit_price_fen)
            for part in item.task.kit
        ]
    return plan.id, kits


async def _check_warranty(
    tx: Transaction, earlier_id: UUID, *, machine: MonitoredMachine, workshop: str
) -> None:
    earlier = await work_order_store.find_work_order(tx.connection, earlier_id, viewer=principal())
    if earlier is None or earlier.machine_id != machine.id or earlier.workshop != workshop:
        raise NotFound(name("workOrders", earlier_id))
    hours = await meter_store.find_hours(tx.connection, machine.id)
    if not earlier.is_under_warranty(on=tx.today, hours=hours):
        done = earlier.completion
        raise WarrantyEnded(
            earlier.name,
            end=done.warranty_end if done else None,
            hours_end=done.warranty_hours_end if done else None,
        )
