"""A machine's health as of a day, out of its meter, plan, faults and work orders."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from services.finmath.dates import add_months
from services.kit.clock import business_date, start_of
from services.kit.connection import Connection
from services.kit.errors import NotFound
from services.kit.ids import name
from services.kit.principals import Principal
from services.maintenance import (
    fault_store,
    health_store,
    machine_store,
    meter_store,
    plan_store,
    work_order_store,
)
from services.maintenance.health_store import HoursAt
from services.maintenance.reliability_model import MONTHS, Reliability

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MachineHealth:
    """How a machine is.

    Attributes:
        hours_at: Its last accepted reading by then; None where there was none.
        compliance: Of its active plan, 0 to 100; None where it has none.
        reading_age_days: Days since its last accepted reading; None where there was none.
    """

    machine_id: UUID
    as_of: date
    hours_at: HoursAt | None
    compliance: Decimal | None
    open_stop_faults: int
    reading_age_days: int | None
    reliability: Reliability


async def get_health(
    connection: Connection,
    machine_id: UUID,
    *,
    as_of: date | None,
    now: datetime,
    viewer: Principal,
) -> MachineHealth:
    """Return a machine's health as of the end of a day, or as of now.

    Raises:
        NotFound: Maintenance has never heard of the machine, or it is not the viewer's to see.
    """
    machine = await machine_store.find_machine_seen(connection, machine_id, viewer=viewer)
    if machine is None:
        raise NotFound(name("machines", machine_id))
    today = business_date(now)
    day = min(as_of or today, today)
    until = min(start_of(day + _DAY), now)
    hours_at = await health_store.find_hours_at(connection, machine_id, until=until)
    plan = await plan_store.find_active(connection, machine_id)
    compliance = None
    if plan is not None:
        hours = await meter_store.find_hours(connection, machine_id)
        current = plan if hours is None else plan.based_on(hours)
        compliance = current.assessed(on=today).compliance
    return MachineHealth(
        machine_id=machine_id,
        as_of=as_of or today,
        hours_at=hours_at,
        compliance=compliance,
        open_stop_faults=await fault_store.count_open_stops(connection, machine_id),
        reading_age_days=(
            (day - business_date(hours_at.read_at)).days if hours_at is not None else None
        ),
        reliability=await _reliability(connection, machine_id, day=day, until=until),
    )


async def _reliability(
    connection: Connection, machine_id: UUID, *, day: date, until: datetime
) -> Reliability:
    since = start_of(add_months(day, -MONTHS) + _DAY)
    failures, downtime_hours = await work_order_store.sum_failures(
        connection, machine_id, after=since, until=until
    )
    return Reliability(
        hours_run=await health_store.find_hours_run(
            connection, machine_id, since=since, until=until
        ),
        failures=failures,
        downtime_hours=downtime_hours,
    )
