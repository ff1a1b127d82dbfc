"""What a service is made of, and how its parts are started and drained."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection
from ironloop.kit.v1 import operator_pb2, operator_pb2_grpc

from services.kit import inbox, operator, requests
from services.kit.calendar import CHINA
from services.kit.clients import SIZE_OPTIONS, Peers
from services.kit.clock import BusinessClock
from services.kit.consumer import Consumer, EventHandler
from services.kit.database import Database
from services.kit.door import Door
from services.kit.health import HealthWatch
from services.kit.http import Document, HttpListener
from services.kit.kafka_log import KafkaEventLog, KafkaFeed
from services.kit.paging import Pages
from services.kit.relay import Relay
from services.kit.requests import Commands
from services.kit.runtime import Runtime
from services.kit.saga_runner import SagaRunner
from services.kit.sagas import SagaKind
from services.kit.settings import ServiceSettings
from services.kit.timer_runner import TimerRunner
from services.kit.timers import TimerHandler
from services.kit.tokens import Authenticator, Keys, PublishedKeys
from services.kit.transaction import Transaction

# Without this, gRPC lets a second process listen on a port that is taken, and shares the calls.
SERVER_OPTIONS = [*SIZE_OPTIONS, ("grpc.so_reuseport", 0)]
CONCURRENT_RPCS_MAX = 1_000  # more wait in the client; beyond it memory grows without use
HOUSEKEEPING_EVERY_S = 3_600.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """A service as data: its contract, its tables of handlers, and what is its own.

    Attributes:
        proto_services: The services of the contract that it serves.
        assemble: Builds its servicers once its database is open, before calls are accepted.
        produces: Every event that it emits.
        consumes: Handler by event; the kit applies each event once, each key in order.
        sagas: The kinds of saga that it owns.
        timers: Handler by timer kind.
    """

    name: str
    settings: type[ServiceSettings]
    proto_services: Sequence[ServiceDescriptor]
    assemble: Callable[[Runtime], Awaitable["Room"]]
    produces: Sequence[type[Message]] = ()
    consumes: Mapping[type[Message], EventHandler] = field(default_factory=dict)
    sagas: Sequence[SagaKind] = ()
    timers: Mapping[str, TimerHandler] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Room:
    """What a service brings to the server that the kit runs.

    Attributes:
        register: Adds its servicers to the server.
        keys: The issuer's keys, where they are at hand and need no fetching.
        documents: What it publishes over HTTP beside /metrics, by path.
        background: Work of its own that runs as long as the service.
    """

    register: Callable[[grpc.aio.Server], None]
    keys: Keys | None = None
    documents: Mapping[str, Callable[[], Document]] = field(default_factory=dict)
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service that accepts calls.

    Attributes:
        address: host:port of its gRPC server.
        http_address: host:port of /metrics and its other documents.
    """

    definition: ServiceDefinition
    runtime: Runtime
    address: str
    http_address: str
    server: grpc.aio.Server
    sagas: SagaRunner
    timers: TimerRunner
    consumer: Consumer


@asynccontextmanager
async def open_runtime(
    definition: ServiceDefinition, settings: ServiceSettings
) -> AsyncIterator[tuple[Runtime, SagaRunner]]:
    """Hold a service's database, peers and sagas open for the length of the block."""
    async with AsyncExitStack() as stack:
        clock = BusinessClock()
        database = await stack.enter_async_context(
            Database.open(
                settings.postgres_dsn.get_secret_value(),
                service=definition.name,
                clock=clock,
                size_max=settings.pool_size_max,
                statement_timeout_ms=settings.statement_timeout_ms,
            )
        )
        if settings.environment == "local":
            async with database.read() as connection:
                clock.days_ahead = await operator.read_days_ahead(connection)
        peers = Peers(
            settings.peers,
            service=definition.name,
            secret=settings.client_secret.get_secret_value(),
            token_url=settings.token_url,
        )
        stack.push_async_callback(peers.close)
        runtime = Runtime(
            service=definition.name,
            settings=settings,
            database=database,
            clock=clock,
            calendar=CHINA,
            pages=Pages(settings.page_token_key.get_secret_value()),
            peers=peers,
            commands=Commands(
                database,
                drive=lambda saga_id: sagas.start(saga_id),  # noqa: PLW0108
                secret=settings.page_token_key.get_secret_value(),
            ),
        )
        sagas = SagaRunner(runtime, {kind.kind: kind for kind in definition.sagas})
        stack.push_async_callback(sagas.stop)
        yield runtime, sagas


@asynccontextmanager
async def serving(
    definition: ServiceDefinition, settings: ServiceSettings
) -> AsyncIterator[RunningService]:
    """Run a service for the length of the block; running calls are drained at its end.

    Raises:
        ContractError: An rpc declares no access.
        DatabaseUnavailable, OSError: The database or the port cannot be had.
    """
    async with AsyncExitStack() as stack:
        runtime, sagas = await stack.enter_async_context(open_runtime(definition, settings))
        timers = TimerRunner(runtime.database, definition.timers, service=definition.name)
        event_log = KafkaEventLog(
            settings.kafka_bootstrap, client_id=definition.name, prefix=settings.kafka_prefix
        )
        stack.push_async_callback(event_log.close)
        consumer = Consumer(
            runtime.database,
            definition.consumes,
            service=definition.name,
            dead_letters=event_log,
        )
        background = await stack.enter_async_context(_Background())
        feed = await _start_events(stack, background, runtime, event_log, consumer, timers, sagas)
        room = await definition.assemble(runtime)
        server, health_servicer, names = _server(
            definition, room, settings, operator.OperatorRpc(runtime, timers, sagas, feed)
        )
        listener = HttpListener(settings.metrics_listen, room.documents)
        stack.push_async_callback(asyncio.to_thread, listener.stop)
        listener.start()

        address = _listen(server, settings.listen)
        await server.start()
        watch = HealthWatch(health_servicer, runtime.database, names)
        await watch.check()
        background.add(watch.run())
        background.add(timers.run())
        background.add(sagas.run())
        background.add(_keep_house(runtime.database))
        for work in room.background:
            background.add(work())
        await sagas.recover()

        stack.push_async_callback(server.stop, settings.drain_s)
        stack.push_async_callback(health_servicer.enter_graceful_shutdown)
        log.info("service_serving", address=address, http=listener.address)
        yield RunningService(
            definition, runtime, address, listener.address, server, sagas, timers, consumer
        )
        log.info("service_draining")


def _server(
    definition: ServiceDefinition,
    room: Room,
    settings: ServiceSettings,
    operator_rpc: operator.OperatorRpc,
) -> tuple[grpc.aio.Server, HealthServicer, list[str]]:
    """Return a server behind its door, its health, and the names of what it serves."""
    own_services = [
        *definition.proto_services,
        operator_pb2.DESCRIPTOR.services_by_name["OperatorService"],
    ]
    keys = room.keys or PublishedKeys(settings.jwks_url)
    authenticator = Authenticator(keys, issuer=settings.issuer, audience=settings.audience)
    server = grpc.aio.server(
        options=SERVER_OPTIONS,
        maximum_concurrent_rpcs=CONCURRENT_RPCS_MAX,
    )
    Door(authenticator, own_services).guard(server)
    room.register(server)
    operator_pb2_grpc.add_OperatorServiceServicer_to_server(operator_rpc, server)
    health_servicer = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = [service.full_name for service in own_services]
    reflection.enable_server_reflection(
        [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )
    return server, health_servicer, names


def _listen(server: grpc.aio.Server, listen: str) -> str:
    """Bind the server, and return host:port as bound.

    Raises:
        OSError: The port is taken, or the host is not ours.
    """
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {listen}: {error}") from error
    return f"{listen.rpartition(':')[0]}:{port}"


async def _start_events(
    stack: AsyncExitStack,
    background: "_Background",
    runtime: Runtime,
    event_log: KafkaEventLog,
    consumer: Consumer,
    timers: TimerRunner,
    sagas: SagaRunner,
) -> KafkaFeed | None:
    """Start relay and feed where a broker is set, and wake what waits for commits."""
    settings = runtime.settings
    relay = Relay(
        settings.postgres_dsn.get_secret_value(),
        event_log,
        round_max_s=settings.relay_round_max_ms / 1000,
    )

    def wake(tx: Transaction) -> None:
        if tx.events:
            relay.woken.set()
        if tx.timer_is_due:
            timers.woken.set()
        for saga in tx.started:
            sagas.start(saga.id)

    runtime.database.after_commit(wake)
    if not settings.kafka_bootstrap:
        return None
    background.add(relay.run())
    if not consumer.topics:
        return None
    feed = KafkaFeed(
        settings.kafka_bootstrap,
        group=runtime.service,
        topics=consumer.topics,
        prefix=settings.kafka_prefix,
    )
    feed.start(consumer.apply, asyncio.get_running_loop())
    stack.push_async_callback(feed.stop)
    return feed


async def _keep_house(database: Database) -> None:
    """Remove request records and inbox rows that have outlived their use."""
    while True:
        try:
            await database.run(lambda tx: requests.forget_old(tx.connection))
            await database.run(lambda tx: inbox.forget_old(tx.connection))
        except Exception as error:
            log.warning("housekeeping_failed", error=repr(error))
        await asyncio.sleep(HOUSEKEEPING_EVERY_S)


class _Background:
    """Tasks that live as long as the service."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "_Background":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def add(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(_report_end)
        self._tasks.append(task)


def _report_end(task: "asyncio.Future[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("background_task_ended", exc_info=error)
