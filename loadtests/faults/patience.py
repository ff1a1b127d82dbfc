"""How long the campaign waits: in seconds of a machine that is the campaign's own.

A second in which other processes hold a part of the machine counts as the part that they leave, so
that a round does not fail because somebody else was at work. Where nobody is, it is the clock's.
"""

import os
import time
from dataclasses import dataclass, field

import psutil

LOOK_EVERY_S = 0.5
WALL_FACTOR_MAX = (
    4.0  # of the limit; a machine that gives us less than a quarter is no place for it
)


@dataclass(slots=True)
class Usage:
    """What the machine's cores have done so far, in seconds, as the kernel counts."""

    at_s: float
    busy_s: float
    own_s: float


@dataclass(slots=True)
class Patience:
    """A limit that begins at an instant, and how much of it is used up.

    Attributes:
        limit_s: Seconds of a machine of our own.
        began_s: Monotonic.
        used_s: Of the limit, as far as it was looked at.
    """

    limit_s: float
    began_s: float = field(default_factory=time.monotonic)
    used_s: float = 0.0
    _last: Usage | None = None

    def __post_init__(self) -> None:
        self.used_s = time.monotonic() - self.began_s
        self._last = _look()

    @property
    def wall_s(self) -> float:
        """Return the clock's seconds since it began."""
        return time.monotonic() - self.began_s

    @property
    def is_over(self) -> bool:
        """Whether the limit is used up."""
        assert self._last is not None
        if time.monotonic() - self._last.at_s >= LOOK_EVERY_S:
            present = _look()
            self.used_s += seconds_left(self._last, present, cores=os.cpu_count() or 1)
            self._last = present
        return self.used_s > self.limit_s or self.wall_s > self.limit_s * WALL_FACTOR_MAX


def seconds_left(before: Usage, after: Usage, *, cores: int) -> float:
    """Return the seconds between two looks, less the share of the machine that others held."""
    passed_s = after.at_s - before.at_s
    others_s = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    share = min(1.0, max(0.0, others_s) / (cores * passed_s)) if passed_s > 0 else 0.0
    return passed_s * (1.0 - share)


def _look() -> Usage:
    """Read what all processes and what this one and its children have used."""
    times = psutil.cpu_times()
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    guests_s = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # counted twice
    return Usage(time.monotonic(), sum(times) - idle_s - guests_s, _own_s())


def _own_s() -> float:
    own = psutil.Process()
    used_s = 0.0
    for process in [own, *own.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        # Its ended children's too, or what they used would seem to be others'.
        used_s += times.user + times.system
        used_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return used_s
