"""Training: monotone median, monotone tails by pinball loss, and the conformal step.

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

from ml.residual_value.booster import lightgbm
from ml.residual_value.conformal import group_offsets
from ml.residual_value.drift import training_bins
from ml.residual_value.encodings import Encodings
from ml.residual_value.features import CATEGORICAL, FEATURES, MONOTONE_CONSTRAINTS, WATCHED
from ml.residual_value.hedonic import Hedonic, fit_hedonic
from ml.residual_value.levels import fit_encodings, matrix_of, training_matrix
from ml.residual_value.model import (
    CALIBRATION,
    ENCODINGS,
    LEVEL_COLUMNS,
    MEDIAN,
    QUANTILES,
    TAILS,
    Calibration,
    assemble,
    canonical,
)
from ml.residual_value.sales import Sales

CALIBRATION_MONTHS = 4
CALIBRATION_ROWS_MIN = 100  # fewer scores make no 5 % quantile worth the name
MEDIAN_ROUNDS = 400  # the text of 400 trees of 31 leaves is 1.1 MB
TAIL_ROUNDS = 200

# What makes the same data give the same bytes; one thread, so on any number of cores.
DETERMINISTIC = {
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 7,
    "verbose": -1,
}
COMMON = DETERMINISTIC | {
    "monotone_constraints": MONOTONE_CONSTRAINTS,
    "monotone_constraints_method": "intermediate",
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "cat_smooth": 20,
    "max_cat_threshold": 16,
}
MEDIAN_PARAMETERS = COMMON | {
    "objective": "l2",
    "learning_rate": 0.08,
    "num_leaves": 31,
    "min_data_in_leaf": 30,
    "lambda_l2": 5,
}
TAIL_PARAMETERS = COMMON | {"learning_rate": 0.2, "num_leaves": 15, "min_data_in_leaf": 60}

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
            (folder / f"{name}.txt").write_text(text)
        (folder / ENCODINGS).write_text(canonical(self.encodings.to_json()))
        (folder / CALIBRATION).write_text(canonical(self.calibration.to_json()))

    def log_quantiles(self, sales: Sales) -> Vector:
        """Return log-price quantiles (columns of QUANTILES) at the index of each sale's month."""
        rows = matrix_of(sales.facts, self.encodings)
        outputs = {name: _booster(text).predict(rows) for name, text in self.boosters.items()}
        groups = [facts.product_group for facts in sales.facts]
        quantiles = assemble(outputs.pop(MEDIAN), outputs, rows, groups, self.calibration)
        last = len(self.calibration.index) - 1
        places = np.clip(sales.month - self.calibration.first_month, 0, last)
        index = np.asarray(self.calibration.index, dtype=np.float64)[places]
        return quantiles + index[:, None]


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
    labels = sales.log_price - hedonic.index_of(sales.month)
    median_offset = float(np.mean(labels))
    boosters = {MEDIAN: _fit(MEDIAN_PARAMETERS, rows, labels - median_offset, MEDIAN_ROUNDS)}
    tail_offsets = {}
    beside_levels = labels - rows[:, LEVEL_COLUMNS].sum(axis=1)
    for name, tau in TAILS.items():
        # A start at the quantile itself: from far away a unit hessian never arrives.
        tail_offsets[name] = float(np.quantile(beside_levels, tau))
        parameters = TAIL_PARAMETERS | {"objective": pinball(tau)}
        boosters[name] = _fit(parameters, rows, beside_levels - tail_offsets[name], TAIL_ROUNDS)
    calibration = Calibration(
        version=version,
        window_start=min(facts.on for facts in sales.facts).isoformat(),
        window_end=max(facts.on for facts in sales.facts).isoformat(),
        first_month=hedonic.first_month,
        index=[round(float(value), 6) for value in hedonic.index],
        median_offset=median_offset,
        tail_offsets=tail_offsets,
        conformal={name: {"": 0.0} for name in TAILS},
        drift_bins={name: training_bins(rows[:, FEATURES.index(name)]) for name in WATCHED},
        training_rows=len(sales),
        calibration_rows=0,
        libraries={"python": platform.python_version()}
        | {name: installed(name) for name in ("lightgbm", "numpy", "polars")},
        sales_sha256=sales_sha256,
        synthetic=sales.synthetic,
    )
    return TrainedModel(boosters, encodings, calibration)


def conformal_offsets(model: TrainedModel, later: Sales) -> dict[str, dict[str, float]]:
    """Return each tail's offset, by product group, such that the tail holds on later sales."""
    quantiles = model.log_quantiles(later)
    groups = [facts.product_group for facts in later.facts]
    conformal = {}
    for name, tau in TAILS.items():
        column = quantiles[:, QUANTILES.index(name)]
        beyond = later.log_price - column if tau > 0.5 else column - later.log_price
        offsets = group_offsets(beyond, groups, alpha=min(tau, 1 - tau))
        conformal[name] = {group: round(offset, 6) for group, offset in offsets.items()}
    return conformal


def pinball(tau: float) -> Callable[[Vector, Any], tuple[Vector, Vector]]:
    """Return the pinball loss of a quantile as LightGBM's objective: unit hessian.

    LightGBM's own quantile objective refuses monotone constraints.
    """

    def gradient(predicted: Vector, dataset: Any) -> tuple[Vector, Vector]:
        below = dataset.get_label() < predicted
        return np.where(below, 1.0 - tau, -tau), np.ones_like(predicted)

    return gradient


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fit(parameters: dict[str, Any], rows: Vector, labels: Vector, rounds: int) -> str:
    engine = lightgbm()
    dataset = engine.Dataset(
        rows,
        labels,
        feature_name=list(FEATURES),
        categorical_feature=list(CATEGORICAL),
        params=DETERMINISTIC,
    )
    text: str = engine.train(parameters, dataset, rounds).model_to_string()
    return text


def _booster(text: str) -> Any:
    return lightgbm().Booster(model_str=text)
