"""A seeded generator of sales in the importer's columns. Every row says that it is synthetic.

For tests, and for machines without the real data; never mixed into the training of a model that
is lent on. Prices follow a made-up law: size and model set the level, age and hours take from it,
noise grows with age.
"""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from ml.residual_value.sales import SYNTHETIC

FIRST_DAY = date(2018, 1, 1)
DAYS = 4 * 365

# Product group: its classes, each with the price of a new machine at auction in USD, and models.
_CLASSES = {
    "TEX": [
        ("Hydraulic Excavator, Track - 19.0 to 21.0 Metric Tons", 120_000.0),
        ("Hydraulic Excavator, Track - 3.0 to 4.0 Metric Tons", 38_000.0),
    ],
    "WL": [("Wheel Loader - 150.0 to 175.0 Horsepower", 130_000.0)],
    "BL": [("Backhoe Loader - 14.0 to 15.0 Ft Standard Digging Depth", 62_000.0)],
    "SSL": [("Skid Steer Loader - 1751.0 to 2201.0 Lb Operating Capacity", 27_000.0)],
    "TTT": [("Track Type Tractor, Dozer - 85.0 to 105.0 Horsepower", 95_000.0)],
    "MG": [("Motorgrader - 145.0 to 170.0 Horsepower", 140_000.0)],
}
_MODELS_PER_CLASS = 4
_ENCLOSURES = ("OROPS", "EROPS", "EROPS w AC")


def generate(rows: int, *, seed: int) -> pl.DataFrame:
    """Return synthetic sales, the same for the same seed."""
    random = np.random.default_rng(seed)
    classes = [(group, *item) for group, items in _CLASSES.items() for item in items]
    chosen = random.integers(len(classes), size=rows)
    model = random.integers(_MODELS_PER_CLASS, size=rows)
    variant = random.integers(2, size=rows)
    enclosure = random.integers(len(_ENCLOSURES), size=rows)
    day = np.sort(random.integers(DAYS, size=rows))
    age = np.minimum(random.gamma(3.0, 2.5, size=rows), 30.0)
    hours = age * random.gamma(8.0, 100.0, size=rows)
    log_price = (
        np.array([np.log(classes[place][2]) for place in chosen])
        + 0.12 * (model - 1.5)
        + 0.08 * variant
        + 0.05 * enclosure
        - 0.09 * age
        - 0.02 * hours / 1000.0
        + 0.05 * day / 365.0
        + random.normal(0.0, 0.10 + 0.006 * age)
    )
    sold = [FIRST_DAY + timedelta(days=int(days)) for days in day]
    built = [when.year - int(years) for when, years in zip(sold, age, strict=True)]
    hours_unknown = random.random(rows) < 0.3
    year_unknown = random.random(rows) < 0.05
    base = [
        f"{classes[place][0]}{number + 1}00" for place, number in zip(chosen, model, strict=True)
    ]
    series = np.where(variant == 1, "B", "")
    return pl.DataFrame(
        {
            "SalesID": np.arange(1, rows + 1),
            "MachineID": random.integers(1, max(2, rows), size=rows),
            "SalePrice": np.round(np.exp(log_price), -1).clip(500.0, 500_000.0),
            "saledate": sold,
            "YearMade": np.where(year_unknown, 1000, built),
            "MachineHoursCurrentMeter": np.where(hours_unknown, 0.0, np.round(hours)),
            "ProductGroup": [classes[place][0] for place in chosen],
            "fiProductClassDesc": [classes[place][1] for place in chosen],
            "fiBaseModel": base,
            "fiSecondaryDesc": series,
            "fiModelDesc": [name + letter for name, letter in zip(base, series, strict=True)],
            "Enclosure": [_ENCLOSURES[place] for place in enclosure],
            "date_precision": ["day"] * rows,
            "source": [SYNTHETIC] * rows,
        }
    )


def write(path: Path, rows: int, *, seed: int) -> None:
    """Write synthetic sales as Parquet or CSV, by the file's ending."""
    frame = generate(rows, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
