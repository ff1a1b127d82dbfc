"""A trained model read from its folder: log-price quantiles for machines. Needs no scikit-learn.

A folder holds the boosters as native text, the encodings, the calibration, the card, its figures,
and a manifest with the SHA-256 of each; a file that does not fit its hash is refused.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from ml.residual_value.booster import Booster, Matrix
from ml.residual_value.encodings import Encodings
from ml.residual_value.features import FEATURES, MachineFacts, vector

MANIFEST = "manifest.json"
CALIBRATION = "calibration.json"
ENCODINGS = "encodings.json"
CARD = "card.md"
EVALUATION = "evaluation.json"
MEDIAN = "median"
TAILS = {"q05": 0.05, "q10": 0.10, "q90": 0.90, "q95": 0.95}
QUANTILES = ("q05", "q10", "q50", "q90", "q95")
LEVEL_COLUMNS = slice(FEATURES.index("class_level"), FEATURES.index("model_level") + 1)


class ModelRefused(Exception):
    """A model folder that is incomplete, changed, or not a model of ours."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What stands between the boosters' output and quantiles of log price.

    Attributes:
        version: The model's version.
        window_start, window_end: First and last day of the sales.
        first_month, index: The log index by month, 0 at the last (see `hedonic`).
        median_offset: What the median booster's labels were centred by.
        tail_offsets: The same for each tail booster, beside the levels.
        conformal: What each tail gives way, by quantile and product group ("": pooled).
        training_rows, calibration_rows: Sales that the boosters were trained on, and those of the
            last months that the conformal step used before.
        drift_bins: Edges and shares of the training rows' quarters by feature, to watch drift.
        libraries: Versions of the libraries that trained it.
        sales_sha256: The hash of the file it was trained on.
        synthetic: Whether any row came from the generator.
    """

    version: str
    window_start: str
    window_end: str
    first_month: int
    index: Sequence[float]
    median_offset: float
    tail_offsets: Mapping[str, float]
    conformal: Mapping[str, Mapping[str, float]]
    drift_bins: Mapping[str, Mapping[str, Sequence[float]]]
    training_rows: int
    calibration_rows: int
    libraries: Mapping[str, str]
    sales_sha256: str
    synthetic: bool

    def to_json(self) -> dict[str, Any]:
        """Return the plain content, for a file."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Quantiles of the natural logarithm of the price, USD, at the window's last index.

    Attributes:
        features: What was predicted from, exact, in the order of FEATURES; None is unknown.
        log_price: By QUANTILES, never crossing, rounded to nine decimals.
    """

    features: tuple[str | None, ...]
    log_price: tuple[Decimal, ...]


class ResidualValueModel:
    """A loaded model; predicts the same for the same facts, always."""

    def __init__(self, folder: Path) -> None:
        """Read a folder.

        Raises:
            ModelRefused: A file is missing, was changed, or is not of a model of ours.
        """
        self.folder = folder
        self.sha256 = check_manifest(folder)
        try:
            self.calibration = Calibration(**json.loads((folder / CALIBRATION).read_text()))
            self.encodings = Encodings.from_json(json.loads((folder / ENCODINGS).read_text()))
            self._median = Booster(folder / f"{MEDIAN}.txt", features=len(FEATURES))
            self._tails = {
                name: Booster(folder / f"{name}.txt", features=len(FEATURES)) for name in TAILS
            }
        except Exception as error:
            raise ModelRefused(f"{folder} is not a residual-value model: {error}") from error
        self.version = self.calibration.version
        self.window_end = date.fromisoformat(self.calibration.window_end)
        self.window_start = date.fromisoformat(self.calibration.window_start)

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        return (self.folder / CARD).read_text()

    @property
    def evaluation(self) -> str:
        """The figures of the evaluation out of time, JSON."""
        return (self.folder / EVALUATION).read_text()

    def predict(self, facts: MachineFacts) -> Prediction:
        """Return the quantiles of one machine's log price."""
        return self.predict_many([facts])[0]

    def predict_many(self, facts: Sequence[MachineFacts]) -> list[Prediction]:
        """Return the quantiles of machines' log prices, in their order."""
        rows = np.array([vector(machine, self.encodings) for machine in facts], dtype=np.float64)
        quantiles = self.log_quantiles(rows, [machine.product_group for machine in facts])
        return [
            Prediction(
                tuple(None if math.isnan(value) else repr(value) for value in row),
                tuple(exact(price) for price in prices),
            )
            for row, prices in zip(rows.tolist(), quantiles.tolist(), strict=True)
        ]

    def log_quantiles(self, rows: Matrix, groups: Sequence[str]) -> Matrix:
        """Return log-price quantiles (columns of QUANTILES) for feature rows."""
        return assemble(
            self._median.predict(rows),
            {name: booster.predict(rows) for name, booster in self._tails.items()},
            rows,
            groups,
            self.calibration,
        )

    def log_index(self, on: date) -> Decimal:
        """Return the log index of a day against the window's end; beyond it the nearest month's."""
        place = on.year * 12 + on.month - 1 - self.calibration.first_month
        return exact(self.calibration.index[min(max(place, 0), len(self.calibration.index) - 1)])


def assemble(
    median: Matrix,
    tails: Mapping[str, Matrix],
    rows: Matrix,
    groups: Sequence[str],
    calibration: Calibration,
) -> Matrix:
    """Return quantiles of log price from raw outputs: offsets, conformal step, order.

    The median stays as it is; a tail that crosses it stops there, and the two tails of a side
    change places where they cross. Each of these steps, and a constant offset, keeps every column
    monotone in age and hours.
    """
    levels = rows[:, LEVEL_COLUMNS].sum(axis=1)
    middle = median + calibration.median_offset
    columns = {"q50": middle}
    for name, tau in TAILS.items():
        given = calibration.conformal[name]
        offsets = np.array([given.get(group, given[""]) for group in groups])
        tail = tails[name] + calibration.tail_offsets[name] + levels
        columns[name] = (
            np.maximum(tail + offsets, middle) if tau > 0.5 else np.minimum(tail - offsets, middle)
        )
    return np.sort(np.column_stack([columns[name] for name in QUANTILES]), axis=1)


def write_manifest(folder: Path) -> str:
    """Write the hash of every file of a folder, and return the hash over them all."""
    files = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
        if file.name != MANIFEST
    }
    (folder / MANIFEST).write_text(canonical({"files": files}))
    return hashlib.sha256(canonical(files).encode()).hexdigest()


def check_manifest(folder: Path) -> str:
    """Return the hash over a folder's files, each of which fits its own.

    Raises:
        ModelRefused: One does not, or the manifest is missing.
    """
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelRefused(f"{folder} has no readable {MANIFEST}") from error
    needed = {CALIBRATION, ENCODINGS, CARD, EVALUATION, f"{MEDIAN}.txt"}
    needed |= {f"{name}.txt" for name in TAILS}
    if missing := sorted(needed - set(files)):
        raise ModelRefused(f"the manifest of {folder} lacks {', '.join(missing)}")
    for name, expected in files.items():
        file = folder / name
        if not file.is_file():
            raise ModelRefused(f"{file} is missing")
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found != expected:
            raise ModelRefused(f"{file} was changed: SHA-256 {found}, not {expected}")
    return hashlib.sha256(canonical(files).encode()).hexdigest()


def canonical(content: Any) -> str:
    """Return JSON with sorted keys, no spaces, ASCII only; NaN is refused.

    Raises:
        ValueError: A number is not finite.
    """
    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def exact(value: float) -> Decimal:
    """Return a logarithm with nine decimals: what the last bits of a sum say is no price."""
    return Decimal(f"{value:.9f}")
