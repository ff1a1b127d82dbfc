"""The models that ours is measured against, each trained and scored on the same sales.

They see the raw columns, all but ids, source and date precision: the words as categories, the
build year and the hours as they stand, and the day of the sale as a number. Prices are logarithms.
"""

import importlib
import math
from collections.abc import Callable, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ml.residual_value.booster import lightgbm
from ml.residual_value.features import OPTIONS, MachineFacts, age_years
from ml.residual_value.sales import Sales

WORDS = (
    "ProductGroup",
    "fiProductClassDesc",
    "fiModelDesc",
    "fiBaseModel",
    "fiSecondaryDesc",
    "fiModelSeries",
    "fiModelDescriptor",
    "state",
    "ProductSize",
    "UsageBand",
    *OPTIONS,
)
NUMBERS = ("YearMade", "MachineHoursCurrentMeter")
FOREST_TREES = 80
FOREST_LEAF_MIN = 3
BINS_MAX = 255  # categories that scikit-learn's histogram boosting takes
AGE_UNKNOWN_YEARS = 12.0  # the median of the sales, for a regression that takes no gaps

Vector = NDArray[np.float64]


def class_median(past: Sales, test: Sales) -> Vector:
    """Return the median log price of each machine's class."""
    prices: dict[str, list[float]] = {}
    for facts, price in zip(past.facts, past.log_price.tolist(), strict=True):
        prices.setdefault(facts.product_class, []).append(price)
    medians = {name: float(np.median(values)) for name, values in prices.items()}
    overall = float(np.median(past.log_price))
    return np.array([medians.get(facts.product_class, overall) for facts in test.facts])


def lucko(past: Sales, test: Sales) -> Vector:
    """Return Lucko's regression: a quadratic in age for each class (Lucko 2003), on log price."""
    overall = _quadratic(past.facts, past.log_price)
    members: dict[str, list[int]] = {}
    for place, facts in enumerate(past.facts):
        members.setdefault(facts.product_class, []).append(place)
    curves = {
        name: _quadratic([past.facts[place] for place in places], past.log_price[places])
        for name, places in members.items()
    }
    return np.array(
        [float(_powers(facts) @ curves.get(facts.product_class, overall)) for facts in test.facts]
    )


def random_forest(past: Sales, test: Sales) -> Vector:
    """Return a random forest's prediction: every feature tried at every split."""
    ensemble = importlib.import_module("sklearn.ensemble")
    train, score = raw_columns(past, test)
    forest = ensemble.RandomForestRegressor(
        FOREST_TREES, min_samples_leaf=FOREST_LEAF_MIN, random_state=0, n_jobs=2
    )
    forest.fit(np.nan_to_num(train, nan=-1.0), past.log_price)
    predicted: Vector = forest.predict(np.nan_to_num(score, nan=-1.0))
    return predicted


def hist_gradient_boosting(past: Sales, test: Sales) -> Vector:
    """Return scikit-learn's histogram boosting with its defaults; few categories stay such."""
    ensemble = importlib.import_module("sklearn.ensemble")
    train, score = raw_columns(past, test)
    small = [
        place
        for place in range(len(WORDS))
        if not np.nanmax(np.append(train[:, place], 0.0)) >= BINS_MAX - 1
    ]
    booster = ensemble.HistGradientBoostingRegressor(categorical_features=small, random_state=0)
    # Its threads wait for one another busily: on a machine with other work, one is the fastest.
    with importlib.import_module("threadpoolctl").threadpool_limits(1):
        booster.fit(train, past.log_price)
        predicted: Vector = booster.predict(score)
    return predicted


def untuned_lightgbm(past: Sales, test: Sales) -> Vector:
    """Return LightGBM's prediction with its defaults: log price, categories as they come."""
    train, score = raw_columns(past, test)
    engine = lightgbm()
    quiet = {"objective": "l2", "verbose": -1, "num_threads": 1, "seed": 0}
    dataset = engine.Dataset(
        train, past.log_price, categorical_feature=list(range(len(WORDS))), params=quiet
    )
    predicted: Vector = engine.train(quiet, dataset).predict(score)
    return predicted


RIVALS: dict[str, Callable[[Sales, Sales], Vector]] = {
    "class_median": class_median,
    "lucko_regression": lucko,
    "random_forest": random_forest,
    "hist_gradient_boosting": hist_gradient_boosting,
    "untuned_lightgbm": untuned_lightgbm,
}


def raw_columns(past: Sales, test: Sales) -> tuple[Vector, Vector]:
    """Return the raw columns of both; words as codes of the past, NaN where unknown."""
    columns: list[tuple[Vector, Vector]] = []
    for name in WORDS:
        known = past.frame[name].drop_nulls().unique().sort().to_list()
        codes = {word: float(code) for code, word in enumerate(known)}
        columns.append(
            (_coded(past.frame[name].to_list(), codes), _coded(test.frame[name].to_list(), codes))
        )
    for name in NUMBERS:
        own, other = (sales.frame[name].fill_null(math.nan).to_numpy() for sales in (past, test))
        columns.append((own, other))
    columns.append((_days(past.facts), _days(test.facts)))
    return (
        np.column_stack([own for own, _ in columns]),
        np.column_stack([other for _, other in columns]),
    )


def _coded(words: list[str | None], codes: dict[str, float]) -> Vector:
    return np.array([math.nan if word is None else codes.get(word, math.nan) for word in words])


def _days(facts: Sequence[MachineFacts]) -> Vector:
    start = date(2000, 1, 1)
    return np.array([float((one.on - start).days) for one in facts])


def _powers(facts: MachineFacts) -> Vector:
    age = age_years(facts.build_year, facts.on)
    known = AGE_UNKNOWN_YEARS if math.isnan(age) else age
    return np.array([1.0, known, known * known])


def _quadratic(facts: Sequence[MachineFacts], log_price: Vector) -> Vector:
    design = np.array([_powers(one) for one in facts])
    # A whisper of ridge: a class of two sales has no quadratic of its own.
    normal = design.T @ design + np.diag([1e-6, 1e-2, 1e-2])
    solution: Vector = np.linalg.solve(normal, design.T @ log_price)
    return solution
