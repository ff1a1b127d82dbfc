"""The command `verify-passport FILE`: whether a passport document is intact, without a service."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from services.remanufacturing.passport_proof import verify

COMMAND = "verify-passport"
FILE_BYTES_MAX = 64 * 1024 * 1024  # far above any passport; more would only fill memory


def main(arguments: Sequence[str]) -> int:
    """Check a file and say what was found; 0 where it is intact, else 1."""
    parser = argparse.ArgumentParser(
        prog=f"python -m services.remanufacturing {COMMAND}", description=__doc__
    )
    parser.add_argument("file", type=Path, help="the passport's JSON-LD document")
    file: Path = parser.parse_args(arguments).file
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            return _complain(f"{file}: larger than {FILE_BYTES_MAX:,} bytes, so no passport")
        verdict = verify(file.read_bytes())
    except OSError as error:
        return _complain(f"{file}: cannot be read: {error.strerror}")
    if not verdict.is_intact:
        place = f"entry {verdict.broken_entry}: " if verdict.broken_entry else ""
        return _complain(f"{file}: BROKEN: {place}{verdict.problem}")
    print(
        f"{file}: intact: {verdict.entry_count} entries of {verdict.subject}, "
        f"head {verdict.head_sha256}"
    )
    return 0


def _complain(text: str) -> int:
    print(text, file=sys.stderr)
    return 1
