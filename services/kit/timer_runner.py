"""Fires timers as domain time passes them.

A timer may fire late, never early: its handler's `tx.now` is the present domain time, and
`timer.due_at` the instant at which it fell due. `AdvanceBusinessDate` stops at every day on which
a timer is due, so that `tx.today` is that day however far the date is moved.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import structlog

from services.kit import timers
from services.kit.connection import Connection
from services.kit.database import NOT_OF_THE_WORK, Database
from services.kit.errors import DomainError, Retriable
from services.kit.principals import enter, service_principal
from services.kit.timers import Timer, TimerHandler
from services.kit.transaction import Transaction
from services.kit.waiting import wait_until_set

POLL_S = 1.0  # a net under the wake-up that a commit gives
ERROR_CHARACTERS_MAX = 1_000
RETRY_AFTER = timedelta(seconds=5)  # of real time; a failing timer holds nothing else up

log = structlog.get_logger(__name__)


class TimerFailed(Exception):
    """A handler failed on a timer."""

    def __init__(self, timer: Timer) -> None:
        super().__init__(f"{timer.kind} of {timer.subject} failed")
        self.timer = timer


class TimerSpins(Exception):
    """A handler set its own timer to an instant that has passed; a defect."""

    def __init__(self, timer: Timer, due_at: datetime) -> None:
        super().__init__(f"{timer.kind} due at {timer.due_at} was set again to {due_at}")


class TimerRunner:
    """Fires timers, each in a transaction of its own, the earliest first."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, TimerHandler],
        *,
        service: str,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._service = service
        self._draining = asyncio.Lock()
        self.woken = asyncio.Event()

    async def run(self) -> None:
        """Fire timers until cancelled."""
        enter(service_principal(self._service), "timers")
        while True:
            self.woken.clear()
            try:
                await self.drain()
            except Retriable as error:
                log.warning("timers_waited", error=error.message)
            except Exception as error:
                log.error("timers_failed", exc_info=error)
            await wait_until_set(self.woken, timeout_s=POLL_S)

    async def drain(self) -> int:
        """Fire every timer that is due, one after the other, and return how many there were."""
        fired = 0
        async with self._draining:
            while await self._fire_next():
                fired += 1
        return fired

    async def _fire_next(self) -> bool:
        try:
            return await self._database.run(self._fire)
        except TimerFailed as failure:
            cause, timer = failure.__cause__, failure.timer
            error = repr(cause).replace("\0", "")[:ERROR_CHARACTERS_MAX]
            await self._database.run(lambda tx: _postpone(tx.connection, timer, error=error))
            log.error("timer_failed", kind=timer.kind, subject=timer.subject, exc_info=cause)
            return True

    async def _fire(self, tx: Transaction) -> bool:
        # By the transaction's own instant, or its handler would find nothing due yet.
        timer = await _take_due(tx.connection, tx.now)
        if timer is None:
            return False
        try:
            async with tx.savepoint():
                await self._handlers[timer.kind](tx, timer)
                again = await timers.find_due_at(tx.connection, timer.kind, timer.subject)
                if again is not None and again <= timer.due_at:
                    raise TimerSpins(timer, again)
        except DomainError as refusal:
            if not refusal.is_definite:
                raise TimerFailed(timer) from refusal
            log.info("timer_refused", kind=timer.kind, subject=timer.subject, error=str(refusal))
        except NOT_OF_THE_WORK:
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
