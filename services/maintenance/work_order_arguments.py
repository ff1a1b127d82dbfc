"""What requests state of work orders, as arguments."""

from decimal import Decimal

from ironloop.maintenance.v1 import work_orders_pb2 as pb

from services.kit import wire
from services.kit.errors import InvalidArgument
from services.kit.ids import parse_name
from services.maintenance.completion_handlers import Report
from services.maintenance.measures import measure
from services.maintenance.work_order_handlers import WorkRequest
from services.maintenance.work_order_model import DOWNTIME_HOURS_MAX, WorkClass, WorkPlace
from services.maintenance.work_order_wire import labour_from_wire, part_from_wire

METER_HOURS_MAX = Decimal(200_000)  # what the register and remanufacturing take


def request_of(request: pb.CreateWorkOrderRequest) -> WorkRequest:
    """Return what is stated of a new work order.

    Raises:
        InvalidArgument: A number is out of its limits; names the field.
    """
    place = request.work_place or pb.WORK_PLACE_FIELD
    return WorkRequest(
        machine_id=parse_name(request.machine, "machines", field="machine"),
        title=request.title,
        work_class=WorkClass(
            wire.enum_name(pb.WorkClass, request.work_class, prefix="WORK_CLASS_")
        ),
        work_place=WorkPlace(wire.enum_name(pb.WorkPlace, place, prefix="WORK_PLACE_")),
        workshop=request.workshop,
        payer=request.payer,
        fault_ids=tuple(parse_name(fault, "faults", field="faults") for fault in request.faults),
        plan_items=tuple(request.plan_items),
        warranty_of=(
            parse_name(request.warranty_of, "workOrders", field="warranty_of")
            if request.warranty_of
            else None
        ),
        planned_parts=tuple(
            part_from_wire(part, field=f"planned_parts[{index}]")
            for index, part in enumerate(request.planned_parts)
        ),
        approved_cost_fen=(
            wire.fen(request.approved_cost, field="approved_cost")
            if request.HasField("approved_cost")
            else 0
        ),
        down_since=(
            wire.to_instant(request.down_since, field="down_since")
            if request.HasField("down_since")
            else None
        ),
    )


def report_of(request: pb.CompleteWorkOrderRequest) -> Report:
    """Return what is reported of finished work.

    Raises:
        InvalidArgument: A number is out of its limits, or an exchange is named twice.
    """
    removals = {}
    for index, removal in enumerate(request.removals):
        field = f"removals[{index}].exchange"
        exchange_id = parse_name(removal.exchange, "exchanges", field=field)
        if exchange_id in removals:
            raise InvalidArgument(field, "is named twice")
        removals[exchange_id] = removal.removed_serial
    return Report(
        hours=(
            measure(request.hours, field="hours", most=METER_HOURS_MAX, places=2)
            if request.HasField("hours")
            else None
        ),
        downtime_hours=(
            measure(
                request.downtime_hours,
                field="downtime_hours",
                most=DOWNTIME_HOURS_MAX,
                places=2,
            )
            if request.HasField("downtime_hours")
            else None
        ),
        findings=request.findings,
        parts=tuple(
            part_from_wire(part, field=f"parts[{index}]")
            for index, part in enumerate(request.parts)
        ),
        with_planned_parts=request.with_planned_parts,
        labour=tuple(
            labour_from_wire(labour, field=f"labour[{index}]")
            for index, labour in enumerate(request.labour)
        ),
        removals=removals,
        warranty_months=request.warranty_months,
        warranty_hours=request.warranty_hours,
    )
