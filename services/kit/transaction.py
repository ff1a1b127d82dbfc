"""One unit of work: rows, events, timers and sagas that become true together."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from google.protobuf.message import Message

from services.kit import outbox, sagas, timers
from services.kit.clock import business_date
from services.kit.connection import Connection
from services.kit.outbox import OutboxRow
from services.kit.principals import principal
from services.kit.sagas import Saga


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """The answer to a request, or the saga that will give one."""

    principal: str
    method: str
    request_id: UUID
    request_sha256: bytes
    saga_id: UUID | None
    response: bytes | None


_RECORD_COLUMNS = "(principal, method, request_id, request_sha256, saga_id, response)"
INSERT_RECORD = f"insert into request_record {_RECORD_COLUMNS} values ($1, $2, $3, $4, $5, $6)"
INSERT_WITH_RECORD = f"""
    with record as (
        insert into request_record {_RECORD_COLUMNS} values ($6, $7, $8, $9, $10, $11))
    {outbox.INSERT}
"""


@dataclass(slots=True)
class Transaction:
    """An open transaction; only `Database.run` begins and commits one.

    Attributes:
        connection: What a store's functions take.
        now: Domain time of everything that happens in it, aware, UTC.
        service: The service's name.
        started: Sagas to drive once it has committed.
        events: What it emitted; written just before the commit, in this order.
        record: The answer that it keeps under its request's id, written with the events.
        timers_set: Whether it set a timer.
        opening: What the server said of the statement sent with BEGIN, "SELECT 1" for example.
    """

    connection: Connection
    now: datetime
    service: str
    started: list[Saga] = field(default_factory=list)
    events: list[OutboxRow] = field(default_factory=list)
    record: RequestRecord | None = None
    timers_set: bool = False
    opening: str = ""
    _savepoints: int = 0

    @property
    def today(self) -> date:
        """The business date of `now`."""
        return business_date(self.now)

    async def emit(self, event: Message) -> None:
        """Tell an event. Its sequence is the next one of its aggregate, whose row is locked."""
        self.events.append(outbox.row_of(event, service=self.service, occurred_at=self.now))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what the block did, events and sagas too, where it raises; the rest stays."""
        events, started = len(self.events), len(self.started)
        self._savepoints += 1
        name = f"savepoint_{self._savepoints}"
        await self.connection.execute(f"savepoint {name}")
        try:
            yield
            await self.connection.execute(f"release savepoint {name}")
        except BaseException:
            del self.events[events:]
            del self.started[started:]
            if not self.connection.is_closed():
                await self.connection.execute(f"rollback to savepoint {name}")
            raise

    async def write_out(self) -> None:
        """Write what is kept for the end: the events and the request's record, in one statement."""
        if self.record is None:
            if self.events:
                await self.connection.execute(outbox.INSERT, *outbox.arguments_of(self.events))
            return
        record = self.record
        await self.connection.execute(
            INSERT_WITH_RECORD if self.events else INSERT_RECORD,
            *(outbox.arguments_of(self.events) if self.events else ()),
            record.principal,
            record.method,
            record.request_id,
            record.request_sha256,
            record.saga_id,
            record.response,
        )

    async def set_timer(
        self,
        kind: str,
        subject: str,
        *,
        due_at: datetime,
        payload: Mapping[str, Any] | None = None,
    ) -> None:
        """Set the timer of this kind and subject, or move it."""
        await timers.set_timer(self.connection, kind, subject, due_at=due_at, payload=payload or {})
        self.timers_set = True

    async def cancel_timers(self, subject: str, *, kind: str | None = None) -> None:
        """Remove a subject's timers, or the one of a kind."""
        await timers.cancel_timers(self.connection, subject, kind=kind)

    async def start_saga(
        self, kind: str, subject: str, *, facts: Mapping[str, Any] | None = None
    ) -> Saga:
        """Start a saga; it runs once this transaction has committed.

        Raises:
            SagaRunning: One of this kind is under way for this subject.
        """
        saga = await sagas.insert(
            self.connection, kind, subject, facts=facts or {}, actor=principal().actor, at=self.now
        )
        self.started.append(saga)
        return saga
