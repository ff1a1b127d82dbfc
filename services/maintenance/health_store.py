"""SQL of the hours that a machine's health rests on: its meter, and the readings before it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from services.kit.connection import Connection

# A meter's present stand, and each reading that moved it by enough to be told.
_LIFE = """
    select figure + run_before as hours, read_at from meter
    where machine_id = $1 and kind = 'HOURS'
    union all
    select figure + run_before as hours, read_at from meter_reading
    where machine_id = $1 and kind = 'HOURS' and state = 'ACCEPTED'
"""


@dataclass(frozen=True, slots=True)
class HoursAt:
    """Accepted hours of a machine's life, and when its meter stood there."""

    hours: Decimal
    read_at: datetime


async def find_hours_at(
    connection: Connection, machine_id: UUID, *, until: datetime
) -> HoursAt | None:
    """Return the last accepted hours of a machine's life by an instant."""
    row = await connection.fetchrow(
        f"select * from ({_LIFE}) as life where read_at <= $2 order by read_at desc limit 1",
        machine_id,
        until,
    )
    return None if row is None else HoursAt(row["hours"], row["read_at"])


async def find_hours_run(
    connection: Connection, machine_id: UUID, *, since: datetime, until: datetime
) -> Decimal | None:
    """Return the hours that a machine ran in a time; None where no reading says.

    They are counted from the last reading before it, or from the first in it where that is the
    machine's first.
    """
    row = await connection.fetchrow(
        f"""
        with life as ({_LIFE})
        select
            (select hours from life where read_at <= $3 order by read_at desc limit 1) as last,
            coalesce(
                (select hours from life where read_at <= $2 order by read_at desc limit 1),
                (select hours from life where read_at <= $3 order by read_at limit 1)
            ) as first
        """,
        machine_id,
        since,
        until,
    )
    if row is None or row["last"] is None:
        return None
    ran: Decimal = row["last"] - row["first"]
    return max(Decimal(0), ran)
