"""Kafka behind two small roles: an event log to append to, and a feed to read from.

kafka-python blocks, so producer and consumer live in threads of their own; its futures never
meet asyncio's.
"""

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import Future as ThreadFuture
from dataclasses import dataclass
from typing import Any

import structlog
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from services.kit import telemetry
from services.kit.connection import Row
from services.kit.errors import Unavailable
from services.kit.waiting import backoff_s

DELIVERY_TIMEOUT_MS = 6_000  # then the relay reads the outbox again
REQUEST_TIMEOUT_MS = 3_000
# The client's own default lets it wait for half a minute after the broker is back.
RECONNECT_MAX_MS = 1_000
POLL_MS = 100
POLL_RECORDS_MAX = 500
FETCH_BYTES_MAX = 4 * 1024 * 1024
SESSION_TIMEOUT_MS = 6_000  # the least that brokers allow; a dead reader is replaced after it
# A topic that the broker did not know when the group was formed is assigned at the next look; the
# client's own default would leave its events unread for five minutes.
METADATA_MAX_AGE_MS = 5_000
CLOSE_TIMEOUT_S = 5.0
LAG_TIMEOUT_S = 5.0
LAG_EVERY_S = 5.0  # between two looks for /metrics
# A reader outlives a broker that is away: one made anew is a new member, and its group waits for
# the session of the former one to end. One that gets nowhere for so long is made anew all the same.
READER_KEPT_S = 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """One record as read from a topic."""

    topic: str
    partition: int
    offset: int
    key: str
    headers: Mapping[str, str]
    payload: bytes


class BrokerUnavailable(Unavailable):
    """The broker does not answer."""

    reason = "BROKER_UNAVAILABLE"

    def __init__(self, error: Exception) -> None:
        super().__init__(f"the broker does not answer ({type(error).__name__})")


class KafkaEventLog:
    """Appends to Kafka with an idempotent producer, so that a key's order is the outbox's."""

    def __init__(self, bootstrap: str, *, client_id: str, prefix: str = "") -> None:
        self._bootstrap = bootstrap
        self._client_id = f"{prefix}{client_id}"
        self._prefix = prefix
        self._producer: Any = None

    async def publish(self, rows: Sequence[Row]) -> int:
        """Append rows in order; return how many of them, from the first, are acknowledged."""
        return await asyncio.to_thread(self._publish, rows)

    async def append(
        self, topic: str, *, key: str, headers: Mapping[str, str], payload: bytes
    ) -> None:
        """Append one record.

        Raises:
            KafkaError: The broker did not acknowledge it.
        """
        row = {"topic": topic, "key": key, "headers": headers, "payload": payload}
        if await self.publish([row]) != 1:  # type: ignore[list-item]  # shaped like a row
            raise KafkaError(f"no acknowledgement for a record of {topic}")

    async def close(self) -> None:
        """Close the producer."""
        if self._producer is not None:
            with contextlib.suppress(KafkaError):
                await asyncio.to_thread(self._producer.close, timeout=CLOSE_TIMEOUT_S)

    def _publish(self, rows: Sequence[Row]) -> int:
        acknowledged = 0
        futures: list[Any] = []
        try:
            try:
                for row in rows:
                    futures.append(self._send(row))
            finally:
                # Where a row could not be handed over, those before it are still awaited.
                for future in futures:
                    future.get(timeout=DELIVERY_TIMEOUT_MS / 1000)
                    acknowledged += 1
        except (KafkaError, OSError) as error:
            log.warning("publish_failed", error=repr(error), acknowledged=acknowledged)
            self._drop()
        return acknowledged

    def _send(self, row: Row) -> Any:
        return self._connected().send(
            f"{self._prefix}{row['topic']}",
            key=row["key"].encode(),
            value=row["payload"],
            headers=[(name, text.encode()) for name, text in row["headers"].items()],
        )

    def _connected(self) -> Any:
        if self._producer is None:
            self._producer = KafkaProducer(
                bootstrap_servers=self._bootstrap,
                bootstrap_timeout_ms=REQUEST_TIMEOUT_MS,
                client_id=self._client_id,
                acks="all",
                enable_idempotence=True,
                linger_ms=1,  # so that a batch of the relay is one request
                max_request_size=1_048_576,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
                reconnect_backoff_max_ms=RECONNECT_MAX_MS,
                max_block_ms=REQUEST_TIMEOUT_MS,
            )
        return self._producer

    def _drop(self) -> None:
        """Forget a producer that failed: what it still holds must not overtake the next try."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # To close one flushes it first, and raises where that fails, with the sender still alive.
        with contextlib.suppress(KafkaError):
            producer.close(timeout=0)
        if producer._sender is not None:
            producer._sender.force_close()


Apply = Callable[[Sequence[Record]], Coroutine[Any, Any, None]]


class KafkaFeed:
    """Reads topics as one group in a thread, and hands batches to the event loop to apply."""

    def __init__(
        self, bootstrap: str, *, group: str, topics: Sequence[str], prefix: str = ""
    ) -> None:
        self._bootstrap = bootstrap
        self._group = f"{prefix}{group}"
        self._topics = [f"{prefix}{topic}" for topic in topics]
        self._prefix = prefix
        self._stopping = threading.Event()
        self._applying: ThreadFuture[None] | None = None
        self._applied: Mapping[TopicPartition, int] = {}
        self._meter: Any = None
        self._meter_lock = threading.Lock()
        self._lag_seen_at_s = 0.0
        self._silent_since_s: float | None = None
        self._thread: threading.Thread | None = None

    def start(self, apply: Apply, loop: asyncio.AbstractEventLoop) -> None:
        """Read until stopped; offsets are committed once a batch is applied."""
        self._thread = threading.Thread(
            target=self._run, args=(apply, loop), name=f"feed {self._group}", daemon=True
        )
        self._thread.start()

    async def stop(self) -> None:
        """Stop reading; what is not committed is read again by the next start."""
        self._stopping.set()
        applying = self._applying
        if applying is not None:
            applying.cancel()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)
        with self._meter_lock:
            if self._meter is not None:
                self._meter.close()
                self._meter = None

    async def lag(self) -> int:
        """Return how many records are in the topics and not yet applied.

        Raises:
            BrokerUnavailable: The broker does not answer.
        """
        try:
            async with asyncio.timeout(LAG_TIMEOUT_S):
                return await asyncio.to_thread(self._measure_lag)
        except (KafkaError, TimeoutError) as error:
            raise BrokerUnavailable(error) from error

    def _run(self, apply: Apply, loop: asyncio.AbstractEventLoop) -> None:
        failures = 0
        while not self._stopping.is_set():
            consumer = None
            try:
                consumer = self._connect()
                self._read(consumer, apply, loop)
                failures = 0
            except CancelledError:
                continue
            except (KafkaError, OSError) as error:
                log.warning("feed_waited", group=self._group, error=repr(error))
                self._stopping.wait(backoff_s(failures, base_s=0.1, max_s=RECONNECT_MAX_MS / 1000))
                failures += 1
            except Exception as error:
                log.error("feed_failed", group=self._group, exc_info=error)
                self._stopping.wait(backoff_s(failures, base_s=0.5, max_s=5.0))
                failures += 1
            finally:
                if consumer is not None:
                    with contextlib.suppress(KafkaError, OSError):
                        consumer.close(timeout_ms=int(CLOSE_TIMEOUT_S * 1000))

    def _connect(self) -> Any:
        consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap,
            bootstrap_timeout_ms=REQUEST_TIMEOUT_MS,
            group_id=self._group,
            client_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=POLL_RECORDS_MAX,
            fetch_max_bytes=FETCH_BYTES_MAX,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 3,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
            reconnect_backoff_max_ms=RECONNECT_MAX_MS,
        )
        for topic in self._topics:
            # Known before the group forms: partitions are assigned by what the client knows then,
            # and what it learns at that very moment it would take for assigned.
            consumer.partitions_for_topic(topic)
        consumer.subscribe(self._topics)
        return consumer

    def _read(self, consumer: Any, apply: Apply, loop: asyncio.AbstractEventLoop) -> None:
        self._silent_since_s = None
        while not self._stopping.is_set():
            polled = consumer.poll(timeout_ms=POLL_MS)
            for partition in sorted(polled, key=lambda at: (at.topic, at.partition)):
                raws = polled[partition]
                self._apply([_record(raw, self._prefix) for raw in raws], apply, loop)
                # This partition's offset only: others of the same poll are not applied yet.
                self._commit(consumer, partition, OffsetAndMetadata(raws[-1].offset + 1))
            try:
                self._look_around(consumer)
            except KafkaError as error:
                log.warning("lag_unknown", group=self._group, error=repr(error))

    def _commit(self, consumer: Any, partition: TopicPartition, offset: OffsetAndMetadata) -> None:
        """Commit an offset; one that cannot be is with the next, or its records come again.

        Raises:
            KafkaError: None could be for long.
        """
        try:
            consumer.commit({partition: offset}, timeout_ms=REQUEST_TIMEOUT_MS)
        except KafkaError as error:
            log.warning("offset_not_committed", group=self._group, error=repr(error))
            present_s = time.monotonic()
            self._silent_since_s = self._silent_since_s or present_s
            if present_s - self._silent_since_s > READER_KEPT_S:
                raise
        else:
            self._silent_since_s = None

    def _look_around(self, consumer: Any) -> None:
        """Note how far the reader is, and now and then how far it is behind.

        Raises:
            KafkaError: The broker does not answer.
        """
        self._applied = {
            partition: consumer.position(partition, timeout_ms=REQUEST_TIMEOUT_MS) or 0
            for partition in consumer.assignment()
        }
        if time.monotonic() - self._lag_seen_at_s > LAG_EVERY_S:
            self._measure_lag()

    def _apply(
        self, records: Sequence[Record], apply: Apply, loop: asyncio.AbstractEventLoop
    ) -> None:
        if self._stopping.is_set():
            raise CancelledError
        self._applying = asyncio.run_coroutine_threadsafe(apply(records), loop)
        self._applying.result()
        self._applying = None

    def _measure_lag(self) -> int:
        """Look how far the topics are ahead of what is applied.

        Over a connection of its own: on the reader's the broker would answer only after a fetch
        that waits for records, half a second later.
        """
        applied = self._applied
        if not applied:
            return 1  # nothing is known before the group has formed, so there may be something
        with self._meter_lock:
            if self._meter is None:
                self._meter = KafkaConsumer(
                    bootstrap_servers=self._bootstrap,
                    bootstrap_timeout_ms=REQUEST_TIMEOUT_MS,
                    client_id=f"{self._group}-meter",
                    reconnect_backoff_max_ms=RECONNECT_MAX_MS,
                )
            try:
                ends = self._meter.end_offsets(list(applied), timeout_ms=REQUEST_TIMEOUT_MS)
            except KafkaError:
                self._meter.close()
                self._meter = None
                raise
        behind: Counter[str] = Counter()
        for partition, position in applied.items():
            topic = partition.topic.removeprefix(self._prefix)
            behind[topic] += max(0, ends[partition] - position)
        for topic, count in behind.items():
            telemetry.CONSUMER_LAG.labels(topic).set(count)
        self._lag_seen_at_s = time.monotonic()
        return behind.total()


def _record(raw: Any, prefix: str) -> Record:
    return Record(
        topic=raw.topic.removeprefix(prefix),
        partition=raw.partition,
        offset=raw.offset,
        key=(raw.key or b"").decode(errors="replace"),
        headers={name: value.decode(errors="replace") for name, value in raw.headers or ()},
        payload=raw.value or b"",
    )
