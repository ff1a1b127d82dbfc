"""Transfers in PostgreSQL's binary COPY format, and their digests, made from the same bytes.

Twenty-one arrays as parameters would cost the driver more than the rules and PostgreSQL together.
"""

import hashlib
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from services.settlement.transfer import Posted

# The order of the columns is that of the digest; migrations make the same digest in SQL.
COLUMNS = (
    "ledger",
    "event_at",
    "number",
    "id",
    "txn",
    "kind",
    "debit_account",
    "credit_account",
    "amount",
    "released",
    "timeout_s",
    "linked",
    "code",
    "debit_balance",
    "debit_available",
    "credit_balance",
    "credit_available",
    "purpose",
    "memo",
    "pending_id",
    "digest",
)
DIGEST_BYTES = 16

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL counts microseconds from here
_NULL = b"\xff\xff\xff\xff"

# Each value stands behind its length in bytes.
_FIXED = struct.Struct(">h ii iq iq i16s i16s ih iq iq iq iq ii i? ih iq iq iq iq i")
_LENGTH = struct.Struct(">i")


def copy_form(created: Sequence[Posted], *, ledger: int, at: datetime) -> tuple[list[bytes], bytes]:
    """Return the digest of each transfer, and the input of one COPY."""
    at_us = (at - _EPOCH) // timedelta(microseconds=1)
    columns = len(COLUMNS)
    length = _LENGTH.pack
    digests: list[bytes] = []
    parts = [_HEADER]
    for row, number, released_fen, _, debit, credit in created:
        purpose, memo = row.purpose.encode(), row.memo.encode()
        pending = _NULL if row.pending_id is None else length(16) + row.pending_id.bytes
        fixed = _FIXED.pack(
            columns,
            4,
            ledger,
            8,
            at_us,
            8,
            number,
            16,
            row.id.bytes,
            16,
            row.txn.bytes,
            2,
            row.kind,
            8,
            row.debit_account,
            8,
            row.credit_account,
            8,
            row.amount_fen,
            8,
            released_fen,
            4,
            row.timeout_s,
            1,
            row.linked,
            2,
            row.code,
            8,
            debit[0],
            8,
            debit[1],
            8,
            credit[0],
            8,
            credit[1],
            len(purpose),
        )
        content = b"".join((fixed, purpose, length(len(memo)), memo, pending))
        digest = hashlib.sha256(content).digest()[:DIGEST_BYTES]
        digests.append(digest)
        parts += (content, length(DIGEST_BYTES), digest)
    parts.append(_TRAILER)
    return digests, b"".join(parts)
