"""SQL that reads what the turnover of a fleet is computed from."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

from services.insights.turnover_model import Core, Facts, Money, Owned, Period, Stay
from services.kit.connection import Connection

# Ownership within the period of the machines asked for; the cost is that of the last order.
_FLEET = """
    select o.machine, o.from_day, o.to_day
    from ownership o
    where o.holder = $1 and o.from_day < $3 and coalesce(o.to_day, $3) > $2
      and (cardinality($4::uuid[]) = 0 or o.machine = any($4::uuid[]))
"""


async def read_facts(
    connection: Connection, owner: str, period: Period, *, machines: Sequence[UUID]
) -> Facts:
    """Return all facts of a fleet in a period; of these machines only, where any are named."""
    owned = await _owned(connection, owner, period, machines)
    fleet = [one.stay.machine for one in owned]
    downtime_hours = await connection.fetch(
        f"""
        with fleet as ({_FLEET})
        select f.downtime_hours from failure f join fleet o on o.machine = f.machine
        where f.day >= greatest($2, o.from_day) and f.day < least($3, coalesce(o.to_day, $3))
        """,
        *_arguments(owner, period, machines),
    )
    hours_run: Decimal = await connection.fetchval(
        f"""
        with fleet as ({_FLEET})
        select coalesce(sum(r.hours), 0) from run r join fleet o on o.machine = r.machine
        where r.day >= greatest($2, o.from_day) and r.day < least($3, coalesce(o.to_day, $3))
        """,
        *_arguments(owner, period, machines),
    )
    relist, redeploy = await _after_returns(connection, owner, period, fleet)
    return Facts(
        owned=owned,
        in_shop=await _shop_stays(connection, fleet, period),
        on_lease=await _leases(connection, owner, fleet, period),
        money=await _money(connection, owner, period, fleet),
        return_to_relist_days=relist,
        relist_to_redeploy_days=redeploy,
        listed_to_sold_days=await _sales(connection, fleet, period),
        hours_run=hours_run,
        downtime_hours=[row["downtime_hours"] for row in downtime_hours],
        cores=await _cores(connection, owner, period, machines),
    )


async def list_machines_not_of(
    connection: Connection, owner: str, period: Period, *, machines: Sequence[UUID]
) -> list[UUID]:
    """Return which of some machines the owner did not own on any day of the period."""
    rows = await connection.fetch(
        f"""
        with fleet as ({_FLEET})
        select asked.id from unnest($4::uuid[]) as asked (id)
        where not exists (select from fleet where machine = asked.id) order by asked.id
        """,
        *_arguments(owner, period, machines),
    )
    return [row["id"] for row in rows]


def _arguments(
    owner: str, period: Period, machines: Sequence[UUID]
) -> tuple[str, date, date, list[UUID]]:
    return owner, period.start, period.end, list(machines)


async def _owned(
    connection: Connection, owner: str, period: Period, machines: Sequence[UUID]
) -> list[Owned]:
    rows = await connection.fetch(
        f"""
        with fleet as ({_FLEET})
        select o.machine, o.from_day, o.to_day, coalesce(
            (select p.price from purchase p where p.machine = o.machine and p.buyer = $1
             and p.day < $3 order by p.day desc limit 1),
            (select m.replacement_cost from machine m where m.id = o.machine), 0) as cost
        from fleet o order by o.machine, o.from_day
        """,
        *_arguments(owner, period, machines),
    )
    return [
        Owned(Stay(row["machine"], row["from_day"], row["to_day"]), row["cost"]) for row in rows
    ]


async def _shop_stays(connection: Connection, fleet: list[UUID], period: Period) -> list[Stay]:
    rows = await connection.fetch(
        """
        select machine, from_day, to_day from shop_stay
        where machine = any($1::uuid[]) and from_day < $3 and coalesce(to_day, $3) > $2
        """,
        fleet,
        period.start,
        period.end,
    )
    return [Stay(*row) for row in rows]


async def _leases(
    connection: Connection, owner: str, fleet: list[UUID], period: Period
) -> list[Stay]:
    rows = await connection.fetch(
        """
        select machine, from_day, to_day from lease
        where lessor = $1 and machine = any($2::uuid[]) and from_day < $4
          and coalesce(to_day, $4) > $3
        """,
        owner,
        fleet,
        period.start,
        period.end,
    )
    return [Stay(*row) for row in rows]


async def _money(connection: Connection, owner: str, period: Period, fleet: list[UUID]) -> Money:
    row = await connection.fetchrow(
        """
        with fleet_lease as (select id, lessor from lease where machine = any($2::uuid[])),
        paid as (
            select p.lease, p.number, sum(p.paid) as paid
            from payment p where p.day < $4 and p.lease in (select id from fleet_lease)
            group by p.lease, p.number
        )
        select
            coalesce(sum(i.rental) filter (where i.due_day >= $3 and l.lessor = $1), 0) as rent,
            coalesce(sum(i.due) filter (where i.due_day >= $3 and i.owner = $1), 0) as billed,
            coalesce(sum(greatest(i.due - coalesce(paid.paid, 0), 0))
                filter (where i.owner = $1), 0) as outstanding
        from instalment i join fleet_lease l on l.id = i.lease
        left join paid on paid.lease = i.lease and paid.number = i.number
        where i.due_day < $4
        """,
        owner,
        fleet,
        period.start,
        period.end,
    )
    assert row is not None
    return Money(int(row["rent"]), int(row["billed"]), int(row["outstanding"]))


async def _after_returns(
    connection: Connection, owner: str, period: Period, fleet: list[UUID]
) -> tuple[list[int], list[int]]:
    """Return the days from returns to listings, and from those to the next lease or sale."""
    rows = await connection.fetch(
        """
        select relisted.day - l.to_day as relist, redeployed.day - relisted.day as redeploy
        from lease l
        cross join lateral (
            select min(published_day) as day from listing
            where machine = l.machine and published_day >= l.to_day) as relisted
        cross join lateral (
            select least(
                (select min(next.from_day) from lease next
                 where next.machine = l.machine and next.from_day >= relisted.day),
                (select min(sold_day) from listing
                 where machine = l.machine and sold_day >= relisted.day)) as day) as redeployed
        where l.lessor = $1 and l.machine = any($2::uuid[]) and l.is_returned
          and l.to_day >= $3 and l.to_day < $4 and relisted.day is not null
        order by l.to_day
        """,
        owner,
        fleet,
        period.start,
        period.end,
    )
    redeploy = [row["redeploy"] for row in rows if row["redeploy"] is not None]
    return [row["relist"] for row in rows], redeploy


async def _sales(connection: Connection, fleet: list[UUID], period: Period) -> list[int]:
    rows = await connection.fetch(
        """
        select sold_day - published_day as days from listing
        where machine = any($1::uuid[]) and sold_day >= $2 and sold_day < $3
        """,
        fleet,
        period.start,
        period.end,
    )
    return [row["days"] for row in rows]


async def _cores(
    connection: Connection, owner: str, period: Period, machines: Sequence[UUID]
) -> list[Core]:
    rows = await connection.fetch(
        """
        select is_returned, end_day - charged_day as days from core
        where party = $1 and end_day >= $2 and end_day < $3
          and (cardinality($4::uuid[]) = 0 or machine = any($4::uuid[]))
        """,
        *_arguments(owner, period, machines),
    )
    return [Core(row["is_returned"], row["days"]) for row in rows]
