"""Service plans against accepted meters, the calendar, and the orders that keep them."""

from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from ironloop.leasing.v1 import leasing_events_pb2 as leasing
from ironloop.maintenance.v1 import maintenance_events_pb2 as events
from ironloop.maintenance.v1 import plans_pb2 as pb
from ironloop.maintenance.v1 import work_orders_pb2

from services.kit import wire
from services.kit.ids import name, new_id
from services.kit.principals import enter, service_principal
from services.maintenance import work_consumers
from tests.integration.maintenance.workshop import Shop, number, part, plans, request_id
from tests.support.refusals import refused

OIL = pb.PlanTask(
    code="OIL",
    title="Oil and filter",
    interval_hours=number(250),
    kit=[
        pb.KitPart(
            part_number="60082694",
            description="Oil filter",
            quantity=number(2),
            unit_price=wire.money(55_00),
        )
    ],
)
BELTS = pb.PlanTask(code="BELTS", title="Belts", interval_months=6, weight=3)


async def template(shop: Shop, *tasks: pb.PlanTask, **fits: str) -> pb.PlanTemplate:
    return await plans(shop.owner).CreatePlanTemplate(
        pb.CreatePlanTemplateRequest(
            request_id=request_id(), title="Ours", tasks=tasks or [OIL], **fits
        )
    )


async def opened(shop: Shop, machine: str, *tasks: pb.PlanTask) -> pb.ServicePlan:
    made = await template(shop, *tasks)
    return await plans(shop.owner).OpenServicePlan(
        pb.OpenServicePlanRequest(request_id=request_id(), machine=machine, template=made.name)
    )


async def read(shop: Shop, plan: pb.ServicePlan) -> pb.ServicePlan:
    return await plans(shop.owner).GetServicePlan(pb.GetServicePlanRequest(name=plan.name))


async def served(shop: Shop, machine: str, *codes: str) -> work_orders_pb2.WorkOrder:
    """Have items of a machine's plan done and verified."""
    order = await shop.started(
        machine, work_class=work_orders_pb2.WORK_CLASS_PREVENTIVE, plan_items=codes
    )
    done = await shop.complete(order.name, with_planned_parts=True)
    await shop.verify(order.name)
    return done


async def test_a_plan_is_due_and_overdue_by_accepted_hours_and_told_once(shop: Shop) -> None:
    machine = await shop.machine()
    plan = await opened(shop, machine)
    await shop.read_meter(machine, "1000")
    assert (await read(shop, plan)).items[0].due_hours.value == "1237.50"
    await shop.read_meter(machine, "1240")
    assert (await read(shop, plan)).items[0].state == pb.PLAN_ITEM_STATE_DUE
    assert not await shop.events(events.PlanOverdue, machine)
    for hours in ("1290", "1300"):
        await shop.read_meter(machine, hours)
    late = (await read(shop, plan)).items[0]
    assert (late.state, late.hours_late.value) == (pb.PLAN_ITEM_STATE_OVERDUE, "50.00")
    (told,) = await shop.events(events.PlanOverdue, machine)
    assert (told.item, told.hours_late.value, told.plan) == ("OIL", "40.00", plan.name)
    assert (await shop.health(machine)).maintenance_compliance.value == "0.8889"
    sequences = await shop.sequences(machine)
    assert sequences == list(range(1, len(sequences) + 1))


async def test_a_verified_service_is_what_brings_a_plan_up_to_date(shop: Shop) -> None:
    machine = await shop.machine()
    plan = await opened(shop, machine)
    for hours in ("1000", "1300"):
        await shop.read_meter(machine, hours)
    order = await shop.started(
        machine, work_class=work_orders_pb2.WORK_CLASS_PREVENTIVE, plan_items=["OIL"]
    )
    assert order.plan == plan.name
    done = await shop.complete(
        order.name, with_planned_parts=True, parts=[part(10_00)], hours=number("1301")
    )
    assert wire.fen(done.cost.parts, field="parts") == 120_00  # the kit and one more
    assert (await read(shop, plan)).items[0].state == pb.PLAN_ITEM_STATE_OVERDUE
    await shop.verify(order.name)
    item = (await read(shop, plan)).items[0]
    assert (item.state, item.last_hours.value) == (pb.PLAN_ITEM_STATE_NOT_DUE, "1301.00")
    assert item.times_done == 1
    # Done at 1.204 of its interval: (2 - 1.204) / 0.9 of a service.
    assert (await read(shop, plan)).compliance.value == "88.44"
    await shop.world.advance_days(11)
    await shop.read_meter(machine, "1550")
    await served(shop, machine, "OIL")
    assert (await read(shop, plan)).compliance.value == "94.22"
    told = await shop.events(events.ComplianceChanged, machine)
    values = [event.compliance.value for event in told]
    assert values[0] == "100.00"
    assert values[-1] == "94.22"


async def test_the_calendar_makes_a_plan_overdue_by_itself(shop: Shop) -> None:
    machine = await shop.machine()
    plan = await opened(shop, machine, OIL, BELTS)
    begun = shop.world.today()
    overdue = wire.to_date(plan.items[1].overdue_date, field="overdue_date")
    await shop.world.advance_to(overdue)
    assert not await shop.events(events.PlanOverdue, machine)
    await shop.world.advance_to(overdue + timedelta(days=1))
    (told,) = await shop.events(events.PlanOverdue, machine)
    interval = (wire.to_date(plan.items[1].due_date, field="due_date") - begun).days
    assert told.item == "BELTS"
    assert told.days_late == (shop.world.today() - begun).days - round(interval / 0.95)
    listed = await plans(shop.owner).ListServicePlans(
        pb.ListServicePlansRequest(machine=machine, overdue_only=True)
    )
    assert [one.name for one in listed.plans] == [plan.name]


async def test_an_oil_sample_makes_an_item_due_at_once(shop: Shop) -> None:
    machine = await shop.machine()
    plan = await opened(shop, machine)
    await shop.read_meter(machine, "1000")
    asked = await plans(shop.owner).TriggerPlanItem(
        pb.TriggerPlanItemRequest(
            request_id=request_id(),
            name=plan.name,
            code="OIL",
            trigger=pb.PLAN_TRIGGER_OIL_SAMPLE,
            note="Iron 120 ppm",
        )
    )
    assert asked.items[0].state == pb.PLAN_ITEM_STATE_DUE
    await shop.read_meter(machine, "1025.5")
    assert (await read(shop, plan)).items[0].state == pb.PLAN_ITEM_STATE_OVERDUE
    assert len(await shop.events(events.PlanOverdue, machine)) == 1
    with refused("NOT_FOUND"):
        await plans(shop.owner).TriggerPlanItem(
            pb.TriggerPlanItemRequest(
                request_id=request_id(),
                name=plan.name,
                code="NONE",
                trigger=pb.PLAN_TRIGGER_CONDITION,
                note="?",
            )
        )


async def test_a_machine_has_one_plan_and_no_compliance_without(shop: Shop) -> None:
    machine = await shop.machine()
    plan = await opened(shop, machine)
    with refused("PLAN_EXISTS"):
        await opened(shop, machine)
    assert (await shop.health(machine)).HasField("maintenance_compliance")
    closed = await plans(shop.owner).CloseServicePlan(
        pb.CloseServicePlanRequest(request_id=request_id(), name=plan.name)
    )
    assert closed.state == pb.SERVICE_PLAN_STATE_CLOSED
    assert not (await shop.health(machine)).HasField("maintenance_compliance")
    last = (await shop.events(events.ComplianceChanged, machine))[-1]
    assert not last.HasField("compliance")
    for hours in ("1000", "2000"):
        await shop.read_meter(machine, hours)
    assert (await read(shop, plan)).compliance.value == "100.00"  # shown as it was left
    with refused("TRANSITION_REFUSED"):
        await plans(shop.owner).CloseServicePlan(
            pb.CloseServicePlanRequest(request_id=request_id(), name=plan.name)
        )


async def test_a_template_must_fit_and_be_in_use(shop: Shop) -> None:
    machine = await shop.machine()
    other = await template(shop, make="XCMG")
    with refused("TEMPLATE_DOES_NOT_FIT"):
        await plans(shop.owner).OpenServicePlan(
            pb.OpenServicePlanRequest(request_id=request_id(), machine=machine, template=other.name)
        )
    ours = await template(shop)
    await plans(shop.owner).RetirePlanTemplate(
        pb.RetirePlanTemplateRequest(request_id=request_id(), name=ours.name)
    )
    with refused("TEMPLATE_RETIRED"):
        await plans(shop.owner).OpenServicePlan(
            pb.OpenServicePlanRequest(request_id=request_id(), machine=machine, template=ours.name)
        )
    plan = await plans(shop.owner).OpenServicePlan(
        pb.OpenServicePlanRequest(request_id=request_id(), machine=machine)
    )
    assert plan.items[0].task.code == "SERVICE_250"  # the platform's own


@pytest.mark.parametrize(
    ("tasks", "field"),
    [
        ([OIL, OIL], "tasks[1].code"),
        ([pb.PlanTask(code="NONE", title="Nothing")], "tasks[0]"),
        ([pb.PlanTask(code="A", title="A", interval_hours=number("0.5"))], "interval_hours"),
    ],
)
async def test_a_task_needs_a_code_of_its_own_and_an_interval(
    shop: Shop, tasks: list[pb.PlanTask], field: str
) -> None:
    with refused("INVALID_FIELD") as refusal:
        await template(shop, *tasks)
    assert field in refusal.status.message


async def test_a_strangers_machine_has_no_plan_to_be_seen(shop: Shop) -> None:
    machine = await shop.machine()
    plan = await opened(shop, machine)
    stranger = await shop.world.party("BUYER", "LESSOR")
    with refused("NOT_FOUND"):
        await plans(stranger).GetServicePlan(pb.GetServicePlanRequest(name=plan.name))
    with refused("NOT_FOUND"):
        await plans(stranger).OpenServicePlan(
            pb.OpenServicePlanRequest(request_id=request_id(), machine=machine)
        )
    listed = await plans(stranger).ListServicePlans(pb.ListServicePlansRequest())
    assert not listed.plans


async def test_a_lease_that_begins_opens_its_machines_plan(shop: Shop) -> None:
    machine = await shop.machine()
    database = shop.world.running["maintenance"].runtime.database
    for _ in range(2):  # the next lease keeps the plan
        lease = name("leases", new_id())
        enter(service_principal("maintenance"), "events")
        activated = leasing.LeaseActivated(lease=lease, sequence=1, machine=machine)
        await database.run(partial(work_consumers.open_leased_plan, event=activated))
        await shop.world.until_at_rest()
        listed = await plans(shop.owner).ListServicePlans(
            pb.ListServicePlansRequest(machine=machine)
        )
        assert [(one.reference, len(one.items)) for one in listed.plans] == [(lease, 4)]


async def test_health_counts_failures_that_had_the_machine_down(shop: Shop) -> None:
    """Domain page §3.4: 600 h and three failures of 12 h together."""
    machine = await shop.machine()
    await shop.read_meter(machine, "400")
    for downtime in ("3", "4", "5"):
        order = await shop.started(machine)
        await shop.complete(order.name, downtime_hours=number(downtime))
    order = await shop.started(machine, work_class=work_orders_pb2.WORK_CLASS_INSPECTION)
    await shop.complete(order.name, downtime_hours=number(9))  # no failure
    await shop.read_meter(machine, "1000")
    health = await shop.health(machine)
    assert (health.mtbf.value, health.mttr.value) == ("200.00", "4.00")
    assert (health.availability.value, health.failures) == ("0.9804", 3)
    assert Decimal(health.hours.value) == 1000
    assert health.days_since_reading == 35  # read 600 h after a reading 60 days ago


async def test_a_machine_nobody_reported_of_has_no_health(shop: Shop) -> None:
    with refused("NOT_FOUND"):
        await shop.health(name("machines", new_id()))
