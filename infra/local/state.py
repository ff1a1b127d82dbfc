"""What runs, as written down in `.local/stack.json`, and the lock of who runs it.

The lock is held by the process that watches the stack, for as long as it lives and however it
ends. So: lock held, the stack is up; file without lock, it is what a crash left.
"""

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from infra.local.environment import Addresses
from infra.local.files import write_private
from infra.local.paths import LOCK_FILE, STACK_FILE
from infra.local.processes import POLL_S, Process, stop, stop_all

LOCK_WITHIN_S = 0.5  # one who asks whether the stack is up holds the lock for an instant
NOT_READ_YET = 0  # the holder's pid, where it has the lock and has not written it


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs.

    Attributes:
        servers: PostgreSQL and Kafka, where this stack started them.
        services: By name.
    """

    addresses: Addresses
    servers: tuple[Process, ...]
    services: tuple[Process, ...]


def write_stack(stack: Stack) -> None:
    """Write down what runs."""
    addresses = stack.addresses
    servers = {process.name: process for process in stack.servers}
    document = {
        "postgres": {"dsn": addresses.postgres_dsn, **_process(servers.get("postgres"))},
        "kafka": {"bootstrap": addresses.kafka_bootstrap, **_process(servers.get("kafka"))},
        "services": {
            process.name: {
                "address": addresses.services[process.name],
                "http_address": addresses.http[process.name],
                **_process(process),
            }
            for process in stack.services
        },
    }
    write_private(STACK_FILE, json.dumps(document, indent=2) + "\n")


def read_stack() -> Stack | None:
    """Return what was written down, or None where nothing is."""
    if not STACK_FILE.exists():
        return None
    document = json.loads(STACK_FILE.read_text())
    services = document["services"]
    servers = [_read_process(name, document[name]) for name in ("postgres", "kafka")]
    started = [_read_process(name, at) for name, at in services.items()]
    return Stack(
        Addresses(
            postgres_dsn=document["postgres"]["dsn"],
            kafka_bootstrap=document["kafka"]["bootstrap"],
            services={name: at["address"] for name, at in services.items()},
            http={name: at["http_address"] for name, at in services.items()},
        ),
        tuple(process for process in servers if process),
        tuple(process for process in started if process),
    )


def stop_stack(stack: Stack) -> None:
    """Stop the services, then the servers they stand on, and forget the stack."""
    stop_processes([*stack.servers, *stack.services])
    STACK_FILE.unlink(missing_ok=True)


def stop_processes(processes: Iterable[Process]) -> None:
    """Stop services first, all at once, then Kafka, then PostgreSQL."""
    rest = {process.name: process for process in processes}
    kafka, postgres = rest.pop("kafka", None), rest.pop("postgres", None)
    stop_all(rest.values())
    if kafka:
        stop(kafka)
    if postgres:
        stop(postgres, number=signal.SIGINT)  # its fast shutdown: sessions are ended


def take_lock() -> bool:
    """Become the stack's holder until this process ends, through exec too; False where one is."""
    LOCK_FILE.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_WITHIN_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                return False
            time.sleep(POLL_S)
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    os.set_inheritable(lock, True)
    return True


def lock_holder() -> int | None:
    """Return the pid of the process that holds the stack, or None where it does not run."""
    with contextlib.suppress(FileNotFoundError), LOCK_FILE.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read() or NOT_READ_YET)
    return None


def _process(process: Process | None) -> dict[str, Any]:
    return {} if process is None else process.to_json()


def _read_process(name: str, document: dict[str, Any]) -> Process | None:
    if "pid" not in document:
        return None
    return Process(name, document["pid"], document["started_at_s"], document["log"])
