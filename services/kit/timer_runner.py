"""Fires timers as domain time passes them."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog

from services.kit.clock import Clock
from services.kit.connection import Connection
from services.kit.database import Database
from services.kit.errors import DomainError, Unavailable
from services.kit.principals import enter, service_principal
from services.kit.timers import Timer, TimerHandler
from services.kit.transaction import Transaction
from services.kit.waiting import wait_until_set

POLL_S = 1.0  # a net under the wake-up that a commit gives
RETRY_AFTER = timedelta(seconds=5)  # of real time; a failing timer holds nothing else up

log = structlog.get_logger(__name__)


class TimerFailed(Exception):
    """A handler failed on a timer."""

    def __init__(self, timer: Timer) -> None:
        super().__init__(f"{timer.kind} of {timer.subject} failed")
        self.timer = timer


class TimerRunner:
    """Fires timers, each in a transaction of its own, the earliest first."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, TimerHandler],
        *,
        clock: Clock,
        service: str,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._clock = clock
        self._service = service
        self.woken = asyncio.Event()

    async def run(self) -> None:
        """Fire timers until cancelled."""
        enter(service_principal(self._service), "timers")
        while True:
            self.woken.clear()
            try:
                await self.drain()
            except Unavailable as error:
                log.warning("timers_waited", error=error.message)
            await wait_until_set(self.woken, timeout_s=POLL_S)

    async def drain(self) -> int:
        """Fire every timer that is due and return how many there were."""
        fired = 0
        while await self._fire_next():
            fired += 1
        return fired

    async def _fire_next(self) -> bool:
        try:
            return await self._database.run(self._fire)
        except TimerFailed as failure:
            error = str(failure.__cause__)
            timer = failure.timer
            await self._database.run(lambda tx: _postpone(tx.connection, timer, error=error))
            log.error("timer_failed", kind=timer.kind, subject=timer.subject, error=error)
            return True

    async def _fire(self, tx: Transaction) -> bool:
        timer = await _take_due(tx.connection, self._clock.now())
        if timer is None:
            return False
        try:
            async with tx.connection.transaction():
                await self._handlers[timer.kind](tx, timer)
        except DomainError as refusal:
            if not refusal.is_definite:
                raise TimerFailed(timer) from refusal
            log.info("timer_refused", kind=timer.kind, subject=timer.subject, error=str(refusal))
        except (asyncpg.PostgresError, OSError):
            raise
        except Exception as error:
            raise TimerFailed(timer) from error
        return True


async def _take_due(connection: Connection, at: datetime) -> Timer | None:
    """Remove and return the earliest due timer that no other runner holds."""
    row = await connection.fetchrow(
        """
        delete from timer where (kind, subject) in (
            select kind, subject from timer
            where due_at <= $1 and (retry_at is null or retry_at <= $2)
            order by due_at, kind, subject limit 1 for update skip locked)
        returning kind, subject, due_at, payload
        """,
        at,
        datetime.now(UTC),
    )
    return None if row is None else Timer(**row)


async def _postpone(connection: Connection, timer: Timer, *, error: str) -> None:
    await connection.execute(
        """
        update timer set attempts = attempts + 1, retry_at = $3, last_error = $4
        where kind = $1 and subject = $2
        """,
        timer.kind,
        timer.subject,
        datetime.now(UTC) + RETRY_AFTER,
        error,
    )
