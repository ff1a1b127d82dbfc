"""Many requests for one aggregate done in one transaction, each with a record of its own.

Where many callers write to the same row, a transaction for each has them wait for one another's
commits. Here those that wait are taken together, in the order in which they came: the aggregate is
locked once, what becomes of each is decided one after the other, and one commit makes all of it
true. Each caller still gets an answer of its own, kept under its request's id.

A batch is short, so a request that another process is just doing is waited for, by the unique key
of its record, and not refused as running.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import asyncpg
import structlog
from google.protobuf.message import Message

from services.kit import telemetry
from services.kit.connection import Connection
from services.kit.database import Database
from services.kit.errors import DomainError, Exhausted, Retriable
from services.kit.principals import enter, service_principal
from services.kit.requests import RequestIdReused, RequestKey, answer_in, key_of, packed
from services.kit.transaction import Transaction

BATCH_MAX = 256  # requests of one transaction: beyond it a commit's cost no longer counts
# While requests keep coming, a batch waits this long for more of them: a commit shared by ten costs
# each of them less time than it waits. One that comes alone waits for nobody.
GATHERED_FOR_S = 0.004
WAITING_MAX = 4_096  # requests that wait for one aggregate; more are sent away to come again

Argument = TypeVar("Argument")
Outcome: TypeAlias = Message | DomainError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asked(Generic[Argument]):
    """One request of a batch.

    Attributes:
        argument: What the work needs of it.
        traceparent: The caller's span, for the events that come of it.
    """

    argument: Argument
    traceparent: str


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Argument]):
    key: RequestKey
    asked: Asked[Argument]
    answer: "asyncio.Future[Message]"

    @property
    def identity(self) -> tuple[str, str, object]:
        """Return under what its record is kept."""
        return self.key.principal, self.key.method, self.key.request_id


BatchWork: TypeAlias = Callable[
    [Transaction, Hashable, Sequence[Asked[Argument]]], Awaitable[Sequence[Outcome]]
]


class TooManyWaiting(Exhausted):
    """Too many requests wait for one aggregate."""

    reason = "TOO_MANY_WAITING"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} requests wait for the same resource", retry_after_s=0.2)


class RequestBatches(Generic[Argument]):
    """Gathers requests by their aggregate; one transaction at a time works for each."""

    def __init__(
        self, database: Database, *, service: str, secret: str, work: BatchWork[Argument]
    ) -> None:
        """Make a gatherer.

        Args:
            secret: Keys the digests of requests, as for `Commands`.
            work: Gets an aggregate and its requests in their order, and returns what becomes of
                each: its answer, or its refusal, which changes nothing for the others.
        """
        self._database = database
        self._secret = secret.encode()
        self._service = service
        self._work = work
        self._waiting: dict[Hashable, deque[_Waiting[Argument]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, request: Message, subject: Hashable, argument: Argument) -> Any:
        """Have a request done with those that wait for the same subject, and return its answer.

        Raises:
            RequestIdReused, StoredRefusal: As `Commands.run`.
            TooManyWaiting: Too many wait already.
            DomainError: What the work makes of it; a definite refusal is stored.
        """
        waiting = self._waiting.get(subject)
        if waiting is not None and len(waiting) >= WAITING_MAX:
            raise TooManyWaiting(WAITING_MAX)
        one = _Waiting(
            key_of(request, self._secret),
            Asked(argument, telemetry.traceparent()),
            asyncio.get_running_loop().create_future(),
        )
        if waiting is None:
            self._waiting[subject] = deque([one])
            # In a context of its own: it works for many callers, none of whom it is.
            task = asyncio.create_task(self._drain(subject), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            waiting.append(one)
        return await one.answer

    async def _drain(self, subject: Hashable) -> None:
        enter(service_principal(self._service), "batches")
        waiting = self._waiting[subject]
        is_storm = False
        try:
            while waiting:
                if is_storm and len(waiting) < BATCH_MAX:
                    await asyncio.sleep(GATHERED_FOR_S)
                batch = [waiting.popleft() for _ in range(min(len(waiting), BATCH_MAX))]
                await self._do(subject, batch)
                is_storm = len(batch) > 1 or len(waiting) > 1
        finally:
            for one in self._waiting.pop(subject):  # the service is stopping
                one.answer.cancel()

    async def _do(self, subject: Hashable, batch: Sequence[_Waiting[Argument]]) -> None:
        try:
            outcomes = await self._run(subject, batch)
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, Retriable):
                # One of them is at fault; alone, each answers for itself.
                log.warning("batch_failed", error=repr(error), requests=len(batch))
                for one in batch:
                    await self._do(subject, [one])
                return
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(error)
            return
        for one, outcome in zip(batch, outcomes, strict=True):
            if one.answer.done():  # its caller has gone; the record keeps the answer
                continue
            if isinstance(outcome, DomainError):
                one.answer.set_exception(outcome)
            else:
                one.answer.set_result(outcome)

    async def _run(
        self, subject: Hashable, batch: Sequence[_Waiting[Argument]]
    ) -> Sequence[Outcome]:
        async def once(tx: Transaction) -> Sequence[Outcome]:
            return await self._once(tx, subject, batch)

        try:
            return await self._database.run(once)
        except asyncpg.UniqueViolationError:
            # Another process kept a record of one of them since we looked; now it is found.
            return await self._database.run(once)

    async def _once(
        self, tx: Transaction, subject: Hashable, batch: Sequence[_Waiting[Argument]]
    ) -> Sequence[Outcome]:
        first = {one.identity: one for one in reversed(batch)}
        outcomes = await _find_many(tx.connection, list(first.values()))
        fresh = [
            one for one in batch if first[one.identity] is one and one.identity not in outcomes
        ]
        if fresh:
            decided = await self._work(tx, subject, [one.asked for one in fresh])
            outcomes |= {one.identity: it for one, it in zip(fresh, decided, strict=True)}
            await _keep_many(
                tx.connection, [(one.key, it) for one, it in zip(fresh, decided, strict=True)]
            )
        return [
            outcomes[one.identity]
            if one.key.sha256 == first[one.identity].key.sha256
            else RequestIdReused()
            for one in batch
        ]


async def _find_many(
    connection: Connection, batch: Sequence[_Waiting[Any]]
) -> dict[tuple[str, str, object], Outcome]:
    """Return the stored outcomes of those requests that have one."""
    rows = await connection.fetch(
        """
        select r.principal, r.method, r.request_id, r.request_sha256, r.response, r.refusal
        from unnest($1::text[], $2::text[], $3::uuid[]) as asked (principal, method, request_id)
        join request_record r using (principal, method, request_id)
        """,
        [one.key.principal for one in batch],
        [one.key.method for one in batch],
        [one.key.request_id for one in batch],
    )
    if not rows:
        return {}
    keys = {one.identity: one.key for one in batch}
    found: dict[tuple[str, str, object], Outcome] = {}
    for row in rows:
        identity = (row["principal"], row["method"], row["request_id"])
        try:
            found[identity] = answer_in(row, keys[identity])
        except DomainError as refusal:
            found[identity] = refusal
    return found


async def _keep_many(connection: Connection, decided: Sequence[tuple[RequestKey, Outcome]]) -> None:
    """Keep the answers and definite refusals of requests under their ids."""
    kept = [(key, it) for key, it in decided if not isinstance(it, DomainError) or it.is_definite]
    await connection.execute(
        """
        insert into request_record
            (principal, method, request_id, request_sha256, response, refusal)
        select * from unnest(
            $1::text[], $2::text[], $3::uuid[], $4::bytea[], $5::bytea[], $6::bytea[])
        """,
        [key.principal for key, _ in kept],
        [key.method for key, _ in kept],
        [key.request_id for key, _ in kept],
        [key.sha256 for key, _ in kept],
        [None if isinstance(it, DomainError) else packed(it) for _, it in kept],
        [
            it.to_status().SerializeToString() if isinstance(it, DomainError) else None
            for _, it in kept
        ],
    )
