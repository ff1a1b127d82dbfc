"""Bring the stack up and down, from the outside: what `make up` and `make down` do."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from infra.local import paths
from infra.local.health import health_of
from infra.local.processes import POLL_S, StartFailed, tail
from infra.local.state import NOT_READ_YET, Stack, lock_holder, read_stack, stop_stack

SERVING_WITHIN_S = 90.0
HEALTH_EVERY_S = 0.2
DOWN_WITHIN_S = 90.0


def running_stack() -> Stack:
    """Return the stack that runs.

    Raises:
        StartFailed: None does; the message says what ended the last one, where it ended by itself.
    """
    stack = read_stack()
    if lock_holder() is None or stack is None:
        ended = "".join(crash_report().splitlines(keepends=True)[:1])
        raise StartFailed(f"{ended}the stack does not run; start it: make up")
    return stack


def crash_report() -> str:
    """Return how the last stack ended by itself, with the last log lines, or ""."""
    return paths.CRASH_FILE.read_text() if paths.CRASH_FILE.exists() else ""


def is_up() -> bool:
    """Whether the stack runs or is being started."""
    return lock_holder() is not None


def bring_up(services: Sequence[str] = ()) -> Stack:
    """Start the stack, or the named services of it, and return once all of them serve.

    Interrupted, it takes down what it has started.

    Raises:
        StartFailed: Something did not start; nothing is left running.
    """
    read_end, write_end = os.pipe()
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "infra.local.supervisor", str(write_end), *services],
        stdin=subprocess.DEVNULL,
        cwd=paths.ROOT,
        pass_fds=[write_end],
        start_new_session=True,
    )
    os.close(write_end)
    try:
        with os.fdopen(read_end, "rb") as ready:
            if not ready.read(1):
                supervisor.wait()
                raise StartFailed("")  # the supervisor has said why
        return _wait_until_serving(supervisor)
    except BaseException:
        supervisor.terminate()
        supervisor.wait(DOWN_WITHIN_S)
        raise


def take_down() -> str:
    """Stop whatever runs and return what was done, in words.

    Raises:
        StartFailed: It does not end.
    """
    started_s = time.monotonic()
    holder = lock_holder()
    if holder is None:
        left = read_stack()
        if left is None:
            return "nothing runs"
        stop_stack(left)
        return "what a crash had left is cleaned up"
    told = NOT_READ_YET
    while holder is not None:
        if holder != told:
            os.kill(holder, signal.SIGTERM)
            told = holder
        if time.monotonic() - started_s > DOWN_WITHIN_S:
            raise StartFailed(f"process {holder} does not end; see {paths.LOGS / 'stack.log'}")
        time.sleep(POLL_S)
        holder = lock_holder()
    return f"stopped in {time.monotonic() - started_s:.1f} s"


def _wait_until_serving(supervisor: "subprocess.Popen[bytes]") -> Stack:
    deadline = time.monotonic() + SERVING_WITHIN_S
    stack = read_stack()
    waiting = dict(stack.addresses.services) if stack else {}
    while stack is None or waiting:
        if supervisor.poll() is not None or stack is None:
            supervisor.wait(DOWN_WITHIN_S)
            raise StartFailed(crash_report())
        for name, address in list(waiting.items()):
            if health_of(address) == "SERVING":
                del waiting[name]
        if time.monotonic() > deadline:
            logs = "\n".join(
                f"{name}:\n{tail(str(paths.LOGS / f'{name}.log'))}" for name in waiting
            )
            raise StartFailed(f"not serving within {SERVING_WITHIN_S:.0f} s:\n{logs}")
        time.sleep(HEALTH_EVERY_S)
    return stack
