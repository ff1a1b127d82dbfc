"""The events of the demo by type: how many, who applied them, how late."""

import asyncio
import importlib
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from kafka import KafkaConsumer, TopicPartition

from services.kit.contract import dead_letter_topic, event_of, event_topics
from services.kit.ids import made_at
from services.kit.service import ServiceDefinition

READ_WITHIN_S = 30.0
POLL_MS = 500
MS_PER_S = 1_000


@dataclass(frozen=True, slots=True)
class Ground:
    """What the demo runs on, as far as its checks look below the API.

    Attributes:
        services: Their names.
        dsn: The address of a service's database.
        prefix: What stands before the topics' names; empty but in tests.
    """

    services: tuple[str, ...]
    dsn: Callable[[str], str]
    kafka_bootstrap: str
    prefix: str = ""


@dataclass(slots=True)
class EventType:
    """The events of one type.

    Attributes:
        applied: By consumer, how many of them it has applied.
        lags_ms: From the event to each of its effects, milliseconds.
    """

    name: str
    topic: str
    published: int = 0
    applied: Counter[str] = field(default_factory=Counter)
    lags_ms: list[float] = field(default_factory=list)

    @property
    def short_name(self) -> str:
        """Its name without the package."""
        return self.name.rpartition(".")[2]

    @property
    def median_ms(self) -> float | None:
        """The median lag; None where nobody consumes it."""
        return statistics.median(self.lags_ms) if self.lags_ms else None

    @property
    def highest_ms(self) -> float | None:
        """The highest lag; None where nobody consumes it."""
        return max(self.lags_ms, default=None)


@dataclass(frozen=True, slots=True)
class Told:
    """Every event that was told, and what was made of it.

    Attributes:
        types: By type, those of a topic together.
        amiss: By consumer and topic, what was not applied once and in order.
    """

    types: list[EventType]
    amiss: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Applied:
    event_id: UUID
    topic: str
    is_in_order: bool
    at: datetime


async def gather_events(ground: Ground) -> Told:
    """Read every topic and every inbox."""
    topics = list(event_topics())
    records = await asyncio.to_thread(_read, ground, topics)
    dead = await asyncio.to_thread(_count, ground, [dead_letter_topic(topic) for topic in topics])
    types: dict[str, EventType] = {}
    type_of: dict[UUID, EventType] = {}
    by_topic: dict[str, set[UUID]] = defaultdict(set)
    for topic, event_id, name in records:
        known = types.setdefault(name, EventType(name, topic))
        known.published += 1
        type_of[event_id] = known
        by_topic[topic].add(event_id)
    amiss = {topic: "dead letters" for topic, count in dead.items() if count}
    for service in ground.services:
        applied = await _applied(ground, service)
        for one in applied:
            if one.event_id in type_of:
                type_of[one.event_id].applied[service] += 1
                type_of[one.event_id].lags_ms.append(_lag_ms(one))
        for topic in _consumed_topics(service):
            mine = [one for one in applied if one.topic == topic]
            is_once = Counter(one.event_id for one in mine) == Counter(by_topic[topic])
            if not is_once or not all(one.is_in_order for one in mine):
                amiss[f"{service} of {topic}"] = f"{len(mine)} of {len(by_topic[topic])}"
    return Told(sorted(types.values(), key=lambda one: (one.topic, one.name)), amiss)


async def _applied(ground: Ground, service: str) -> list[_Applied]:
    connection = await asyncpg.connect(ground.dsn(service))
    try:
        rows = await connection.fetch(
            """
            select event_id, topic, create_time, sequence = row_number() over (
                partition by topic, key order by sequence) as is_in_order
            from inbox
            """
        )
    finally:
        await connection.close()
    return [
        _Applied(row["event_id"], row["topic"], row["is_in_order"], row["create_time"])
        for row in rows
    ]


def _consumed_topics(service: str) -> set[str]:
    definition: ServiceDefinition = importlib.import_module(
        f"services.{service}.definition"
    ).DEFINITION
    return {event_of(event.DESCRIPTOR).topic for event in definition.consumes}


def _lag_ms(applied: _Applied) -> float:
    """Return how long after the event its effect came: the event's id says when it was told."""
    return max(0.0, (applied.at - made_at(applied.event_id)).total_seconds() * MS_PER_S)


def _read(ground: Ground, topics: list[str]) -> list[tuple[str, UUID, str]]:
    """Return topic, event id and type of every record."""
    consumer = KafkaConsumer(bootstrap_servers=ground.kafka_bootstrap, enable_auto_commit=False)
    try:
        partitions = _partitions(consumer, ground, topics)
        ends = consumer.end_offsets(partitions)
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        left = sum(ends.values())
        records: list[tuple[str, UUID, str]] = []
        deadline = datetime.now(UTC).timestamp() + READ_WITHIN_S
        while len(records) < left and datetime.now(UTC).timestamp() < deadline:
            for batch in consumer.poll(timeout_ms=POLL_MS).values():
                for record in batch:
                    headers = {name: value.decode() for name, value in record.headers}
                    topic = record.topic.removeprefix(ground.prefix)
                    records.append((topic, UUID(headers["ce_id"]), headers["ce_type"]))
        return records
    finally:
        consumer.close()


def _count(ground: Ground, topics: list[str]) -> dict[str, int]:
    """Return how many records each topic holds."""
    consumer = KafkaConsumer(bootstrap_servers=ground.kafka_bootstrap)
    try:
        counts: Counter[str] = Counter()
        for partition, end in consumer.end_offsets(_partitions(consumer, ground, topics)).items():
            counts[partition.topic.removeprefix(ground.prefix)] += end
        return counts
    finally:
        consumer.close()


def _partitions(
    consumer: KafkaConsumer, ground: Ground, topics: Iterable[str]
) -> list[TopicPartition]:
    return [
        TopicPartition(ground.prefix + topic, number)
        for topic in topics
        for number in consumer.partitions_for_topic(ground.prefix + topic) or set()
    ]
