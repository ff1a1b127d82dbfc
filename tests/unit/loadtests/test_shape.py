"""locust patches the standard library when it is imported, so it is driven in a process apart."""

import json
import subprocess
import sys

_DRIVE = """
import json, time, sys
now = [100.0]
from loadtests.plan import Plan
from loadtests.recorder import Recorder
from loadtests.steps import Steps, sizes
time.monotonic = lambda: now[0]
recorder = Recorder()
plan = Plan("unary", 16, float(sys.argv[2]), sys.argv[1], float(sys.argv[3]), True, "", {})
shape = Steps(plan, recorder)
capacity = 8
while (told := shape.tick()) is not None:
    step = recorder.steps[-1]
    for _ in range(10 * min(told[0], capacity) if step.loop == "closed" else round(step.rate)):
        recorder.succeeded("x", took_ms=1, items=1)
    now[0] += 1
print(json.dumps([[s.loop, s.users, s.rate, s.seconds] for s in recorder.steps]), now[0] - 100)
"""


def _drive(loop: str, duration_s: int, rate: float = 0.0) -> tuple[list[list[object]], float]:
    command = [sys.executable, "-c", _DRIVE, loop, str(duration_s), str(rate)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    steps, took_s = done.stdout.strip().rsplit(" ", 1)
    return json.loads(steps), float(took_s)


def test_users_double_up_to_the_wanted_number_then_a_rate_at_half_follows() -> None:
    steps, took_s = _drive("both", 100)
    assert [step[:2] for step in steps] == [
        ["closed", 1],
        ["closed", 2],
        ["closed", 4],
        ["closed", 8],
        ["closed", 16],
        ["open", 16],
    ]
    assert steps[-1][2] == 40.0  # half of eight users' ten a second
    assert took_s == 100


def test_an_open_loop_alone_keeps_the_rate_that_was_asked_for_and_ends_in_time() -> None:
    steps, took_s = _drive("open", 20, rate=12.0)
    assert steps == [["open", 16, 12.0, 20.0]]
    assert took_s == 20


def test_a_closed_loop_alone_ends_after_its_steps() -> None:
    steps, took_s = _drive("closed", 50)
    assert {step[0] for step in steps} == {"closed"}
    assert took_s == 50
