"""The load is stepped up to its knee, then goes on at half of what it reached, then ends."""

from collections.abc import Iterator

import pytest

from loadtests.plan import NotLocal, check_local
from loadtests.recorder import Recorder, Step, knee_of, percentiles


def test_more_users_that_bring_no_more_twice_are_beyond_the_knee() -> None:
    assert knee_of([10, 20, 38, 39, 38, 39], patience=2) == 2


def test_one_bad_step_is_no_knee() -> None:
    assert knee_of([10, 20, 15, 40, 80], patience=2) is None


def test_a_load_that_always_gains_has_no_knee() -> None:
    assert knee_of([10, 20, 40], patience=1) is None


def test_percentiles_are_of_what_was_measured() -> None:
    ordered = [tenths * 10 for tenths in range(1, 101)]  # 1 ms to 100 ms
    assert percentiles(ordered) == {"p50": 51.0, "p95": 96.0, "p99": 100.0}
    assert percentiles([]) == {"p50": 0.0, "p95": 0.0, "p99": 0.0}


def test_loads_go_to_this_machine_only() -> None:
    check_local({"settlement": "127.0.0.1:2000", "parties": "[::1]:2001"})
    with pytest.raises(NotLocal):
        check_local({"settlement": "192.0.2.7:443"})


class _Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Time]:
    moved = _Time()
    monkeypatch.setattr("time.monotonic", moved)
    yield moved


def test_a_step_counts_what_happened_in_it(clock: _Time) -> None:
    recorder = Recorder()
    recorder.begin(Step("closed", users=4))
    for took_ms in (1.0, 2.0, 3.0):
        recorder.succeeded("Batches", took_ms=took_ms, items=1_000)
    recorder.failed("refused: EXCEEDS_CREDITS", count=2)
    clock.at_s += 2
    recorder.begin(Step("open", users=4, rate=1.5))
    first = recorder.steps[0].to_json()
    assert first["operations_per_second"] == 1.5
    assert first["items_per_second"] == 1_500
    assert first["latency_ms"]["p50"] == 2.0
    assert first["errors"] == {"refused: EXCEEDS_CREDITS": 2}
