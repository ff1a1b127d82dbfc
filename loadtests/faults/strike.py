"""A fault as it strikes: what is done to the stack, how it ends, and the proof that it fired."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import psutil

from loadtests.faults.plan import DISK, LINKS, Fault
from loadtests.faults.stack import AWAY, CONSUMER, REPLICAS, Stack
from loadtests.faults.wire import CUT_BYTES_MAX, Cut, Delay, Hang, Slice, Trouble, Wire

DOWN_S = (0.1, 0.6)  # until what was killed is started again
STOPPED_S = (1.0, 3.5)
TROUBLED_S = (1.0, 3.0)
CUT_BYTES_MAX_OF_PARTIES = 1_000  # its lines carry a token or the keys, or hardly anything
FULL_S = (0.3, 1.0)  # after the first writer has met the full disk
FIRES_WITHIN_S = 30.0  # nothing waits so long where the machine is not busy
TRY_S = 5.0  # for one process; then another is looked for
POLL_S = 0.02

_KILLED = "was terminated by signal 9"
_NO_SPACE = "No space left on device"


@dataclass(frozen=True, slots=True)
class Strike:
    """What came of a fault.

    Attributes:
        fired: Whether it did what it is for.
        proof: How that is known, or why not.
        ended_at_s: When it let go, monotonic; a kill lets go at once.
    """

    fault: Fault
    fired: bool
    proof: str
    ended_at_s: float


async def strike(
    stack: Stack,
    fault: Fault,
    rng: random.Random,
    *,
    leader: str,
    fires_within_s: float = FIRES_WITHIN_S,
) -> Strike:
    """Let a fault strike, and return once it has let go.

    Args:
        leader: The replica whose relay leads.
        fires_within_s: How long a wire's trouble waits for something to harm.
    """
    if fault.target in LINKS:
        wires = _wires_of(stack, fault.target)
        return await _trouble(wires, fault, rng, fires_within_s)
    if fault.kind == DISK:
        return await _fill_disk(stack, fault, rng)
    if fault.kind == "stop":
        return await _stop(stack, fault, rng, leader)
    if fault.target == "backend":
        return await _kill_backend(stack, fault, rng)
    return await _kill(stack, fault, rng, leader)


async def _kill(stack: Stack, fault: Fault, rng: random.Random, leader: str) -> Strike:
    name = _process_of(fault.target, leader)
    down_s = rng.uniform(*DOWN_S)
    ended_at_s = time.monotonic()
    code = await stack.kill(name)
    await asyncio.sleep(down_s)
    stack.start(name)
    fired = code == -signal.SIGKILL
    return Strike(fault, fired, f"{name} ended with {code}", ended_at_s)


async def _kill_backend(stack: Stack, fault: Fault, rng: random.Random) -> Strike:
    """Kill a backend; one that has just ended with the service it was of, another."""
    seen_from = stack.postgres_log.stat().st_size
    deadline_s = time.monotonic() + FIRES_WITHIN_S
    fired = False
    while not fired and time.monotonic() < deadline_s:
        pid = await _backend(stack, rng)
        ended_at_s = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        fired = await _is_logged(stack, _KILLED, seen_from=seen_from, within_s=TRY_S)
    return Strike(fault, fired, f"PostgreSQL's log tells of backend {pid}", ended_at_s)


async def _stop(stack: Stack, fault: Fault, rng: random.Random, leader: str) -> Strike:
    seconds = rng.uniform(*STOPPED_S)
    deadline_s = time.monotonic() + FIRES_WITHIN_S
    begun = lasted = False
    while not begun and time.monotonic() < deadline_s:
        processes = await _processes_to_stop(stack, fault.target, rng, leader)
        try:
            begun = await _suspend(processes)
            if begun:
                await asyncio.sleep(seconds)
                lasted = _all_stopped(processes)
        finally:
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()
    proof = f"{len(processes)} stopped for {seconds:.1f} s"
    return Strike(fault, begun and lasted, proof, time.monotonic())


async def _suspend(processes: Sequence[psutil.Process]) -> bool:
    """Stop processes; return whether they stand still before long.

    A process of many threads on a busy machine does not at once; one that has just ended never.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in processes:
            process.suspend()
    deadline_s = time.monotonic() + TRY_S
    while not (stand := _all_stopped(processes)) and time.monotonic() < deadline_s:  # noqa: ASYNC110
        await asyncio.sleep(POLL_S)
    return stand


async def _trouble(
    wires: Sequence[Wire], fault: Fault, rng: random.Random, fires_within_s: float
) -> Strike:
    troubles = [_new_trouble(fault, rng) for _ in wires]
    seconds = rng.uniform(*TROUBLED_S)
    for wire, trouble in zip(wires, troubles, strict=True):
        wire.begin(trouble)
    try:
        await asyncio.sleep(seconds)
        deadline_s = time.monotonic() + fires_within_s
        while not _touched(troubles) and time.monotonic() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
    finally:
        for wire in wires:
            wire.end()
    touched = _touched(troubles)
    return Strike(fault, touched > 0, f"{touched} times in {seconds:.1f} s", time.monotonic())


async def _fill_disk(stack: Stack, fault: Fault, rng: random.Random) -> Strike:
    assert stack.disk is not None
    seen_from = stack.postgres_log.stat().st_size
    stack.disk.fill()
    try:
        fired = await _is_logged(stack, _NO_SPACE, seen_from=seen_from)
        await asyncio.sleep(rng.uniform(*FULL_S))
    finally:
        stack.disk.give_space()
    return Strike(fault, fired, "PostgreSQL's log tells of it", time.monotonic())


def _all_stopped(processes: Sequence[psutil.Process]) -> bool:
    try:
        return all(process.status() == psutil.STATUS_STOPPED for process in processes)
    except psutil.NoSuchProcess:
        return False


def _new_trouble(fault: Fault, rng: random.Random) -> Trouble:
    if fault.kind == "delay":
        return Delay(rng.uniform(0.01, 0.2))
    if fault.kind == "slice":
        return Slice(rng.randint(1, 40))
    if fault.kind == "hang":
        return Hang()
    bytes_max = CUT_BYTES_MAX if "parties" not in fault.parts else CUT_BYTES_MAX_OF_PARTIES
    return Cut(random.Random(rng.random()), bytes_max=bytes_max)


def _touched(troubles: Sequence[Trouble]) -> int:
    return sum(trouble.touched for trouble in troubles)


def _wires_of(stack: Stack, link: str) -> list[Wire]:
    """Return the wires of a link: of both replicas, since either may come to do the work."""
    caller, _, callee = link.partition("-")
    if callee == "service":
        return [stack.wires[caller, replica] for replica in REPLICAS]
    callers = {"service": REPLICAS, "consumer": (CONSUMER,)}.get(caller, (caller,))
    return [stack.wires[name, callee] for name in callers]


def _process_of(target: str, leader: str) -> str:
    follower = next(replica for replica in REPLICAS if replica != leader)
    named = {"relay": leader, "service": follower, "broker": "kafka", "postmaster": "postgres"}
    return named.get(target, target)


async def _processes_to_stop(
    stack: Stack, target: str, rng: random.Random, leader: str
) -> list[psutil.Process]:
    if target == "backend":
        return [psutil.Process(await _backend(stack, rng))]
    name = _process_of(target, leader)
    handle = stack.processes[name].handle()
    assert handle is not None, f"{name} does not run"
    return [handle, *handle.children()] if target == "postgres" else [handle]


async def _backend(stack: Stack, rng: random.Random) -> int:
    """Return the pid of one of settlement's sessions, of one at work where there is one."""
    deadline_s = time.monotonic() + FIRES_WITHIN_S
    # The pools may still be about to connect again.
    while not (rows := await _sessions(stack)) and time.monotonic() < deadline_s:  # noqa: ASYNC110
        await asyncio.sleep(POLL_S)
    assert rows, "settlement has no session with PostgreSQL"
    busy = [row["pid"] for row in rows if row["is_busy"]]
    pid: int = rng.choice(busy or [row["pid"] for row in rows])
    return pid


async def _sessions(stack: Stack) -> Sequence[asyncpg.Record]:
    try:
        connection = await asyncpg.connect(stack.owner_dsn("settlement"))
        try:
            return await connection.fetch(
                """
                select pid, state <> 'idle' as is_busy from pg_stat_activity
                where datname = 'settlement' and application_name = 'ironloop-settlement'
                order by pid
                """
            )
        finally:
            connection.terminate()
    except AWAY:
        return []


async def _is_logged(
    stack: Stack, text: str, *, seen_from: int, within_s: float = FIRES_WITHIN_S
) -> bool:
    """Wait until PostgreSQL has written something; return whether it did in time."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        with stack.postgres_log.open("rb") as log:
            log.seek(seen_from)
            if text.encode() in log.read():
                return True
        await asyncio.sleep(POLL_S)
    return False
