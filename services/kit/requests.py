"""A write's answer kept under its request id, so that a retry is safe (AIP-155).

The five answers to a request id: new, so the work is done; the same request again, so the stored
answer; the same id with another request, REQUEST_ID_REUSED; the first call still at work,
REQUEST_RUNNING with RetryInfo; and a malformed id, INVALID_ARGUMENT.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from google.protobuf import any_pb2, symbol_database
from google.protobuf.message import Message
from google.rpc import status_pb2

from services.kit.connection import Connection, Row
from services.kit.database import Database
from services.kit.errors import Aborted, DomainError, InvalidArgument, StoredRefusal
from services.kit.prepared import Call
from services.kit.principals import method, principal
from services.kit.sagas import Saga
from services.kit.transaction import RequestRecord, Transaction

KEPT_FOR = timedelta(days=7)  # clients may retry for at least a day
SAGA_WAIT_S = 20.0  # a call waits this long for its saga, then answers REQUEST_RUNNING

# What the server says of `RequestKey.opening` where no call had this id before.
_IS_NEW = "SELECT 1"
_OPENING = """
    select 1 where not exists (select from request_record where request_id = $1)
        and pg_try_advisory_xact_lock($2)
"""

Answer = TypeVar("Answer", bound=Message)


class RequestIdReused(InvalidArgument):
    """The request id was used for another request."""

    reason = "REQUEST_ID_REUSED"

    def __init__(self) -> None:
        super().__init__("request_id", "was used before for a request with other content")


class RequestRunning(Aborted):
    """The first call with this request id is still at work."""

    reason = "REQUEST_RUNNING"

    def __init__(self) -> None:
        super().__init__("a call with this request_id is still running", retry_after_s=0.5)


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What identifies a request: who asked, what for, under which id, and its content."""

    principal: str
    method: str
    request_id: UUID
    sha256: bytes

    @property
    def lock(self) -> int:
        """The number of its advisory lock, a signed 64-bit integer."""
        text = f"{self.principal}\x00{self.method}\x00{self.request_id}".encode()
        return int.from_bytes(hashlib.sha256(text).digest()[:8], signed=True)

    @property
    def opening(self) -> Call:
        """What opens a new request's transaction: it gives a row and the lock.

        It gives none where the id may have been used before or is in use.
        """
        return Call(_OPENING, (self.request_id, self.lock))


class Commands:
    """Runs writes, each once per request id."""

    def __init__(
        self,
        database: Database,
        *,
        drive: Callable[[UUID], "asyncio.Task[None]"],
        secret: str = "",
    ) -> None:
        """Make a runner of writes.

        Args:
            drive: Starts a saga.
            secret: Keys the digests of requests, so that a record tells nothing of a password.
        """
        self._database = database
        self._drive = drive
        self._secret = secret.encode()

    async def run(
        self, request: Message, work: Callable[[Transaction], Awaitable[Answer]]
    ) -> Answer:
        """Do `work` in one transaction with its request record, or give the stored answer.

        Raises:
            RequestIdReused, RequestRunning: As the module says.
            DomainError: What `work` refuses; a definite refusal is stored and given again.
        """
        key = key_of(request, self._secret)

        async def once(tx: Transaction) -> Message:
            if tx.opening != _IS_NEW:
                stored = await _lock_and_find(tx.connection, key)
                if stored is not None:
                    return stored
            answer = await work(tx)
            _keep(tx, key, response=answer)
            return answer

        answer: Answer = await self._guarded(key, once)
        return answer

    async def find_answer(self, request: Message) -> Any:
        """Return a request's stored answer, or None where it has none yet.

        For a write that must ask another service before it can begin: a retry asks nobody.

        Raises:
            RequestIdReused: The id was used for another request.
            StoredRefusal: The request was refused.
        """
        key = key_of(request, self._secret)
        try:
            async with self._database.read() as connection:
                return await _find(connection, key)
        except RequestRunning:
            return None

    async def run_saga(
        self, request: Message, begin: Callable[[Transaction], Awaitable[Saga]]
    ) -> Any:
        """Begin a saga with its request record, and answer what it answers at its end.

        Raises:
            RequestRunning: Also where the saga needs longer than this call may wait; it goes on.
            DomainError: What `begin` or a step of the saga refuses, stored and given again.
        """
        key = key_of(request, self._secret)

        async def once(tx: Transaction) -> Message | Saga:
            if tx.opening != _IS_NEW:
                stored = await _lock_and_find(tx.connection, key)
                if stored is not None:
                    return stored
            saga = await begin(tx)
            _keep(tx, key, saga_id=saga.id)
            return saga

        outcome = await self._guarded(key, once)
        if not isinstance(outcome, Saga):
            return outcome
        try:
            async with asyncio.timeout(SAGA_WAIT_S):
                await asyncio.shield(self._drive(outcome.id))
        except TimeoutError as error:
            raise RequestRunning from error
        async with self._database.read() as connection:
            return await _find(connection, key)

    async def _guarded(self, key: RequestKey, once: Callable[[Transaction], Awaitable[Any]]) -> Any:
        """Run `once`, and keep its definite refusal.

        The first call may commit between our look for its record and our lock. Then the work
        meets its effect, as a duplicate or as a refusal, and the first call's answer is given.
        """
        try:
            try:
                return await self._database.run(once, opening=key.opening)
            except asyncpg.UniqueViolationError:
                return await self._database.run(once, opening=key.opening)
        except (StoredRefusal, RequestIdReused):
            raise
        except DomainError as refusal:
            if not refusal.is_definite:
                raise
            earlier = await self._database.run(_storing(key, refusal))
            if earlier is None:
                raise
            return earlier


async def finish(
    connection: Connection,
    saga_id: UUID,
    *,
    response: Message | None = None,
    refusal: bytes | None = None,
) -> None:
    """Store how a saga ended as the answer of the command that began it, if one did."""
    await connection.execute(
        "update request_record set response = $2, refusal = $3 where saga_id = $1",
        saga_id,
        None if response is None else packed(response),
        refusal,
    )


async def forget_old(connection: Connection) -> None:
    """Remove records older than a client may still retry; one whose saga still runs stays."""
    await connection.execute(
        """
        delete from request_record where create_time < now() - $1::interval
            and (response is not null or refusal is not null)
        """,
        KEPT_FOR,
    )


def key_of(request: Any, secret: bytes = b"") -> RequestKey:
    """Return what identifies the present call's request.

    Args:
        secret: Keys the digest of its content.

    Raises:
        InvalidArgument: Its request_id is no UUID.
    """
    try:
        request_id = UUID(request.request_id)
    except ValueError as error:
        raise InvalidArgument("request_id", "must be a UUID") from error
    content = request.SerializeToString(deterministic=True)
    digest = hashlib.sha256(secret + hashlib.sha256(secret + content).digest()).digest()
    return RequestKey(principal().subject, method(), request_id, digest)


async def _lock_and_find(connection: Connection, key: RequestKey) -> Message | None:
    """Take the request's lock without waiting, and return its stored answer where there is one."""
    row = await connection.fetchrow(
        """
        select pg_try_advisory_xact_lock($1) as locked, r.request_sha256, r.response, r.refusal
        from (select 1) as one
        left join request_record r on r.principal = $2 and r.method = $3 and r.request_id = $4
        """,
        key.lock,
        key.principal,
        key.method,
        key.request_id,
    )
    assert row is not None
    if row["request_sha256"] is not None:
        return answer_in(row, key)
    if not row["locked"]:
        raise RequestRunning
    return None


async def _find(connection: Connection, key: RequestKey) -> Message:
    row = await connection.fetchrow(
        """
        select request_sha256, response, refusal from request_record
        where principal = $1 and method = $2 and request_id = $3
        """,
        key.principal,
        key.method,
        key.request_id,
    )
    if row is None:
        raise RequestRunning
    return answer_in(row, key)


def answer_in(row: Row, key: RequestKey) -> Message:
    """Return the answer that a request's record holds.

    Raises:
        RequestIdReused: The record is of another request.
        StoredRefusal: The request was refused.
        RequestRunning: Its saga has not ended.
    """
    if row["request_sha256"] != key.sha256:
        raise RequestIdReused
    if row["refusal"] is not None:
        raise StoredRefusal(status_pb2.Status.FromString(row["refusal"]))
    if row["response"] is None:
        raise RequestRunning
    return _unpack(row["response"])


def _keep(
    tx: Transaction,
    key: RequestKey,
    *,
    response: Message | None = None,
    saga_id: UUID | None = None,
) -> None:
    """Have the transaction write the request's record at its end."""
    tx.record = RequestRecord(
        key.principal,
        key.method,
        key.request_id,
        key.sha256,
        saga_id,
        None if response is None else packed(response),
    )


def _storing(
    key: RequestKey, refusal: DomainError
) -> Callable[[Transaction], Awaitable[Message | None]]:
    """Return the work that keeps a refusal as the answer, or gives the one that is there."""

    async def store(tx: Transaction) -> Message | None:
        stored = await tx.connection.fetchval(
            """
            insert into request_record (principal, method, request_id, request_sha256, refusal)
            values ($1, $2, $3, $4, $5) on conflict do nothing returning true
            """,
            key.principal,
            key.method,
            key.request_id,
            key.sha256,
            refusal.to_status().SerializeToString(),
        )
        return None if stored else await _find(tx.connection, key)

    return store


def packed(message: Message) -> bytes:
    """Return an answer as a record keeps it, with its type."""
    envelope = any_pb2.Any()
    envelope.Pack(message)
    return envelope.SerializeToString()


def _unpack(stored: bytes) -> Message:
    packed = any_pb2.Any.FromString(stored)
    message: Message = symbol_database.Default().GetSymbol(packed.TypeName())()
    packed.Unpack(message)
    return message
