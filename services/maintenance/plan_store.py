"""SQL of service plans.

A plan is seen by who owns or has its machine, also while that is in the shop for them, and by a
workshop that has done work of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.maintenance.plan_model import (
    PlanItem,
    PlanState,
    PlanTrigger,
    Service,
    ServicePlan,
)
from services.maintenance.template_model import PlanTask
from services.maintenance.template_store import part_of, stored_part

_PLAN = """
    p.id, p.version, p.event_sequence, p.state, p.machine_id, p.template_id, p.reference, p.hours,
    p.compliance, p.told_compliance, p.overdue_items, p.next_check_hours, p.next_check_on,
    p.create_time, p.update_time
"""
_SEEN = """
    ($2 or m.title_holder = $3 or m.custodian = $3
     or exists (select from work_order w where w.machine_id = p.machine_id
                and ((w.plan_id = p.id and w.workshop = $3) or (w.in_shop and w.payer = $3))))
"""


async def insert_plan(connection: Connection, plan: ServicePlan) -> bool:
    """Write a new plan with its items; False where the machine has an active one."""
    written = await connection.fetchval(
        """
        insert into service_plan (id, version, event_sequence, state, machine_id, template_id,
            reference, hours, compliance, told_compliance, overdue_items, next_check_hours,
            next_check_on, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        on conflict (machine_id) where state = 'ACTIVE' do nothing returning true
        """,
        plan.id,
        plan.version,
        plan.event_sequence,
        plan.state,
        plan.machine_id,
        plan.template_id,
        plan.reference,
        plan.hours,
        plan.compliance,
        plan.told_compliance,
        plan.overdue_items,
        plan.next_check_hours,
        plan.next_check_on,
        plan.create_time,
        plan.update_time,
    )
    if not written:
        return False
    await connection.executemany(
        """
        insert into plan_item (plan_id, number, code, title, interval_hours, interval_months,
            weight, kit, last_hours, last_on, trigger_note, is_told, times_done)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', false, 0)
        """,
        [
            (
                plan.id,
                number,
                item.task.code,
                item.task.title,
                item.task.interval_hours,
                item.task.interval_months,
                item.task.weight,
                [stored_part(part) for part in item.task.kit],
                item.last_hours,
                item.last_on,
            )
            for number, item in enumerate(plan.items, 1)
        ],
    )
    return True


async def find_plan(
    connection: Connection, plan_id: UUID, *, viewer: Principal
) -> ServicePlan | None:
    """Return a plan that the viewer may see."""
    rows = await connection.fetch(
        f"""
        select {_PLAN} from service_plan p join monitored_machine m on m.id = p.machine_id
        where p.id = $1 and {_SEEN}
        """,
        plan_id,
        viewer.sees_all,
        viewer.party or None,
    )
    return next(iter(await _whole(connection, rows)), None)


async def lock_plan(connection: Connection, plan_id: UUID) -> ServicePlan | None:
    """Return a plan, locked for change; its machine is locked before."""
    rows = await connection.fetch(
        f"select {_PLAN} from service_plan p where p.id = $1 for no key update", plan_id
    )
    return next(iter(await _whole(connection, rows)), None)


async def find_active(connection: Connection, machine_id: UUID) -> ServicePlan | None:
    """Return a machine's active plan."""
    rows = await connection.fetch(
        f"select {_PLAN} from service_plan p where p.machine_id = $1 and p.state = 'ACTIVE'",
        machine_id,
    )
    return next(iter(await _whole(connection, rows)), None)


async def lock_moved(
    connection: Connection, hours_by_machine: Mapping[UUID, Decimal]
) -> list[ServicePlan]:
    """Return the active plans that these hours may move, locked in the order of their machines."""
    rows = await connection.fetch(
        f"""
        select {_PLAN} from service_plan p
        join unnest($1::uuid[], $2::numeric[]) as now (machine_id, hours)
          on now.machine_id = p.machine_id
        where p.state = 'ACTIVE' and (p.next_check_hours <= now.hours or p.hours > now.hours)
        order by p.machine_id for no key update of p
        """,
        list(hours_by_machine),
        list(hours_by_machine.values()),
    )
    return await _whole(connection, rows)


async def list_plans(
    connection: Connection,
    *,
    viewer: Principal,
    machine_id: UUID | None,
    state: str | None,
    overdue_only: bool,
    after: UUID | None,
    limit: int,
) -> list[ServicePlan]:
    """Return plans that the viewer may see, the newest first, after an id."""
    rows = await connection.fetch(
        f"""
        select {_PLAN} from service_plan p
        where p.id in (
            (select o.id from service_plan o
             where $2 and ($1::uuid is null or o.machine_id = $1)
               and ($4::text is null or o.state = $4)
               and (not $5 or (o.overdue_items > 0 and o.state = 'ACTIVE'))
               and ($6::uuid is null or o.id < $6)
             order by o.id desc limit $7)
            union all
            (select o.id from monitored_machine m join service_plan o on o.machine_id = m.id
             where not $2 and (m.title_holder = $3 or m.custodian = $3)
               and ($1 is null or o.machine_id = $1) and ($4 is null or o.state = $4)
               and (not $5 or (o.overdue_items > 0 and o.state = 'ACTIVE'))
               and ($6 is null or o.id < $6)
             order by o.id desc limit $7)
            union all
            (select distinct o.id
             from work_order w join service_plan o on o.machine_id = w.machine_id
             where not $2
               and ((w.workshop = $3 and w.plan_id = o.id) or (w.payer = $3 and w.in_shop))
               and ($1 is null or o.machine_id = $1) and ($4 is null or o.state = $4)
               and (not $5 or (o.overdue_items > 0 and o.state = 'ACTIVE'))
               and ($6 is null or o.id < $6)
             order by o.id desc limit $7))
        order by p.id desc limit $7
        """,
        machine_id,
        viewer.sees_all,
        viewer.party or None,
        state,
        overdue_only,
        after,
        limit,
    )
    return await _whole(connection, rows)


async def list_hours(connection: Connection, machine_ids: Sequence[UUID]) -> dict[UUID, Decimal]:
    """Return the hours of machines' lives as last accepted, where any were."""
    rows = await connection.fetch(
        """
        select machine_id, figure + run_before as hours from meter
        where machine_id = any($1::uuid[]) and kind = 'HOURS'
        """,
        machine_ids,
    )
    return {row["machine_id"]: row["hours"] for row in rows}


async def update_plan(connection: Connection, plan: ServicePlan) -> None:
    """Write what may change of a plan and its items."""
    await connection.execute(
        """
        update service_plan set version = $2, event_sequence = $3, state = $4, reference = $5,
            hours = $6, compliance = $7, told_compliance = $8, overdue_items = $9,
            next_check_hours = $10, next_check_on = $11, update_time = $12
        where id = $1
        """,
        plan.id,
        plan.version,
        plan.event_sequence,
        plan.state,
        plan.reference,
        plan.hours,
        plan.compliance,
        plan.told_compliance,
        plan.overdue_items,
        plan.next_check_hours,
        plan.next_check_on,
        plan.update_time,
    )
    await connection.executemany(
        """
        update plan_item set last_hours = $3, last_on = $4, trigger_kind = $5, trigger_note = $6,
            trigger_hours = $7, trigger_on = $8, is_told = $9, times_done = $10
        where plan_id = $1 and code = $2
        """,
        [
            (
                plan.id,
                item.task.code,
                item.last_hours,
                item.last_on,
                item.trigger,
                item.trigger_note,
                item.trigger_hours,
                item.trigger_on,
                item.is_told,
                item.times_done,
            )
            for item in plan.items
        ],
    )


async def insert_services(
    connection: Connection,
    plan_id: UUID,
    services: Iterable[Service],
    *,
    work_order_id: UUID,
    hours: Decimal | None,
) -> None:
    """Write what a work order did of a plan."""
    await connection.executemany(
        """
        insert into plan_service (plan_id, code, work_order_id, done_on, hours, run, weight)
        values ($1, $2, $3, $4, $5, $6, $7)
        """,
        [
            (plan_id, one.code, work_order_id, one.done_on, hours, one.run, one.weight)
            for one in services
        ],
    )


async def _whole(connection: Connection, rows: Sequence[Row]) -> list[ServicePlan]:
    """Return plans with their items and services: two more queries, however many plans."""
    ids = [row["id"] for row in rows]
    if not ids:
        return []
    items: dict[UUID, list[PlanItem]] = {plan_id: [] for plan_id in ids}
    for row in await connection.fetch(
        "select * from plan_item where plan_id = any($1::uuid[]) order by plan_id, number", ids
    ):
        items[row["plan_id"]].append(_item(row))
    services: dict[UUID, list[Service]] = {plan_id: [] for plan_id in ids}
    for row in await connection.fetch(
        "select * from plan_service where plan_id = any($1::uuid[]) order by plan_id, done_on", ids
    ):
        services[row["plan_id"]].append(
            Service(code=row["code"], done_on=row["done_on"], run=row["run"], weight=row["weight"])
        )
    return [
        ServicePlan(
            **{**dict(row), "state": PlanState(row["state"])},
            items=tuple(items[row["id"]]),
            services=tuple(services[row["id"]]),
        )
        for row in rows
    ]


def _item(row: Row) -> PlanItem:
    return PlanItem(
        task=PlanTask(
            code=row["code"],
            title=row["title"],
            interval_hours=row["interval_hours"],
            interval_months=row["interval_months"],
            weight=row["weight"],
            kit=tuple(part_of(part) for part in row["kit"]),
        ),
        last_hours=row["last_hours"],
        last_on=row["last_on"],
        trigger=PlanTrigger(row["trigger_kind"]) if row["trigger_kind"] else None,
        trigger_note=row["trigger_note"],
        trigger_hours=row["trigger_hours"],
        trigger_on=row["trigger_on"],
        is_told=row["is_told"],
        times_done=row["times_done"],
    )
