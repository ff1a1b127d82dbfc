"""All SQL of how far the poller has come with each endpoint."""

from dataclasses import dataclass
from datetime import datetime

from services.kit.connection import Connection


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a walk goes on after a restart.

    Attributes:
        next_href: The page that comes next; "" where the next walk begins at the start.
        pages: Pages that the walk under way, or else the last one, has taken.
        failures: Tries that failed since the last page that was taken.
    """

    name: str
    next_time: datetime
    next_href: str = ""
    pages: int = 0
    failures: int = 0
    last_error: str = ""
    finish_time: datetime | None = None


_COLUMNS = "name, next_time, next_href, pages, failures, last_error, finish_time"


async def claim_point(
    connection: Connection, name: str, *, now: datetime, until: datetime
) -> ResumePoint | None:
    """Return where an endpoint's walk stands if it is due, and keep others off it until `until`."""
    await connection.execute(
        "insert into fleet_source (name, next_time) values ($1, $2) on conflict do nothing",
        name,
        now,
    )
    row = await connection.fetchrow(
        f"""
        update fleet_source set next_time = $3 where name = $1 and next_time <= $2
        returning {_COLUMNS}
        """,
        name,
        now,
        until,
    )
    return None if row is None else ResumePoint(*row)


async def next_time(connection: Connection, name: str) -> datetime | None:
    """Return when an endpoint's walk goes on."""
    moment: datetime | None = await connection.fetchval(
        "select next_time from fleet_source where name = $1", name
    )
    return moment


async def list_points(connection: Connection) -> dict[str, ResumePoint]:
    """Return where every endpoint's walk stands, by name."""
    rows = await connection.fetch(f"select {_COLUMNS} from fleet_source")
    return {row["name"]: ResumePoint(*row) for row in rows}


async def save_point(connection: Connection, point: ResumePoint) -> None:
    """Write where an endpoint's walk stands."""
    await connection.execute(
        f"""
        insert into fleet_source ({_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (name) do update set
            next_time = excluded.next_time, next_href = excluded.next_href, pages = excluded.pages,
            failures = excluded.failures, last_error = excluded.last_error,
            finish_time = excluded.finish_time
        """,
        point.name,
        point.next_time,
        point.next_href,
        point.pages,
        point.failures,
        point.last_error,
        point.finish_time,
    )
