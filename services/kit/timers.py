"""Timers as rows: what falls due at an instant of domain time, fired once each."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.kit.connection import Connection

if TYPE_CHECKING:
    from services.kit.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Timer:
    """One timer that has fallen due.

    Attributes:
        kind: Which handler it is for.
        subject: The resource it works for; one timer a kind and subject.
        due_at: When it fell due, domain time.
        payload: What its handler needs beside the subject.
    """

    kind: str
    subject: str
    due_at: datetime
    payload: dict[str, Any]


SET = """
    insert into timer (kind, subject, due_at, payload) values ($1, $2, $3, $4)
    on conflict (kind, subject) do update
    set due_at = excluded.due_at, payload = excluded.payload, attempts = 0, retry_at = null
"""

TimerHandler = Callable[["Transaction", Timer], Awaitable[None]]


async def set_timer(
    connection: Connection,
    kind: str,
    subject: str,
    *,
    due_at: datetime,
    payload: Mapping[str, Any],
) -> None:
    """Set a timer; one that exists for this kind and subject moves to the new instant."""
    await connection.execute(SET, kind, subject, due_at, dict(payload))


async def cancel_timers(connection: Connection, subject: str, *, kind: str | None) -> None:
    """Remove the timers of a subject: all, or those of one kind."""
    await connection.execute(
        "delete from timer where subject = $1 and ($2::text is null or kind = $2)", subject, kind
    )


async def count_due(connection: Connection, at: datetime) -> int:
    """Return how many timers are due at an instant and have not fired."""
    count: int = await connection.fetchval("select count(*) from timer where due_at <= $1", at)
    return count


async def next_due_at(connection: Connection, *, after: datetime | None = None) -> datetime | None:
    """Return when the earliest timer falls due, or the earliest after an instant."""
    due_at: datetime | None = await connection.fetchval(
        "select min(due_at) from timer where $1::timestamptz is null or due_at > $1", after
    )
    return due_at


async def find_due_at(connection: Connection, kind: str, subject: str) -> datetime | None:
    """Return when a timer falls due, or None where it is not set."""
    due_at: datetime | None = await connection.fetchval(
        "select due_at from timer where kind = $1 and subject = $2", kind, subject
    )
    return due_at
