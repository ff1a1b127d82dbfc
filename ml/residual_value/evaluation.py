"""How good the values are: errors and intervals of a model on sales, and out of time.

Every figure is on log price unless its name says otherwise; an error is predicted − actual.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.residual_value.booster import lightgbm
from ml.residual_value.drift import bin_shares, population_stability_index
from ml.residual_value.features import FEATURES, OPTIONS, MachineFacts, age_years
from ml.residual_value.levels import matrix_of
from ml.residual_value.model import QUANTILES, TAILS, ResidualValueModel
from ml.residual_value.sales import Sales, month_end, month_start
from ml.residual_value.training import DETERMINISTIC, Progress, train

ORIGIN_WINDOWS = 6
ORIGIN_MONTHS = 2
AGE_BANDS = (3.0, 6.0, 10.0, 15.0)

Vector = NDArray[np.float64]
Report = dict[str, Any]


def evaluate(model: ResidualValueModel, sales: Sales) -> Report:
    """Return the figures of a model on sales, by product group, age band and month too."""
    rows = matrix_of(sales.facts, model.encodings)
    quantiles = model.log_quantiles(rows, [facts.product_group for facts in sales.facts])
    index = np.array([float(model.log_index(facts.on)) for facts in sales.facts])
    report = figures(quantiles + index[:, None], sales)
    known = sum(facts.on.isoformat() <= model.calibration.window_end for facts in sales.facts)
    report["model"] = model.version
    report["rows_within_training_window"] = known
    report["psi"] = {
        name: population_stability_index(
            bins["shares"], bin_shares(rows[:, FEATURES.index(name)], bins["edges"])
        )
        for name, bins in model.calibration.drift_bins.items()
    }
    return report


def figures(quantiles: Vector, sales: Sales) -> Report:
    """Return the figures of predicted log-price quantiles (columns of QUANTILES) on sales."""
    report = _figures(quantiles, sales.log_price)
    keys: dict[str, Sequence[str]] = {
        "product_group": [facts.product_group for facts in sales.facts],
        "age_band": [age_band(facts) for facts in sales.facts],
        "month": [f"{month_start(int(month)):%Y-%m}" for month in sales.month],
    }
    report["groups"] = {name: _by(quantiles, sales.log_price, key) for name, key in keys.items()}
    return report


def rolling_origins(sales: Sales, *, progress: Progress = lambda _: None) -> Report:
    """Return the figures over the last six two-month windows, each predicted from what came before.

    Machines sold in a window leave its training side. Beside the recipe stand the median of the
    class and LightGBM as it comes, on the same rows.
    """
    last = int(sales.month.max())
    windows: list[Report] = []
    scored: list[tuple[Vector, Sales]] = []
    for back in reversed(range(ORIGIN_WINDOWS)):
        end = last - back * ORIGIN_MONTHS
        inside = (sales.month > end - ORIGIN_MONTHS) & (sales.month <= end)
        test = sales.take(inside)
        sold = {name for name in test.machine if name}
        again = np.array([name in sold for name in sales.machine])
        past = sales.take((sales.month <= end - ORIGIN_MONTHS) & ~again)
        name = f"{month_start(end - ORIGIN_MONTHS + 1):%Y-%m} to {month_start(end):%Y-%m}"
        progress(f"origin before {name}: {len(past):,} sales past, {len(test):,} to score")
        model = train(past, version="origin", sales_sha256="")
        quantiles = model.log_quantiles(test)
        scored.append((quantiles, test))
        rivals = {title: _rmsle(rival(past, test), test) for title, rival in BASELINES.items()}
        windows.append({"window": name} | _figures(quantiles, test.log_price) | {"rivals": rivals})
    together = _joined([test for _, test in scored])
    report = figures(np.vstack([quantiles for quantiles, _ in scored]), together)
    report["first_day"] = min(facts.on for facts in together.facts).isoformat()
    report["last_day"] = month_end(last).isoformat()
    report["windows"] = windows
    report["rmsle_ratio"] = {
        title: math.exp(
            float(np.mean([math.log(part["rmsle"] / part["rivals"][title]) for part in windows]))
        )
        for title in BASELINES
    }
    return report


def class_median(past: Sales, test: Sales) -> Vector:
    """Return the median log price of each machine's class."""
    prices: dict[str, list[float]] = {}
    for facts, price in zip(past.facts, past.log_price.tolist(), strict=True):
        prices.setdefault(facts.product_class, []).append(price)
    medians = {name: float(np.median(values)) for name, values in prices.items()}
    overall = float(np.median(past.log_price))
    return np.array([medians.get(facts.product_class, overall) for facts in test.facts])


def untuned_lightgbm(past: Sales, test: Sales) -> Vector:
    """Return LightGBM's prediction with its defaults: log price, categories as they come."""
    codes: list[dict[str, int]] = []
    columns: list[tuple[list[float], list[float]]] = []
    for read in _RAW_WORDS:
        code = {word: number for number, word in enumerate(sorted({read(f) for f in past.facts}))}
        codes.append(code)
        columns.append(
            (
                [float(code[read(facts)]) for facts in past.facts],
                [float(code.get(read(facts), math.nan)) for facts in test.facts],
            )
        )
    for number in _RAW_NUMBERS:
        columns.append(([number(f) for f in past.facts], [number(f) for f in test.facts]))
    engine = lightgbm()
    dataset = engine.Dataset(
        np.array([column[0] for column in columns]).T,
        past.log_price,
        categorical_feature=list(range(len(codes))),
        params=DETERMINISTIC,
    )
    booster = engine.train(DETERMINISTIC | {"objective": "l2"}, dataset)
    predicted: Vector = booster.predict(np.array([column[1] for column in columns]).T)
    return predicted


def age_band(facts: MachineFacts) -> str:
    """Return the band of a machine's age, for example "6-10"."""
    age = age_years(facts.build_year, facts.on)
    if math.isnan(age):
        return "unknown"
    for low, high in zip((0.0, *AGE_BANDS), AGE_BANDS, strict=False):
        if age < high:
            return f"{low:g}-{high:g}"
    return f"{AGE_BANDS[-1]:g}+"


def _option(name: str) -> Callable[[MachineFacts], str]:
    return lambda facts: facts.options.get(name, "")


_RAW_WORDS: list[Callable[[MachineFacts], str]] = [
    lambda facts: facts.product_group,
    lambda facts: facts.product_class,
    lambda facts: facts.base_model,
    lambda facts: facts.variant,
    *(_option(name) for name in OPTIONS),
]
_RAW_NUMBERS: list[Callable[[MachineFacts], float]] = [
    lambda facts: float(facts.build_year or 1000),
    lambda facts: math.nan if facts.hours_meter is None else float(facts.hours_meter),
    lambda facts: float(facts.on.year),
    lambda facts: float(facts.on.timetuple().tm_yday),
]

BASELINES: dict[str, Callable[[Sales, Sales], Vector]] = {
    "class_median": class_median,
    "untuned_lightgbm": untuned_lightgbm,
}


def _figures(quantiles: Vector, log_price: Vector) -> Report:
    median = quantiles[:, QUANTILES.index("q50")]
    low, high = quantiles[:, 0], quantiles[:, -1]
    error = median - log_price
    share_off = np.abs(np.expm1(error))
    taus = [TAILS.get(name, 0.5) for name in QUANTILES]
    beyond = log_price[:, None] - quantiles
    return {
        "rows": len(log_price),
        "rmsle": float(np.sqrt(np.mean(error**2))),
        "mape": float(np.mean(share_off)),
        "median_ape": float(np.median(share_off)),
        "bias_log": float(np.mean(error)),
        "within_10pct": float(np.mean(share_off <= 0.10)),
        "pinball": float(np.mean(np.maximum(beyond * taus, beyond * (np.array(taus) - 1)))),
        "coverage_90": float(np.mean((log_price >= low) & (log_price <= high))),
        "width_90_median": float(np.median(high - low)),
    }


def _by(quantiles: Vector, log_price: Vector, key: Sequence[str]) -> dict[str, Report]:
    labels = np.asarray(key)
    parts = {}
    for label in sorted(set(key)):
        own = labels == label
        part = _figures(quantiles[own], log_price[own])
        parts[label] = {name: part[name] for name in ("rows", "rmsle", "bias_log", "coverage_90")}
    return parts


def _rmsle(predicted: Vector, sales: Sales) -> float:
    return float(np.sqrt(np.mean((predicted - sales.log_price) ** 2)))


def _joined(parts: Sequence[Sales]) -> Sales:
    return Sales(
        facts=[facts for part in parts for facts in part.facts],
        log_price=np.concatenate([part.log_price for part in parts]),
        month=np.concatenate([part.month for part in parts]),
        machine=[name for part in parts for name in part.machine],
        model_name=[name for part in parts for name in part.model_name],
        synthetic=any(part.synthetic for part in parts),
    )
