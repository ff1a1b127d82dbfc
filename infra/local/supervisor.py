"""The process that starts a stack and then watches it.

`python -m infra.local.supervisor READY_FD SERVICE…`. It is the parent of all that it starts. Once
that is done it becomes `infra.local.watch`, which needs a tenth of the memory and, being the same
process, still learns how its children end.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import asyncpg
from kafka.errors import KafkaError

from infra.local import paths
from infra.local.credentials import Credentials, load_credentials
from infra.local.databases import MigrationFailed, ensure_database, ensure_role
from infra.local.environment import Addresses, database_of, environment_of
from infra.local.kafka import create_topics, launch_kafka, prepare_kafka
from infra.local.parts import Service, Topology
from infra.local.postgres import launch_postgres
from infra.local.processes import Process, StartFailed, free_port, start
from infra.local.state import Stack, read_stack, stop_processes, stop_stack, take_lock, write_stack
from infra.local.topology import TOPOLOGY
from services.kit.contract import event_topics

STOPPED_BY_SIGNAL = 128 + signal.SIGTERM


def main() -> int:
    """Start the stack, say so, and become its watch."""
    ready_fd, *names = sys.argv[1:]
    if not take_lock():
        print("this stack is being started or stopped already", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _leave)
    started: list[Process] = []
    try:
        _clean_up_after_crash()
        _bring_up(_part_of(TOPOLOGY, names), started)
    except (StartFailed, MigrationFailed, asyncpg.PostgresError, KafkaError, OSError) as error:
        print(f"the stack cannot start: {error}", file=sys.stderr, flush=True)
        _take_down(started)
        return 1
    except SystemExit:
        _take_down(started)
        raise
    try:
        _become_watch(int(ready_fd))
    except BrokenPipeError:  # whoever asked for the stack has gone
        _take_down(started)
    return 1


def _part_of(topology: Topology, names: list[str]) -> Topology:
    """Return the named part of the topology, or the whole.

    Raises:
        StartFailed: A service is not there.
    """
    known = [service.name for service in topology.services]
    if unknown := sorted(set(names) - set(known)):
        raise StartFailed(f"no service {', '.join(unknown)}; there are {', '.join(known)}")
    part = topology.part(names or known)
    for service in part.services:
        if not (paths.ROOT / "services" / service.name / "definition.py").exists():
            raise StartFailed(f"the topology names {service.name}, and services/ has no such room")
    return part


def _bring_up(topology: Topology, started: list[Process]) -> None:
    """Start everything; each process is in `started` from its first moment on."""
    names = [service.name for service in topology.services]
    credentials = load_credentials(paths.SECRETS_FILE, names)
    dsn = os.environ.get("IRONLOOP_POSTGRES_DSN", "")
    bootstrap = os.environ.get("IRONLOOP_KAFKA_BOOTSTRAP", "")
    # Kafka is the slowest to start, so it starts while PostgreSQL's databases are made.
    with ThreadPoolExecutor(1) as beside:
        kafka_data = None if bootstrap else beside.submit(prepare_kafka, paths.KAFKA_FOLDER)
        with _progress("PostgreSQL"):
            dsn = dsn or _start_postgres(topology, credentials, started)
        if kafka_data:
            kafka_data.result()
    kafka = None
    if not bootstrap:
        kafka = launch_kafka(
            paths.KAFKA_FOLDER,
            log=_new_log("kafka"),
            heap=topology.kafka.heap,
            ends_with_parent=True,
        )
        started.append(kafka.process)
        bootstrap = kafka.bootstrap
    with _progress("databases"):
        asyncio.run(_make_databases(dsn, names, credentials))
    with _progress("Kafka and topics"):
        if kafka:
            kafka.wait_until_ready()
        topics = [f"{topic}{end}" for topic in event_topics() for end in ("", ".dlq")]
        create_topics(bootstrap, topics, partitions=topology.kafka.partitions)
    addresses = Addresses(
        postgres_dsn=dsn,
        kafka_bootstrap=bootstrap,
        services={name: f"127.0.0.1:{free_port()}" for name in names},
        http={name: f"127.0.0.1:{free_port()}" for name in names},
    )
    servers = tuple(started)
    for service in topology.services:
        started.append(_start_service(service, topology, addresses, credentials))
    write_stack(Stack(addresses, servers, tuple(started[len(servers) :])))


def _start_postgres(topology: Topology, credentials: Credentials, started: list[Process]) -> str:
    server = launch_postgres(
        paths.postgres_folder(),
        log=_new_log("postgres"),
        password=credentials.postgres,
        settings=topology.postgres.settings,
        ends_with_parent=True,
    )
    started.append(server.process)
    server.wait_until_ready()
    return server.dsn


async def _make_databases(dsn: str, names: list[str], credentials: Credentials) -> None:
    async def make(name: str) -> None:
        await ensure_role(dsn, name, password=credentials.databases[name])
        await ensure_database(dsn, name, database=database_of(name))

    await asyncio.gather(*(make(name) for name in names))


def _start_service(
    service: Service, topology: Topology, addresses: Addresses, credentials: Credentials
) -> Process:
    return start(
        service.name,
        [sys.executable, "-m", f"services.{service.name}"],
        log=_new_log(service.name),
        folder=paths.ROOT,
        environment=environment_of(service, topology, addresses, credentials),
        ends_with_parent=True,
    )


def _new_log(name: str) -> Path:
    """Return where a process writes, with what its predecessor wrote moved aside."""
    log = paths.LOGS / f"{name}.log"
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    return log


def _clean_up_after_crash() -> None:
    paths.CRASH_FILE.unlink(missing_ok=True)
    if (left := read_stack()) is not None:
        print("an earlier stack did not end by `make down`; what it left is cleaned up", flush=True)
        stop_stack(left)


def _take_down(started: list[Process]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stop_processes(started)
    paths.STACK_FILE.unlink(missing_ok=True)


def _become_watch(ready_fd: int) -> None:
    """Let go of the terminal, say that all is started, and become the watch.

    Raises:
        BrokenPipeError: Nobody listens any more.
    """
    output = os.open(_new_log("stack"), os.O_WRONLY | os.O_CREAT, 0o600)
    sys.stdout.flush()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.write(ready_fd, b"1")
    os.close(ready_fd)
    # A signal that comes before the watch can take it waits until it can.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    os.execv(sys.executable, [sys.executable, "-m", "infra.local.watch"])


@contextmanager
def _progress(what: str) -> Iterator[None]:
    started_s = time.monotonic()
    print(f"  {what} …", flush=True)
    yield
    print(f"  {what}: {time.monotonic() - started_s:.1f} s", flush=True)


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(STOPPED_BY_SIGNAL)


if __name__ == "__main__":
    sys.exit(main())
