"""Events written in the transaction of the facts they tell, in CloudEvents binary mode."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from google.protobuf.message import Message

from services.kit import telemetry
from services.kit.contract import event_of
from services.kit.prepared import Call

CONTENT_TYPE = "application/protobuf"
PAYLOAD_BYTES_MAX = 900_000  # the broker takes 1 MiB a record, headers included


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One event, ready to be written."""

    event_id: UUID
    topic: str
    key: str
    headers: dict[str, str]
    payload: bytes


COLUMNS = "event_id, topic, key, headers, payload"
# Several events in one statement, their numbers in the order in which they were emitted.
INSERT = f"""
    insert into outbox ({COLUMNS}) select {COLUMNS}
    from unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::bytea[])
        with ordinality as event ({COLUMNS}, place)
    order by place
"""
_INSERT_ONE = f"insert into outbox ({COLUMNS}) values ($1, $2, $3, $4, $5)"


def row_of(event: Message, *, service: str, occurred_at: datetime, event_id: UUID) -> OutboxRow:
    """Return an event's row. Its aggregate's row must be locked, so that sequences have no gaps.

    Raises:
        ValueError: The event lacks its key or sequence, or is too large for the broker; a defect.
    """
    declared = event_of(event.DESCRIPTOR)
    key = str(getattr(event, declared.key))
    payload = event.SerializeToString(deterministic=True)
    if not key or event.sequence <= 0:  # type: ignore[attr-defined]
        raise ValueError(f"{event.DESCRIPTOR.full_name} needs a key and a sequence from 1")
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"{event.DESCRIPTOR.full_name} of {len(payload)} bytes is too large")
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(event_id),
        "ce_type": event.DESCRIPTOR.full_name,
        "ce_source": f"services/{service}",
        "ce_subject": key,
        "ce_time": occurred_at.isoformat(),
        "ce_partitionkey": key,
        "ce_traceparent": telemetry.traceparent(),
        "ce_sequence": str(event.sequence),  # type: ignore[attr-defined]
        "content-type": CONTENT_TYPE,
    }
    return OutboxRow(event_id, declared.topic, key, headers, payload)


def insert_of(row: OutboxRow) -> Call:
    """Return what writes one row together with other statements."""
    return Call(_INSERT_ONE, (row.event_id, row.topic, row.key, row.headers, row.payload))


def arguments_of(rows: Sequence[OutboxRow]) -> list[list[object]]:
    """Return rows as the arguments of `INSERT`, one list a column."""
    return [
        [row.event_id for row in rows],
        [row.topic for row in rows],
        [row.key for row in rows],
        [row.headers for row in rows],
        [row.payload for row in rows],
    ]
