"""A portfolio valued again: `python -m services.valuation replay-batch batches/…`.

The rows are read anew from where the batch read them, valued by the model and policy that it names,
and every record's hash and the root over them are compared with what was kept and signed.
"""

import asyncio
import tempfile
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from rich.console import Console
from rich.progress import Progress

from services.kit.commands import ServiceCommand
from services.kit.errors import DomainError
from services.kit.ids import parse_name
from services.kit.principals import service_principal
from services.kit.runtime import Runtime
from services.valuation.batch_files import (
    RECORDS,
    RESULT,
    BatchFolder,
    InputRefused,
    Job,
    file_sha256,
)
from services.valuation.batch_store import Batch
from services.valuation.errors import BatchNotKept
from services.valuation.merkle import HASH_BYTES
from services.valuation.portfolio_handlers import get_batch
from services.valuation.registry import Registry, load_registry
from services.valuation.roots import SignedRoot, verify
from services.valuation.settings import ValuationSettings

ROWS_SHOWN_MAX = 10
MATCH, MISMATCH, NOT_REPLAYED = 0, 1, 2  # how the command ends


def differences(folder: BatchFolder, batch: Batch, root: SignedRoot, *, job: Job) -> list[str]:
    """Value a batch again, and return in sentences what differs from what was kept and signed.

    Args:
        job: What to value, and with which files.

    Raises:
        InputRefused: The rows are gone, or were changed.
        OSError: A kept file of the batch is gone.
    """
    from services.valuation import batch_worker  # noqa: PLC0415  (pyarrow; a service needs none)

    found: list[str] = []
    try:
        verify(root)
    except InvalidSignature:
        found.append(f"the signature of {root.subject} is not of its key over its root")
    if file_sha256(folder.path / RESULT) != batch.result_sha256:
        found.append(f"{RESULT} is not the file that the batch made")
    with tempfile.TemporaryDirectory(prefix="replay-", dir=folder.path) as path:
        again = BatchFolder(Path(path))
        again.write_job(job)
        with Progress(transient=True) as progress:
            task = progress.add_task(f"valuing {batch.rows:,} rows again", total=batch.rows)
            batch_worker.main(again, said=lambda rows: progress.update(task, completed=rows))
        outcome = again.outcome()
        assert outcome is not None
        rows = _different_rows(folder.path / RECORDS, again.path / RECORDS)
    if rows:
        found.append(f"the records of these rows differ: {', '.join(map(str, rows))}")
    if bytes.fromhex(outcome.root) != root.root:
        found.append(f"the root is {outcome.root}, but {root.root.hex()} was signed")
    return found


def _different_rows(kept: Path, recomputed: Path) -> list[int]:
    """Return the first rows whose record hashes differ; one that is missing differs."""
    with kept.open("rb") as one, recomputed.open("rb") as other:
        found: list[int] = []
        row = 0
        while len(found) < ROWS_SHOWN_MAX:
            first, second = one.read(HASH_BYTES), other.read(HASH_BYTES)
            if not first and not second:
                break
            if first != second:
                found.append(row)
            row += 1
    return found


def _job_of(settings: ValuationSettings, registry: Registry, batch: Batch) -> Job:
    """Return a batch's job with the files of its model and policy where they lie now.

    Raises:
        BatchNotKept: Its folder is gone, or it was streamed and its rows were never kept.
        ModelNotKept, PolicyNotKept: What it was valued with is gone.
    """
    valuer = registry.valuer(batch.model, batch.policy)
    try:
        job = BatchFolder(settings.results / str(batch.id)).read_job()
    except OSError as error:
        raise BatchNotKept(batch.name) from error
    return replace(job, model=str(valuer.model.folder), policies=str(settings.policies))


async def run_replay(runtime: Runtime, arguments: Namespace) -> int:
    """Value a batch again and say whether it is the same: 0 MATCH, 1 MISMATCH, 2 not replayed."""
    settings = runtime.settings
    assert isinstance(settings, ValuationSettings)
    console = Console(soft_wrap=True)
    try:
        batch, root = await get_batch(
            runtime.database,
            parse_name(arguments.batch, "batches", field="batch"),
            viewer=service_principal(runtime.service),
        )
        registry = await asyncio.to_thread(load_registry, settings)
        job = _job_of(settings, registry, batch)
        folder = BatchFolder(settings.results / str(batch.id))
        found = await asyncio.to_thread(differences, folder, batch, root, job=job)
    except (DomainError, InputRefused, OSError) as error:
        console.print(f"not replayed: {error}")
        return NOT_REPLAYED
    if found:
        console.print(*found, f"MISMATCH: {batch.name}, {batch.rows:,} rows", sep="\n")
        return MISMATCH
    console.print(f"MATCH: {batch.name}, {batch.rows:,} rows, root {root.root.hex()}")
    return MATCH


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("batch", help='the batch, "batches/{batch}"')


REPLAY_BATCH = ServiceCommand(
    name="replay-batch",
    help="value a portfolio again and compare every record with what was signed",
    run=run_replay,
    add_arguments=_arguments,
)
