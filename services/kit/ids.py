"""Identifiers: time-ordered ids, resource names, and ids derived from a business fact."""

import hashlib
import random
import re
import time
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from services.kit.errors import InvalidArgument

_UUID_PATTERN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME_BITS = 48
_VARIANT = 0x8 << 60  # RFC 9562: the two top bits of the lower half are 10


def new_id() -> UUID:
    """Return a UUIDv7 of the present wall time (RFC 9562, section 5.7)."""
    return _with_time(time.time_ns() // 1_000_000, random.randbytes(10), version=7)


def made_at(identifier: UUID) -> datetime:
    """Return the instant that a UUIDv7 or UUIDv8 of ours carries."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, tz=UTC)


def fact_id(at: datetime, fact: str, leg: str, *, attempt: int = 1) -> UUID:
    """Return the UUIDv8 of one leg of a business fact: its time, then a hash of its content.

    The same fact, leg and attempt always give the same id, so a repeated step cannot pay twice.

    Args:
        at: When the fact came about, an aware instant.
        fact: What happened, for example "orders/…/settlement".
        leg: Which of its transfers.
        attempt: Raised only after a definite refusal, never after a timeout.
    """
    digest = hashlib.sha256(f"{fact}\x00{leg}\x00{attempt}".encode()).digest()
    return _with_time(round(at.timestamp() * 1000), digest, version=8)


def derived_request_id(fact: str, step: str) -> str:
    """Return the request id under which a step of a fact calls another service, always the same."""
    return str(uuid5(NAMESPACE_URL, f"ironloop:{fact}/{step}"))


def _with_time(milliseconds: int, entropy: bytes, *, version: int) -> UUID:
    """Return a UUID of 48 bits of time, the version and variant, and 74 bits of `entropy`."""
    high_random = int.from_bytes(entropy[:2]) & 0x0FFF
    low_random = int.from_bytes(entropy[2:10]) & ((1 << 62) - 1)
    high = (milliseconds & ((1 << _TIME_BITS) - 1)) << 16 | version << 12 | high_random
    return UUID(int=high << 64 | _VARIANT | low_random)


def name(collection: str, identifier: UUID | int | str) -> str:
    """Return a resource name, for example "orders/0190…"."""
    return f"{collection}/{identifier}"


def parse_name(value: str, collection: str, *, field: str = "name") -> UUID:
    """Return the id in a resource name.

    Raises:
        InvalidArgument: `value` is not "<collection>/<uuid>"; names `field`.
    """
    prefix, _, identifier = value.partition("/")
    if prefix != collection or not _UUID_PATTERN.fullmatch(identifier):
        raise InvalidArgument(field, f'must have the form "{collection}/<uuid>", not "{value}"')
    return UUID(identifier)
