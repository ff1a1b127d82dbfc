"""What a load measured: latencies by step, throughput, errors by class."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

PERCENTILES = (50, 95, 99)


@dataclass(slots=True)
class Step:
    """A stretch of a run under one load.

    Attributes:
        loop: "closed" or "open".
        rate: Operations a second that were meant to begin; 0 in a closed loop.
        items: What the operations moved in all: transfers, or the operations themselves.
        calls: By kind of call, how many milliseconds each took, in tenths.
        errors: By class: a code and reason, or a result code.
    """

    loop: str
    users: int
    rate: float = 0.0
    started_s: float = 0.0
    ended_s: float = 0.0
    items: int = 0
    calls: dict[str, list[int]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def seconds(self) -> float:
        """Return how long it has lasted, or did."""
        return max(1e-3, (self.ended_s or time.monotonic()) - self.started_s)

    @property
    def operations(self) -> int:
        """Return how many operations succeeded."""
        return sum(map(len, self.calls.values()))

    @property
    def per_second(self) -> float:
        """Return operations a second."""
        return self.operations / self.seconds

    def to_json(self) -> dict[str, Any]:
        """Return the step as JSON takes it."""
        every = sorted(tenths for calls in self.calls.values() for tenths in calls)
        return {
            "loop": self.loop,
            "users": self.users,
            "rate": round(self.rate, 2),
            "seconds": round(self.seconds, 2),
            "operations": self.operations,
            "operations_per_second": round(self.per_second, 2),
            "items_per_second": round(self.items / self.seconds, 2),
            "latency_ms": percentiles(every),
            "calls": {
                name: {"count": len(calls), **percentiles(sorted(calls))}
                for name, calls in sorted(self.calls.items())
            },
            "errors": dict(self.errors.most_common()),
        }


class Recorder:
    """The steps of a run, the last of them under way."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.total = 0

    def begin(self, step: Step) -> None:
        """End the step under way and begin another."""
        self.end()
        step.started_s = time.monotonic()
        self.steps.append(step)

    def end(self) -> None:
        """End the step under way."""
        if self.steps and not self.steps[-1].ended_s:
            self.steps[-1].ended_s = time.monotonic()

    def succeeded(self, name: str, *, took_ms: float, items: int) -> None:
        """Count an operation that was answered."""
        self.total += 1
        if self.steps:
            step = self.steps[-1]
            step.calls.setdefault(name, []).append(int(took_ms * 10))
            step.items += items

    def failed(self, reason: str, *, count: int = 1) -> None:
        """Count a failed call or a refused item."""
        self.total += 1
        if self.steps:
            self.steps[-1].errors[reason] += count


def percentiles(ordered_tenths: Sequence[int]) -> dict[str, float]:
    """Return p50, p95 and p99 in milliseconds."""
    last = len(ordered_tenths) - 1
    return {
        f"p{percent}": ordered_tenths[min(last, int(len(ordered_tenths) * percent / 100))] / 10
        if ordered_tenths
        else 0.0
        for percent in PERCENTILES
    }


def knee_of(rates: Sequence[float], *, patience: int, gain_min: float = 1.05) -> int | None:
    """Return the place of the step after which more users brought no more, or None.

    Args:
        rates: Operations a second of the steps in order, each with more users than the last.
        patience: How many steps in a row must bring no more; one alone may be a hiccup.
        gain_min: What a step must reach of the best before it to count as more.
    """
    best = 0
    for place in range(1, len(rates)):
        if rates[place] >= rates[best] * gain_min:
            best = place
        elif place - best >= patience:
            return best
    return None
