"""Processes started and stopped by id: one that outlived its id's reuse is never touched."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

STOP_S = 15.0  # from SIGTERM to SIGKILL
POLL_S = 0.05
LOG_LINES_SHOWN = 15
PORTS = range(20_000, 32_000)  # below those that Linux gives to outgoing connections
PORT_TRIES_MAX = 1_000
_BECOME = Path(__file__).with_name("become.py")


class StartFailed(Exception):
    """A process ended, or did not answer in time; the message holds its last log lines."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the stack, as it is written down.

    Attributes:
        started_at_s: The kernel's start time; with the pid it names a process for good.
    """

    name: str
    pid: int
    started_at_s: float
    log: str
    popen: "subprocess.Popen[bytes] | None" = field(default=None, compare=False, repr=False)

    def handle(self) -> psutil.Process | None:
        """Return the running process, or None where it has ended."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.started_at_s) < 1.0
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def to_json(self) -> dict[str, Any]:
        """Return what names the process, as JSON takes it."""
        return {
            "name": self.name,
            "pid": self.pid,
            "started_at_s": self.started_at_s,
            "log": self.log,
        }


def free_port() -> int:
    """Return a port on the loopback address that nobody listens on or was given by this function.

    The port of the same number for datagrams is kept until this process ends: that is how other
    processes see that the port is given away, though nothing listens on it yet.

    Raises:
        StartFailed: There is none.
    """
    for _ in range(PORT_TRIES_MAX):
        port = random.choice(PORTS)
        claim = socket.socket(type=socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        claim.detach()
        return port
    raise StartFailed(f"no free port found from {PORTS.start} to {PORTS.stop - 1}")


def start(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    uid: int | None = None,
    folder: Path | None = None,
    ends_with_parent: bool = False,
) -> Process:
    """Start a process in a session of its own, its output going to `log`.

    Args:
        ends_with_parent: The kernel kills it when the thread that called this ends (on Linux).
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    promised = ends_with_parent and sys.platform == "linux"
    with log.open("ab") as output:
        popen = subprocess.Popen(
            becoming(command, uid=uid, parent=os.getpid() if promised else 0),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else None,
            cwd=folder,
            start_new_session=True,
        )
    started_at_s = psutil.Process(popen.pid).create_time()
    return Process(name, popen.pid, started_at_s, str(log), popen)


def becoming(command: Sequence[str], *, uid: int | None, parent: int = 0) -> list[str]:
    """Return the command that takes a user before it becomes `command`.

    Args:
        parent: The process with which it ends, or 0.
    """
    if uid is None and not parent:
        return [*command]
    program = shutil.which(command[0]) or command[0]
    first = [sys.executable, "-I", "-S", str(_BECOME), str(parent)]
    return [*first, str(-1 if uid is None else uid), program, *command[1:]]


def stop(process: Process, *, number: int = signal.SIGTERM, within_s: float = STOP_S) -> None:
    """End a process and its children, gently first; one that has ended is let be."""
    stop_all([process], number=number, within_s=within_s)


def stop_all(
    processes: Iterable[Process], *, number: int = signal.SIGTERM, within_s: float = STOP_S
) -> None:
    """End processes and their children side by side, gently first; ended ones are let be."""
    handles = [handle for process in processes if (handle := process.handle()) is not None]
    family: list[psutil.Process] = []
    for handle in handles:
        with contextlib.suppress(psutil.NoSuchProcess):
            family += [handle, *handle.children(recursive=True)]
            handle.send_signal(number)
    _, alive = psutil.wait_procs(family, timeout=within_s)
    for survivor in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            survivor.kill()
    psutil.wait_procs(alive, timeout=within_s)


def wait_until(ready: Callable[[], bool], *, process: Process, within_s: float, what: str) -> None:
    """Return once `ready` says so.

    Raises:
        StartFailed: The process ended first, or the time is up.
    """
    deadline = time.monotonic() + within_s
    while not ready():
        if process.handle() is None:
            raise StartFailed(f"{process.name} ended{_exit_code(process)}:\n{tail(process.log)}")
        if time.monotonic() > deadline:
            raise StartFailed(
                f"{process.name}: {what} not within {within_s:.0f} s:\n{tail(process.log)}"
            )
        time.sleep(POLL_S)


def tail(log: str) -> str:
    """Return the last lines of a log."""
    try:
        lines = Path(log).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "  (no log)"
    return "\n".join(f"  {line}" for line in lines[-LOG_LINES_SHOWN:])


def _exit_code(process: Process) -> str:
    """Return the exit code of a child of ours in words; others' cannot be had."""
    code = process.popen.poll() if process.popen else None
    return "" if code is None else f" with exit code {code}"
