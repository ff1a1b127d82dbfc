"""The events of a stack by topic: how many there are, and what each consumer has applied."""

import asyncio
import importlib
from dataclasses import dataclass

import asyncpg
from kafka import KafkaConsumer, TopicPartition

from infra.local.databases import dsn_of
from infra.local.environment import Addresses, database_of
from services.kit.contract import dead_letter_topic, event_of, event_topics
from services.kit.service import ServiceDefinition


@dataclass(frozen=True, slots=True)
class EventCount:
    """The events of one topic.

    Attributes:
        consumed: By consumer, how many of them it has applied.
    """

    topic: str
    published: int
    consumed: dict[str, int]
    dead: int


async def count_events(addresses: Addresses) -> list[EventCount]:
    """Count what is in each topic, and what each consumer's inbox says it has applied."""
    topics = event_topics()
    published = await asyncio.to_thread(
        _records_in, addresses.kafka_bootstrap, [*topics, *map(dead_letter_topic, topics)]
    )
    consumed: dict[str, dict[str, int]] = {topic: {} for topic in topics}
    for service in addresses.services:
        for topic, count in (await _applied(service, addresses.postgres_dsn)).items():
            consumed[topic][service] = count
    return [
        EventCount(topic, published[topic], consumed[topic], published[dead_letter_topic(topic)])
        for topic in topics
    ]


async def _applied(service: str, server_dsn: str) -> dict[str, int]:
    """Return by topic how many events a service has applied; parked ones are not."""
    definition: ServiceDefinition = importlib.import_module(
        f"services.{service}.definition"
    ).DEFINITION
    topics = {event_of(event.DESCRIPTOR).topic for event in definition.consumes}
    connection = await asyncpg.connect(dsn_of(server_dsn, database=database_of(service)))
    try:
        rows = await connection.fetch(
            "select topic, count(distinct event_id) as applied from inbox group by topic"
        )
    finally:
        await connection.close()
    counts = {row["topic"]: row["applied"] for row in rows}
    return {topic: counts.get(topic, 0) for topic in topics}


def _records_in(bootstrap: str, topics: list[str]) -> dict[str, int]:
    """Return how many records each topic holds."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    try:
        counts = {}
        for topic in topics:
            numbers = consumer.partitions_for_topic(topic) or set()
            partitions = [TopicPartition(topic, number) for number in numbers]
            counts[topic] = sum(consumer.end_offsets(partitions).values()) if partitions else 0
        return counts
    finally:
        consumer.close()
