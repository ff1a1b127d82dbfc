"""How good the values are: errors and intervals of a model on sales, and out of time.

Every figure is on log price unless its name says otherwise; an error is predicted − actual.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.residual_value.drift import bin_shares, population_stability_index
from ml.residual_value.features import MachineFacts, age_years
from ml.residual_value.levels import matrix_of
from ml.residual_value.model import QUANTILES, TAILS, ResidualValueModel
from ml.residual_value.rivals import RIVALS
from ml.residual_value.sales import Sales, join_sales, month_end, month_start
from ml.residual_value.training import Progress, index_at, train

ORIGIN_WINDOWS = 6
ORIGIN_MONTHS = 2
AGE_BANDS = (3.0, 6.0, 10.0, 15.0)
PRICE_BANDS = 10
BENCHMARKS = ("class_median", "lucko_regression")  # whose pinball loss a gate compares
TAUS = np.array([TAILS.get(name, 0.5) for name in QUANTILES])

Vector = NDArray[np.float64]
Report = dict[str, Any]


def evaluate(model: ResidualValueModel, sales: Sales) -> Report:
    """Return the figures of a model on sales, by product group, age band and month too."""
    rows = matrix_of(sales.facts, model.encodings)
    quantiles = model.log_quantiles(rows, [facts.product_group for facts in sales.facts])
    index = index_at(sales.month, model.calibration)
    report = figures(quantiles + index[:, None], sales)
    known = sum(facts.on.isoformat() <= model.calibration.window_end for facts in sales.facts)
    report["model"] = model.version
    report["rows_within_training_window"] = known
    report["psi"] = {
        name: population_stability_index(
            bins["shares"], bin_shares(rows[:, model.features.index(name)], bins["edges"])
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

    Machines sold in a window leave its training side. The rivals are trained and scored on the same
    rows; `predicted` holds what the report's plots need.
    """
    windows: list[Report] = []
    scored: list[tuple[Vector, Sales]] = []
    for name, past, test in origins(sales):
        progress(f"origin before {name}: {len(past):,} sales past, {len(test):,} to score")
        model = train(past, version="origin", sales_sha256="")
        quantiles = model.log_quantiles(test)
        scored.append((quantiles, test))
        predicted = {title: rival(past, test) for title, rival in RIVALS.items()}
        rivals = {title: _rmsle(values, test) for title, values in predicted.items()}
        pinball = {
            title: constant_pinball(RIVALS[title](past, past), past, predicted[title], test)
            for title in BENCHMARKS
        }
        progress(f"origin before {name}: " + _sentence(quantiles, test, rivals))
        windows.append(
            {"window": name, "nowcast_slope": model.calibration.nowcast_slope}
            | _figures(quantiles, test.log_price)
            | {"rivals": rivals, "rival_pinball": pinball}
        )
    together = join_sales([test for _, test in scored])
    everything = np.vstack([quantiles for quantiles, _ in scored])
    report = figures(everything, together)
    report["first_day"] = min(facts.on for facts in together.facts).isoformat()
    report["last_day"] = month_end(int(sales.month.max())).isoformat()
    report["windows"] = windows
    report["rmsle_ratio"] = {title: _mean_ratio(windows, "rmsle", title) for title in RIVALS}
    report["plots"] = plot_figures(everything, together.log_price)
    return report


def origins(sales: Sales) -> Iterator[tuple[str, Sales, Sales]]:
    """Yield each window's name, what was sold before it, and what was sold in it.

    Machines sold in the window are left out of what was sold before.
    """
    last = int(sales.month.max())
    for back in reversed(range(ORIGIN_WINDOWS)):
        end = last - back * ORIGIN_MONTHS
        test = sales.take((sales.month > end - ORIGIN_MONTHS) & (sales.month <= end))
        sold = {name for name in test.machine if name}
        again = np.array([name in sold for name in sales.machine])
        past = sales.take((sales.month <= end - ORIGIN_MONTHS) & ~again)
        check_no_leak(past, test)
        yield (
            f"{month_start(end - ORIGIN_MONTHS + 1):%Y-%m} to {month_start(end):%Y-%m}",
            past,
            test,
        )


def check_no_leak(past: Sales, test: Sales) -> None:
    """Refuse a training side that knows something of the sales to be scored.

    Raises:
        Leak: It holds a sale of the window's first month or later, or a machine of the window.
    """
    first = int(test.month.min())
    if late := int((past.month >= first).sum()):
        raise Leak(f"{late} sales to train on are not before {month_start(first):%Y-%m}")
    if both := {name for name in past.machine if name} & set(test.machine):
        raise Leak(f"{len(both)} machines stand on both sides, one is {min(both)}")


class Leak(Exception):
    """Sales to train on that know something of the sales to be scored."""


def constant_pinball(own: Vector, past: Sales, predicted: Vector, test: Sales) -> float:
    """Return a rival's pinball loss, its quantiles being those of its errors on the past."""
    errors = past.log_price - own
    quantiles = predicted[:, None] + np.quantile(errors, TAUS)[None, :]
    return _pinball(quantiles, test.log_price)


def plot_figures(quantiles: Vector, log_price: Vector) -> Report:
    """Return what the plots show: errors by price band, and how often each quantile holds."""
    edges = np.quantile(log_price, np.linspace(0, 1, PRICE_BANDS + 1))
    error = quantiles[:, QUANTILES.index("q50")] - log_price
    bands = np.clip(np.searchsorted(edges, log_price, side="right") - 1, 0, PRICE_BANDS - 1)
    return {
        "price_bands": [
            {
                "from_usd": round(float(np.exp(edges[band])), -2),
                "rmsle": float(np.sqrt(np.mean(error[bands == band] ** 2))),
                "bias_log": float(np.mean(error[bands == band])),
            }
            for band in range(PRICE_BANDS)
        ],
        "below": {
            name: float(np.mean(log_price <= quantiles[:, place]))
            for place, name in enumerate(QUANTILES)
        },
    }


def age_band(facts: MachineFacts) -> str:
    """Return the band of a machine's age, for example "6-10"."""
    age = age_years(facts.build_year, facts.on)
    if math.isnan(age):
        return "unknown"
    for low, high in zip((0.0, *AGE_BANDS), AGE_BANDS, strict=False):
        if age < high:
            return f"{low:g}-{high:g}"
    return f"{AGE_BANDS[-1]:g}+"


def _figures(quantiles: Vector, log_price: Vector) -> Report:
    median = quantiles[:, QUANTILES.index("q50")]
    low, high = quantiles[:, 0], quantiles[:, -1]
    error = median - log_price
    share_off = np.abs(np.expm1(error))
    coverage = float(np.mean((log_price >= low) & (log_price <= high)))
    width = float(np.median(high - low))
    constant = 2 * float(np.quantile(np.abs(error), coverage))
    return {
        "rows": len(log_price),
        "rmsle": float(np.sqrt(np.mean(error**2))),
        "mape": float(np.mean(share_off)),
        "median_ape": float(np.median(share_off)),
        "bias_log": float(np.mean(error)),
        "within_10pct": float(np.mean(share_off <= 0.10)),
        "pinball": _pinball(quantiles, log_price),
        "coverage_90": coverage,
        "width_90_median": width,
        # Against the one width for all machines that would have held as often.
        "width_90_ratio": width / constant if constant else 1.0,
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


def _pinball(quantiles: Vector, log_price: Vector) -> float:
    beyond = log_price[:, None] - quantiles
    return float(np.mean(np.maximum(beyond * TAUS, beyond * (TAUS - 1))))


def _mean_ratio(windows: Sequence[Report], figure: str, rival: str) -> float:
    """Return the geometric mean over the windows of ours ÷ a rival's."""
    ratios = [math.log(part[figure] / part["rivals"][rival]) for part in windows]
    return math.exp(float(np.mean(ratios)))


def _sentence(quantiles: Vector, test: Sales, rivals: Mapping[str, float]) -> str:
    own = _figures(quantiles, test.log_price)
    return f"RMSLE {own['rmsle']:.4f}, bias {own['bias_log']:+.4f}; " + ", ".join(
        f"{title} {value:.4f}" for title, value in rivals.items()
    )
