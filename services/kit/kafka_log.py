"""Kafka behind two small roles: an event log to append to, and a feed to read from.

kafka-python blocks, so producer and consumer live in threads of their own; its futures never
meet asyncio's.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future as ThreadFuture
from dataclasses import dataclass
from typing import Any

import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from services.kit import telemetry
from services.kit.connection import Row
from services.kit.waiting import backoff_s

DELIVERY_TIMEOUT_MS = 10_000  # then the relay reads the outbox again
REQUEST_TIMEOUT_MS = 5_000
POLL_MS = 100
POLL_RECORDS_MAX = 500
FETCH_BYTES_MAX = 4 * 1024 * 1024
SESSION_TIMEOUT_MS = 10_000
CLOSE_TIMEOUT_S = 5.0

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
            await asyncio.to_thread(self._producer.close, timeout=CLOSE_TIMEOUT_S)

    def _publish(self, rows: Sequence[Row]) -> int:
        acknowledged = 0
        try:
            producer = self._connected()
            futures = [
                producer.send(
                    f"{self._prefix}{row['topic']}",
                    key=row["key"].encode(),
                    value=row["payload"],
                    headers=[(name, text.encode()) for name, text in row["headers"].items()],
                )
                for row in rows
            ]
            producer.flush(timeout=DELIVERY_TIMEOUT_MS / 1000)
            for future in futures:
                future.get(timeout=DELIVERY_TIMEOUT_MS / 1000)
                acknowledged += 1
        except KafkaError as error:
            log.warning("publish_failed", error=repr(error), acknowledged=acknowledged)
            self._drop()
        return acknowledged

    def _connected(self) -> Any:
        if self._producer is None:
            self._producer = KafkaProducer(
                bootstrap_servers=self._bootstrap,
                client_id=self._client_id,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                max_request_size=1_048_576,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
                max_block_ms=REQUEST_TIMEOUT_MS,
            )
        return self._producer

    def _drop(self) -> None:
        """Forget a producer that failed: what it still holds must not overtake the next try."""
        if self._producer is not None:
            self._producer.close(timeout=0)
            self._producer = None


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
        self._lag_asked: list[ThreadFuture[int]] = []
        self._lag_lock = threading.Lock()
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
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)

    async def lag(self) -> int:
        """Return how many records are in the topics and not yet applied."""
        answer: ThreadFuture[int] = ThreadFuture()
        with self._lag_lock:
            self._lag_asked.append(answer)
        return await asyncio.wrap_future(answer)

    def _run(self, apply: Apply, loop: asyncio.AbstractEventLoop) -> None:
        failures = 0
        while not self._stopping.is_set():
            consumer = None
            try:
                consumer = self._connect()
                self._read(consumer, apply, loop)
            except (KafkaError, OSError) as error:
                log.warning("feed_waited", group=self._group, error=repr(error))
                self._stopping.wait(backoff_s(failures, base_s=0.1, max_s=5.0))
                failures += 1
            except Exception as error:
                log.error("feed_failed", group=self._group, exc_info=error)
                self._stopping.wait(backoff_s(failures, base_s=0.5, max_s=5.0))
                failures += 1
            finally:
                if consumer is not None:
                    consumer.close()

    def _connect(self) -> Any:
        consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._group,
            client_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=POLL_RECORDS_MAX,
            fetch_max_bytes=FETCH_BYTES_MAX,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 3,
        )
        consumer.subscribe(self._topics)
        return consumer

    def _read(self, consumer: Any, apply: Apply, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stopping.is_set():
            polled = consumer.poll(timeout_ms=POLL_MS)
            for partition in sorted(polled, key=lambda at: (at.topic, at.partition)):
                records = [_record(raw, self._prefix) for raw in polled[partition]]
                asyncio.run_coroutine_threadsafe(apply(records), loop).result()
                consumer.commit()
            self._answer_lag(consumer)

    def _answer_lag(self, consumer: Any) -> None:
        with self._lag_lock:
            asked, self._lag_asked = self._lag_asked, []
        if not asked:
            return
        total = 0
        partitions: set[TopicPartition] = consumer.assignment()
        ends = consumer.end_offsets(partitions) if partitions else {}
        for partition in partitions:
            behind = max(0, ends[partition] - consumer.position(partition))
            telemetry.CONSUMER_LAG.labels(partition.topic.removeprefix(self._prefix)).set(behind)
            total += behind
        for answer in asked:
            # Without an assignment nothing is known: say that there is something to wait for.
            answer.set_result(total if partitions else 1)


def _record(raw: Any, prefix: str) -> Record:
    return Record(
        topic=raw.topic.removeprefix(prefix),
        partition=raw.partition,
        offset=raw.offset,
        key=(raw.key or b"").decode(errors="replace"),
        headers={name: value.decode(errors="replace") for name, value in raw.headers or ()},
        payload=raw.value or b"",
    )
