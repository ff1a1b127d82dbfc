"""Sales kept one by one, to be shown beside a value: from a small CSV, or from a user's own file.

`python -m ml.residual_value.comparable_sales --out FILE.csv` writes the ones that ship: they are of
the seeded generator. Not one row of the public auction data is ever written.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ml.residual_value.features import MachineFacts

ROWS, SEED = 1_200, 5  # of the file that ships
COLUMNS = (
    "sale",
    "sold_on",
    "price_usd",
    "product_group",
    "product_class",
    "base_model",
    "variant",
    "build_year",
    "hours_meter",
    "model",
)


class ComparablesRefused(Exception):
    """A file that holds no comparable sales."""


@dataclass(frozen=True, slots=True)
class ComparableSale:
    """One sale: its machine as it was on that day, and what it brought in USD."""

    sale: str
    facts: MachineFacts
    model: str
    price_usd: float


@dataclass(frozen=True, slots=True)
class ComparableSales:
    """Sales, and whether any of them comes from the generator."""

    sales: Sequence[ComparableSale]
    synthetic: bool


def read_shipped(path: Path) -> ComparableSales:
    """Return the sales of a CSV file that this module wrote.

    Raises:
        ComparablesRefused: It cannot be read as one.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return ComparableSales([_sale(row) for row in csv.DictReader(file)], synthetic=True)
    except (OSError, ValueError, KeyError) as error:
        raise ComparablesRefused(f"{path} holds no comparable sales: {error!r}") from error


def read_own(path: Path) -> ComparableSales:
    """Return the valid sales of a user's own file, in the importer's columns.

    Raises:
        ComparablesRefused: It cannot be read, or holds no valid sale.
    """
    # Imported here: a service without a file of its own never needs polars.
    from ml.residual_value.sales import SalesRefused, read_sales  # noqa: PLC0415

    try:
        sales, _ = read_sales(path)
    except SalesRefused as error:
        raise ComparablesRefused(str(error)) from error
    rows = zip(sales.facts, sales.model_name, sales.log_price.tolist(), strict=True)
    return ComparableSales(
        [
            ComparableSale(str(number), facts, model, round(2.718281828459045**log_price, 2))
            for number, (facts, model, log_price) in enumerate(rows, start=1)
        ],
        sales.synthetic,
    )


def write_shipped(path: Path, *, rows: int = ROWS, seed: int = SEED) -> None:
    """Write sales of the seeded generator, the same for the same seed."""
    from ml.residual_value import synthetic  # noqa: PLC0415

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in synthetic.generate(rows, seed=seed).iter_rows(named=True):
            hours = row["MachineHoursCurrentMeter"]
            writer.writerow(
                [
                    row["SalesID"],
                    row["saledate"].isoformat(),
                    f"{row['SalePrice']:.0f}",
                    row["ProductGroup"],
                    row["fiProductClassDesc"],
                    row["fiBaseModel"],
                    f"{row['fiSecondaryDesc']}||",
                    "" if row["YearMade"] == 1000 else row["YearMade"],
                    "" if not hours else f"{hours:.0f}",
                    row["fiModelDesc"],
                ]
            )


def _sale(row: dict[str, str]) -> ComparableSale:
    facts = MachineFacts(
        on=date.fromisoformat(row["sold_on"]),
        product_group=row["product_group"],
        product_class=row["product_class"],
        base_model=row["base_model"],
        variant=row["variant"],
        build_year=int(row["build_year"]) if row["build_year"] else None,
        hours_meter=float(row["hours_meter"]) if row["hours_meter"] else None,
    )
    return ComparableSale(row["sale"], facts, row["model"], float(row["price_usd"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the CSV file")
    write_shipped(parser.parse_args().out)
