"""The topic of settlement's events as it stands in the broker, read from end to end."""

from collections.abc import Iterator
from typing import NamedTuple

from ironloop.settlement.v1.settlement_events_pb2 import TransfersPosted
from kafka import KafkaConsumer, TopicPartition

from services.settlement.events import payload_digest

POLL_MS = 500
FETCH_BYTES_MAX = 16 * 1024 * 1024


class TopicRecord(NamedTuple):
    """One record of the topic.

    Attributes:
        is_from_start: Whether the topic still holds all that its partition ever held.
    """

    key: str
    payload: bytes
    is_from_start: bool


class EventInTopic(NamedTuple):
    """What a record says it is: an event of a ledger, and the digest of its payload."""

    ledger: str
    sequence: int
    digest: bytes


def read_topic(bootstrap: str, topic: str) -> Iterator[TopicRecord]:
    """Yield every record that the topic holds now.

    Raises:
        KafkaError: The broker does not answer.
    """
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_bytes=FETCH_BYTES_MAX,
        max_partition_fetch_bytes=FETCH_BYTES_MAX,
    )
    try:
        parts = [TopicPartition(topic, part) for part in consumer.partitions_for_topic(topic) or ()]
        if not parts:
            return
        consumer.assign(parts)
        starts, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
        while any(consumer.position(part) < ends[part] for part in parts):
            for part, records in consumer.poll(timeout_ms=POLL_MS).items():
                for record in records:
                    if record.offset < ends[part]:
                        key = (record.key or b"").decode(errors="replace")
                        yield TopicRecord(key, record.value or b"", starts[part] == 0)
    finally:
        consumer.close()


def event_in(record: TopicRecord) -> EventInTopic:
    """Return what a record is.

    Raises:
        DecodeError: It is no event of settlement.
    """
    event = TransfersPosted.FromString(record.payload)
    return EventInTopic(event.ledger, event.sequence, payload_digest(record.payload))
