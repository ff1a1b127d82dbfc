"""One unit of work: rows, events, timers and sagas that become true together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from google.protobuf.message import Message

from services.kit import outbox, sagas, timers
from services.kit.clock import business_date
from services.kit.connection import Connection
from services.kit.principals import principal
from services.kit.sagas import Saga


@dataclass(slots=True)
class Transaction:
    """An open transaction; only `Database.run` begins and commits one.

    Attributes:
        connection: What a store's functions take.
        now: Domain time of everything that happens in it, aware, UTC.
        service: The service's name.
        started: Sagas to drive once it has committed.
        emitted: How many events it wrote.
        timers_set: Whether it set a timer.
    """

    connection: Connection
    now: datetime
    service: str
    started: list[Saga] = field(default_factory=list)
    emitted: int = 0
    timers_set: bool = False

    @property
    def today(self) -> date:
        """The business date of `now`."""
        return business_date(self.now)

    async def emit(self, event: Message) -> None:
        """Write an event. Its sequence is the next one of its aggregate, whose row is locked."""
        await outbox.write(self.connection, event, service=self.service, occurred_at=self.now)
        self.emitted += 1

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
