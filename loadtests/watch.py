"""What goes on beside a load: backlogs sampled, sums read in one snapshot, the broker stopped."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from infra.local.databases import dsn_of
from infra.local.environment import database_of
from infra.local.standing import standings
from infra.local.state import Stack

SAMPLE_EVERY_S = 2.0
READ_EVERY_S = 0.05
OUTAGE_S_MAX = 60.0

_SUMS = """
    select coalesce(sum(debits_posted - credits_posted), 0) as posted,
        coalesce(sum(debits_pending - credits_pending), 0) as pending,
        count(*) filter (where flags & 1 = 1
            and debits_posted + debits_pending > credits_posted) as overdrawn
    from account
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What waited at an instant, by service.

    Attributes:
        at_s: Seconds from the run's beginning.
        outbox: Events that were not yet published.
        lag: Events that were published and not yet consumed.
    """

    at_s: float
    outbox: dict[str, int]
    lag: dict[str, int]


@dataclass(slots=True)
class Watched:
    """What was seen beside a load.

    Attributes:
        sums_read: How often all accounts were summed in one snapshot.
        sums_wrong: What those snapshots showed that must not be.
        outage: From when to when the broker was stopped, seconds from the run's beginning.
    """

    started_s: float = field(default_factory=time.monotonic)
    samples: list[Sample] = field(default_factory=list)
    sums_read: int = 0
    sums_wrong: list[str] = field(default_factory=list)
    outage: tuple[float, float] | None = None

    def elapsed_s(self) -> float:
        """Return the seconds from the run's beginning."""
        return time.monotonic() - self.started_s

    def backlog_json(self) -> list[dict[str, Any]]:
        """Return the samples as JSON takes them."""
        return [
            {"at_s": round(one.at_s, 1), "outbox": one.outbox, "lag": one.lag}
            for one in self.samples
        ]


@asynccontextmanager
async def watching(stack: Stack, *, outage_s: float, outage_at_s: float) -> AsyncIterator[Watched]:
    """Watch a stack for the length of the block.

    Args:
        outage_s: For how long its broker is stopped; 0: not at all.
    """
    watched = Watched()
    tasks = [
        asyncio.create_task(_sample(stack, watched)),
        asyncio.create_task(_read_sums(stack, watched)),
    ]
    if outage_s:
        tasks.append(asyncio.create_task(_stop_broker(stack, watched, outage_s, outage_at_s)))
    try:
        yield watched
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error


async def sample(stack: Stack, watched: Watched) -> Sample:
    """Note what waits now."""
    found = await standings(stack)
    taken = Sample(
        watched.elapsed_s(),
        {name: one.outbox_rows for name, one in found.items()},
        {name: one.consumer_lag for name, one in found.items()},
    )
    watched.samples.append(taken)
    return taken


async def _sample(stack: Stack, watched: Watched) -> None:
    while True:
        await sample(stack, watched)
        await asyncio.sleep(SAMPLE_EVERY_S)


async def _read_sums(stack: Stack, watched: Watched) -> None:
    """Sum all accounts in one snapshot, again and again: Jepsen's bank."""
    dsn = dsn_of(stack.addresses.postgres_dsn, database=database_of("settlement"))
    reader = await asyncpg.connect(dsn, server_settings={"default_transaction_read_only": "on"})
    try:
        while True:
            row = await reader.fetchrow(_SUMS)
            assert row is not None
            watched.sums_read += 1
            if any(row.values()):
                watched.sums_wrong.append(
                    f"after {watched.elapsed_s():.1f} s: debits less credits {row['posted']} "
                    f"posted and {row['pending']} pending, {row['overdrawn']} accounts overdrawn"
                )
            await asyncio.sleep(READ_EVERY_S)
    finally:
        reader.terminate()


async def _stop_broker(stack: Stack, watched: Watched, outage_s: float, after_s: float) -> None:
    """Stop the broker's process, and let it go on; it answers nothing in between."""
    [broker] = [process for process in stack.servers if process.name == "kafka"]
    handle = broker.handle()
    assert handle is not None, "the broker runs"
    await asyncio.sleep(after_s)
    handle.suspend()
    stopped_s = watched.elapsed_s()
    try:
        await asyncio.sleep(outage_s)
    finally:
        with contextlib.suppress(Exception):
            handle.resume()
        watched.outage = (stopped_s, watched.elapsed_s())
