"""Publishes the outbox in order and removes what the broker has acknowledged.

One relay a database, by advisory lock. It is woken after a commit in this process and polls as a
net. Rows are removed by their own numbers, so one that commits late is never passed over.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Protocol

import asyncpg
import structlog

from services.kit import telemetry
from services.kit.connection import Connection, Row, set_up
from services.kit.waiting import backoff_s, wait_until_set

LEADER_LOCK = 0x1705_0B0C
POLL_S = 0.2  # finds what another replica committed, or a process that died after its commit
# Under a steady flow commits travel together, as a batch costs little more than one event; the
# first event after a rest leaves at once. Where a service allows longer rounds, they double as
# long as the flow goes on.
ROUND_S = 0.025
BATCH_MAX = 500
RETRY_BASE_S = 0.1
RETRY_MAX_S = 1.0  # events wait so long at most once database and broker are back

log = structlog.get_logger(__name__)


class EventLog(Protocol):
    """A log of records, ordered per key."""

    async def publish(self, rows: Sequence[Row]) -> int:
        """Append rows in order; return how many of them, from the first, are acknowledged."""
        ...


class Relay:
    """Moves rows from the outbox to the log, over a connection of its own."""

    def __init__(self, dsn: str, event_log: EventLog, *, round_max_s: float = ROUND_S) -> None:
        self._dsn = dsn
        self._log = event_log
        self._round_max_s = round_max_s
        self.woken = asyncio.Event()

    async def run(self) -> None:
        """Relay until cancelled; a lost database or broker is waited for."""
        failures = 0
        while True:
            try:
                connection = await asyncpg.connect(self._dsn, timeout=3.0)
                try:
                    await set_up(connection)
                    await self._lead(connection)
                finally:
                    connection.terminate()
            except Exception as error:
                log.warning("relay_waited", error=repr(error))
                await asyncio.sleep(backoff_s(failures, base_s=RETRY_BASE_S, max_s=RETRY_MAX_S))
                failures += 1

    async def _lead(self, connection: Any) -> None:
        await connection.execute("set statement_timeout = 0")
        await connection.execute("select pg_advisory_lock($1)", LEADER_LOCK)
        log.info("relay_leads")
        failures = 0
        next_round_s, round_s = 0.0, ROUND_S
        while True:
            await asyncio.sleep(next_round_s - time.monotonic())
            self.woken.clear()
            rows = await read_outbox(connection, limit=BATCH_MAX)
            full = len(rows) == BATCH_MAX
            next_round_s = time.monotonic() + (round_s if rows and not full else 0)
            round_s = min(round_s * 2, self._round_max_s) if rows else ROUND_S
            telemetry.OUTBOX_ROWS.set(await count_outbox(connection) if full else len(rows))
            if not rows:
                await wait_until_set(self.woken, timeout_s=POLL_S)
                continue
            acknowledged = await self._log.publish(rows)
            await _remove(connection, rows[:acknowledged])
            telemetry.OUTBOX_PUBLISHED.inc(acknowledged)
            if acknowledged == len(rows):
                failures = 0
                continue
            await asyncio.sleep(backoff_s(failures, base_s=RETRY_BASE_S, max_s=RETRY_MAX_S))
            failures += 1


async def read_outbox(connection: Connection, *, limit: int) -> list[Row]:
    """Return the oldest events that wait, in order."""
    return await connection.fetch(
        "select seq, event_id, topic, key, headers, payload from outbox order by seq limit $1",
        limit,
    )


async def count_outbox(connection: Connection) -> int:
    """Return how many events wait."""
    count: int = await connection.fetchval("select count(*) from outbox")
    return count


async def _remove(connection: Connection, rows: Sequence[Row]) -> None:
    await connection.execute(
        "delete from outbox where seq = any($1::bigint[])", [row["seq"] for row in rows]
    )
