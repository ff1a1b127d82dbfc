"""A trained model read from its folder: log-price quantiles for machines. Needs no scikit-learn.

A folder holds the boosters as native text (large ones compressed), the encodings, the calibration,
the card, its figures, and a manifest with the SHA-256 of each, unpacked; a file that does not fit
its hash is refused.
"""

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from ml.residual_value.booster import Booster, Matrix
from ml.residual_value.encodings import Encodings
from ml.residual_value.features import (
    EFFECTS,
    FEATURES,
    FIRST_LAYOUT,
    WEAR,
    MachineFacts,
    vector,
)

MANIFEST = "manifest.json"
CALIBRATION = "calibration.json"
ENCODINGS = "encodings.json"
CARD = "card.md"
EVALUATION = "evaluation.json"
MEDIAN = "median"
SCALE = "scale"
LOG_SCALE = "log_scale"
TAILS = {"q05": 0.05, "q10": 0.10, "q90": 0.90, "q95": 0.95}
QUANTILES = ("q05", "q10", "q50", "q90", "q95")
_SIDES = np.array([1.0 if tau > 0.5 else -1.0 for tau in TAILS.values()])
PACKED = ".gz"
LEVELS_OF_FIRST_LAYOUT = ("class_level", "variant_level", "model_level")


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
        tail_offsets: The same for each tail booster, where there are any.
        tails_beside: How a tail is found: "log_scale" is a multiple of the error's scale, whose
            logarithm a booster predicts, from the median; "scale" the same, the booster predicting
            the scale itself. In older models each tail has a booster, whose output is added to the
            "median", or in the first layout to the "levels".
        nowcast: Log prices beyond the index, by month after the window's last; the last one holds.
        nowcast_slope: The trend a month that they continue.
        conformal: What each tail gives way, by quantile and product group ("": pooled), in scales
            where there are such.
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
    tails_beside: str = "levels"
    nowcast: Sequence[float] = field(default_factory=list)
    nowcast_slope: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the plain content, for a file."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Quantiles of the natural logarithm of the price, USD, at the window's last index.

    Attributes:
        features: What was predicted from, exact, in the order of the model's; None is unknown.
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
            encodings = {"layout": FIRST_LAYOUT} | json.loads(read_unpacked(folder, ENCODINGS))
            self.encodings = Encodings.from_json(encodings)
            self.features = tuple(self.encodings.layout)
            self._median = self._booster(MEDIAN)
            self._scaled = self.calibration.tails_beside in {SCALE, LOG_SCALE}
            names = (SCALE,) if self._scaled else TAILS
            self._tails = {name: self._booster(name) for name in names}
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
        seen = seen_by_boosters(rows, self.features)
        beside = unworn(seen) if self._scaled else seen
        return assemble(
            self._median.predict(seen),
            {name: booster.predict(beside) for name, booster in self._tails.items()},
            rows,
            groups,
            self.calibration,
            features=self.features,
        )

    def median_contributions(self, rows: Matrix) -> Matrix:
        """Return what each feature (columns of `features`) adds to the log price's median.

        TreeSHAP parts of the booster, and the effects beside it. What is left of the median is the
        same for every machine: the mean of the training sales at the window's last index.
        """
        parts = self._median.contributions(seen_by_boosters(rows, self.features))[:, :-1]
        return np.hstack([parts, rows[:, parts.shape[1] :]])

    def log_index(self, on: date) -> Decimal:
        """Return the log index of a day against the window's end; beyond it the nearest month's."""
        place = on.year * 12 + on.month - 1 - self.calibration.first_month
        return exact(self.calibration.index[min(max(place, 0), len(self.calibration.index) - 1)])

    def log_nowcast(self, on: date) -> float:
        """Return what prices of a day are taken to lie above the index, in log price.

        It is 0 within the window. No valuation uses it: it serves figures and predictions of the
        months right after the window, from sales of the window alone.
        """
        return nowcast_of(on.year * 12 + on.month - 1, self.calibration)

    def _booster(self, name: str) -> Booster:
        width = sum(feature not in EFFECTS for feature in self.features)
        text = read_unpacked(self.folder, f"{name}.txt").decode()
        return Booster(text, name=f"{name}.txt", features=width)


def nowcast_of(month: int, calibration: Calibration) -> float:
    """Return the nowcast of a month (see `ResidualValueModel.log_nowcast`)."""
    after = month - (calibration.first_month + len(calibration.index) - 1)
    if after <= 0 or not calibration.nowcast:
        return 0.0
    return calibration.nowcast[min(after, len(calibration.nowcast)) - 1]


def seen_by_boosters(rows: Matrix, features: Sequence[str]) -> Matrix:
    """Return the columns that the boosters take: all but the effects, which stand last."""
    return rows[:, : sum(feature not in EFFECTS for feature in features)]


def unworn(seen: Matrix) -> Matrix:
    """Return rows that say whether age, hours and use are known, and no longer what they are.

    The scale of the error sees these: a scale that grew with age could lift the upper tail faster
    than age lowers the median, and a value would rise as its machine gets older.
    """
    rows = seen.copy()
    worn = [FEATURES.index(name) for name in WEAR]
    rows[:, worn] *= 0.0  # NaN stays
    return rows


def assemble(
    median: Matrix,
    tails: Mapping[str, Matrix],
    rows: Matrix,
    groups: Sequence[str],
    calibration: Calibration,
    *,
    features: Sequence[str],
) -> Matrix:
    """Return quantiles of log price from raw outputs: effects, offsets, conformal step, order.

    The median stays as it is; a tail that crosses it stops there, and the two tails of a side
    change places where they cross. Each of these steps, and a constant offset, keeps every column
    monotone in age and hours.
    """
    effects = [place for place, name in enumerate(features) if name in EFFECTS]
    middle = median + calibration.median_offset + rows[:, effects].sum(axis=1)
    given = [calibration.conformal[name] for name in TAILS]
    by_group = {group: [one.get(group, one[""]) for one in given] for group in set(groups)}
    offsets = np.array([by_group[group] for group in groups])
    if SCALE in tails:
        scale = tails[SCALE]
        if calibration.tails_beside == LOG_SCALE:
            scale = np.exp(scale)
        away = np.maximum(offsets * scale[:, None], 0.0)
        around = middle[:, None] + away * _SIDES
    else:
        base = middle
        if calibration.tails_beside == "levels":
            places = [features.index(name) for name in LEVELS_OF_FIRST_LAYOUT]
            base = rows[:, places].sum(axis=1)
        levels = np.array([calibration.tail_offsets[name] for name in TAILS])
        tail = np.column_stack([tails[name] for name in TAILS]) + levels + base[:, None]
        # Side by side, so that what lies beyond the median is the larger on both sides.
        beyond = np.maximum((tail + offsets * _SIDES) * _SIDES, middle[:, None] * _SIDES)
        around = beyond * _SIDES
    return np.sort(np.column_stack([around, middle]), axis=1)


def read_unpacked(folder: Path, name: str) -> bytes:
    """Return the content of a file that may be kept compressed.

    Raises:
        OSError: Neither is there, or it cannot be unpacked.
    """
    packed = folder / (name + PACKED)
    return (
        gzip.decompress(packed.read_bytes()) if packed.is_file() else (folder / name).read_bytes()
    )


def write_packed(folder: Path, name: str, content: bytes) -> None:
    """Write a file compressed; the same content gives the same bytes."""
    (folder / (name + PACKED)).write_bytes(gzip.compress(content, compresslevel=9, mtime=0))


def write_manifest(folder: Path) -> str:
    """Write the hash of every file of a folder, unpacked, and return the hash over them all."""
    names = sorted(
        file.name.removesuffix(PACKED) for file in folder.iterdir() if file.name != MANIFEST
    )
    files = {name: hashlib.sha256(read_unpacked(folder, name)).hexdigest() for name in names}
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
    needed |= set() if f"{SCALE}.txt" in files else {f"{name}.txt" for name in TAILS}
    if missing := sorted(needed - set(files)):
        raise ModelRefused(f"the manifest of {folder} lacks {', '.join(missing)}")
    for name, expected in files.items():
        try:
            found = hashlib.sha256(read_unpacked(folder, name)).hexdigest()
        except FileNotFoundError as error:
            raise ModelRefused(f"{folder / name} is missing") from error
        except (OSError, EOFError, zlib.error) as error:
            raise ModelRefused(f"{folder / name} cannot be unpacked: {error}") from error
        if found != expected:
            raise ModelRefused(f"{folder / name} was changed: SHA-256 {found}, not {expected}")
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
