"""The stack that the campaign breaks: real servers and processes, a wire between any two of them.

Settlement runs twice, so that a replica can take over what another one leaves. PostgreSQL and
Kafka listen on the loopback address only; everything ends with this process.
"""

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import grpc
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from infra.local.databases import dsn_of, role_of
from infra.local.kafka import Door, launch_kafka, prepare_kafka
from infra.local.postgres import launch_postgres, new_password
from infra.local.processes import POLL_S, Process, free_port, stop, stop_all
from loadtests.faults.bring_up import (
    PASSWORD,
    SERVES_WITHIN_S,
    make_databases,
    make_topics,
    start_service,
    until_listening,
)
from loadtests.faults.disk import DiskRefused, SmallDisk, leave_namespace, make_small_disk
from loadtests.faults.wire import Wire
from services.kit.relay import LEADER_LOCK

REPLICAS = ("settlement-1", "settlement-2")
CONSUMER = "consumer"
CALLER = "finance"  # the service in whose name the load is posted
FOLDER_PREFIX = "ironloop-faults-"
TOKEN_WITHIN_S = 2.0  # one try; a wire that hangs would keep it for ever

# Small enough for two cores and a small disk; durability as in production.
POSTGRES_SETTINGS = {
    "shared_buffers": "64MB",
    "max_connections": "80",
    "min_wal_size": "32MB",
    "max_wal_size": "64MB",
    "log_min_duration_statement": "-1",
}

# What a database that is away looks like to those who look past the wires.
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


@dataclass(slots=True)
class Stack:
    """What runs, by name: postgres, kafka, parties, the two replicas, and the consumer.

    Attributes:
        disk: PostgreSQL's, where the machine allows one that can be full.
        no_disk: Why there is none.
        wires: By (who calls, whom).
    """

    folder: Path
    disk: SmallDisk | None
    no_disk: str
    exits: AsyncExitStack
    processes: dict[str, Process] = field(default_factory=dict)
    wires: dict[tuple[str, str], Wire] = field(default_factory=dict)
    _ports: dict[str, int] = field(default_factory=dict)
    _postgres_password: str = field(default_factory=new_password)
    _starts: dict[str, Callable[[], Process]] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        """Return the broker's own host:port, no wire between."""
        return f"127.0.0.1:{self.port('kafka')}"

    @property
    def logs(self) -> Path:
        """Return where every process writes its log."""
        return self.folder / "logs"

    @property
    def postgres_log(self) -> Path:
        """Return where PostgreSQL writes what happens to it."""
        return self.logs / "postgres.log"

    def owner_dsn(self, database: str) -> str:
        """Return the superuser's DSN of a database, no wire between."""
        server = (
            f"postgresql://ironloop:{self._postgres_password}@127.0.0.1:{self.port('postgres')}"
        )
        return dsn_of(f"{server}/postgres", database=database)

    def port(self, name: str) -> int:
        """Return the port that a part has for good."""
        if name not in self._ports:
            self._ports[name] = free_port()
        return self._ports[name]

    def channel_address(self, name: str) -> str:
        """Return where clients reach a replica or parties, through their wire."""
        return f"127.0.0.1:{self.wires['client', name].port}"

    def is_running(self, name: str) -> bool:
        """Whether a process runs."""
        return self.processes[name].handle() is not None

    def start(self, name: str) -> None:
        """Start a process, for the first time or again."""
        self.processes[name] = self._starts[name]()

    def start_ended(self) -> list[str]:
        """Start what has ended by itself, as an orchestrator would, and return what that was."""
        ended = [name for name in self.processes if not self.is_running(name)]
        for name in ended:
            self.start(name)
        return ended

    async def kill(self, name: str) -> int:
        """Kill a process as a power cut would; return its exit code once all of it is gone."""
        process = self.processes[name]
        handle = process.handle()
        children = handle.children(recursive=True) if handle else []
        if handle is not None:
            handle.kill()
        assert process.popen is not None
        code = await asyncio.to_thread(process.popen.wait)
        # A postmaster's children end by themselves; a new one must not meet them.
        async with asyncio.timeout(SERVES_WITHIN_S):
            while any(child.is_running() for child in children):  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
        return code

    async def leader(self) -> str:
        """Return the replica whose relay leads."""
        async with asyncio.timeout(SERVES_WITHIN_S):
            while True:
                for replica in REPLICAS:
                    if await self._leads(replica):
                        return replica
                await asyncio.sleep(POLL_S)

    async def token(self) -> str:
        """Return a fresh token of a service; parties may still be about to find PostgreSQL again.

        Raises:
            TimeoutError: Parties issues none.
        """
        async with asyncio.timeout(SERVES_WITHIN_S):
            while True:
                if token := await self.try_token():
                    return token
                await asyncio.sleep(POLL_S)

    async def try_token(self) -> str:
        """Ask for a token once, through the wire to parties; return it, or "" where none came."""
        request = parties_pb2.IssueTokenRequest(
            client=parties_pb2.ClientCredentials(service=f"services/{CALLER}", secret=PASSWORD)
        )
        async with grpc.aio.insecure_channel(self.channel_address("parties")) as channel:
            stub = parties_pb2_grpc.PartiesServiceStub(channel)
            try:
                return (await stub.IssueToken(request, timeout=TOKEN_WITHIN_S)).token
            except grpc.aio.AioRpcError:
                return ""

    async def _leads(self, replica: str) -> bool:
        connection = await asyncpg.connect(self.owner_dsn("settlement"))
        try:
            ports = await connection.fetch(
                """
                select client_port from pg_locks join pg_stat_activity using (pid)
                where locktype = 'advisory' and granted
                    and (classid::bigint << 32) + objid::bigint = $1
                """,
                LEADER_LOCK,
            )
        finally:
            await connection.close()
        return any(self.wires[replica, "postgres"].has_line(row["client_port"]) for row in ports)

    async def _open(self) -> None:
        self._starts["postgres"] = self._start_postgres
        self._starts["kafka"] = self._start_kafka
        prepare_kafka(
            self.folder / "kafka"
        )  # not in a thread: an older one does not see our mounts
        for caller in (*REPLICAS, CONSUMER):
            await self._open_wire(caller, "postgres", target=self.port("postgres"))
            await self._open_wire(caller, "kafka", target=self.port(f"kafka for {caller}"))
            await self._open_wire(caller, "parties", target=self.port("jwks"))
        await self._open_wire("parties", "postgres", target=self.port("postgres"))
        for callee in (*REPLICAS, "parties"):
            await self._open_wire("client", callee, target=self.port(callee))
        self.start("kafka")
        self.start("postgres")
        await make_databases(self.owner_dsn)
        self._starts["parties"] = self._start_parties
        self.start("parties")
        for replica in REPLICAS:
            self._starts[replica] = lambda name=replica: self._start_replica(name)  # type: ignore[misc]
            self.start(replica)
        await make_topics(self.bootstrap)
        self._starts[CONSUMER] = self._start_consumer
        self.start(CONSUMER)
        for name in ("parties", *REPLICAS, CONSUMER):
            await until_listening(self.processes[name], f"127.0.0.1:{self.port(name)}")

    async def _open_wire(self, caller: str, callee: str, *, target: int) -> None:
        wire = Wire(target, free_port())
        self.wires[caller, callee] = await self.exits.enter_async_context(wire.open())

    def _start_postgres(self) -> Process:
        return launch_postgres(
            self.folder / "postgres",
            log=self.postgres_log,
            password=self._postgres_password,
            settings=POSTGRES_SETTINGS,
            port=self.port("postgres"),
            ends_with_parent=True,
        ).process

    def _start_kafka(self) -> Process:
        doors = {
            f"DOOR{place}": Door(self.port(f"kafka for {caller}"), self.wires[caller, "kafka"].port)
            for place, caller in enumerate((*REPLICAS, CONSUMER))
        }
        return launch_kafka(
            self.folder / "kafka",
            log=self.logs / "kafka.log",
            port=self.port("kafka"),
            doors=doors,
            ends_with_parent=True,
        ).process

    def _start_parties(self) -> Process:
        return self._start_service(
            "parties",
            "services.parties",
            prefix="PARTIES",
            postgres_port=self.wires["parties", "postgres"].port,
            jwks_port=None,  # it issues the tokens itself
            metrics_listen=f"127.0.0.1:{self.port('jwks')}",
            service_secrets=json.dumps({CALLER: PASSWORD}),
            operator_password=PASSWORD,
            kafka_bootstrap="",
        )

    def _start_replica(self, name: str) -> Process:
        return self._start_service(
            name,
            "services.settlement",
            prefix="SETTLEMENT",
            postgres_port=self.wires[name, "postgres"].port,
            jwks_port=self.wires[name, "parties"].port,
            kafka_bootstrap=f"127.0.0.1:{self.wires[name, 'kafka'].port}",
        )

    def _start_consumer(self) -> Process:
        return self._start_service(
            CONSUMER,
            "loadtests.faults.consumer",
            prefix="FAULTS",
            postgres_port=self.wires[CONSUMER, "postgres"].port,
            jwks_port=self.wires[CONSUMER, "parties"].port,
            kafka_bootstrap=f"127.0.0.1:{self.wires[CONSUMER, 'kafka'].port}",
        )

    def _start_service(
        self,
        name: str,
        module: str,
        *,
        prefix: str,
        postgres_port: int,
        jwks_port: int | None,
        **settings: str,
    ) -> Process:
        service = prefix.lower()
        common = {
            "listen": f"127.0.0.1:{self.port(name)}",
            "postgres_dsn": dsn_of(
                f"postgresql://127.0.0.1:{postgres_port}/",
                database=service,
                user=role_of(service),
                password=PASSWORD,
            ),
            "jwks_url": f"http://127.0.0.1:{jwks_port}/.well-known/jwks.json" if jwks_port else "",
        }
        log = self.logs / f"{name}.log"
        return start_service(name, module, prefix=prefix, log=log, settings=common | settings)

    async def _close(self) -> None:
        servers = [self.processes.pop(name, None) for name in ("kafka", "postgres")]
        await asyncio.to_thread(stop_all, list(self.processes.values()))
        for server in servers:
            if server is not None:
                await asyncio.to_thread(stop, server, number=signal.SIGINT)


@asynccontextmanager
async def open_stack() -> AsyncIterator[Stack]:
    """Hold a stack open for the length of the block; nothing of it stays.

    Raises:
        StartFailed, TimeoutError: A part of it does not start.
    """
    folder = _new_folder()
    disk, no_disk = _small_disk(folder / "postgres")
    async with AsyncExitStack() as exits:
        exits.callback(shutil.rmtree, folder, ignore_errors=True)
        if disk is not None:
            exits.callback(disk.remove)
            # The broker's log, too, lies in memory: what others do to the disk breaks nothing here.
            exits.callback(make_small_disk(folder / "kafka").remove)
        stack = Stack(folder, disk, no_disk, exits)
        exits.push_async_callback(stack._close)
        await stack._open()
        yield stack


def _small_disk(folder: Path) -> tuple[SmallDisk | None, str]:
    try:
        leave_namespace()
        return make_small_disk(folder), ""
    except DiskRefused as error:
        return None, str(error)


def _new_folder() -> Path:
    for left in _left_folders():
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
    folder.chmod(0o755)  # PostgreSQL's own user must reach its data where root runs this
    return folder


def _left_folders() -> Iterator[Path]:
    """Yield the folders of campaigns that did not end by themselves."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        pid = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            yield folder
