"""Partitions of readings by month (UTC): made ahead, and at once where old readings come."""

from collections.abc import Iterable
from datetime import UTC, date, datetime

from services.kit.database import Database
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.maintenance import telemetry_store

TIMER = "make_telemetry_partitions"
SUBJECT = "telemetry"
MONTHS_AHEAD = 3  # a service that is down for a quarter loses no room


async def make_ahead(tx: Transaction) -> None:
    """Make the partitions around the business date, and come back next month."""
    first = tx.now.date().replace(day=1)
    for months in range(-1, MONTHS_AHEAD + 1):
        await telemetry_store.make_partition(tx.connection, shifted(first, months))
    next_month = shifted(first, 1)
    due_at = datetime(next_month.year, next_month.month, 1, tzinfo=UTC)
    await tx.set_timer(TIMER, SUBJECT, due_at=due_at)


async def on_timer(tx: Transaction, _: Timer) -> None:
    """Make the next month's partition when a month begins."""
    await make_ahead(tx)


class Months:
    """The months that have a partition, as far as this process knows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[date] = set()

    async def ensure(self, instants: Iterable[datetime]) -> None:
        """Have a partition for each instant, in a transaction of its own before they are stored."""
        wanted = {date(moment.year, moment.month, 1) for moment in _ends(instants)}
        for month in sorted(wanted - self._known):
            await self._make(month)
            self._known.add(month)

    async def _make(self, month: date) -> None:
        async def work(tx: Transaction) -> None:
            await telemetry_store.make_partition(tx.connection, month)

        await self._database.run(work)


def shifted(first: date, months: int) -> date:
    """Return the first day of the month that is `months` after that of `first`."""
    count = first.year * 12 + first.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def _ends(instants: Iterable[datetime]) -> Iterable[datetime]:
    """Return the first and the last of instants of one month, else all of them."""
    moments = list(instants)
    if not moments:
        return ()
    first, last = min(moments), max(moments)
    if (first.year, first.month) == (last.year, last.month):
        return (first,)
    return moments
