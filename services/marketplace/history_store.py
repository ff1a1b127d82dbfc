"""All SQL of the histories of title and custody: intervals without gap or overlap."""

from datetime import datetime
from uuid import UUID

from services.kit.connection import Connection, Row
from services.marketplace.machine_model import Custody, Interval, Machine


async def has_moved_title(
    connection: Connection, machine_id: UUID, *, holder: str, reference: str
) -> bool:
    """Whether a title has come to a holder under a reference, whoever holds it now."""
    moved: bool = await connection.fetchval(
        """
        select exists (
            select from title_interval where machine_id = $1 and holder = $2 and reference = $3
        )
        """,
        machine_id,
        holder,
        reference,
    )
    return moved


async def last_custody(connection: Connection, machine_id: UUID) -> Interval:
    """Return the present custody."""
    row = await connection.fetchrow(
        """
        select number, custody, holder, reference, start_time, end_time from custody_interval
        where machine_id = $1 order by number desc limit 1
        """,
        machine_id,
    )
    assert row is not None
    return _custody(row)


async def append_title(
    connection: Connection, machine_id: UUID, *, holder: str, reference: str, at: datetime
) -> datetime:
    """End the present holding of a locked machine's title and begin the next; return when.

    Where the clock stands still the next begins a microsecond later, so that none is empty.
    """
    row = await connection.fetchrow(
        """
        update title_interval
        set end_time = greatest($2, start_time + interval '1 microsecond')
        where machine_id = $1 and end_time is null returning number, end_time
        """,
        machine_id,
        at,
    )
    assert row is not None
    await connection.execute(
        """
        insert into title_interval (machine_id, number, holder, reference, start_time)
        values ($1, $2, $3, $4, $5)
        """,
        machine_id,
        row["number"] + 1,
        holder,
        reference,
        row["end_time"],
    )
    start_time: datetime = row["end_time"]
    return start_time


async def append_custody(connection: Connection, machine: Machine, *, reference: str) -> None:
    """End the present custody of a locked machine and begin that in which it now is."""
    row = await connection.fetchrow(
        """
        update custody_interval
        set end_time = greatest($2, start_time + interval '1 microsecond')
        where machine_id = $1 and end_time is null returning number, end_time
        """,
        machine.id,
        machine.update_time,
    )
    assert row is not None
    await connection.execute(
        """
        insert into custody_interval (machine_id, number, custody, holder, reference, start_time)
        values ($1, $2, $3, $4, $5, $6)
        """,
        machine.id,
        row["number"] + 1,
        machine.custody,
        machine.custodian,
        reference,
        row["end_time"],
    )


async def list_titles(
    connection: Connection, machine_id: UUID, *, after: int, limit: int
) -> list[Interval]:
    """Return a title's history, the first holding first, after a number."""
    rows = await connection.fetch(
        """
        select number, holder, reference, start_time, end_time from title_interval
        where machine_id = $1 and number > $2 order by number limit $3
        """,
        machine_id,
        after,
        limit,
    )
    return [Interval(**row) for row in rows]


async def list_custodies(
    connection: Connection, machine_id: UUID, *, after: int, limit: int
) -> list[Interval]:
    """Return a custody's history, the first custody first, after a number."""
    rows = await connection.fetch(
        """
        select number, custody, holder, reference, start_time, end_time from custody_interval
        where machine_id = $1 and number > $2 order by number limit $3
        """,
        machine_id,
        after,
        limit,
    )
    return [_custody(row) for row in rows]


def _custody(row: Row) -> Interval:
    return Interval(**{**row, "custody": Custody(row["custody"])})
