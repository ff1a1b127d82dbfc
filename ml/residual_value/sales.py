"""Auction sales: the columns of the data, the rules that a row must keep, and rows as facts.

The columns are those of the public "Blue Book for Bulldozers" data; a user's own sales come in
the same ones. Only REQUIRED must be there; any other that is absent counts as unknown.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml.residual_value.features import OPTIONS, PRODUCT_GROUPS, MachineFacts

REQUIRED = ("SalePrice", "saledate", "YearMade", "ProductGroup", "fiProductClassDesc")
OPTIONAL = (
    "SalesID",
    "MachineID",
    "MachineHoursCurrentMeter",
    "fiBaseModel",
    "fiSecondaryDesc",
    "fiModelSeries",
    "fiModelDescriptor",
    "fiModelDesc",
    "date_precision",
    "source",
    "state",
    "ProductSize",
    "UsageBand",
    *OPTIONS,
)
NUMBERS = ("SalePrice", "YearMade", "SalesID", "MachineID", "MachineHoursCurrentMeter")

BUILD_YEAR_UNKNOWN_BELOW = 1900  # the data write 1000 where nobody knew
PRICE_MIN, PRICE_MAX = 100.0, 10_000_000.0  # USD; beyond it a typing error is likelier than a sale
FIRST_YEAR, LAST_YEAR = 1980, 2100

NEVER_DECODED = "CODE_"  # how a category starts that one part of the public data never names
SYNTHETIC = "synthetic"  # what the generator writes as source


class SalesRefused(Exception):
    """A file that cannot be read as sales at all."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a row was left out; `row` counts from 1, `value` is what stood there."""

    row: int
    column: str
    reason: str
    value: str


@dataclass(frozen=True, slots=True)
class Sales:
    """Valid sales, the same row at the same place in every attribute.

    Attributes:
        log_price: Natural logarithm of the price in USD.
        month: Months since January of year 0.
        machine: The machine's id in the data, or "" where it is not known.
        model_name: The model's full name, or "".
        synthetic: Whether any row comes from the generator.
        frame: The columns as they were read.
    """

    facts: Sequence[MachineFacts]
    log_price: NDArray[np.float64]
    month: NDArray[np.int64]
    machine: Sequence[str]
    model_name: Sequence[str]
    synthetic: bool
    frame: pl.DataFrame

    def __len__(self) -> int:
        return len(self.facts)

    def take(self, mask: NDArray[np.bool_]) -> "Sales":
        """Return the rows for which `mask` is true."""
        places = np.flatnonzero(mask).tolist()
        return Sales(
            [self.facts[place] for place in places],
            self.log_price[mask],
            self.month[mask],
            [self.machine[place] for place in places],
            [self.model_name[place] for place in places],
            self.synthetic,
            self.frame.filter(pl.Series(mask)),
        )


def join_sales(parts: Sequence[Sales]) -> Sales:
    """Return the rows of several sales, one after the other."""
    return Sales(
        facts=[facts for part in parts for facts in part.facts],
        log_price=np.concatenate([part.log_price for part in parts]),
        month=np.concatenate([part.month for part in parts]),
        machine=[name for part in parts for name in part.machine],
        model_name=[name for part in parts for name in part.model_name],
        synthetic=any(part.synthetic for part in parts),
        frame=pl.concat([part.frame for part in parts]),
    )


def read_sales(path: Path) -> tuple[Sales, list[Rejection]]:
    """Return the valid sales of a file, and what was left out and why.

    Raises:
        SalesRefused: The file cannot be read, or lacks a required column.
    """
    frame = read_columns(path)
    kept, rejections = validate(frame)
    if kept.is_empty():
        raise SalesRefused(f"{path} holds no valid sale ({len(rejections)} rows rejected)")
    return to_sales(kept), rejections


def read_columns(path: Path) -> pl.DataFrame:
    """Return the known columns of a CSV or Parquet file, typed; absent optional ones are null.

    Raises:
        SalesRefused: The file cannot be read, or lacks a required column.
    """
    try:
        if path.suffix == ".csv":
            frame = pl.read_csv(path, infer_schema_length=None, try_parse_dates=True)
        else:
            frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SalesRefused(f"{path} cannot be read as CSV or Parquet: {error}") from error
    missing = [column for column in REQUIRED if column not in frame.columns]
    if missing:
        raise SalesRefused(f"{path} lacks the columns {', '.join(missing)}")
    absent = [column for column in OPTIONAL if column not in frame.columns]
    frame = frame.with_columns(pl.lit(None, pl.String).alias(column) for column in absent)
    numbers = [pl.col(column).cast(pl.Float64, strict=False) for column in NUMBERS]
    words = [
        pl.col(column).cast(pl.String)
        for column in (*REQUIRED, *OPTIONAL)
        if column not in NUMBERS and column != "saledate"
    ]
    return frame.select(pl.col("saledate").cast(pl.Date, strict=False), *numbers, *words)


def validate(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Rejection]]:
    """Return the rows that keep every rule, and the first rule that each other row breaks."""
    price, sold, built = pl.col("SalePrice"), pl.col("saledate"), pl.col("YearMade")
    rules: list[tuple[str, str, pl.Expr]] = [
        ("saledate", "SALE_DATE_MISSING", sold.is_null()),
        ("saledate", "SALE_DATE_OUT_OF_RANGE", ~sold.dt.year().is_between(FIRST_YEAR, LAST_YEAR)),
        ("SalePrice", "PRICE_MISSING", price.is_null() | price.is_nan()),
        ("SalePrice", "PRICE_OUT_OF_RANGE", ~price.is_between(PRICE_MIN, PRICE_MAX)),
        ("ProductGroup", "GROUP_UNKNOWN", ~pl.col("ProductGroup").is_in(PRODUCT_GROUPS)),
        ("ProductGroup", "GROUP_MISSING", pl.col("ProductGroup").is_null()),
        ("fiProductClassDesc", "CLASS_MISSING", pl.col("fiProductClassDesc").is_null()),
        ("YearMade", "BUILD_YEAR_AFTER_SALE", built > sold.dt.year()),
        ("MachineHoursCurrentMeter", "HOURS_NEGATIVE", pl.col("MachineHoursCurrentMeter") < 0),
        (
            "SalesID",
            "SALE_TWICE",
            pl.col("SalesID").is_not_null() & ~pl.col("SalesID").is_first_distinct(),
        ),
    ]
    verdict = pl.coalesce(
        *(
            pl.when(broken.fill_null(False)).then(pl.lit(place))
            for place, (_, _, broken) in enumerate(rules)
        )
    )
    judged = frame.with_row_index("row", offset=1).with_columns(verdict.alias("rule"))
    rejections = []
    for row in judged.filter(pl.col("rule").is_not_null()).iter_rows(named=True):
        column, reason, _ = rules[row["rule"]]
        rejections.append(Rejection(row["row"], column, reason, str(row[column])))
    return judged.filter(pl.col("rule").is_null()).drop("row", "rule"), rejections


def to_sales(frame: pl.DataFrame) -> Sales:
    """Return validated rows as sales."""
    facts, machines, names = [], [], []
    for row in frame.iter_rows(named=True):
        facts.append(_facts(row))
        machines.append("" if row["MachineID"] is None else f"{row['MachineID']:.0f}")
        names.append(row["fiModelDesc"] or "")
    sold = frame["saledate"]
    return Sales(
        facts=facts,
        log_price=np.log(frame["SalePrice"].to_numpy()),
        month=(sold.dt.year().cast(pl.Int64) * 12 + sold.dt.month().cast(pl.Int64) - 1).to_numpy(),
        machine=machines,
        model_name=names,
        synthetic=bool((frame["source"] == SYNTHETIC).fill_null(False).any()),
        frame=frame,
    )


def month_number(day: date) -> int:
    """Return a date's month, counted as `Sales.month` counts."""
    return day.year * 12 + day.month - 1


def month_start(number: int) -> date:
    """Return the first day of a month."""
    return date(number // 12, number % 12 + 1, 1)


def month_end(number: int) -> date:
    """Return the last day of a month."""
    first = month_start(number)
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])


def _facts(row: dict[str, Any]) -> MachineFacts:
    built, hours, sold = row["YearMade"], row["MachineHoursCurrentMeter"], row["saledate"]
    assert isinstance(sold, date) and not isinstance(sold, datetime)
    variant = (row["fiSecondaryDesc"], row["fiModelSeries"], row["fiModelDescriptor"])
    return MachineFacts(
        # A date known to the month counts at the month's end: nothing of it was known before.
        on=month_end(month_number(sold)) if row["date_precision"] == "month" else sold,
        product_group=row["ProductGroup"],
        product_class=row["fiProductClassDesc"],
        base_model=_word(row["fiBaseModel"]),
        variant="|".join(_word(part) for part in variant),
        build_year=None if built is None or built < BUILD_YEAR_UNKNOWN_BELOW else int(built),
        hours_meter=hours if hours is not None and hours > 0 else None,
        options={name: row[name] for name in OPTIONS if _word(row[name])},
        region=_word(row["state"]),
        usage_band=_word(row["UsageBand"]),
    )


def _word(value: str | None) -> str:
    """Return a category; one that a part of the data never decoded is unknown."""
    return "" if value is None or value.startswith(NEVER_DECODED) else value
