"""Outbox, broker and consumer together, on a real Kafka, broken in every way we know."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from kafka import KafkaConsumer

from infra.local.kafka import KafkaServer, create_topics, start_kafka
from infra.local.processes import stop
from services.kit.consumer import Consumer
from services.kit.contract import dead_letter_topic
from services.kit.kafka_log import BrokerUnavailable, KafkaEventLog, KafkaFeed
from services.kit.relay import Relay
from tests.integration.kit.probe import EVENT, SERVICE, TOPIC, Probe, until
from tests.integration.kit.test_consumer import Reader
from tests.support import servers


class Line:
    """A relay and a feed between one database's outbox and its own inbox."""

    def __init__(self, probe: Probe, bootstrap: str) -> None:
        self.probe = probe
        self.bootstrap = bootstrap
        self.log = KafkaEventLog(bootstrap, client_id=SERVICE, prefix=probe.prefix)
        self.reader = Reader(probe)
        self.consumer = Consumer(
            probe.database, {EVENT: self.reader.see}, service=SERVICE, dead_letters=self.log
        )
        self.relay = Relay(probe.dsn, self.log)

    @asynccontextmanager
    async def relaying(self) -> AsyncIterator[None]:
        """Publish what the outbox holds."""
        task = asyncio.create_task(self.relay.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def feeding(self, apply: Any = None) -> AsyncIterator[KafkaFeed]:
        """Apply what the topic holds."""
        feed = KafkaFeed(
            self.bootstrap, group=SERVICE, topics=self.consumer.topics, prefix=self.probe.prefix
        )
        feed.start(apply or self.consumer.apply, asyncio.get_running_loop())
        try:
            yield feed
        finally:
            await feed.stop()

    async def write(self, *keys: str) -> None:
        """Emit one event for each key."""
        for key in keys:
            await self.probe.database.run(lambda tx, key=key: self.probe.bump(tx, key))  # type: ignore[misc]

    async def until_seen(self, key: str, count: int) -> None:
        """Wait for effects, and check that each came once and in order."""

        async def is_seen() -> bool:
            return len(await self.reader.seen(key)) >= count

        await until(is_seen, what=f"{count} events of {key}")
        assert await self.reader.seen(key) == list(range(1, count + 1))


@pytest_asyncio.fixture(loop_scope="session")
async def line(probe: Probe) -> AsyncIterator[Line]:
    probe.prefix = f"k{asyncio.get_running_loop().time():.6f}."
    await probe.make_topics()
    made = Line(probe, servers.kafka_bootstrap())
    yield made
    await made.log.close()


def letters(line: Line) -> list[tuple[str, dict[str, str]]]:
    """Return what the dead-letter topic holds: key and headers."""
    reader = KafkaConsumer(
        f"{line.probe.prefix}{dead_letter_topic(TOPIC)}",
        bootstrap_servers=line.bootstrap,
        auto_offset_reset="earliest",
        consumer_timeout_ms=5_000,
    )
    try:
        for raw in reader:
            return [(raw.key.decode(), {name: text.decode() for name, text in raw.headers})]
    finally:
        reader.close()
    return []


async def until_no_lag(feed: KafkaFeed) -> None:
    async def no_lag() -> bool:
        return await feed.lag() == 0

    await until(no_lag, what="no lag")


async def test_what_commits_here_has_its_effect_there(line: Line) -> None:
    async with line.relaying(), line.feeding() as feed:
        await line.write(*["a", "b", "c"] * 20)
        for key in ("a", "b", "c"):
            await line.until_seen(key, 20)
        await until_no_lag(feed)


async def test_a_consumer_that_stops_goes_on_where_it_stood(line: Line) -> None:
    async with line.relaying():
        async with line.feeding():
            await line.write("a", "a")
            await line.until_seen("a", 2)
        await line.write("a", "a")
        async with line.feeding():
            await line.until_seen("a", 4)


async def test_a_consumer_killed_between_effect_and_commit_has_one_effect(line: Line) -> None:
    """The batch is applied, and the process ends before the offset is committed."""
    applied = 0

    async def apply_and_die(records: Any) -> None:
        nonlocal applied
        await line.consumer.apply(records)
        applied += len(records)
        raise OSError("killed here")

    async with line.relaying():
        await line.write("a", "a", "a")
        async with line.feeding(apply_and_die):

            async def has_died_twice() -> bool:
                return applied >= 6

            await until(has_died_twice, what="a second delivery")
        async with line.feeding():
            await line.write("a")
            await line.until_seen("a", 4)
    assert line.reader.tries == 4


async def test_a_poison_event_goes_to_the_dead_letters_with_its_error(line: Line) -> None:
    line.reader.poison = {("a", 1)}
    async with line.relaying(), line.feeding():
        await line.write("a", "b", "a", "b")
        await line.until_seen("b", 2)

        async def are_parked() -> bool:
            return await line.reader.parked("a") == [1, 2]

        await until(are_parked, what="two parked events")
        ((key, headers),) = await asyncio.to_thread(letters, line)
        assert key == "a"
        assert "cannot take 1" in headers["ironloop_error"]
        assert headers["ce_type"] == EVENT.DESCRIPTOR.full_name
        line.reader.poison.clear()
        assert await line.consumer.replay() == (2, 0)
        await line.write("a")
        await line.until_seen("a", 3)


async def test_one_missing_topic_leaves_what_was_before_it_published(line: Line) -> None:
    await line.write("a", "a")
    rows = await line.probe.database.run(
        lambda tx: tx.connection.fetch("select * from outbox order by seq")
    )
    lost = dict(rows[1]) | {"topic": "no.such.topic"}
    assert await line.log.publish([rows[0], lost, rows[1]]) == 1  # type: ignore[list-item]


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[KafkaServer]:
    server = start_kafka(tmp_path / "kafka", log=tmp_path / "log", ends_with_parent=True)
    yield server
    stop(server.process)
    shutil.rmtree(tmp_path, ignore_errors=True)


async def test_commands_go_on_without_a_broker_and_events_arrive_in_order(
    probe: Probe, own_broker: KafkaServer, tmp_path: Path
) -> None:
    names = [f"{probe.prefix}{topic}" for topic in (TOPIC, dead_letter_topic(TOPIC))]
    await asyncio.to_thread(create_topics, own_broker.bootstrap, names)
    line = Line(probe, own_broker.bootstrap)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(line.log.close)
        await stack.enter_async_context(line.relaying())
        feed = await stack.enter_async_context(line.feeding())
        await line.write(*["a"] * 10)
        await line.until_seen("a", 10)
        await until_no_lag(feed)
        await asyncio.to_thread(stop, own_broker.process, number=9)
        await line.write(*["a"] * 10)  # commands go on
        assert await probe.ask("select count(*) from outbox") == 10
        assert await line.reader.seen("a") == list(range(1, 11))
        with pytest.raises(BrokerUnavailable):
            await feed.lag()
        port = int(own_broker.bootstrap.rpartition(":")[2])
        again = await asyncio.to_thread(
            start_kafka,
            tmp_path / "kafka",
            log=tmp_path / "log",
            port=port,
            ends_with_parent=True,
        )
        stack.callback(stop, again.process)
        await line.write("a")
        await line.until_seen("a", 21)
        assert not await line.reader.parked("a")
