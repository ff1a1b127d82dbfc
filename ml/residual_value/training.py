"""Training: monotone boosters of the median, a booster of its error's scale, the conformal step.

The last months of the sales calibrate; the boosters see only what came before, without the
machines that were sold again in the calibration months. Labels are log prices at the index of
the window's end, so the index stays outside the boosters.
"""

import hashlib
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.residual_value.booster import lean_text, lightgbm, merged
from ml.residual_value.conformal import conformal_offset
from ml.residual_value.drift import training_bins
from ml.residual_value.encodings import Encodings
from ml.residual_value.features import (
    BOOSTER_FEATURES,
    CATEGORICAL,
    EFFECTS,
    FEATURES,
    MONOTONE_CONSTRAINTS,
    WATCHED,
)
from ml.residual_value.hedonic import Hedonic, fit_hedonic
from ml.residual_value.levels import (
    FOLDS,
    chosen,
    fit_encodings,
    folds_of,
    matrix_of,
    training_matrix,
    with_effects,
)
from ml.residual_value.model import (
    CALIBRATION,
    ENCODINGS,
    LOG_SCALE,
    MEDIAN,
    QUANTILES,
    SCALE,
    TAILS,
    Calibration,
    assemble,
    canonical,
    nowcast_of,
    seen_by_boosters,
    unworn,
    write_packed,
)
from ml.residual_value.nowcast import index_trend, nowcast
from ml.residual_value.sales import Sales

CALIBRATION_MONTHS = 4
CALIBRATION_ROWS_MIN = 100  # fewer scores make no 5 % quantile worth the name
HALF_LIFE_YEARS = 2.0  # of a sale's weight
MEDIAN_ROUNDS = 160  # of each member
LEAVES_MIN, LEAVES_MAX = 15, 127
FOLD_ROUNDS, FOLD_LEAVES_MAX = 120, 63
ROWS_PER_LEAF = 100  # few sales grow small trees
SILENT_SHARE = 0.3
SCALE_ROUNDS = 250
# Added to an error's size before its logarithm is taken; 0.01, 0.06, 0.1: mostly wider.
ERROR_MIN = 0.03

# What makes the same data give the same bytes; one thread, so on any number of cores.
DETERMINISTIC = {
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 7,
    "verbose": -1,
}
MEDIAN_PARAMETERS = DETERMINISTIC | {
    "objective": "l2",
    "monotone_constraints": MONOTONE_CONSTRAINTS,
    # "advanced" fits closer and lets a price rise with age and hours: see ADR 0411.
    "monotone_constraints_method": "basic",
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "learning_rate": 0.065,
    "min_data_in_leaf": 10,
    "lambda_l2": 5,
    "cat_smooth": 5,
    "cat_l2": 1,
    "max_cat_threshold": 32,
}
# Two members that draw other rows and features: their mean is 0.3 % better than either.
MEDIAN_MEMBERS: tuple[dict[str, Any], ...] = ({"seed": 7}, {"seed": 8})
SCALE_PARAMETERS = DETERMINISTIC | {
    "objective": "l2",
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 60,
    "cat_smooth": 20,
    "cat_l2": 10,
    "max_cat_threshold": 32,
}

Vector = NDArray[np.float64]
Progress = Callable[[str], None]


class TooFewSales(Exception):
    """The sales do not suffice to train and to calibrate."""


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model in memory: the boosters' text, the encodings and the calibration."""

    boosters: dict[str, str]
    encodings: Encodings
    calibration: Calibration

    def write(self, folder: Path) -> None:
        """Write boosters, encodings and calibration below `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.boosters.items():
            write_packed(folder, f"{name}.txt", text.encode())
        write_packed(folder, ENCODINGS, canonical(self.encodings.to_json()).encode())
        (folder / CALIBRATION).write_text(canonical(self.calibration.to_json()))

    def loaded(self, name: str) -> Any:
        """Return one of the boosters, ready to predict."""
        return lightgbm().Booster(model_str=self.boosters[name])

    def seen(self, sales: Sales) -> Vector:
        """Return what the boosters see of sales."""
        return seen_by_boosters(matrix_of(sales.facts, self.encodings), FEATURES)

    def log_scale(self, sales: Sales) -> Vector:
        """Return the logarithm of how far sales are expected to lie from the median."""
        log_scale: Vector = self.loaded(SCALE).predict(unworn(self.seen(sales)))
        return log_scale

    def log_quantiles(self, sales: Sales) -> Vector:
        """Return log-price quantiles (columns of QUANTILES) at each sale's month.

        That is the index within the window, and the nowcast after it.
        """
        rows = matrix_of(sales.facts, self.encodings)
        seen = seen_by_boosters(rows, FEATURES)
        groups = [facts.product_group for facts in sales.facts]
        quantiles = assemble(
            self.loaded(MEDIAN).predict(seen),
            {SCALE: self.log_scale(sales)},
            rows,
            groups,
            self.calibration,
            features=FEATURES,
        )
        return quantiles + index_at(sales.month, self.calibration)[:, None]


def index_at(months: NDArray[np.int64], calibration: Calibration) -> Vector:
    """Return the log index of months, with the nowcast after the window."""
    index, last = calibration.index, len(calibration.index) - 1
    return np.array(
        [
            index[min(max(month - calibration.first_month, 0), last)]
            + nowcast_of(month, calibration)
            for month in months.tolist()
        ]
    )


def train(
    sales: Sales, *, version: str, sales_sha256: str, progress: Progress = lambda _: None
) -> TrainedModel:
    """Train a model on sales.

    The conformal offsets come from a model that has not seen the calibration months; the boosters
    that are kept are then trained on all sales.

    Raises:
        TooFewSales: Too few to train, or too few in the calibration months.
    """
    end = int(sales.month.max())
    calibrating = sales.month > end - CALIBRATION_MONTHS
    again = {name for name in sales.take(calibrating).machine if name}
    seen_again = np.array([name in again for name in sales.machine])
    earlier, later = sales.take(~calibrating & ~seen_again), sales.take(calibrating)
    if len(later) < CALIBRATION_ROWS_MIN or len(earlier) < CALIBRATION_ROWS_MIN:
        raise TooFewSales(
            f"{len(earlier)} sales to train on and {len(later)} in the last {CALIBRATION_MONTHS} "
            f"months; each must be at least {CALIBRATION_ROWS_MIN}"
        )
    progress(f"monthly index from {len(sales):,} sales")
    hedonic = fit_hedonic(sales)
    progress(f"conformal step: boosters on {len(earlier):,} sales, {len(later):,} later ones")
    conformal = conformal_offsets(fit(earlier, hedonic, version="", sales_sha256=""), later)
    progress(f"boosters on {len(sales):,} sales")
    model = fit(sales, hedonic, version=version, sales_sha256=sales_sha256)
    settled = replace(model.calibration, conformal=conformal, calibration_rows=len(later))
    return replace(model, calibration=settled)


def fit(sales: Sales, hedonic: Hedonic, *, version: str, sales_sha256: str) -> TrainedModel:
    """Fit encodings and boosters to sales, at a given index; the conformal step is left out."""
    encodings = fit_encodings(sales, hedonic)
    rows = training_matrix(sales, hedonic, encodings)
    rows[_silent(len(sales)), FEATURES.index("usage_band")] = np.nan
    labels = sales.log_price - hedonic.index_of(sales.month)
    offset = float(np.mean(labels))
    weights = recency(sales)
    folds = folds_of(sales)
    unexplained = _unexplained(rows, labels - offset, weights=weights, folds=folds)
    encodings = with_effects(encodings, sales.facts, unexplained, weights)
    rows, left = _beside_effects(
        sales, rows, unexplained, encodings=encodings, weights=weights, folds=folds
    )
    seen = seen_by_boosters(rows, FEATURES)
    beside = unworn(seen)
    # A machine without a class is an ordinary one, not like those of classes that are too rare.
    beside[_silent(len(sales)), FEATURES.index("product_class")] = np.nan
    scale = _fit(SCALE_PARAMETERS, beside, np.log(np.abs(left) + ERROR_MIN), rounds=SCALE_ROUNDS)
    boosters = {MEDIAN: _fit_median(seen, labels - offset, weights), SCALE: lean_text(scale)}
    index = [round(float(value), 6) for value in hedonic.index]
    slope = index_trend(index)
    calibration = Calibration(
        version=version,
        window_start=min(facts.on for facts in sales.facts).isoformat(),
        window_end=max(facts.on for facts in sales.facts).isoformat(),
        first_month=hedonic.first_month,
        index=index,
        median_offset=offset,
        tail_offsets={},
        conformal={name: {"": 0.0} for name in TAILS},
        drift_bins={name: training_bins(rows[:, FEATURES.index(name)]) for name in WATCHED},
        training_rows=len(sales),
        calibration_rows=0,
        libraries={"python": platform.python_version()}
        | {name: installed(name) for name in ("lightgbm", "numpy", "polars")},
        sales_sha256=sales_sha256,
        synthetic=sales.synthetic,
        tails_beside=LOG_SCALE,
        nowcast=nowcast(slope),
        nowcast_slope=round(slope, 6),
    )
    return TrainedModel(boosters, encodings, calibration)


def recency(sales: Sales) -> Vector:
    """Return each sale's weight: half for every HALF_LIFE_YEARS before the last."""
    years = (int(sales.month.max()) - sales.month) / 12
    weights: Vector = 0.5 ** (years / HALF_LIFE_YEARS)
    return weights


def _silent(count: int) -> NDArray[np.bool_]:
    """Return which sales hide something in training: their usage band, to the scale their class.

    In the data they are known nearly always; whoever asks for a value seldom knows them.
    """
    return np.random.default_rng(DETERMINISTIC["seed"]).random(count) < SILENT_SHARE


def _unexplained(
    rows: Vector, labels: Vector, *, weights: Vector, folds: NDArray[np.int64]
) -> Vector:
    """Return what a booster leaves of labels that it has not seen, fold by fold."""
    seen, left = seen_by_boosters(rows, FEATURES), np.zeros(len(labels))
    leaves = {"num_leaves": min(FOLD_LEAVES_MAX, max(LEAVES_MIN, len(rows) // ROWS_PER_LEAF))}
    for fold in range(FOLDS):
        own = folds == fold
        if own.any():
            booster = _fit(
                MEDIAN_PARAMETERS | leaves,
                seen[~own],
                labels[~own],
                rounds=FOLD_ROUNDS,
                weights=weights[~own],
            )
            left[own] = labels[own] - booster.predict(seen[own])
    return left


def _beside_effects(
    sales: Sales,
    rows: Vector,
    unexplained: Vector,
    *,
    encodings: Encodings,
    weights: Vector,
    folds: NDArray[np.int64],
) -> tuple[Vector, Vector]:
    """Return rows with spreads and effects of other folds, and what those effects leave."""
    filled, left = rows.copy(), unexplained.copy()
    spread, places = FEATURES.index("variant_spread"), [FEATURES.index(name) for name in EFFECTS]
    for fold in range(FOLDS):
        own = folds == fold
        if own.any():
            others = chosen(sales.facts, ~own)
            blind = with_effects(encodings, others, unexplained[~own], weights[~own])
            part = matrix_of(chosen(sales.facts, own), blind)
            filled[np.ix_(own, [spread, *places])] = part[:, [spread, *places]]
            left[own] -= part[:, places].sum(axis=1)
    return filled, left


def _fit_median(rows: Vector, labels: Vector, weights: Vector) -> str:
    """Return the text of the boosters of the middle, merged into one whose trees add up.

    Each is fitted to its share of the labels, so that the merged one's output is their mean.
    """
    share = labels / len(MEDIAN_MEMBERS)
    leaves = {"num_leaves": min(LEAVES_MAX, max(LEAVES_MIN, len(rows) // ROWS_PER_LEAF))}
    first, *others = (
        _fit(
            MEDIAN_PARAMETERS | leaves | member, rows, share, rounds=MEDIAN_ROUNDS, weights=weights
        )
        for member in MEDIAN_MEMBERS
    )
    for other in others:
        first = merged(first, other)
    return lean_text(first)


def conformal_offsets(model: TrainedModel, later: Sales) -> dict[str, dict[str, float]]:
    """Return how many scales each tail lies from the median.

    They are such that both tails of a pair together hold on later sales: what the months of the
    calibration lie above or below the index moves one tail as it moves the other, and is no reason
    to make one side of the interval the wider. One for all product groups, whose scales differ.
    """
    median = model.log_quantiles(later)[:, QUANTILES.index("q50")]
    away = np.abs(later.log_price - median) / np.exp(model.log_scale(later))
    return {
        name: {"": round(conformal_offset(away, 2 * min(tau, 1 - tau)), 6)}
        for name, tau in TAILS.items()
    }


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fit(
    parameters: dict[str, Any],
    rows: Vector,
    labels: Vector,
    *,
    rounds: int,
    weights: Vector | None = None,
) -> Any:
    engine = lightgbm()
    dataset = engine.Dataset(
        rows,
        labels,
        weight=weights,
        feature_name=list(BOOSTER_FEATURES),
        categorical_feature=list(CATEGORICAL),
        params=DETERMINISTIC,
    )
    return engine.train(parameters, dataset, rounds)
