"""Work orders as the contract shows them, in answers and in events."""

from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID

from ironloop.maintenance.v1 import work_orders_pb2 as pb

from services.kit import wire
from services.kit.etags import etag
from services.kit.ids import name
from services.maintenance.measures import measure, shown_hours
from services.maintenance.work_order_model import (
    Completion,
    WorkClass,
    WorkCost,
    WorkLabour,
    WorkOrder,
    WorkOrderState,
    WorkPart,
)

QUANTITY_MAX = Decimal(100_000)
QUANTITY_PLACES = 3
LABOUR_HOURS_MAX = Decimal(1_000)


def work_order_to_wire(order: WorkOrder) -> pb.WorkOrder:
    """Return a work order as the contract shows it."""
    shown = pb.WorkOrder(
        name=order.name,
        uid=str(order.id),
        etag=etag(order.version),
        event_sequence=order.event_sequence,
        state=state_number(order.state),
        machine=order.machine,
        title=order.title,
        work_class=class_number(order.work_class),
        work_place=wire.enum_number(pb.WorkPlace, order.work_place, prefix="WORK_PLACE_"),
        payer=order.payer,
        workshop=order.workshop,
        technician=order.technician,
        faults=fault_names(order.fault_ids),
        plan=name("servicePlans", order.plan_id) if order.plan_id else "",
        plan_items=order.plan_items,
        warranty_of=name("workOrders", order.warranty_of) if order.warranty_of else "",
        planned_parts=[part_to_wire(part) for part in order.planned_parts],
        approved_cost=wire.money(order.approved_cost_fen),
        down_since=wire.instant(order.down_since) if order.down_since else None,
        hold_note=order.hold_note,
        in_shop=order.in_shop,
        verifier=order.verifier,
        verify_time=wire.instant(order.verify_time) if order.verify_time else None,
        txn=str(order.txn) if order.txn else "",
        invoice_time=wire.instant(order.invoice_time) if order.invoice_time else None,
        cancel_reason=order.cancel_reason,
        create_time=wire.instant(order.create_time),
        update_time=wire.instant(order.update_time),
    )
    if order.hold_reason:
        shown.hold_reason = wire.enum_number(
            pb.HoldReason, order.hold_reason, prefix="HOLD_REASON_"
        )
    if order.completion:
        _show_completion(shown, order.completion)
    return shown


def state_number(state: WorkOrderState) -> pb.WorkOrderState.ValueType:
    """Return a state's number in the contract."""
    number: pb.WorkOrderState.ValueType = wire.enum_number(
        pb.WorkOrderState, state, prefix="WORK_ORDER_STATE_"
    )
    return number


def class_number(work_class: WorkClass) -> pb.WorkClass.ValueType:
    """Return a kind of work's number in the contract."""
    number: pb.WorkClass.ValueType = wire.enum_number(
        pb.WorkClass, work_class, prefix="WORK_CLASS_"
    )
    return number


def fault_names(fault_ids: Iterable[UUID]) -> list[str]:
    """Return the resource names of faults."""
    return [name("faults", fault_id) for fault_id in fault_ids]


def cost_to_wire(cost: WorkCost) -> pb.WorkCost:
    """Return a cost as the contract shows it."""
    return pb.WorkCost(
        parts=wire.money(cost.parts_fen),
        labour=wire.money(cost.labour_fen),
        warranty=wire.money(cost.warranty_fen),
        total=wire.money(cost.total_fen),
        units=wire.money(cost.units_fen),
    )


def part_to_wire(part: WorkPart) -> pb.WorkPart:
    """Return a part as the contract shows it."""
    return pb.WorkPart(
        part_number=part.part_number,
        description=part.description,
        quantity=wire.decimal(part.quantity),
        unit_price=wire.money(part.unit_price_fen),
        under_warranty=part.under_warranty,
        serial_number=part.serial_number,
    )


def part_from_wire(part: pb.WorkPart, *, field: str) -> WorkPart:
    """Return a stated part.

    Raises:
        InvalidArgument: Its quantity or price is out of its limits; names `field`.
    """
    return WorkPart(
        part_number=part.part_number,
        description=part.description,
        quantity=measure(
            part.quantity,
            field=f"{field}.quantity",
            most=QUANTITY_MAX,
            places=QUANTITY_PLACES,
            above_zero=True,
        ),
        unit_price_fen=wire.fen(part.unit_price, field=f"{field}.unit_price"),
        under_warranty=part.under_warranty,
        serial_number=part.serial_number,
    )


def labour_from_wire(labour: pb.WorkLabour, *, field: str) -> WorkLabour:
    """Return stated labour.

    Raises:
        InvalidArgument: Its hours or rate is out of its limits; names `field`.
    """
    return WorkLabour(
        technician=labour.technician,
        hours=measure(
            labour.hours,
            field=f"{field}.hours",
            most=LABOUR_HOURS_MAX,
            places=2,
            above_zero=True,
        ),
        hourly_rate_fen=wire.fen(labour.hourly_rate, field=f"{field}.hourly_rate"),
        under_warranty=labour.under_warranty,
    )


def _show_completion(shown: pb.WorkOrder, done: Completion) -> None:
    shown.MergeFrom(
        pb.WorkOrder(
            hours=shown_hours(done.hours),
            downtime_hours=shown_hours(done.downtime_hours),
            findings=done.findings,
            parts=[part_to_wire(part) for part in done.parts],
            labour=[
                pb.WorkLabour(
                    technician=one.technician,
                    hours=wire.decimal(one.hours),
                    hourly_rate=wire.money(one.hourly_rate_fen),
                    under_warranty=one.under_warranty,
                )
                for one in done.labour
            ],
            cost=cost_to_wire(done.cost),
            completer=done.completer,
            complete_time=wire.instant(done.complete_time),
            warranty_end=wire.date(done.warranty_end) if done.warranty_end else None,
            warranty_hours_end=shown_hours(done.warranty_hours_end),
        )
    )
