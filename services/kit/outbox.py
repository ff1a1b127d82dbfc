"""Events written in the transaction of the facts they tell, in CloudEvents binary mode."""

from datetime import datetime
from typing import Any

from google.protobuf.message import Message

from services.kit import telemetry
from services.kit.contract import event_of
from services.kit.ids import new_id

CONTENT_TYPE = "application/protobuf"
PAYLOAD_BYTES_MAX = 900_000  # the broker takes 1 MiB a record, headers included


async def write(connection: Any, event: Message, *, service: str, occurred_at: datetime) -> None:
    """Write one event row. Its aggregate's row must be locked, so that sequences have no gaps.

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
    event_id = new_id()
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
    await connection.execute(
        "insert into outbox (event_id, topic, key, headers, payload) values ($1, $2, $3, $4, $5)",
        event_id,
        declared.topic,
        key,
        headers,
        payload,
    )
