"""locust in a process of its own: it patches the standard library, which asyncio does not bear."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from infra.local import paths
from loadtests.plan import Plan

WEB_PORT = 8089
OVERTIME_S = 180.0  # a load that has not ended by itself so long after its time is ended
STOP_S = 60  # for operations that are under way at the end
LINES_SHOWN = 15


class LoadFailed(Exception):
    """The load did not come about; the message says why."""


async def generate(plan: Plan, *, has_web: bool = False) -> None:
    """Make the load; what it measured and was told is in the plan's folder then.

    Raises:
        LoadFailed: It ended with an error, or not in time.
    """
    folder = Path(plan.folder)
    plan_file = folder / "plan.json"
    await asyncio.to_thread(plan.write, plan_file)
    try:
        code = await _run(plan, plan_file, folder / "locust.log", has_web=has_web)
    finally:
        await asyncio.to_thread(plan_file.unlink)  # tokens are in it
    await asyncio.to_thread(_check, folder, code)


async def _run(plan: Plan, plan_file: Path, log: Path, *, has_web: bool) -> int | None:
    if has_web:
        shown = ["--web-host=127.0.0.1", f"--web-port={WEB_PORT}", "--autostart", "--autoquit=5"]
        print(f"locust's page: http://127.0.0.1:{WEB_PORT}", flush=True)
    else:
        shown = ["--headless", "--only-summary"]
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        locust = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "locust",
            f"--locustfile={paths.ROOT / 'loadtests' / 'locustfile.py'}",
            f"--stop-timeout={STOP_S}",
            "--exit-code-on-error=0",
            *shown,
            cwd=paths.ROOT,
            env=os.environ | {"IRONLOOP_LOAD_PLAN": str(plan_file), "PYTHONPATH": str(paths.ROOT)},
            stdout=output,
            stderr=output,
        )
    finally:
        os.close(output)
    try:
        return await asyncio.wait_for(locust.wait(), plan.duration_s + OVERTIME_S)
    except TimeoutError:
        raise LoadFailed(f"the load did not end by itself; see {log}") from None
    finally:
        if locust.returncode is None:
            locust.send_signal(signal.SIGTERM)
            await locust.wait()


def _check(folder: Path, code: int | None) -> None:
    if code == 0 and (folder / "measured.json").exists():
        return
    lines = (folder / "locust.log").read_text(errors="replace").splitlines()
    last = "\n".join(lines[-LINES_SHOWN:])
    raise LoadFailed(f"locust ended with {code}:\n{last}")
