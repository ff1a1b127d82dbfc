"""Partitions of the transfer table by the time of ids: one a month (UTC), made ahead."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from services.kit.connection import Connection
from services.kit.timers import Timer
from services.kit.transaction import Transaction

TIMER = "make_partitions"
SUBJECT = "transfers"
MONTHS_AHEAD = 3  # a service that is down for a quarter loses no room


async def make_ahead(tx: Transaction) -> None:
    """Make the partitions around wall time and the business date, and come back next month."""
    for instant in {datetime.now(UTC).date(), tx.now.date()}:
        first = instant.replace(day=1)
        for months in range(-1, MONTHS_AHEAD + 1):
            await make(tx.connection, _shifted(first, months))
    next_month = _shifted(tx.now.date().replace(day=1), 1)
    due_at = datetime(next_month.year, next_month.month, 1, tzinfo=UTC)
    await tx.set_timer(TIMER, SUBJECT, due_at=due_at)


async def on_timer(tx: Transaction, _: Timer) -> None:
    """Make the next month's partition when a month begins."""
    await make_ahead(tx)


async def make(connection: Connection, month: date) -> bool:
    """Make a month's partition; False where it exists or the default one holds ids of it."""
    made: bool = await connection.fetchval("select make_transfer_partition($1)", month)
    return made


@dataclass(frozen=True, slots=True)
class Partition:
    """One month of transfer ids.

    Attributes:
        month: Its first day, UTC.
        state: ATTACHED, CLOSING (no new id enters it) or DETACHED.
    """

    name: str
    month: date
    state: str


async def list_all(connection: Connection) -> list[Partition]:
    """Return every partition that was ever made, the oldest first."""
    rows = await connection.fetch(
        "select name, to_timestamp(lower_ms / 1000) as lower, state from transfer_partition "
        "order by lower_ms"
    )
    return [
        Partition(row["name"], row["lower"].astimezone(UTC).date(), row["state"]) for row in rows
    ]


async def close(connection: Connection, partition: Partition) -> str | None:
    """Let no new id enter a partition; return why it cannot be closed, or None."""
    problem: str | None = await connection.fetchval(
        "select close_transfer_partition($1)", partition.name
    )
    return problem


async def detach(connection: Connection, partition: Partition) -> int:
    """Sum up and detach a closing partition; return how many transfers it holds."""
    count: int = await connection.fetchval("select detach_transfer_partition($1)", partition.name)
    return count


def _shifted(first: date, months: int) -> date:
    """Return the first day of the month that is `months` after that of `first`."""
    count = first.year * 12 + first.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)
