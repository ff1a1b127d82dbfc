"""A limit counts what the machine gave: a second that others hold is none of ours."""

import time

import pytest

from loadtests.faults.patience import WALL_FACTOR_MAX, Patience, Usage, seconds_left


@pytest.mark.parametrize(
    ("busy_s", "own_s", "left_s"),
    [
        (0.0, 0.0, 10.0),  # nobody was at work
        (12.0, 12.0, 10.0),  # nobody but us
        (10.0, 0.0, 5.0),  # others held one core of two
        (15.0, 5.0, 5.0),
        (20.0, 0.0, 0.0),  # others held all of it
        (20.0, 2.0, 1.0),
        (5.0, 5.2, 10.0),  # the kernel's two counts differ by their grain
    ],
)
def test_a_second_counts_by_the_share_that_others_left(
    busy_s: float, own_s: float, left_s: float
) -> None:
    before = Usage(at_s=100.0, busy_s=40.0, own_s=7.0)
    after = Usage(at_s=110.0, busy_s=40.0 + busy_s, own_s=7.0 + own_s)
    assert seconds_left(before, after, cores=2) == pytest.approx(left_s)


def test_what_passed_before_it_was_asked_counts_by_the_clock() -> None:
    patience = Patience(5.0, time.monotonic() - 6.0)
    assert patience.is_over
    assert patience.used_s >= 6.0


def test_a_limit_ends_by_the_clock_however_little_the_machine_gives() -> None:
    patience = Patience(0.01, time.monotonic() - 0.01 * WALL_FACTOR_MAX)
    patience.used_s = 0.0
    assert patience.is_over


def test_a_limit_that_has_just_begun_is_not_over() -> None:
    assert not Patience(60.0).is_over
