"""Labels for training: `python -m services.valuation export-labels --out FILE.csv`.

The columns are those of the importer of `ml.residual_value`. Prices are brought to what the model
is trained on: auction level by the policy's FMV ratio, USD by the exchange rate of the sale's year.
Every label carries the consent of its seller in the registry's table; none without is exported.
"""

import csv
import hashlib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

from services.kit.commands import ServiceCommand
from services.kit.runtime import Runtime
from services.valuation import label_store
from services.valuation.appraisal import FEN_PER_YUAN, Valuer
from services.valuation.label_model import Label
from services.valuation.registry import load_registry
from services.valuation.settings import ValuationSettings

COLUMNS = (
    "SalesID",
    "MachineID",
    "SalePrice",
    "saledate",
    "YearMade",
    "MachineHoursCurrentMeter",
    "ProductGroup",
    "fiProductClassDesc",
    "fiModelDesc",
    "fiBaseModel",
    "date_precision",
    "source",
)
BUILD_YEAR_UNKNOWN = 1000  # what the importer takes as not known
SOURCE = "ironloop"


def rows_of_labels(valuer: Valuer, labels: Sequence[Label]) -> Iterator[tuple[object, ...]]:
    """Return labels as the importer's rows; those of classes outside the data are left out."""
    for number, label in enumerate(labels, start=1):
        if not label.product_group:
            continue
        facts, sale = label.specification, label.sale
        known = valuer.model.encodings.find_model(label.product_group, facts["model"])
        is_known = known is not None and valuer.policy.knows_make(facts["make"])
        price = Decimal(sale.price_fen) / FEN_PER_YUAN * valuer.policy.number("FMV_RATIO")
        yield (
            number,
            # The same machine has the same number, and nobody can tell which it is.
            int(hashlib.sha256(sale.machine.encode()).hexdigest()[:12], 16),
            round(price / valuer.policy.usd_cny(sale.sold_on).value, 2),
            sale.sold_on.isoformat(),
            facts["build_year"] or BUILD_YEAR_UNKNOWN,
            facts["hours_meter"] or 0,
            label.product_group,
            known.product_class if known and is_known else f"{label.product_group} - not known",
            facts["model"],
            known.base_model if known and is_known else "",
            "day",
            SOURCE,
        )


async def _export(runtime: Runtime, given: Namespace) -> int:
    settings = runtime.settings
    assert isinstance(settings, ValuationSettings)
    async with runtime.database.read() as connection:
        labels = await label_store.list_labels(connection, since=given.since)
    rows = list(rows_of_labels(load_registry(settings).present, labels))
    with given.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    print(f"{len(rows)} labels of {len(labels)} written to {given.out}")
    return 0


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="CSV file of the labels")
    parser.add_argument(
        "--since",
        type=date.fromisoformat,
        default=date(2000, 1, 1),
        help="only sales on this day or later (default: all)",
    )


EXPORT_LABELS = ServiceCommand(
    "export-labels",
    "write the sales that their sellers let serve as labels, for training",
    _export,
    _arguments,
)
