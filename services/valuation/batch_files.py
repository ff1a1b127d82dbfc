"""The files of a batch: its job, the parts that are done, and the result with its tree.

A part is written under another name and renamed, its mark last, so that a part with a mark is
whole however the process ended. Nothing here needs pyarrow; the worker process does.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from services.valuation.merkle import HASH_BYTES, path_places

RESULT = "result.parquet"
RECORDS = "records.bin"
TREE = "tree.bin"
OUTCOME = "outcome.json"


class InputRefused(Exception):
    """The rows cannot be read, or are not those that the operation began with."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker shall do.

    Attributes:
        model, policies: Folder of the model, and of the policy tables.
        source: The Parquet file, or the request's rows as protobuf (ending ".binpb").
        source_bytes: Its size when the operation began; another one means another file.
        chunk_rows: Rows of a part.
        nowcasts: By product group, as records keep them.
    """

    model: str
    model_sha256: str
    policies: str
    policy: str
    as_of: str
    source: str
    source_bytes: int
    source_modified_ns: int
    chunk_rows: int
    nowcasts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker made."""

    rows: int
    errors: int
    root: str
    result_sha256: str


class BatchFolder:
    """The folder of one batch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts = path / "parts"

    def write_job(self, job: Job) -> None:
        """Keep what shall be done; a job that is kept stays as it is."""
        self.parts.mkdir(parents=True, exist_ok=True)
        if not (self.path / "job.json").exists():
            self.write("job.json", json.dumps(asdict(job)).encode())

    def read_job(self) -> Job:
        """Return what shall be done."""
        return Job(**json.loads((self.path / "job.json").read_bytes()))

    def mark_of(self, number: int) -> tuple[int, int] | None:
        """Return the rows and errors of a part that is done, or None."""
        try:
            rows, errors = json.loads((self.parts / f"{number:06d}.json").read_bytes())
        except FileNotFoundError:
            return None
        return rows, errors

    def outcome(self) -> Outcome | None:
        """Return what was made, or None while it is not."""
        try:
            content: dict[str, Any] = json.loads((self.path / OUTCOME).read_bytes())
        except FileNotFoundError:
            return None
        return Outcome(**content)

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the folder whole or not at all."""
        with self.replacing(name) as file:
            file.write(content)

    @contextmanager
    def replacing(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file that takes its name only when the block has ended well."""
        target = self.path / name
        # Two workers may meet after a crash: each writes under a name of its own.
        unfinished = target.with_name(f"{target.name}.{os.getpid()}")
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(target)

    def record_and_path(self, leaves: int, row: int) -> tuple[bytes, list[bytes]]:
        """Return a row's record hash and the hashes beside its path.

        Raises:
            OSError: The files are gone.
        """
        with (self.path / RECORDS).open("rb") as file:
            record = _read_at(file, row * HASH_BYTES)
        with (self.path / TREE).open("rb") as file:
            return record, [_read_at(file, place) for place in path_places(leaves, row)]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_at(file: IO[bytes], place: int) -> bytes:
    file.seek(place)
    found = file.read(HASH_BYTES)
    if len(found) != HASH_BYTES:
        raise OSError(f"{file.name} ends before {place + HASH_BYTES}")
    return found
