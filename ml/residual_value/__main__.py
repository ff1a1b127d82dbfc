"""The command line: `python -m ml.residual_value import|train|evaluate|card|predict|generate`."""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl

from ml.residual_value import synthetic
from ml.residual_value.card import render_card
from ml.residual_value.evaluation import evaluate, rolling_origins
from ml.residual_value.model import (
    CARD,
    EVALUATION,
    QUANTILES,
    ModelRefused,
    ResidualValueModel,
    canonical,
    write_manifest,
)
from ml.residual_value.parts import guess_parts
from ml.residual_value.report import REPORT, render_report
from ml.residual_value.sales import SalesRefused, read_columns, read_sales, validate
from ml.residual_value.training import TooFewSales, file_sha256, index_at, train

EXAMPLES = """\
a first round, without any data of your own:
  python -m ml.residual_value generate --rows 5000 --seed 1 --out /tmp/rv/sales.parquet
  python -m ml.residual_value train    --sales /tmp/rv/sales.parquet --out /tmp/rv/model
  python -m ml.residual_value card     --model /tmp/rv/model
with sales of your own (the columns are listed by `import --help`):
  python -m ml.residual_value import   --sales mine.csv --out mine.parquet --report rejected.json
  python -m ml.residual_value train    --sales mine.parquet --out models/mine-1
  python -m ml.residual_value evaluate --model models/mine-1 --sales later.parquet --report r.json
"""
COLUMNS = """\
columns: SalePrice (USD), saledate, YearMade (1000: unknown), ProductGroup (BL, MG, SSL, TEX, TTT,
WL) and fiProductClassDesc are needed; SalesID, MachineID, MachineHoursCurrentMeter (0: unknown),
fiModelDesc, fiBaseModel, fiSecondaryDesc, fiModelSeries, fiModelDescriptor, date_precision (day or
month), state, UsageBand (Low, Medium, High) and the equipment columns of the public data are read
where present. Every column and rule: docs/residual-value-sales.md.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the process's exit code."""
    given = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = given.run
    try:
        command(given)
    except (SalesRefused, ModelRefused, TooFewSales, OSError) as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    return 0


def import_sales(given: argparse.Namespace) -> None:
    """Validate every row of a file; write the valid ones, and a report of the others."""
    kept, rejections = validate(read_columns(given.sales))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    kept.write_parquet(given.out)
    reasons = dict(Counter(rejection.reason for rejection in rejections).most_common())
    report = {
        "rows": kept.height + len(rejections),
        "kept": kept.height,
        "rejected": len(rejections),
        "reasons": reasons,
        "rejections": [asdict(rejection) for rejection in rejections],
    }
    _write_json(given.report, report)
    print(f"{kept.height:,} sales kept, {len(rejections):,} rejected: {reasons or 'none'}")


def train_model(given: argparse.Namespace) -> None:
    """Train on a file of sales, measure the recipe out of time, and write the model's folder."""
    progress = _Progress()
    sales, rejections = read_sales(given.sales)
    progress(f"{len(sales):,} sales read, {len(rejections):,} rejected")
    model = train(
        sales,
        version=given.version or given.out.name,
        sales_sha256=file_sha256(given.sales),
        progress=progress,
    )
    about = given.about.read_text() if given.about else ""
    figures = None if given.no_origins else rolling_origins(sales, progress=progress)
    progress("which part of the data a sale comes from, guessed from its features")
    parts = guess_parts(model.seen(sales), sales.frame["source"].fill_null("").to_list())
    model.write(given.out)
    (given.out / EVALUATION).write_text(canonical((figures or {}) | {"parts": parts}))
    (given.out / CARD).write_text(
        render_card(sales, rejections, model.calibration, figures, about=about, parts=parts)
    )
    if figures is not None:
        (given.out / REPORT).write_text(render_report(model, figures))
    sha256 = write_manifest(given.out)
    progress(f"{given.out} written, SHA-256 {sha256}")


def evaluate_model(given: argparse.Namespace) -> None:
    """Score every valid row of a file with a model."""
    model = ResidualValueModel(given.model)
    sales, rejections = read_sales(given.sales)
    report = evaluate(model, sales) | {"rows_rejected": len(rejections)}
    _write_json(given.report, report)
    for name in ("rows", "rmsle", "mape", "median_ape", "bias_log", "within_10pct"):
        print(f"{name:>28}  {report[name]:,.4g}")
    for name in (
        "pinball",
        "coverage_90",
        "width_90_median",
        "width_90_ratio",
        "rows_within_training_window",
    ):
        print(f"{name:>28}  {report[name]:,.4g}")
    if report["rows_within_training_window"]:
        print("rows of the training window were seen in training: no measure of what is to come")


def show_card(given: argparse.Namespace) -> None:
    """Print a model's card."""
    print(ResidualValueModel(given.model).card)


def predict(given: argparse.Namespace) -> None:
    """Write the price quantiles (USD, at the index or nowcast of each month) of valid rows."""
    model = ResidualValueModel(given.model)
    sales, _ = read_sales(given.sales)
    predictions = model.predict_many(sales.facts)
    index = index_at(sales.month, model.calibration)
    prices = np.exp(
        np.array([part.log_price for part in predictions], dtype=np.float64) + index[:, None]
    )
    columns = {name: prices[:, place] for place, name in enumerate(QUANTILES)}
    frame = pl.DataFrame({"on": [facts.on for facts in sales.facts]} | columns)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    frame.write_csv(given.out) if given.out.suffix == ".csv" else frame.write_parquet(given.out)
    print(f"{frame.height:,} rows written to {given.out}")


def generate(given: argparse.Namespace) -> None:
    """Write synthetic sales."""
    synthetic.write(given.out, given.rows, seed=given.seed)
    print(f"{given.rows:,} synthetic sales written to {given.out}")


class _Progress:
    """Prints what training is at, with the seconds since the start."""

    def __init__(self) -> None:
        self._started_s = time.monotonic()

    def __call__(self, sentence: str) -> None:
        print(f"{time.monotonic() - self._started_s:6.1f} s  {sentence}", flush=True)


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ml.residual_value",
        description="Residual values of construction machines from auction sales.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(
        name: str, run: Callable[[argparse.Namespace], None], help_text: str, epilog: str = ""
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=help_text,
            description=run.__doc__,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        return command

    sales_help = "the sales, CSV or Parquet"
    command = add("import", import_sales, "check a file of sales row by row", COLUMNS)
    command.add_argument("--sales", type=Path, required=True, help=sales_help)
    command.add_argument("--out", type=Path, required=True, help="Parquet file of the valid rows")
    command.add_argument(
        "--report", type=Path, required=True, help="JSON file that gets each rejected row and why"
    )
    command = add("train", train_model, "train a model and measure its recipe", COLUMNS)
    command.add_argument("--sales", type=Path, required=True, help=sales_help)
    command.add_argument("--out", type=Path, required=True, help="the model's folder")
    command.add_argument("--version", help="the model's version; default: the folder's name")
    command.add_argument(
        "--about",
        type=Path,
        help="Markdown file that says where the sales come from, whether they may be used, and "
        "what they lack; it goes into the card",
    )
    command.add_argument(
        "--no-origins",
        action="store_true",
        help="leave out the measurement over rolling origins (six more trainings)",
    )
    command = add("evaluate", evaluate_model, "score a file of sales with a model")
    command.add_argument("--model", type=Path, required=True, help="the model's folder")
    command.add_argument("--sales", type=Path, required=True, help=sales_help)
    command.add_argument("--report", type=Path, required=True, help="JSON file of the figures")
    command = add("card", show_card, "print a model's card")
    command.add_argument("--model", type=Path, required=True, help="the model's folder")
    command = add("predict", predict, "price every row of a file")
    command.add_argument("--model", type=Path, required=True, help="the model's folder")
    command.add_argument("--sales", type=Path, required=True, help=sales_help)
    command.add_argument("--out", type=Path, required=True, help="CSV or Parquet file of prices")
    command = add("generate", generate, "write synthetic sales, labelled so")
    command.add_argument("--rows", type=int, default=5_000, help="how many (default 5,000)")
    command.add_argument("--seed", type=int, default=1, help="the same seed gives the same rows")
    command.add_argument("--out", type=Path, required=True, help="Parquet or CSV file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
