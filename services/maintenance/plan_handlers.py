"""What is done with service plans, one transaction a command.

Whoever changes a plan has its machine's row locked: its events count with the machine's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID

from ironloop.maintenance.v1 import maintenance_events_pb2 as events

from services.kit import wire
from services.kit.clock import start_of
from services.kit.database import Database
from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id, parse_name
from services.kit.principals import Principal, principal
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.maintenance import machine_store, meter_store, plan_store, template_handlers
from services.maintenance.machine_model import MonitoredMachine
from services.maintenance.measures import shown_hours
from services.maintenance.plan_model import (
    COMPLIANCE_FULL,
    TOLD_FROM,
    ItemState,
    PlanItem,
    PlanState,
    PlanTrigger,
    Service,
    ServicePlan,
    stand,
)
from services.maintenance.work_errors import (
    NotYourMachine,
    PlanExists,
)
from services.maintenance.work_lifecycle import PLAN

CALENDAR_TIMER = "service_plan_calendar"
RUN_PLACES = Decimal("0.000001")


async def open_plan(
    tx: Transaction, machine_id: UUID, *, template_id: UUID | None, reference: str
) -> ServicePlan:
    """Open a machine's plan from a template, or from the one that fits best.

    Raises:
        NotFound: The machine or the template is not the caller's to see.
        PlanExists, TemplateRetired, TemplateDoesNotFit: As they say.
    """
    machine = await lock_seen(tx, machine_id)
    template = await template_handlers.choose_template(tx, machine, template_id)
    hours = await meter_store.find_hours(tx.connection, machine_id)
    plan = ServicePlan(
        id=new_id(),
        version=1,
        state=PlanState.ACTIVE,
        machine_id=machine_id,
        template_id=template.id,
        reference=reference,
        items=tuple(
            PlanItem(task=task, last_hours=hours, last_on=tx.today) for task in template.tasks
        ),
        create_time=tx.now,
        update_time=tx.now,
        hours=hours,
        told_compliance=COMPLIANCE_FULL,
    ).assessed(on=tx.today)
    if not await plan_store.insert_plan(tx.connection, plan):
        raise PlanExists(machine.name)
    plan = await _tell_compliance(tx, machine, plan, former=None)
    await plan_store.update_plan(tx.connection, plan)
    await _set_calendar(tx, plan)
    return plan


async def follow_lease(tx: Transaction, machine_id: UUID, *, lease: str) -> None:
    """Open a plan for a lease that has become active, or keep the machine's for it."""
    present = await plan_store.find_active(tx.connection, machine_id)
    if present is None:
        await open_plan(tx, machine_id, template_id=None, reference=lease)
        return
    await lock_seen(tx, machine_id)
    plan = await plan_store.lock_plan(tx.connection, present.id)
    if plan is not None and plan.reference != lease:
        kept = replace(plan, reference=lease, version=plan.version + 1, update_time=tx.now)
        await plan_store.update_plan(tx.connection, kept)


async def get_plan(database: Database, plan_id: UUID, *, viewer: Principal) -> ServicePlan:
    """Return a plan.

    Raises:
        NotFound: There is none that the viewer may see.
    """
    async with database.read() as connection:
        plan = await plan_store.find_plan(connection, plan_id, viewer=viewer)
    if plan is None:
        raise NotFound(name("servicePlans", plan_id))
    return plan


async def trigger_item(
    tx: Transaction, plan_id: UUID, *, etag: str, code: str, trigger: PlanTrigger, note: str
) -> ServicePlan:
    """Make an item due at once.

    Raises:
        NotFound: There is no such plan, or no such item of it.
        EtagMismatch, TransitionRefused: As they say.
    """
    machine, plan = await _lock_with_machine(tx, plan_id)
    check_etag(etag, plan.version)
    PLAN.next(plan.state, "trigger", subject=plan.name)
    item = plan.find_item(code)
    if item is None:
        raise NotFound(f"{plan.name}/items/{code}")
    hours = await meter_store.find_hours(tx.connection, machine.id)
    if item.trigger is None:
        item = item.triggered(trigger, note=note, hours=hours, on=tx.today)
    return await reassess(tx, machine, plan.with_item(item), hours=hours)


async def close_plan(tx: Transaction, plan_id: UUID, *, etag: str) -> ServicePlan:
    """Close a plan; its machine has no compliance from then on.

    Raises:
        NotFound, NotYourMachine, EtagMismatch, TransitionRefused: As they say.
    """
    machine, plan = await _lock_with_machine(tx, plan_id)
    if not machine.is_seen_by(principal()):
        raise NotYourMachine("close its plan", machine.name)
    check_etag(etag, plan.version)
    step = PLAN.next(plan.state, "close", subject=plan.name)
    sequence = await next_sequence(tx, machine.id)
    closed = replace(
        plan,
        state=step.target,
        version=plan.version + 1,
        event_sequence=sequence,
        next_check_hours=None,
        next_check_on=None,
        update_time=tx.now,
    )
    await plan_store.update_plan(tx.connection, closed)
    await tx.cancel_timers(plan.name)
    await tx.emit(
        events.ComplianceChanged(
            machine=machine.name,
            sequence=sequence,
            previous_compliance=wire.optional_decimal(plan.told_compliance),
            plan=plan.name,
            title_holder=machine.title_holder,
        )
    )
    return closed


async def note_hours(
    tx: Transaction,
    machines: Mapping[UUID, MonitoredMachine],
    hours_by_machine: Mapping[UUID, Decimal],
) -> None:
    """Compute anew the plans that newly accepted hours may move; the others cost one index look.

    Args:
        machines: By id, with their rows locked.
        hours_by_machine: The hours of each one's life as accepted now.
    """
    for plan in await plan_store.lock_moved(tx.connection, hours_by_machine):
        machine = machines[plan.machine_id]
        await reassess(tx, machine, plan, hours=hours_by_machine[plan.machine_id])


async def check_when_due(tx: Transaction, timer: Timer) -> None:
    """Compute a plan anew on a day on which something of it may have fallen due."""
    machine, plan = await _lock_with_machine(tx, parse_name(timer.subject, "servicePlans"))
    if plan.state is PlanState.ACTIVE:
        hours = await meter_store.find_hours(tx.connection, machine.id)
        await reassess(tx, machine, plan, hours=hours)


async def serve(
    tx: Transaction,
    machine: MonitoredMachine,
    plan_id: UUID,
    codes: Sequence[str],
    *,
    work_order_id: UUID,
    hours: Decimal | None,
    on: date,
) -> None:
    """Count items as done by a verified order, at its hours on its day; the machine is locked."""
    plan = await plan_store.lock_plan(tx.connection, plan_id)
    if plan is None or plan.state is not PlanState.ACTIVE:
        return
    PLAN.next(plan.state, "serve", subject=plan.name)
    services = []
    for code in codes:
        item = plan.find_item(code)
        if item is None or on < item.last_on:
            continue  # a later order has done it and was verified before
        run = stand(item, hours=hours, on=on).run
        rounded = (Decimal(run.numerator) / Decimal(run.denominator)).quantize(RUN_PLACES)
        services.append(Service(code, on, rounded, item.task.weight))
        plan = plan.with_item(item.done(hours=hours, on=on))
    await plan_store.insert_services(
        tx.connection, plan.id, services, work_order_id=work_order_id, hours=hours
    )
    plan = replace(plan, services=(*plan.services, *services))
    await reassess(tx, machine, plan, hours=await meter_store.find_hours(tx.connection, machine.id))


async def reassess(
    tx: Transaction, machine: MonitoredMachine, plan: ServicePlan, *, hours: Decimal | None
) -> ServicePlan:
    """Compute a locked plan for today, write it, and tell what has changed."""
    if hours is not None:
        plan = plan.based_on(hours)
    plan = replace(plan.assessed(on=tx.today), version=plan.version + 1, update_time=tx.now)
    for item in plan.items:
        standing = stand(item, hours=plan.hours, on=tx.today)
        if standing.state is not ItemState.OVERDUE:
            plan = plan.with_item(replace(item, is_told=False))
            continue
        if item.is_told:
            continue
        sequence = await next_sequence(tx, machine.id)
        await tx.emit(
            events.PlanOverdue(
                machine=machine.name,
                sequence=sequence,
                plan=plan.name,
                item=item.task.code,
                title=item.task.title,
                hours_late=shown_hours(standing.hours_late),
                days_late=standing.days_late,
                reference=plan.reference,
                title_holder=machine.title_holder,
            )
        )
        plan = replace(plan.with_item(replace(item, is_told=True)), event_sequence=sequence)
    former = plan.told_compliance
    if former is None or _is_told_anew(former, plan.compliance):
        plan = await _tell_compliance(tx, machine, plan, former=former)
    await plan_store.update_plan(tx.connection, plan)
    await _set_calendar(tx, plan)
    return plan


async def lock_seen(tx: Transaction, machine_id: UUID) -> MonitoredMachine:
    """Return a machine that the caller owns or has, locked for its next event.

    Raises:
        NotFound: It is not the caller's to see.
    """
    machine = await machine_store.lock_machine(tx.connection, machine_id)
    if machine is None or not machine.is_seen_by(principal()):
        raise NotFound(name("machines", machine_id))
    return machine


async def next_sequence(tx: Transaction, machine_id: UUID) -> int:
    """Return the sequence of a locked machine's next event."""
    return (await machine_store.add_events(tx.connection, {machine_id: 1}))[machine_id]


async def _lock_with_machine(
    tx: Transaction, plan_id: UUID
) -> tuple[MonitoredMachine, ServicePlan]:
    """Lock a plan that the caller may see, its machine first."""
    seen = await plan_store.find_plan(tx.connection, plan_id, viewer=principal())
    if seen is None:
        raise NotFound(name("servicePlans", plan_id))
    machine = await machine_store.lock_machine(tx.connection, seen.machine_id)
    plan = await plan_store.lock_plan(tx.connection, plan_id)
    assert machine is not None, "a plan's machine is known"
    assert plan is not None, "no plan is deleted"
    return machine, plan


async def _tell_compliance(
    tx: Transaction, machine: MonitoredMachine, plan: ServicePlan, *, former: Decimal | None
) -> ServicePlan:
    sequence = await next_sequence(tx, machine.id)
    await tx.emit(
        events.ComplianceChanged(
            machine=machine.name,
            sequence=sequence,
            compliance=wire.decimal(plan.compliance),
            previous_compliance=wire.optional_decimal(former),
            plan=plan.name,
            overdue_items=plan.overdue_items,
            title_holder=machine.title_holder,
        )
    )
    return replace(plan, told_compliance=plan.compliance, event_sequence=sequence)


def _is_told_anew(former: Decimal, present: Decimal) -> bool:
    """Whether a compliance has moved far enough to be told, or is full again."""
    return abs(former - present) >= TOLD_FROM or (former != present == COMPLIANCE_FULL)


async def _set_calendar(tx: Transaction, plan: ServicePlan) -> None:
    if plan.next_check_on is None:
        await tx.cancel_timers(plan.name, kind=CALENDAR_TIMER)
    else:
        await tx.set_timer(CALENDAR_TIMER, plan.name, due_at=start_of(plan.next_check_on))
