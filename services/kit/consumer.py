"""Applies events: each exactly once, each key in order, a poison one set aside.

An event that keeps failing goes to `<topic>.dlq` with its error in headers; it and the later
events of its key are parked in this service's table until somebody replays them. An event that
arrives before its predecessor is parked too, and follows once that one has been applied.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import structlog
from google.protobuf.message import Message

from services.kit import telemetry
from services.kit.connection import Connection
from services.kit.contract import event_of
from services.kit.database import Database
from services.kit.errors import Retriable
from services.kit.kafka_log import Record
from services.kit.principals import enter, service_principal
from services.kit.transaction import Transaction
from services.kit.waiting import backoff_s

TRIES_MAX = 5
RETRY_BASE_S = 0.05
RETRY_MAX_S = 2.0
KEPT_FOR = timedelta(days=30)  # longer than a topic keeps its records
GAP = "waits for an earlier event of its key"

log = structlog.get_logger(__name__)

EventHandler = Callable[[Transaction, Any], Awaitable[None]]


class DeadLetters(Protocol):
    """Where poison events are published."""

    async def append(
        self, topic: str, *, key: str, headers: Mapping[str, str], payload: bytes
    ) -> None:
        """Append one record."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event as delivered, with what its headers say of it."""

    topic: str
    key: str
    sequence: int
    event_id: UUID
    headers: Mapping[str, str]
    payload: bytes

    @classmethod
    def of(cls, record: Record) -> "Delivery":
        """Read a record's headers.

        Raises:
            KeyError, ValueError: It is no event of ours.
        """
        return cls(
            topic=record.topic,
            key=record.key,
            sequence=int(record.headers["ce_sequence"]),
            event_id=UUID(record.headers["ce_id"]),
            headers=record.headers,
            payload=record.payload,
        )


class Consumer:
    """Applies a service's events in its own database."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[type[Message], EventHandler],
        *,
        service: str,
        dead_letters: DeadLetters,
    ) -> None:
        self._database = database
        self._service = service
        self._dead_letters = dead_letters
        self._handlers = {
            event.DESCRIPTOR.full_name: (event, handler) for event, handler in handlers.items()
        }
        self.topics = sorted({event_of(event.DESCRIPTOR).topic for event in handlers})

    async def apply(self, records: Sequence[Record]) -> None:
        """Apply records of one partition in order; returns once none of them can be lost."""
        enter(service_principal(self._service), "events")
        for record in records:
            try:
                delivery = Delivery.of(record)
            except (KeyError, ValueError) as error:
                await self._bury(record.topic, record.key, record.headers, record.payload, error)
                continue
            await self._apply_or_park(delivery)

    async def replay(self, *, topic: str | None = None, key: str | None = None) -> tuple[int, int]:
        """Apply parked events again, in order; return how many went through and how many stay."""
        enter(service_principal(self._service), "replay")
        async with self._database.read() as connection:
            keys = await list_parked_keys(connection, self._service, topic=topic, key=key)
        applied = 0
        for parked_topic, parked_key in keys:
            applied += await self._replay_key(parked_topic, parked_key, dead=True)
        async with self._database.read() as connection:
            return applied, await count_parked(connection, self._service)

    async def _apply_or_park(self, delivery: Delivery) -> None:
        failures = 0
        while True:
            try:
                outcome = await self._database.run(lambda tx: self._receive(tx, delivery))
                break
            except Retriable as error:
                # The database or a peer is away: nothing is wrong with the event, so it waits.
                log.warning("event_waited", event=delivery.headers["ce_type"], error=error.message)
                await asyncio.sleep(backoff_s(failures, base_s=RETRY_BASE_S, max_s=RETRY_MAX_S))
                failures = min(failures + 1, 10)
            except Exception as error:
                failures += 1
                if failures >= TRIES_MAX:
                    await self._set_aside(delivery, error)
                    outcome = "dead"
                    break
                await asyncio.sleep(backoff_s(failures, base_s=RETRY_BASE_S, max_s=RETRY_MAX_S))
        telemetry.EVENTS_APPLIED.labels(delivery.headers["ce_type"], outcome).inc()
        if outcome == "applied":
            self._observe_delay(delivery)
            await self._replay_key(delivery.topic, delivery.key, dead=False)

    async def _receive(self, tx: Transaction, delivery: Delivery) -> str:
        """Apply a delivery, or find that it was applied before, or must wait."""
        standing = await tx.connection.fetchrow(
            """
            select
                (select max(sequence) from inbox
                 where consumer = $1 and topic = $2 and key = $3) as last,
                exists (select from parked_event
                        where consumer = $1 and topic = $2 and key = $3
                          and sequence <= $4) as behind,
                exists (select from inbox where consumer = $1 and event_id = $5) as known
            """,
            self._service,
            delivery.topic,
            delivery.key,
            delivery.sequence,
            delivery.event_id,
        )
        assert standing is not None
        if standing["known"]:
            return "duplicate"
        if standing["behind"] or (standing["last"] and delivery.sequence > standing["last"] + 1):
            await _park(tx.connection, self._service, delivery, error=GAP)
            return "parked"
        await self._handle(tx, delivery)
        return "applied"

    async def _handle(self, tx: Transaction, delivery: Delivery) -> None:
        await _note_applied(tx.connection, self._service, delivery)
        known = self._handlers.get(delivery.headers["ce_type"])
        if known is None:
            return
        event, handler = known
        parent = delivery.headers.get("ce_traceparent", "")
        with telemetry.span(f"event {event.DESCRIPTOR.name}", parent=parent):
            await handler(tx, event.FromString(delivery.payload))

    async def _set_aside(self, delivery: Delivery, error: Exception) -> None:
        log.error("event_dead", event=delivery.headers["ce_type"], key=delivery.key, exc_info=error)
        await self._bury(delivery.topic, delivery.key, delivery.headers, delivery.payload, error)
        await self._database.run(
            lambda tx: _park(tx.connection, self._service, delivery, error=repr(error))
        )

    async def _bury(
        self, topic: str, key: str, headers: Mapping[str, str], payload: bytes, error: Exception
    ) -> None:
        await self._dead_letters.append(
            f"{topic}.dlq",
            key=key,
            headers={
                **headers,
                "ironloop_consumer": self._service,
                "ironloop_error": repr(error)[:1000],
            },
            payload=payload,
        )

    async def _replay_key(self, topic: str, key: str, *, dead: bool) -> int:
        """Apply a key's parked events from the first on; stop at one that still cannot be."""
        applied = 0
        try:
            while await self._database.run(lambda tx: self._replay_next(tx, topic, key, dead=dead)):
                applied += 1
        except (asyncpg.PostgresError, Retriable):
            raise
        except Exception as error:
            log.error("replay_failed", topic=topic, key=key, exc_info=error)
        return applied

    async def _replay_next(self, tx: Transaction, topic: str, key: str, *, dead: bool) -> bool:
        row = await tx.connection.fetchrow(
            """
            select topic, key, sequence, event_id, headers, payload, error from parked_event
            where consumer = $1 and topic = $2 and key = $3 order by sequence limit 1 for update
            """,
            self._service,
            topic,
            key,
        )
        if row is None or not (dead or row["error"] == GAP):
            return False
        last = await tx.connection.fetchval(
            "select max(sequence) from inbox where consumer = $1 and topic = $2 and key = $3",
            self._service,
            topic,
            key,
        )
        if last is not None and row["sequence"] > last + 1:
            return False
        delivery = Delivery(**{field: row[field] for field in Delivery.__slots__})
        await tx.connection.execute(
            """
            delete from parked_event
            where consumer = $1 and topic = $2 and key = $3 and sequence = $4
            """,
            self._service,
            topic,
            key,
            delivery.sequence,
        )
        await self._handle(tx, delivery)
        return True

    def _observe_delay(self, delivery: Delivery) -> None:
        # The event id is a UUIDv7 of real time; the event's own time may lie ahead of it.
        written_at = datetime.fromtimestamp((delivery.event_id.int >> 80) / 1000, tz=UTC)
        delay = (datetime.now(UTC) - written_at).total_seconds()
        telemetry.EVENT_DELAY_SECONDS.observe(max(0.0, delay))


async def list_parked_keys(
    connection: Connection, consumer: str, *, topic: str | None, key: str | None
) -> list[tuple[str, str]]:
    """Return the (topic, key) pairs that hold parked events."""
    rows = await connection.fetch(
        """
        select distinct topic, key from parked_event
        where consumer = $1 and ($2::text is null or topic = $2) and ($3::text is null or key = $3)
        order by topic, key
        """,
        consumer,
        topic,
        key,
    )
    return [(row["topic"], row["key"]) for row in rows]


async def count_parked(connection: Connection, consumer: str) -> int:
    """Return how many events are parked."""
    count: int = await connection.fetchval(
        "select count(*) from parked_event where consumer = $1", consumer
    )
    return count


async def forget_old(connection: Connection) -> None:
    """Remove inbox rows of events that no topic holds any more."""
    await connection.execute("delete from inbox where create_time < now() - $1", KEPT_FOR)


async def _note_applied(connection: Connection, consumer: str, delivery: Delivery) -> None:
    await connection.execute(
        "insert into inbox (consumer, event_id, topic, key, sequence) values ($1, $2, $3, $4, $5)",
        consumer,
        delivery.event_id,
        delivery.topic,
        delivery.key,
        delivery.sequence,
    )


async def _park(connection: Connection, consumer: str, delivery: Delivery, *, error: str) -> None:
    await connection.execute(
        """
        insert into parked_event
            (consumer, topic, key, sequence, event_id, headers, payload, error)
        values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing
        """,
        consumer,
        delivery.topic,
        delivery.key,
        delivery.sequence,
        delivery.event_id,
        dict(delivery.headers),
        delivery.payload,
        error,
    )
