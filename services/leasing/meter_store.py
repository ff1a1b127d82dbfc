"""All SQL of hours that maintenance accepted: the last reading of each machine and business day."""

from datetime import date, datetime
from decimal import Decimal

from services.kit.connection import Connection, Row
from services.leasing.usage_model import Reading


async def keep_accepted(
    connection: Connection,
    machine: str,
    *,
    read_at: datetime,
    read_on: date,
    hours: Decimal,
    reading: str,
) -> None:
    """Keep an accepted reading, unless a later one of the same day is kept."""
    await connection.execute(
        """
        insert into accepted_hours as kept (machine, read_on, read_at, hours, reading)
        values ($1, $2, $3, $4, $5)
        on conflict (machine, read_on) do update
        set read_at = excluded.read_at, hours = excluded.hours, reading = excluded.reading
        where excluded.read_at >= kept.read_at
        """,
        machine,
        read_on,
        read_at,
        hours,
        reading,
    )


async def find_first(connection: Connection, machine: str, *, start: date) -> Reading | None:
    """Return the first accepted reading of a machine on or after a day."""
    row = await connection.fetchrow(
        """
        select read_on, hours from accepted_hours where machine = $1 and read_on >= $2
        order by read_on limit 1
        """,
        machine,
        start,
    )
    return _reading(row)


async def find_last(
    connection: Connection, machine: str, *, start: date, end: date
) -> Reading | None:
    """Return the last accepted reading of a machine from a day to a day."""
    row = await connection.fetchrow(
        """
        select read_on, hours from accepted_hours
        where machine = $1 and read_on between $2 and $3 order by read_on desc limit 1
        """,
        machine,
        start,
        end,
    )
    return _reading(row)


def _reading(row: Row | None) -> Reading | None:
    return None if row is None else Reading(row["read_on"], row["hours"])
