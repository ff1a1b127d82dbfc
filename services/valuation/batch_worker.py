"""Values a portfolio in a process of its own: `python -m services.valuation.batch_worker FOLDER`.

It reads the job of the folder, values chunk by chunk, and prints a line of JSON for each: the rows
that are done. A chunk whose part is whole is not valued again, so the work goes on after a kill.
It ends when its standard input does: a worker never outlives its service.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from ironloop.valuation.v1 import portfolios_pb2
from pyarrow import parquet

from ml.residual_value.model import ResidualValueModel
from services.valuation.appraisal import Valuer
from services.valuation.batch_files import (
    OUTCOME,
    RECORDS,
    RESULT,
    TREE,
    BatchFolder,
    InputRefused,
    Job,
    Outcome,
    file_sha256,
)
from services.valuation.merkle import HASH_BYTES, build_tree, leaf_hash
from services.valuation.policy import read_policies
from services.valuation.portfolio import PortfolioValuer, Scored
from services.valuation.portfolio_messages import rows_from_wire
from services.valuation.portfolio_rows import Rows, rows_of
from services.valuation.record import nowcasts_from_json

NICENESS = 5  # single valuations come first

_TYPES = {
    "reference": pa.string(),
    "make": pa.string(),
    "model": pa.string(),
    "equipment_class": pa.string(),
    "build_year": pa.int64(),
    "hours_meter": pa.float64(),
    "replacement_cost_fen": pa.int64(),
    "condition": pa.string(),
    "maintenance_compliance": pa.float64(),
    "open_stop_faults": pa.int64(),
}
_VALUES = [
    f"{basis}_{quantile}_fen"
    for basis in ("fmv", "olv", "flv")
    for quantile in ("q05", "q10", "q50", "q90", "q95")
]
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("reference", pa.string()),
        *((name, pa.int64()) for name in _VALUES),
        ("grade", pa.string()),
        ("grade_rules", pa.string()),
        ("record_sha256", pa.binary(HASH_BYTES)),
        ("error", pa.string()),
    ]
)


def main(folder: BatchFolder, *, said: Callable[[int], None]) -> None:
    """Value what the folder's job says.

    Args:
        said: Hears after each chunk how many rows are done.

    Raises:
        InputRefused: The rows cannot be read.
    """
    job = folder.read_job()
    model = ResidualValueModel(Path(job.model))
    if model.sha256 != job.model_sha256:
        raise InputRefused(f"the model {model.version} is not the one the operation began with")
    valuer = Valuer.of(model, read_policies(Path(job.policies))[job.policy])
    portfolio = PortfolioValuer(
        valuer, date.fromisoformat(job.as_of), nowcasts_from_json(job.nowcasts)
    )
    rows = errors = number = 0
    for number, chunk in enumerate(_chunks(job), start=1):
        mark = folder.mark_of(number)
        if mark is None:
            scored = portfolio.score(chunk)
            mark = len(chunk), sum(map(bool, scored.errors))
            _write_part(folder, number, _table(chunk, scored, first=rows), scored, mark)
        rows, errors = rows + mark[0], errors + mark[1]
        said(rows)
    if not rows:
        raise InputRefused("the file holds no rows")
    if folder.outcome() is None:
        _assemble(folder, parts=number, rows=rows, errors=errors)
    for part in folder.parts.iterdir():
        part.unlink()


def _chunks(job: Job) -> Iterator[Rows]:
    source = Path(job.source)
    try:
        found = source.stat()
    except OSError as error:
        raise InputRefused(f"{source.name} is gone") from error
    if (found.st_size, found.st_mtime_ns) != (job.source_bytes, job.source_modified_ns):
        raise InputRefused(f"{source.name} was changed after the operation began")
    if source.suffix == ".binpb":
        message = portfolios_pb2.PortfolioRows.FromString(source.read_bytes())
        yield rows_from_wire(message.rows)
        return
    try:
        with parquet.ParquetFile(source) as file:
            present = [name for name in _TYPES if name in file.schema_arrow.names]
            if "equipment_class" not in present:
                raise InputRefused(f"{source.name} lacks the column equipment_class")
            for batch in file.iter_batches(job.chunk_rows, columns=present, use_threads=False):
                yield rows_of({name: _column(batch, name) for name in present})
    except (pa.ArrowException, OSError) as error:
        raise InputRefused(f"{source.name} cannot be read: {error}") from error


def _column(batch: Any, name: str) -> list[Any]:
    values: list[Any] = batch.column(name).cast(_TYPES[name]).to_pylist()
    return values


def _table(rows: Rows, scored: Scored, *, first: int) -> Any:
    is_wrong = [bool(error) for error in scored.errors]
    columns: list[Any] = [range(first, first + len(rows)), rows.reference]
    columns += [pa.array(column, mask=_mask(is_wrong)) for column in scored.values.T]
    for texts in (scored.grades, scored.rules, scored.records, scored.errors):
        columns.append([text or None for text in texts])
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, type=field.type)
        for column, field in zip(columns, SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _mask(flags: list[bool]) -> Any:
    return pa.array(flags).to_numpy(zero_copy_only=False)


def _write_part(
    folder: BatchFolder, number: int, table: Any, scored: Scored, mark: tuple[int, int]
) -> None:
    name = f"parts/{number:06d}"
    with folder.replacing(f"{name}.parquet") as file:
        parquet.write_table(table, file, compression="zstd")
    folder.write(f"{name}.records", b"".join(scored.records))
    folder.write(f"{name}.json", json.dumps(mark).encode())


def _assemble(folder: BatchFolder, *, parts: int, rows: int, errors: int) -> None:
    """Join the parts to the result, and write the tree over all records."""
    leaves = bytearray()
    numbers = range(1, parts + 1)
    with folder.replacing(RECORDS) as file:
        for number in numbers:
            records = (folder.parts / f"{number:06d}.records").read_bytes()
            file.write(records)
            for place in range(0, len(records), HASH_BYTES):
                leaves += leaf_hash(records[place : place + HASH_BYTES])
    tree = build_tree(bytes(leaves))
    folder.write(TREE, tree)
    with (
        folder.replacing(RESULT) as file,
        parquet.ParquetWriter(file, SCHEMA, compression="zstd") as writer,
    ):
        for number in numbers:
            writer.write_table(parquet.read_table(folder.parts / f"{number:06d}.parquet"))
    outcome = Outcome(rows, errors, tree[-HASH_BYTES:].hex(), file_sha256(folder.path / RESULT))
    folder.write(OUTCOME, json.dumps(asdict(outcome)).encode())


def _say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(NICENESS)
    pa.set_cpu_count(1)
    try:
        main(BatchFolder(Path(sys.argv[1])), said=lambda rows: _say(rows=rows))
    except InputRefused as refusal:
        _say(refused=str(refusal))
