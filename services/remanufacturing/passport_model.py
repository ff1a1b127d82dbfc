"""Passports: entries linked by hashes, and the JSON-LD document that shows them.

An entry's hash covers its number, its kind, its time, its public facts, a salted digest of its
private facts, and the hash of the entry before. So the public view, which leaves the private facts
out, proves the same chain as the owner's view, and tells nothing that could be guessed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Facts = Mapping[str, Any]

VOCABULARY = "https://ironloop.example/passport/v1#"
START = "0" * 64  # what the first entry has for the hash before it
CONTEXT: Facts = {
    "@vocab": VOCABULARY,
    "entries": {"@id": f"{VOCABULARY}entry", "@container": "@list"},
    "time": {
        "@id": f"{VOCABULARY}time",
        "@type": "http://www.w3.org/2001/XMLSchema#dateTime",
    },
}
_TYPES = {"machines": "MachinePassport", "units": "ComponentPassport"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a passport; hashes are lower-case hexadecimal SHA-256."""

    number: int
    kind: str
    time: str
    public: Facts
    private: Facts
    salt: str
    private_sha256: str
    previous_sha256: str
    sha256: str


def canonical(value: Any) -> bytes:
    """Return JSON in the one form that is hashed: sorted keys, no blanks, UTF-8.

    Numbers are integers; whatever has a point travels as text. That is the part of RFC 8785 (JSON
    Canonicalization Scheme) on which every implementation agrees.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def private_digest(private: Facts, salt: str) -> str:
    """Return the salted digest of private facts."""
    return digest({"private": private, "salt": salt})


def entry_digest(
    subject: str,
    *,
    number: int,
    kind: str,
    time: str,
    public: Facts,
    private_sha256: str,
    previous_sha256: str,
) -> str:
    """Return the hash of an entry."""
    return digest(
        {
            "kind": kind,
            "number": number,
            "previousSha256": previous_sha256,
            "privateSha256": private_sha256,
            "public": public,
            "subject": subject,
            "time": time,
        }
    )


def next_entry(
    subject: str,
    *,
    number: int,
    previous_sha256: str,
    kind: str,
    at: datetime,
    public: Facts,
    private: Facts,
    salt: str,
) -> Entry:
    """Return the entry that follows on a passport's last one.

    Args:
        salt: Random text that keeps private facts from being guessed by trying.
    """
    time = at.astimezone(UTC).isoformat(timespec="milliseconds")
    private_sha256 = private_digest(private, salt)
    return Entry(
        number=number,
        kind=kind,
        time=time,
        public=public,
        private=private,
        salt=salt,
        private_sha256=private_sha256,
        previous_sha256=previous_sha256,
        sha256=entry_digest(
            subject,
            number=number,
            kind=kind,
            time=time,
            public=public,
            private_sha256=private_sha256,
            previous_sha256=previous_sha256,
        ),
    )


def document_of(subject: str, entries: Sequence[Entry], *, shows_private: bool) -> str:
    """Return a passport as a JSON-LD document.

    Args:
        shows_private: Whether private facts stand in it, with the salts that prove them.
    """
    shown = [_shown(entry, shows_private=shows_private) for entry in entries]
    document = {
        "@context": CONTEXT,
        "@id": f"urn:ironloop:{subject.replace('/', ':')}",
        "@type": _TYPES[subject.partition("/")[0]],
        "subject": subject,
        "view": "OWNER" if shows_private else "PUBLIC",
        **summary_of(shown),
        "entries": shown,
        "head": entries[-1].sha256,
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


def summary_of(entries: Iterable[Facts]) -> dict[str, Any]:
    """Return what a reader wants to see first, told from the entries' public facts alone.

    Identity is whatever entries said last of it, components are those in place, savings those of
    certified components.
    """
    identity: dict[str, Any] = {}
    components: dict[str, Facts] = {}
    savings: list[Facts] = []
    for entry in entries:
        public = entry["public"]
        identity |= public.get("identity", {})
        if "component" in public:
            component = public["component"]
            components[f"{component['kind']}/{component['position']}"] = component
        if "savings" in public:
            savings.append(public["savings"])
    return {
        "identity": identity,
        "components": [components[place] for place in sorted(components)],
        "savings": savings,
    }


def _shown(entry: Entry, *, shows_private: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "number": entry.number,
        "kind": entry.kind,
        "time": entry.time,
        "public": entry.public,
        "privateSha256": entry.private_sha256,
        "previousSha256": entry.previous_sha256,
        "sha256": entry.sha256,
    }
    if shows_private:
        shown |= {"private": entry.private, "salt": entry.salt}
    return shown
