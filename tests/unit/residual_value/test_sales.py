"""What a file of sales must hold, row by row."""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml.residual_value.sales import SalesRefused, read_sales

GOOD: dict[str, Any] = {
    "SalesID": 1,
    "MachineID": 7,
    "SalePrice": 50_000.0,
    "saledate": date(2020, 5, 4),
    "YearMade": 2012,
    "MachineHoursCurrentMeter": 4_000.0,
    "ProductGroup": "TEX",
    "fiProductClassDesc": "Hydraulic Excavator, Track - 19.0 to 21.0 Metric Tons",
    "fiBaseModel": "320",
    "fiSecondaryDesc": "D",
    "fiModelDesc": "320D",
    "Enclosure": "EROPS",
    "date_precision": "day",
}


def file_of(folder: Path, *rows: dict[str, Any], ending: str = "parquet") -> Path:
    path = folder / f"sales.{ending}"
    frame = pl.DataFrame([GOOD | row for row in rows], infer_schema_length=None)
    frame.write_csv(path) if ending == "csv" else frame.write_parquet(path)
    return path


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("SalePrice", None, "PRICE_MISSING"),
        ("SalePrice", 0.0, "PRICE_OUT_OF_RANGE"),
        ("SalePrice", 5e7, "PRICE_OUT_OF_RANGE"),
        ("saledate", None, "SALE_DATE_MISSING"),
        ("saledate", date(1901, 1, 1), "SALE_DATE_OUT_OF_RANGE"),
        ("ProductGroup", "SHIP", "GROUP_UNKNOWN"),
        ("ProductGroup", None, "GROUP_MISSING"),
        ("fiProductClassDesc", None, "CLASS_MISSING"),
        ("YearMade", 2021, "BUILD_YEAR_AFTER_SALE"),
        ("MachineHoursCurrentMeter", -1.0, "HOURS_NEGATIVE"),
    ],
)
def test_a_row_that_breaks_a_rule_is_left_out_and_named(
    tmp_path: Path, column: str, value: Any, reason: str
) -> None:
    path = file_of(tmp_path, {"SalesID": 1}, {"SalesID": 2, column: value}, {"SalesID": 3})
    sales, rejections = read_sales(path)
    assert len(sales) == 2
    (rejection,) = rejections
    assert (rejection.row, rejection.column, rejection.reason) == (2, column, reason)


def test_a_sale_that_stands_twice_counts_once(tmp_path: Path) -> None:
    sales, rejections = read_sales(file_of(tmp_path, {}, {}))
    assert len(sales) == 1
    assert [rejection.reason for rejection in rejections] == ["SALE_TWICE"]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_row_becomes_facts(tmp_path: Path, ending: str) -> None:
    sales, _ = read_sales(file_of(tmp_path, {}, ending=ending))
    (facts,) = sales.facts
    assert facts.on == date(2020, 5, 4)
    assert (facts.build_year, facts.hours_meter) == (2012, 4_000.0)
    assert (facts.base_model, facts.variant) == ("320", "D||")
    assert facts.options == {"Enclosure": "EROPS"}
    assert list(sales.machine) == ["7"]


def test_year_1000_and_hours_0_are_unknown(tmp_path: Path) -> None:
    path = file_of(tmp_path, {"YearMade": 1000, "MachineHoursCurrentMeter": 0.0})
    (facts,) = read_sales(path)[0].facts
    assert facts.build_year is None
    assert facts.hours_meter is None


def test_a_date_known_to_the_month_counts_at_the_months_end(tmp_path: Path) -> None:
    path = file_of(tmp_path, {"date_precision": "month", "saledate": date(2020, 2, 1)})
    assert read_sales(path)[0].facts[0].on == date(2020, 2, 29)


def test_optional_columns_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    pl.DataFrame([GOOD]).select(
        "SalePrice", "saledate", "YearMade", "ProductGroup", "fiProductClassDesc"
    ).write_csv(path)
    (facts,) = read_sales(path)[0].facts
    assert (facts.base_model, facts.hours_meter, dict(facts.options)) == ("", None, {})


def test_a_file_without_a_needed_column_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    pl.DataFrame([GOOD]).drop("SalePrice").write_csv(path)
    with pytest.raises(SalesRefused, match="SalePrice"):
        read_sales(path)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "note.parquet"
    path.write_text("no table")
    with pytest.raises(SalesRefused, match="cannot be read"):
        read_sales(path)
