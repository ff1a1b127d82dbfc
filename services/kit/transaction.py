"""One unit of work: rows, events, timers and sagas that become true together."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import asyncpg
from google.protobuf.message import Message

from services.kit import outbox, sagas, timers
from services.kit.clock import business_date
from services.kit.connection import Connection
from services.kit.errors import DomainError
from services.kit.ids import new_id
from services.kit.outbox import OutboxRow
from services.kit.prepared import Call, text_of
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


INSERT_RECORD = """
    insert into request_record
        (principal, method, request_id, request_sha256, saga_id, response)
    values ($1, $2, $3, $4, $5, $6)
"""
# Events travel with COMMIT up to this size; beyond it, their text would take the server longer to
# read than the round trip that it saves.
LITERALS_BYTES_MAX = 16_384


MAY_GO_BACK = "savepoint opened"  # the opening of a transaction that may begin anew


class StatementPassedOver(Exception):
    """A statement failed and its error was caught outside a savepoint: a defect of the work."""


def _arguments_of(record: RequestRecord) -> tuple[object, ...]:
    return (
        record.principal,
        record.method,
        record.request_id,
        record.request_sha256,
        record.saga_id,
        record.response,
    )


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
        last: What goes out just before the commit, with the events.
        refusals: What to raise where that breaks a unique constraint, by the constraint's name.
        timer_is_due: Whether it set a timer that is due already, for which the runner is woken.
        event_time: When the event that is being applied came about, aware; None outside consumers.
        opening: What the server said of the statement sent with BEGIN, "SELECT 1" for example.
    """

    connection: Connection
    now: datetime
    service: str
    started: list[Saga] = field(default_factory=list)
    events: list[OutboxRow] = field(default_factory=list)
    record: RequestRecord | None = None
    last: list[Call] = field(default_factory=list)
    refusals: dict[str, DomainError] = field(default_factory=dict)
    timer_is_due: bool = False
    event_time: datetime | None = None
    opening: str = ""
    _savepoints: int = 0

    @property
    def today(self) -> date:
        """The business date of `now`."""
        return business_date(self.now)

    async def emit(self, event: Message, *, event_id: UUID | None = None) -> None:
        """Tell an event. Its sequence is the next one of its aggregate, whose row is locked.

        Args:
            event_id: Where it follows from the event, so that a rebuilt one is known again.
        """
        self.events.append(
            outbox.row_of(
                event, service=self.service, occurred_at=self.now, event_id=event_id or new_id()
            )
        )

    def write_last(
        self,
        statement: str,
        *arguments: object,
        refusals: Mapping[str, DomainError] = MappingProxyType({}),
    ) -> None:
        """Run a statement just before the commit, sent together with it.

        It is prepared once a connection, so it is one of few: what varies is in its arguments.

        Args:
            refusals: What to raise where it breaks a unique constraint, by the constraint's name.
        """
        self.last.append(Call(statement, arguments))
        self.refusals.update(refusals)

    async def go_back(self) -> None:
        """Undo all that was done since the transaction was opened, its locks too.

        It was opened with MAY_GO_BACK, which costs no round trip of its own as a savepoint does.
        """
        await self.connection.execute("rollback to savepoint opened")
        self.events.clear()
        self.started.clear()
        self.last.clear()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what the block did, events and sagas too, where it raises; the rest stays."""
        events, started, last = len(self.events), len(self.started), len(self.last)
        self._savepoints += 1
        name = f"savepoint_{self._savepoints}"
        await self.connection.execute(f"savepoint {name}")
        try:
            yield
            await self.connection.execute(f"release savepoint {name}")
        except BaseException:
            del self.events[events:]
            del self.started[started:]
            del self.last[last:]
            if not self.connection.is_closed():
                await self.connection.execute(f"rollback to savepoint {name}")
            raise

    async def commit(self) -> None:
        """Write what is kept for the end, the events and the request's record, and commit.

        Raises:
            StatementPassedOver: A statement had failed, and the server undid everything.
            DomainError: A refusal that was given for the constraint that is broken.
            asyncpg.PostgresError: The server refused what is written or the commit.
        """
        closing = [*self.last]
        if sum(len(event.payload) for event in self.events) > LITERALS_BYTES_MAX:
            await self.connection.execute(outbox.INSERT, *outbox.arguments_of(self.events))
        else:
            closing += [outbox.insert_of(event) for event in self.events]
        if self.record is not None:
            closing.append(Call(INSERT_RECORD, _arguments_of(self.record)))
        texts = [await text_of(self.connection, call) for call in closing]
        try:
            said = await self.connection.execute(";".join([*texts, "commit"]))
        except asyncpg.UniqueViolationError as error:
            refusal = self.refusals.get(error.constraint_name or "")
            if refusal is None:
                raise
            raise refusal from error
        if said != "COMMIT":
            raise StatementPassedOver

    async def set_timer(
        self,
        kind: str,
        subject: str,
        *,
        due_at: datetime,
        payload: Mapping[str, Any] | None = None,
        at_end: bool = False,
    ) -> None:
        """Set the timer of this kind and subject, or move it.

        Args:
            at_end: Sent with the commit, which saves a round trip; nothing in this transaction may
                look for it or cancel it.
        """
        if at_end:
            self.write_last(timers.SET, kind, subject, due_at, payload or {})
        else:
            await timers.set_timer(
                self.connection, kind, subject, due_at=due_at, payload=payload or {}
            )
        self.timer_is_due |= due_at <= self.now

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
