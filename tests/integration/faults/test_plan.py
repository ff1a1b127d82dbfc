"""A seed alone decides a round's faults, and ten seeds hold them all."""

from itertools import combinations

import pytest

from loadtests.faults.plan import (
    DISK,
    KILLED,
    LINKS,
    ROUNDS_OF_BLOCK,
    STOPPED,
    TROUBLES,
    faults_of,
)

EVEN_BLOCKS = [0, 2, 4, 10, 98]


@pytest.mark.parametrize("block", EVEN_BLOCKS)
def test_ten_rounds_of_an_even_block_hold_every_fault(block: int) -> None:
    first = block * ROUNDS_OF_BLOCK
    rounds = [faults_of(first + place, with_disk=True) for place in range(ROUNDS_OF_BLOCK)]
    assert sorted(len(faults) for faults in rounds) == [2] * 8 + [3] * 2
    dealt = [fault for faults in rounds for fault in faults]
    assert {fault.target for fault in dealt if fault.kind == "kill"} == set(KILLED)
    assert {fault.target for fault in dealt if fault.kind == "stop"} == set(STOPPED)
    assert {fault.kind for fault in dealt if fault.target in LINKS} == set(TROUBLES)
    assert {fault.target for fault in dealt if fault.kind in TROUBLES} == set(LINKS)
    assert sum(fault.kind == DISK for fault in dealt) == 1


@pytest.mark.parametrize("block", EVEN_BLOCKS)
def test_faults_that_strike_at_once_break_different_parts(block: int) -> None:
    first = block * ROUNDS_OF_BLOCK
    for place in range(ROUNDS_OF_BLOCK):
        for one, other in combinations(faults_of(first + place, with_disk=True), 2):
            assert not one.parts & other.parts


def test_an_odd_block_has_one_fault_a_round() -> None:
    assert all(len(faults_of(seed, with_disk=True)) == 1 for seed in range(10, 20))


def test_a_seed_has_the_same_faults_whenever_it_is_asked_for() -> None:
    assert [faults_of(seed, with_disk=True) for seed in range(40)] == [
        faults_of(seed, with_disk=True) for seed in range(40)
    ]


def test_without_a_disk_of_its_own_a_machine_has_all_other_faults() -> None:
    for seed in range(40):
        whole = faults_of(seed, with_disk=True)
        assert faults_of(seed, with_disk=False) == [one for one in whole if one.kind != DISK]
