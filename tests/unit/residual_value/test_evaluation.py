"""Rolling origins, rivals, the nowcast and the parts of the data, on synthetic sales."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from ml.residual_value import synthetic
from ml.residual_value.evaluation import Leak, check_no_leak, figures, origins
from ml.residual_value.features import BOOSTER_FEATURES
from ml.residual_value.nowcast import MONTHS, index_trend, nowcast
from ml.residual_value.parts import area_under_curve, guess_parts, marked_parts
from ml.residual_value.report import lines
from ml.residual_value.rivals import RIVALS, raw_columns
from ml.residual_value.sales import OPTIONAL, REQUIRED, Sales, join_sales, to_sales


@pytest.fixture(scope="module")
def sales() -> Sales:
    frame = synthetic.generate(1_200, seed=3)
    absent = [name for name in (*REQUIRED, *OPTIONAL) if name not in frame.columns]
    return to_sales(frame.with_columns(pl.lit(None, pl.String).alias(name) for name in absent))


def test_a_window_is_predicted_from_earlier_sales_of_other_machines(sales: Sales) -> None:
    windows = list(origins(sales))
    assert len(windows) == 6
    for _, past, test in windows:
        assert past.month.max() < test.month.min()
        assert not {name for name in past.machine if name} & set(test.machine)
    assert len({id(test) for _, _, test in windows}) == 6
    together = join_sales([test for _, _, test in windows])
    assert len(together) == sum(len(test) for _, _, test in windows)


def test_a_planted_sale_of_the_future_is_found(sales: Sales) -> None:
    _, past, test = next(origins(sales))
    strangers = replace(test, machine=[""] * len(test))
    check_no_leak(past, strangers)
    with pytest.raises(Leak, match="are not before"):
        check_no_leak(join_sales([past, strangers.take(np.arange(len(test)) == 0)]), test)


def test_a_planted_machine_on_both_sides_is_found(sales: Sales) -> None:
    _, past, test = next(origins(sales))
    planted = replace(past, machine=[test.machine[0], *past.machine[1:]])
    with pytest.raises(Leak, match="both sides"):
        check_no_leak(planted, test)


@pytest.mark.parametrize("title", sorted(RIVALS))
def test_a_rival_predicts_every_row_out_of_time(sales: Sales, title: str) -> None:
    _, past, test = list(origins(sales))[-1]
    predicted = RIVALS[title](past, test)
    assert predicted.shape == (len(test),)
    error = float(np.sqrt(np.mean((predicted - test.log_price) ** 2)))
    assert error < (0.8 if title == "class_median" else 0.45)


def test_rivals_see_no_id_no_source_and_no_date_precision(sales: Sales) -> None:
    _, past, test = list(origins(sales))[-1]
    before = raw_columns(past, test)[1]
    changed = replace(
        test,
        frame=test.frame.with_columns(
            SalesID=0.0, MachineID=0.0, source=test.frame["source"] + "x", date_precision=None
        ),
    )
    assert np.array_equal(before, raw_columns(past, changed)[1], equal_nan=True)


def features_of(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    return random.normal(size=(count, len(BOOSTER_FEATURES)))


def parts_of(random: np.random.Generator, count: int) -> Sequence[str]:
    return [("one", "other")[number] for number in random.integers(2, size=count)]


def test_features_that_say_nothing_of_the_part_are_near_chance() -> None:
    random = np.random.default_rng(1)
    numbers = np.abs(features_of(random, 4_000)).round()
    found = guess_parts(numbers, parts_of(random, 4_000))
    assert not marked_parts(found)
    assert 0.45 < float(str(found["one"]["auc"])) < 0.55


def test_a_planted_mark_of_the_part_is_found_and_named() -> None:
    """A level that is 0 wherever one part lacks a column: what the first layout had."""
    random = np.random.default_rng(2)
    rows, parts = np.abs(features_of(random, 4_000)).round(), parts_of(random, 4_000)
    place = BOOSTER_FEATURES.index("variant_level")
    rows[:, place] = np.where([part == "one" for part in parts], 0.0, random.normal(size=4_000))
    found = guess_parts(rows, parts)
    assert marked_parts(found) == ["one", "other"]
    assert found["one"]["by"][0] == "variant_level"  # type: ignore[index]


def test_ties_count_half_in_the_area_under_the_curve() -> None:
    truth = np.array([True, False, True, False])
    assert area_under_curve(np.array([2.0, 1.0, 2.0, 1.0]), truth) == 1.0
    assert area_under_curve(np.ones(4), truth) == 0.5


def test_a_nowcast_continues_the_trend_with_less_of_it_each_month() -> None:
    slope = index_trend([0.01 * month for month in range(30)])
    assert slope == pytest.approx(0.01)
    steps = np.diff([0.0, *nowcast(slope)])
    assert len(steps) == MONTHS
    assert (steps > 0).all() and (np.diff(steps) < 0).all()
    assert steps[0] < slope
    assert index_trend([0.0, 1.0]) == 0.0


def test_a_constant_interval_has_a_width_of_its_own(sales: Sales) -> None:
    """The width's ratio is 1 where every machine has the same interval around its median."""
    spread = np.linspace(-0.3, 0.3, 5)
    noise = np.random.default_rng(4).normal(0, 0.2, size=len(sales))
    quantiles = (sales.log_price + noise)[:, None] + spread[None, :]
    assert figures(quantiles, sales)["width_90_ratio"] == pytest.approx(1.0, abs=0.01)


def test_a_chart_names_its_series_and_draws_every_point() -> None:
    chart = lines({"a<b": [(0.0, 1.0), (1.0, 2.0)], "c": [(0.0, 0.0)]})
    assert chart.count("<polyline") == 2
    assert "a&lt;b" in chart
    assert chart.startswith("<svg")
