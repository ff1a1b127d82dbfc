"""A borrowing base as a file: CSV for people, Parquet for programs; the same bytes each time."""

import csv
import io

from services.finance.borrowing_base import BaseLine, BorrowingBase
from services.kit.wire import FEN_PER_UNIT

COLUMNS = (
    "as_of",
    "facility",
    "draw",
    "machine",
    "custodian",
    "outstanding",
    "collateral_value",
    "eligible",
    "ineligible",
    "reasons",
    "why",
    "valuation",
    "policy_version",
)


def to_csv(base: BorrowingBase) -> bytes:
    """Return it as UTF-8 CSV with a header; amounts in yuan with two decimals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in base.lines:
        amounts = [f"{fen // FEN_PER_UNIT}.{fen % FEN_PER_UNIT:02}" for fen in _amounts(line)]
        writer.writerow([*_names(base, line), *amounts, *_words(base, line)])
    return text.getvalue().encode()


def to_parquet(base: BorrowingBase) -> bytes:
    """Return it as Parquet; amounts as integers of fen, named so."""
    # Heavy, and asked for seldom: the service does without it until then.
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    rows = [[*_names(base, line), *_amounts(line), *_words(base, line)] for line in base.lines]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in COLUMNS]
    amounts = {"outstanding", "collateral_value", "eligible", "ineligible"}
    table = pa.table(
        {
            f"{name}_fen" if name in amounts else name: pa.array(
                column, pa.int64() if name in amounts else pa.string()
            )
            for name, column in zip(COLUMNS, columns, strict=True)
        }
    )
    sink = io.BytesIO()
    parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _names(base: BorrowingBase, line: BaseLine) -> list[str]:
    return [base.as_of.isoformat(), base.facility, line.draw, line.machine, line.custodian]


def _amounts(line: BaseLine) -> list[int]:
    return [line.outstanding_fen, line.collateral_fen, line.eligible_fen, line.ineligible_fen]


def _words(base: BorrowingBase, line: BaseLine) -> list[str]:
    return [";".join(line.reasons), line.why, line.valuation, base.policy_version]
