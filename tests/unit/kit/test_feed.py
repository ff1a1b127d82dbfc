"""A reader of the broker outlives its silence, and is made anew only where that lasts."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaConnectionError, KafkaError

from services.kit import kafka_log
from services.kit.kafka_log import KafkaFeed, Record

PARTITION = TopicPartition("t", 0)


class FakeReader:
    """Hands out one record a poll, and commits as often as it is told to."""

    def __init__(self, feed: KafkaFeed, polls: int, answers: Sequence[bool]) -> None:
        self._feed, self._left, self._answers = feed, polls, list(answers)
        self.committed: list[int] = []

    def poll(self, *, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        self._left -= 1
        if not self._left:
            self._feed._stopping.set()
            return {}
        offset = len(self._answers)
        raw = {"topic": "t", "partition": 0, "offset": offset, "key": b"k", "headers": []}
        return {PARTITION: [SimpleNamespace(**raw, value=b"v")]}

    def commit(self, offsets: dict[TopicPartition, Any], *, timeout_ms: int) -> None:
        if not self._answers.pop(0):
            raise KafkaConnectionError("111 ECONNREFUSED")
        self.committed.append(offsets[PARTITION].offset)

    def assignment(self) -> set[TopicPartition]:
        raise KafkaConnectionError("111 ECONNREFUSED")  # how far it is behind is not known either


async def read(feed: KafkaFeed, reader: FakeReader) -> list[Record]:
    applied: list[Record] = []

    async def apply(records: Sequence[Record]) -> None:
        applied.extend(records)

    await asyncio.to_thread(feed._read, reader, apply, asyncio.get_running_loop())
    return applied


@pytest.fixture
def feed() -> KafkaFeed:
    return KafkaFeed("nowhere", group="g", topics=["t"])


async def test_a_reader_goes_on_where_the_broker_does_not_answer(feed: KafkaFeed) -> None:
    reader = FakeReader(feed, 4, [False, False, True])
    applied = await read(feed, reader)
    assert len(applied) == 3
    assert len(reader.committed) == 1


async def test_a_reader_that_can_commit_nothing_for_long_is_made_anew(
    feed: KafkaFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_log, "READER_KEPT_S", 0.0)
    reader = FakeReader(feed, 9, [False] * 9)
    with pytest.raises(KafkaError):
        await read(feed, reader)
    assert reader.committed == []
    assert not feed._stopping.is_set()
