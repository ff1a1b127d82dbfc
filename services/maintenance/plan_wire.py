"""Plan templates and service plans as the contract shows them."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from ironloop.maintenance.v1 import plans_pb2 as pb

from services.kit import wire
from services.kit.clock import business_date
from services.kit.errors import InvalidArgument
from services.kit.etags import etag
from services.kit.ids import name
from services.maintenance.measures import measure, shown_hours
from services.maintenance.plan_model import PlanItem, PlanState, ServicePlan, stand
from services.maintenance.template_model import KitPart, PlanTask, PlanTemplate

INTERVAL_HOURS_MIN = Decimal(1)
INTERVAL_HOURS_MAX = Decimal(100_000)
QUANTITY_MAX = Decimal(100_000)


def template_to_wire(template: PlanTemplate) -> pb.PlanTemplate:
    """Return a template as the contract shows it."""
    return pb.PlanTemplate(
        name=template.name,
        uid=str(template.id),
        etag=etag(template.version),
        state=wire.enum_number(pb.PlanTemplateState, template.state, prefix="PLAN_TEMPLATE_STATE_"),
        owner=template.owner,
        title=template.title,
        make=template.make,
        model=template.model,
        equipment_class=template.equipment_class,
        tasks=[_task_to_wire(task) for task in template.tasks],
        create_time=wire.instant(template.create_time),
        update_time=wire.instant(template.update_time),
    )


def plan_to_wire(plan: ServicePlan, *, hours: Decimal | None, on: date) -> pb.ServicePlan:
    """Return a plan as it stands on a day at these accepted hours of its machine.

    A closed plan is shown as it was left.
    """
    if plan.state is PlanState.CLOSED:
        hours, on = plan.hours, business_date(plan.update_time)
    if hours is not None:
        plan = plan.based_on(hours)
    plan = plan.assessed(on=on)
    return pb.ServicePlan(
        name=plan.name,
        uid=str(plan.id),
        etag=etag(plan.version),
        event_sequence=plan.event_sequence,
        state=wire.enum_number(pb.ServicePlanState, plan.state, prefix="SERVICE_PLAN_STATE_"),
        machine=plan.machine,
        template=name("planTemplates", plan.template_id),
        reference=plan.reference,
        items=[_item_to_wire(item, hours=plan.hours, on=on) for item in plan.items],
        compliance=wire.decimal(plan.compliance),
        hours=shown_hours(plan.hours),
        create_time=wire.instant(plan.create_time),
        update_time=wire.instant(plan.update_time),
    )


def tasks_from_wire(tasks: Sequence[pb.PlanTask]) -> list[PlanTask]:
    """Return stated tasks.

    Raises:
        InvalidArgument: Two share a code, one has no interval, or a number is out of its limits.
    """
    found: dict[str, PlanTask] = {}
    for index, task in enumerate(tasks):
        field = f"tasks[{index}]"
        if task.code in found:
            raise InvalidArgument(f"{field}.code", f'"{task.code}" is the code of another task')
        found[task.code] = _task_from_wire(task, field=field)
    return list(found.values())


def _task_from_wire(task: pb.PlanTask, *, field: str) -> PlanTask:
    interval_hours = None
    if task.HasField("interval_hours"):
        interval_hours = measure(
            task.interval_hours,
            field=f"{field}.interval_hours",
            least=INTERVAL_HOURS_MIN,
            most=INTERVAL_HOURS_MAX,
            places=2,
        )
    if interval_hours is None and not task.interval_months:
        raise InvalidArgument(field, "needs interval_hours, interval_months, or both")
    return PlanTask(
        code=task.code,
        title=task.title,
        interval_hours=interval_hours,
        interval_months=task.interval_months,
        weight=task.weight or 1,
        kit=tuple(
            KitPart(
                part_number=part.part_number,
                description=part.description,
                quantity=measure(
                    part.quantity,
                    field=f"{field}.kit[{number}].quantity",
                    most=QUANTITY_MAX,
                    places=3,
                    above_zero=True,
                ),
                unit_price_fen=wire.fen(part.unit_price, field=f"{field}.kit[{number}].unit_price"),
            )
            for number, part in enumerate(task.kit)
        ),
    )


def _task_to_wire(task: PlanTask) -> pb.PlanTask:
    return pb.PlanTask(
        code=task.code,
        title=task.title,
        interval_hours=wire.optional_decimal(task.interval_hours),
        interval_months=task.interval_months,
        weight=task.weight,
        kit=[
            pb.KitPart(
                part_number=part.part_number,
                description=part.description,
                quantity=wire.decimal(part.quantity),
                unit_price=wire.money(part.unit_price_fen),
            )
            for part in task.kit
        ],
    )


def _item_to_wire(item: PlanItem, *, hours: Decimal | None, on: date) -> pb.PlanItem:
    standing = stand(item, hours=hours, on=on)
    shown = pb.PlanItem(
        task=_task_to_wire(item.task),
        state=wire.enum_number(pb.PlanItemState, standing.state, prefix="PLAN_ITEM_STATE_"),
        last_hours=shown_hours(item.last_hours),
        last_date=wire.date(item.last_on),
        due_hours=shown_hours(item.due_hours),
        overdue_hours=shown_hours(item.overdue_hours),
        due_date=wire.date(item.due_on) if item.due_on else None,
        overdue_date=wire.date(item.overdue_after) if item.overdue_after else None,
        hours_late=shown_hours(standing.hours_late),
        days_late=standing.days_late,
        trigger_note=item.trigger_note,
        times_done=item.times_done,
    )
    if item.trigger:
        shown.trigger = wire.enum_number(pb.PlanTrigger, item.trigger, prefix="PLAN_TRIGGER_")
    return shown
