"""Whether a passport document is intact: told from the document alone, without a service.

What it proves: no entry was changed, dropped from the middle, inserted or moved, and the summary
says what the entries say. What it cannot: that the document is ours and complete, because who makes
up a whole document can hash it too, and a shorter one is intact as well. `VerifyPassport` says
whether its last entry is one of ours, and how many have followed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.remanufacturing.passport_model import (
    CONTEXT,
    START,
    entry_digest,
    private_digest,
    summary_of,
)

_TEXTS = ("kind", "time", "privateSha256", "previousSha256", "sha256")
_NEEDED = frozenset({"number", "public", *_TEXTS})
_OWNERS = frozenset({"private", "salt"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check has found.

    Attributes:
        broken_entry: The number of the first entry whose link is broken; 0 where none is.
        problem: What is wrong, as a sentence; empty where nothing is.
        head_sha256: The hash of its last entry, where it is intact.
    """

    subject: str = ""
    entry_count: int = 0
    broken_entry: int = 0
    problem: str = ""
    head_sha256: str = ""

    @property
    def is_intact(self) -> bool:
        """Whether every link holds."""
        return not self.problem


class Broken(Exception):
    """Something of a document does not hold."""

    def __init__(self, problem: str, *, entry: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.entry = entry


def verify(text: str | bytes) -> Verdict:
    """Check a passport document; whatever is wrong with it is the verdict, never an exception."""
    entries: list[Any] = []
    try:
        document = _read(text)
        subject, entries = _parts_of(document)
        head = START
        for number, entry in enumerate(entries, start=1):
            head = _follow(subject, entry, number=number, previous_sha256=head)
        _check_rest(document, entries, head)
    except Broken as broken:
        return Verdict(entry_count=len(entries), broken_entry=broken.entry, problem=broken.problem)
    return Verdict(subject=subject, entry_count=len(entries), head_sha256=head)


def _read(text: str | bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(
            text,
            object_pairs_hook=_no_key_twice,
            parse_float=_no_number,
            parse_constant=_no_constant,
        )
    except Broken:
        raise
    except (ValueError, RecursionError) as error:
        raise Broken(f"it is no JSON document: {_said(error)}") from error
    if not isinstance(document, dict):
        raise Broken("it is no JSON object")
    return document


def _parts_of(document: Mapping[str, Any]) -> tuple[str, list[Any]]:
    subject, entries = document.get("subject"), document.get("entries")
    if not isinstance(subject, str) or not isinstance(entries, list) or not entries:
        raise Broken("it has no subject, or no entries")
    return subject, entries


def _follow(subject: str, entry: Any, *, number: int, previous_sha256: str) -> str:
    """Check an entry against the one before and return its hash."""
    if not isinstance(entry, dict):
        raise Broken(f"entry {number} is no object", entry=number)
    keys = set(entry)
    is_whole = keys in (_NEEDED, _NEEDED | _OWNERS)
    if not is_whole or not all(isinstance(entry[text], str) for text in _TEXTS):
        raise Broken(f"entry {number} lacks a field or has one too many", entry=number)
    if type(entry["number"]) is not int or entry["number"] != number:
        raise Broken(f"entry {number} is missing or out of its place", entry=number)
    if entry["previousSha256"] != previous_sha256:
        raise Broken(f"entry {number} does not follow on the one before", entry=number)
    if not isinstance(entry["public"], dict):
        raise Broken(f"the public facts of entry {number} are no object", entry=number)
    _check_hashes(subject, entry, number)
    sha256: str = entry["sha256"]
    return sha256


def _check_hashes(subject: str, entry: Mapping[str, Any], number: int) -> None:
    try:
        expected = entry_digest(
            subject,
            number=number,
            kind=entry["kind"],
            time=entry["time"],
            public=entry["public"],
            private_sha256=entry["privateSha256"],
            previous_sha256=entry["previousSha256"],
        )
        committed = (
            private_digest(entry["private"], entry["salt"])
            if "private" in entry
            else entry["privateSha256"]
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise Broken(f"entry {number} cannot be hashed: {_said(error)}", entry=number) from error
    if entry["sha256"] != expected:
        raise Broken(f"entry {number} is not what its hash says", entry=number)
    if entry["privateSha256"] != committed:
        raise Broken(f"the private facts of entry {number} were changed", entry=number)


def _check_rest(document: Mapping[str, Any], entries: Sequence[Any], head: str) -> None:
    if document.get("head") != head:
        raise Broken("its head is not its last entry")
    if document.get("@context") != CONTEXT:
        raise Broken("its @context is not that of a passport")
    try:
        summary = summary_of(entries)
    except (AttributeError, KeyError, TypeError) as error:
        raise Broken("its entries have no summary") from error
    for part, said in summary.items():
        if document.get(part) != said:
            raise Broken(f"its {part} is not what its entries say")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Broken("an object names a key twice")
    return found


def _no_number(text: str) -> Any:
    raise Broken(f"{text} is no whole number, and none of a passport's facts is another")


def _no_constant(text: str) -> Any:
    raise Broken(f"{text} is no JSON")


def _said(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
