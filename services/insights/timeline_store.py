"""SQL that reads the lives of machines."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal


async def is_seen(connection: Connection, machine: UUID, *, viewer: Principal) -> bool:
    """Whether the viewer owns or has a machine, or sees all of those that exist."""
    return bool(
        await connection.fetchval(
            """
            select true from machine where id = $1 and ($2 or title_holder = $3 or custodian = $3)
            """,
            machine,
            viewer.sees_all,
            viewer.party or None,
        )
    )


async def list_entries(
    connection: Connection, machine: UUID, *, after: tuple[datetime, int] | None, limit: int
) -> Sequence[Row]:
    """Return lines of a machine's life after a (time, number), the oldest first."""
    at, number = after or (None, None)
    return await connection.fetch(
        """
        select number, event_time, event, reference, party, amount, hours, note from timeline
        where machine = $1 and ($2::timestamptz is null or (event_time, number) > ($2, $3::bigint))
        order by event_time, number limit $4
        """,
        machine,
        at,
        number,
        limit,
    )
