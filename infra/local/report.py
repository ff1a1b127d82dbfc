"""What runs, as tables a person can read."""

import asyncio

import psutil
from rich.console import Console
from rich.table import Table

from infra.local.health import health_of
from infra.local.paths import STACK_FILE
from infra.local.processes import Process
from infra.local.standing import Standing, standings
from infra.local.state import Stack

MIB = 1024 * 1024


def print_places(stack: Stack) -> None:
    """Print where each part is: service, address, pid, memory, log."""
    table = Table("service", "address", "pid", "memory", "log", box=None, header_style="bold")
    for process in (*stack.servers, *stack.services):
        table.add_row(
            process.name,
            _address(stack, process.name),
            str(process.pid),
            _mebibytes(memory_bytes(process)),
            process.log,
        )
    _print(table)
    Console().print(f"{_total(stack)}; addresses and pids are in {STACK_FILE}", soft_wrap=True)


def print_status(stack: Stack) -> int:
    """Print each part's health and what waits in it; return 1 where one does not serve."""
    columns = ("service", "pid", "memory", "health", "date", "timers due", "outbox")
    table = Table(*columns, "consumer lag", "sagas", box=None, header_style="bold")
    standing = asyncio.run(standings(stack))
    all_well = True
    for process in stack.servers:
        alive = process.handle() is not None
        all_well &= alive
        health = "RUNNING" if alive else "ENDED"
        table.add_row(process.name, str(process.pid), _mebibytes(memory_bytes(process)), health)
    for process in stack.services:
        health = health_of(stack.addresses.services[process.name])
        all_well &= health == "SERVING"
        table.add_row(
            process.name,
            str(process.pid),
            _mebibytes(memory_bytes(process)),
            health,
            *_cells(standing.get(process.name)),
        )
    _print(table)
    Console().print(_total(stack))
    return 0 if all_well else 1


def memory_bytes(process: Process) -> int:
    """Return the resident memory of a process and its children.

    PostgreSQL's processes share much of theirs, so for a family each shared page is counted by
    the share of those that use it, where the kernel says so.
    """
    handle = process.handle()
    if handle is None:
        return 0
    try:
        family = [handle, *handle.children(recursive=True)]
        if len(family) == 1:
            return int(handle.memory_info().rss)
        return sum(int(member.memory_full_info().pss) for member in family)
    except (psutil.Error, AttributeError):
        return int(handle.memory_info().rss) if handle.is_running() else 0


def _total(stack: Stack) -> str:
    services = sum(memory_bytes(process) for process in stack.services)
    servers = sum(memory_bytes(process) for process in stack.servers)
    return f"memory: services {services / MIB:.0f} MiB, everything {(services + servers) / MIB:.0f}"


def _address(stack: Stack, name: str) -> str:
    addresses = stack.addresses
    places = {
        "postgres": addresses.postgres_dsn.rpartition("@")[2].partition("/")[0],
        "kafka": addresses.kafka_bootstrap,
    }
    return places.get(name) or addresses.services[name]


def _cells(standing: Standing | None) -> list[str]:
    if standing is None:
        return ["-"] * 5
    return [
        str(standing.business_date),
        str(standing.timers_due),
        str(standing.outbox_rows),
        str(standing.consumer_lag),
        str(standing.sagas_running),
    ]


def _mebibytes(size: int) -> str:
    return f"{size / MIB:.0f} MiB"


def _print(table: Table) -> None:
    """Print a table without cutting its cells where nobody's terminal sets a width."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)
