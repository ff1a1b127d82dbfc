"""Watches a started stack: tells how a process of it ended, and brings the rest down.

`infra.local.supervisor` becomes this, so it is the parent of all that runs.
"""

import os
import signal
import sys
from datetime import UTC, datetime
from types import FrameType

from infra.local.paths import CRASH_FILE
from infra.local.processes import Process, tail
from infra.local.state import Stack, read_stack, stop_stack


def main() -> int:
    """Wait until told to stop, or until a process ends by itself."""
    stack = read_stack()
    assert stack is not None
    signal.signal(signal.SIGTERM, _leave)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        report = _wait_for_end(stack)
        CRASH_FILE.write_text(report)
        print(report, flush=True)
    except SystemExit:
        report = ""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stop_stack(stack)
    return 1 if report else 0


def _wait_for_end(stack: Stack) -> str:
    """Return what there is to say about the first process that ends."""
    watched = {process.pid: process for process in (*stack.servers, *stack.services)}
    while True:
        pid, status = os.wait()
        if pid in watched:
            return _report(watched[pid], os.waitstatus_to_exitcode(status))


def _report(process: Process, code: int) -> str:
    how = f"exit code {code}" if code >= 0 else f"exit code {code} ({signal.Signals(-code).name})"
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return (
        f"{process.name} ended by itself with {how} at {at}, so the stack was brought down.\n"
        f"The last lines of {process.log}:\n{tail(process.log)}\n"
    )


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit


if __name__ == "__main__":
    sys.exit(main())
