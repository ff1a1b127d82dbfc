"""Steps across services, kept as rows so that a restart goes on where it stood.

A step calls another service outside any transaction, under ids derived from the saga, so that
calling twice does no more than calling once; what it learned is applied in the transaction that
moves the saga on. A definite refusal undoes the steps before it, backwards, and ends the saga.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from google.protobuf.message import Message

from services.kit import telemetry
from services.kit.connection import Connection, Row
from services.kit.errors import Aborted, DomainError, Unavailable
from services.kit.ids import derived_request_id, fact_id, name, new_id

if TYPE_CHECKING:
    from services.kit.runtime import Runtime
    from services.kit.transaction import Transaction

STUCK_AFTER = timedelta(minutes=5)

Facts = dict[str, Any]


class SagaRunning(Aborted):
    """Another command works on the same resource across services."""

    reason = "SAGA_RUNNING"

    def __init__(self, kind: str, subject: str) -> None:
        super().__init__(f"{kind} of {subject} is still under way", kind=kind, subject=subject)


class HeldUp(Unavailable):
    """What can no longer be taken back was refused; it is tried until it is done."""

    reason = "HELD_UP"

    def __init__(self, what: str, refusal: DomainError) -> None:
        super().__init__(
            f"{what} is held up ({refusal.reason}): {refusal.message}",
            step=what,
            cause=refusal.reason,
        )


@dataclass(frozen=True, slots=True)
class Saga:
    """One saga's row.

    Attributes:
        subject: The resource it works for.
        step: Which of its kind's steps is next, from 0.
        undoing: Whether a refusal has turned it round; `step` is then the next one to undo.
        facts: What it was started with and what its steps learned.
        actor: The user or service that asked for it.
        create_time: When it began, domain time; its transfer ids carry this instant.
        update_time: When it last moved, domain time.
        touched_time: When it was last tried, real time; an old one has lost its runner.
    """

    id: UUID
    kind: str
    subject: str
    state: str
    step: int
    undoing: bool
    attempts: int
    facts: Facts
    actor: str
    traceparent: str
    last_error: str
    refusal: bytes | None
    stuck_reported: bool
    create_time: datetime
    update_time: datetime
    touched_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "sagas/<uuid>"."""
        return name("sagas", self.id)

    def fact_id(self, leg: str, *, attempt: int = 1) -> UUID:
        """Return the id of one of its transfers, always the same for a leg and attempt.

        Args:
            attempt: Raised only after settlement has refused the leg's chain.
        """
        return fact_id(self.create_time, self.name, leg, attempt=attempt)

    def request_id(self, step: str) -> str:
        """Return the request id of one of its calls, always the same for a step."""
        return derived_request_id(self.name, step)

    def retry_request_id(self, step: str) -> str:
        """Return the request id of this try of a call that is tried until it is done.

        A peer keeps a refusal under its request id and gives it again, so a try after a refusal
        needs an id of its own: in `undo`, and within `until_done`. A call whose answer was lost
        is then asked for anew, so it must change nothing where it has been done before, by what
        it names and not by its id.
        """
        return derived_request_id(self.name, f"{step}/{self.attempts}")


@asynccontextmanager
async def until_done(what: str) -> AsyncIterator[None]:
    """Let no refusal turn a saga round whose money has moved: the step is tried again.

    Args:
        what: Is done in the block, as the operator shall read it.

    Raises:
        HeldUp: It was refused; it shows as the saga's last error, and in the end as stuck.
    """
    try:
        yield
    except DomainError as refusal:
        if not refusal.is_definite:
            raise
        raise HeldUp(what, refusal) from refusal


StepCall = Callable[["Runtime", Saga], Awaitable[Facts]]
StepApply = Callable[["Transaction", Saga], Awaitable[None]]
StepUndo = Callable[["Runtime", Saga], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a saga.

    Attributes:
        call: Asks other services, outside any transaction; what it returns joins the facts.
        apply: The effect here, in the transaction that moves the saga on; sees the new facts.
        undo: Takes the step back after a later one was refused; may be called twice.
    """

    name: str
    call: StepCall | None = None
    apply: StepApply | None = None
    undo: StepUndo | None = None


@dataclass(frozen=True, slots=True)
class SagaKind:
    """What a kind of saga does, and how it ends.

    Attributes:
        answer: The response that the command which began it gives; read after the last step.
            A kind that `commands.run_saga` begins must have one.
        on_refused: The effect here once everything is undone.
        stuck_after: How long it may take before it is reported as stuck.
    """

    kind: str
    steps: tuple[Step, ...]
    answer: Callable[["Transaction", Saga], Awaitable[Message]] | None = None
    on_refused: Callable[["Transaction", Saga, DomainError], Awaitable[None]] | None = None
    stuck_after: timedelta = STUCK_AFTER


async def insert(
    connection: Connection,
    kind: str,
    subject: str,
    *,
    facts: Mapping[str, Any],
    actor: str,
    at: datetime,
) -> Saga:
    """Write a new saga's row.

    Raises:
        SagaRunning: One of this kind is under way for this subject.
    """
    row = await connection.fetchrow(
        """
        insert into saga
            (id, kind, subject, state, step, facts, actor, traceparent, create_time, update_time)
        values ($1, $2, $3, 'RUNNING', 0, $4, $5, $6, $7, $7)
        on conflict (kind, subject) where state = 'RUNNING' do nothing returning *
        """,
        new_id(),
        kind,
        subject,
        dict(facts),
        actor,
        telemetry.traceparent(),
        at,
    )
    if row is None:
        raise SagaRunning(kind, subject)
    return _saga(row)


async def get(connection: Connection, saga_id: UUID) -> Saga:
    """Return a saga's row."""
    row = await connection.fetchrow("select * from saga where id = $1", saga_id)
    if row is None:
        raise LookupError(f"there is no saga {saga_id}")
    return _saga(row)


async def require_idle(connection: Connection, subject: str) -> None:
    """Check, with the subject's row locked, that no saga works on it.

    Raises:
        SagaRunning: One does.
    """
    kind = await connection.fetchval(
        "select kind from saga where subject = $1 and state = 'RUNNING' limit 1", subject
    )
    if kind is not None:
        raise SagaRunning(kind, subject)


async def list_running(
    connection: Connection, *, untouched_for: timedelta = timedelta()
) -> list[UUID]:
    """Return the ids of the sagas that are under way, the oldest first.

    Args:
        untouched_for: Only those that nobody has tried for this long of real time.
    """
    rows = await connection.fetch(
        """
        select id from saga
        where state = 'RUNNING' and touched_time <= clock_timestamp() - $1::interval order by id
        """,
        untouched_for,
    )
    return [row["id"] for row in rows]


async def list_page(
    connection: Connection, *, state: str | None, after: tuple[datetime, UUID] | None, limit: int
) -> list[Saga]:
    """Return sagas, the newest first, after a (create_time, id)."""
    rows = await connection.fetch(
        """
        select * from saga
        where ($1::text is null or state = $1)
          and ($2::timestamptz is null or (create_time, id) < ($2, $3::uuid))
        order by create_time desc, id desc limit $4
        """,
        state,
        *(after or (None, None)),
        limit,
    )
    return [_saga(row) for row in rows]


async def move(
    connection: Connection,
    saga: Saga,
    *,
    step: int,
    facts: Facts,
    at: datetime,
    state: str = "RUNNING",
    refusal: bytes | None = None,
) -> Saga | None:
    """Move a saga from where it was read to `step`; None where another runner has moved it."""
    row = await connection.fetchrow(
        """
        update saga set step = $4, facts = $5, state = $6, attempts = 0, last_error = '',
            undoing = undoing or $7::bytea is not null, refusal = coalesce($7, refusal),
            update_time = $8, touched_time = clock_timestamp()
        where id = $1 and step = $2 and undoing = $3 and state = 'RUNNING' returning *
        """,
        saga.id,
        saga.step,
        saga.undoing,
        step,
        facts,
        state,
        refusal,
        at,
    )
    return None if row is None else _saga(row)


async def note_failure(connection: Connection, saga: Saga, *, error: str) -> None:
    """Count a failed try of the present step."""
    await connection.execute(
        """
        update saga set attempts = attempts + 1, last_error = $2, touched_time = clock_timestamp()
        where id = $1
        """,
        saga.id,
        error,
    )


async def note_stuck(connection: Connection, saga: Saga) -> bool:
    """Mark a saga as reported; False where it was before."""
    row = await connection.fetchval(
        "update saga set stuck_reported = true where id = $1 and not stuck_reported returning true",
        saga.id,
    )
    return bool(row)


def _saga(row: Row) -> Saga:
    return Saga(**row)
