"""The statistics beneath intervals and drift (WE-20)."""

import numpy as np
import pytest

from ml.residual_value.conformal import (
    conformal_offset,
    conformal_rank,
)
from ml.residual_value.drift import bin_shares, population_stability_index, training_bins


def test_nineteen_scores_at_ten_percent_take_the_eighteenth_smallest() -> None:
    assert conformal_rank(19, 0.1) == 18
    assert conformal_offset(np.arange(1.0, 20.0), 0.1) == 18.0


@pytest.mark.parametrize(("count", "alpha", "rank"), [(99, 0.05, 95), (9, 0.1, 9), (3, 0.05, 3)])
def test_a_rank_is_whole_and_never_beyond_the_last_score(
    count: int, alpha: float, rank: int
) -> None:
    assert conformal_rank(count, alpha) == rank


def test_an_offset_bounds_new_scores_as_often_as_promised() -> None:
    random = np.random.default_rng(3)
    held = []
    for _ in range(400):
        scores = random.normal(size=120)
        held.append(random.normal() <= conformal_offset(scores[:119], 0.1))
    assert 0.86 <= float(np.mean(held)) <= 0.95


def test_psi_of_the_worked_example() -> None:
    psi = population_stability_index([0.25] * 4, [0.2, 0.2, 0.3, 0.3])
    assert psi == pytest.approx(0.040547, abs=5e-7)


def test_psi_is_zero_without_drift_and_finite_with_an_empty_bin() -> None:
    values = np.arange(400.0)
    bins = training_bins(values)
    assert bins["shares"] == [0.25] * 4
    assert population_stability_index(bins["shares"], bin_shares(values, bins["edges"])) == 0.0
    moved = bin_shares(values + 1e6, bins["edges"])
    assert 1.0 < population_stability_index(bins["shares"], moved) < 10.0


def test_a_value_that_most_rows_have_is_no_drift() -> None:
    values = np.concatenate([np.zeros(90), np.ones(10)])
    bins = training_bins(values)
    assert population_stability_index(bins["shares"], bin_shares(values, bins["edges"])) == 0.0


def test_unknown_values_fall_into_no_bin() -> None:
    assert bin_shares(np.array([np.nan, 1.0, 3.0]), [2.0]) == [0.5, 0.5]
