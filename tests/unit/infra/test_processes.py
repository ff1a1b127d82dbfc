"""Processes are started, watched and stopped by what names them for good."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from infra.local.processes import Process, StartFailed, free_port, start, stop_all, tail, wait_until

WITHIN_S = 10.0


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_port_is_given_to_nobody_twice() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == len(ports)


def test_another_process_is_not_given_a_port_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = free_port()
    code = (
        "from infra.local import processes as p\n"
        f"p.PORTS = range({ours}, {ours + 1})\n"
        "try:\n    print(p.free_port())\nexcept p.StartFailed:\n    print('none')\n"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "none"


def test_the_exit_code_and_last_lines_of_a_failed_start_are_told(tmp_path: Path) -> None:
    process = start("oven", ["sh", "-c", "echo too hot; exit 7"], log=tmp_path / "log")
    with pytest.raises(StartFailed, match=r"oven ended with exit code 7:\n  too hot"):
        wait_until(lambda: False, process=process, within_s=WITHIN_S, what="warm")


def test_a_start_that_takes_too_long_is_told(tmp_path: Path) -> None:
    process = start("oven", ["sleep", "60"], log=tmp_path / "log")
    with pytest.raises(StartFailed, match="oven: warm not within"):
        wait_until(lambda: False, process=process, within_s=0.1, what="warm")
    stop_all([process])
    assert process.handle() is None


def test_one_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    deaf = start("deaf", ["sh", "-c", "trap '' TERM; echo ready; sleep 60 & wait"], log=log)
    wait_until(lambda: "ready" in tail(str(log)), process=deaf, within_s=WITHIN_S, what="trap")
    stop_all([deaf], within_s=0.2)
    assert deaf.handle() is None


def test_a_process_that_got_the_pid_of_another_is_let_be() -> None:
    innocent = subprocess.Popen(["sleep", "60"])
    stale = Process("gone", innocent.pid, psutil.Process(innocent.pid).create_time() - 60, "log")
    stop_all([stale])
    assert innocent.poll() is None
    innocent.kill()
    innocent.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="a promise of Linux's kernel")
@pytest.mark.parametrize("uid", [None, 65534])
def test_a_process_ends_with_its_parent(tmp_path: Path, uid: int | None) -> None:
    if uid is not None and os.geteuid() != 0:
        pytest.skip("only root starts processes of other users")
    code = (
        "import time; from pathlib import Path\n"
        "from infra.local.processes import start\n"
        f"child = start('c', ['sleep', '60'], log=Path({str(tmp_path / 'log')!r}), uid={uid},\n"
        "    ends_with_parent=True)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    until(lambda: child.name() == "sleep")
    assert child.uids().real == (os.getuid() if uid is None else uid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
