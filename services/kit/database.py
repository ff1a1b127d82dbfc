"""The service's own PostgreSQL: a pool, transactions with retry, and reads."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, TypeVar

import asyncpg

from services.kit import telemetry
from services.kit.clock import Clock
from services.kit.connection import Connection, set_up
from services.kit.errors import Aborted, Unavailable
from services.kit.prepared import Call, Session, text_of
from services.kit.transaction import Transaction
from services.kit.waiting import backoff_s

__all__ = ["NOT_OF_THE_WORK", "Connection", "Database", "DatabaseUnavailable"]

CONTENTION_TRIES_MAX = 5  # deadlocks and serialization failures; more means a design fault
CONTENTION_BACKOFF_S = 0.005
ACQUIRE_TIMEOUT_S = 5.0  # a call that waits longer for a connection had better be retried
CONNECT_TIMEOUT_S = 3.0
STATEMENTS_CACHED_MAX = 500

T = TypeVar("T")
Work = Callable[[Transaction], Awaitable[T]]

_CONTENTION = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,  # connections, memory, or the disk: all of the moment
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    OSError,
    TimeoutError,
)

# What a failure of the connection or of other writers looks like, whatever the work was.
NOT_OF_THE_WORK = (*_CONTENTION, *_LOST)


class DatabaseUnavailable(Unavailable):
    """PostgreSQL is gone, full, or slower than the statement timeout."""

    reason = "DATABASE_UNAVAILABLE"

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"the database does not answer ({type(error).__name__})")


class Contention(Aborted):
    """Too many writers at one row."""

    reason = "CONTENTION"

    def __init__(self, tries: int) -> None:
        super().__init__(f"gave way to other writers {tries} times", retry_after_s=0.2)


class Database:
    """A pool of connections to one service's database."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        *,
        clock: Clock,
        service: str,
        size_max: int,
    ) -> None:
        self._pool = pool
        self._size_max = size_max
        self._lent = 0
        self._waiting = 0
        self._at_hand: list[Connection] = []
        self._clock = clock
        self._service = service
        self._on_commit: list[Callable[[Transaction], None]] = []

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        dsn: str,
        *,
        service: str,
        clock: Clock,
        size_max: int,
        statement_timeout_ms: int,
    ) -> AsyncIterator["Database"]:
        """Hold a pool open for the length of the block."""
        pool = await asyncpg.create_pool(
            dsn,
            connection_class=Session,
            min_size=1,
            max_size=size_max,
            timeout=CONNECT_TIMEOUT_S,
            statement_cache_size=STATEMENTS_CACHED_MAX,
            init=set_up,
            reset=_keep_session,
            max_inactive_connection_lifetime=0,  # to watch each one's rest costs 3 % of a read
            server_settings={
                "application_name": f"ironloop-{service}",
                "standard_conforming_strings": "on",  # as `kit.literals` writes them
                "statement_timeout": str(statement_timeout_ms),
                "idle_in_transaction_session_timeout": str(statement_timeout_ms * 2),
            },
        )
        try:
            yield cls(pool, clock=clock, service=service, size_max=size_max)
        finally:
            pool.terminate()

    def after_commit(self, hook: Callable[[Transaction], None]) -> None:
        """Call `hook` with each transaction that has committed; it must not block."""
        self._on_commit.append(hook)

    async def run(self, work: Work[T], *, opening: str | Call = "") -> T:
        """Run `work` in one transaction and commit; deadlocks and the like are tried again.

        Args:
            opening: A statement sent together with BEGIN, as text without parameters or as a call;
                `work` finds what the server said of it in `tx.opening`.

        Raises:
            DatabaseUnavailable: The database does not answer; nothing was committed, or the
                answer to the commit was lost.
            Contention: Other writers won five times.
        """
        for attempt in range(CONTENTION_TRIES_MAX):
            try:
                return await self._run_once(work, opening)
            except _CONTENTION:
                await asyncio.sleep(backoff_s(attempt, base_s=CONTENTION_BACKOFF_S, max_s=0.2))
        raise Contention(CONTENTION_TRIES_MAX)

    async def _run_once(self, work: Work[T], opening: str | Call) -> T:
        async with self.read() as connection:
            tx = Transaction(connection, self._clock.now(), self._service)
            try:
                if isinstance(opening, Call):
                    opening = await text_of(connection, opening)
                # Begun by hand: asyncpg's own transactions can send nothing along with BEGIN.
                tx.opening = await connection.execute(f"begin; {opening}")
                result = await work(tx)
                await tx.commit()
            except BaseException:
                await _roll_back(connection)
                raise
        for hook in self._on_commit:
            hook(tx)
        return result

    async def run_unopened(self, work: Work[T]) -> T:
        """Run `work` without a transaction around it: each statement is one of its own.

        For work whose only write is one statement, all of it or nothing.

        Raises:
            DatabaseUnavailable: The database does not answer; nothing was written, or the answer
                was lost.
        """
        async with self.read() as connection:
            tx = Transaction(connection, self._clock.now(), self._service)
            result = await work(tx)
        for hook in self._on_commit:
            hook(tx)
        return result

    def read(self) -> "Lease":
        """Lend a connection for reads; each statement is its own snapshot.

        Entering or leaving the block raises DatabaseUnavailable where the database does not answer.
        """
        return Lease(self)

    async def _acquire(self) -> Connection:
        # A pool's way out and back costs a task each, so what was given back well is kept at hand.
        while self._at_hand:
            connection = self._at_hand.pop()
            if not connection.is_closed():
                self._lent += 1
                return connection
            await self._pool.release(connection)  # type: ignore[arg-type]  # it came from there
        # A timer costs more than to take a free connection, so only who must wait has one.
        must_wait = self._lent >= self._size_max
        self._lent += 1
        self._waiting += must_wait
        try:
            return await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S if must_wait else None)
        except BaseException:
            self._lent -= 1
            raise
        finally:
            self._waiting -= must_wait

    async def _give_back(self, connection: Connection, *, is_well: bool) -> None:
        self._lent -= 1
        if is_well and not self._waiting and not connection.is_closed():
            self._at_hand.append(connection)
            return
        await self._pool.release(connection)  # type: ignore[arg-type]  # it came from there

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """Lend a connection for reads that all see one snapshot, however long they take.

        Raises:
            DatabaseUnavailable: The database does not answer.
        """
        async with (
            self.read() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute("set local statement_timeout = 0")
            await connection.execute("set local idle_in_transaction_session_timeout = 0")
            yield connection

    async def is_alive(self, *, timeout_s: float) -> bool:
        """Whether the database answers within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s), self.read() as connection:
                await connection.execute("select 1")
        except (*_LOST, DatabaseUnavailable, asyncpg.PostgresError):
            return False
        telemetry.POOL_CONNECTIONS.labels("open").set(self._pool.get_size())
        idle = self._pool.get_idle_size() + len(self._at_hand)
        telemetry.POOL_CONNECTIONS.labels("idle").set(idle)
        return True


class Lease:
    """A connection of the pool, lent for the length of a block."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> Connection:
        try:
            self._connection = await self._database._acquire()
        except Exception as error:
            _raise_lost(error)
            raise
        return self._connection

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self._database._give_back(self._connection, is_well=error is None)
        if error is not None:
            _raise_lost(error)


def _raise_lost(error: BaseException) -> None:
    """Raise DatabaseUnavailable where an error says that the database does not answer."""
    if _is_lost(error):
        raise DatabaseUnavailable(error) from error


def _is_lost(error: BaseException | None) -> bool:
    """Whether an error says that the connection is gone.

    asyncpg has one class for the use of a connection that was lost and for a wrong use of one,
    which is a defect; the former says that it is closed, or comes after what it was lost by.
    """
    if isinstance(error, asyncpg.InterfaceError):
        return "clos" in str(error) or _is_lost(error.__context__)
    return isinstance(error, _LOST)


async def _roll_back(connection: Connection) -> None:
    """End a transaction that failed; a connection that cannot is closed, which ends it too.

    Why it cannot is no news: what the transaction failed of is told.
    """
    if connection.is_closed() or not connection.is_in_transaction():
        return
    try:
        await connection.execute("rollback")
    except Exception:
        connection.terminate()
    except BaseException:
        connection.terminate()
        raise


async def _keep_session(_connection: "asyncpg.Connection[Any]") -> None:
    """Give a connection back as it is: sessions are never changed, and RESET costs a round trip."""
