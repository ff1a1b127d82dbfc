"""The shape of a load: users stepped up until the knee, then a steady rate at half of it."""

import math
import time

from locust import LoadTestShape

from loadtests.plan import CLOSED_SHARE, OPERATIONS_MAX, STEP_S_MIN, Plan
from loadtests.recorder import Recorder, Step, knee_of

STEPS_WITHOUT_GAIN = 2
STEPS_MAX = 10  # users double, and there are at most 500


class Steps(LoadTestShape):
    """Tells locust how many users there are; ends the run by time, and by count as a net."""

    def __init__(self, plan: Plan, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._plan = plan
        self._recorder = recorder
        self._began_s = 0.0
        self._sizes = sizes(plan.users) if plan.has_steps else [plan.users]
        share = {"closed": 1.0, "both": CLOSED_SHARE, "open": 0.0}[plan.loop]
        self._closed_s = plan.duration_s * share
        self._step_s = max(STEP_S_MIN, self._closed_s / len(self._sizes))
        self._open_s = plan.duration_s - self._closed_s

    def tick(self) -> tuple[int, float] | None:
        """Return (users, users to start a second), or None where the run is over."""
        if not self._goes_on():
            self._recorder.end()
            return None
        users = self._recorder.steps[-1].users
        return users, float(users)

    def _goes_on(self) -> bool:
        """Begin the next step where the last has had its time; False where none follows."""
        steps, present_s = self._recorder.steps, time.monotonic()
        if not steps:
            self._began_s = present_s
            first = self._sizes.pop(0)
            self._recorder.begin(Step("closed", first) if self._closed_s else self._open_step())
            return True
        overtime = present_s - self._began_s > self._plan.duration_s + STEP_S_MIN * STEPS_MAX
        if overtime or self._recorder.total >= OPERATIONS_MAX:
            return False
        is_open = steps[-1].loop == "open"
        has_time = steps[-1].seconds < (self._open_s if is_open else self._step_s)
        if has_time or is_open:
            return has_time
        rates = [step.per_second for step in steps]
        if self._sizes and knee_of(rates, patience=STEPS_WITHOUT_GAIN) is None:
            self._recorder.begin(Step("closed", self._sizes.pop(0)))
            return True
        if self._plan.loop == "both":
            self._recorder.begin(self._open_step())
            return True
        return False

    def _open_step(self) -> Step:
        closed = self._recorder.steps
        rate = self._plan.rate or max((step.per_second for step in closed), default=1.0) / 2
        return Step("open", self._plan.users, rate=rate)


def sizes(users_max: int) -> list[int]:
    """Return numbers of users that double up to the wanted one."""
    doubled = [2**power for power in range(int(math.log2(users_max)) + 1)]
    return doubled if doubled[-1] == users_max else [*doubled, users_max]
