"""Applies events: each exactly once, each key in order, a poison one set aside.

An event that keeps failing goes to `<topic>.dlq` with its error in headers; it and the later
events of its key are parked in this service's table until somebody replays them. An event that
arrives before its predecessor is parked too, and follows once that one has been applied.

A key that is new here begins with whatever event the topic still holds of it, since older ones may
have been dropped with age. A service that must not miss those seeds its copies from the owner's
List rpc first (`inbox.seed`); events up to the seed's sequence then change nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import structlog
from google.protobuf.message import Message

from services.kit import inbox, telemetry
from services.kit.contract import dead_letter_topic, event_of
from services.kit.database import NOT_OF_THE_WORK, Database
from services.kit.errors import Retriable
from services.kit.ids import made_at
from services.kit.inbox import Delivery
from services.kit.kafka_log import Record
from services.kit.principals import enter, service_principal
from services.kit.transaction import Transaction
from services.kit.waiting import backoff_s

TRIES_MAX = 5
RETRY_BASE_S = 0.05
RETRY_MAX_S = 2.0
ERROR_CHARACTERS_MAX = 1_000

log = structlog.get_logger(__name__)

EventHandler = Callable[[Transaction, Any], Awaitable[None]]


class DeadLetters(Protocol):
    """Where poison events are published."""

    async def append(
        self, topic: str, *, key: str, headers: Mapping[str, str], payload: bytes
    ) -> None:
        """Append one record."""
        ...


class ReleaseFailed(Exception):
    """A parked event could not be applied."""

    def __init__(self, delivery: Delivery, error: Exception) -> None:
        super().__init__(f"{delivery.event_type} {delivery.sequence} of {delivery.key}")
        self.delivery = delivery
        self.error = error


class SequenceTaken(Exception):
    """Another event was applied under this event's key and sequence: a defect of its producer."""


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
        self._held_up: set[tuple[str, str]] = (
            set()
        )  # keys of the present batch that hold parked events

    async def apply(self, records: Sequence[Record]) -> None:
        """Apply records of one partition in order; returns once none of them can be lost."""
        enter(service_principal(self._service), "events")
        for record in records:
            try:
                delivery = delivery_of(record)
            except (KeyError, ValueError) as error:
                log.error("record_is_no_event", topic=record.topic, offset=record.offset)
                await self._bury(record.topic, record.key, record.headers, record.payload, error)
                continue
            await self._apply_or_park(delivery)

    async def replay(self, *, topic: str | None = None, key: str | None = None) -> tuple[int, int]:
        """Apply parked events again, in order; return how many went through and how many stay."""
        enter(service_principal(self._service), "replay")
        async with self._database.read() as connection:
            keys = await inbox.list_parked_keys(connection, self._service, topic=topic, key=key)
        applied = 0
        for parked_topic, parked_key in keys:
            applied += await self._release(parked_topic, parked_key, dead=True)
        async with self._database.read() as connection:
            return applied, await inbox.count_parked(connection, self._service)

    async def _apply_or_park(self, delivery: Delivery) -> None:
        failures = 0
        while True:
            try:
                outcome = await self._database.run(lambda tx: self._receive(tx, delivery))
                break
            except Retriable as error:
                # The database or a peer is away: nothing is wrong with the event, so it waits.
                log.warning("event_waited", event_type=delivery.event_type, error=error.message)
                await asyncio.sleep(backoff_s(failures, base_s=RETRY_BASE_S, max_s=RETRY_MAX_S))
                failures = min(failures + 1, TRIES_MAX - 1)
            except Exception as error:
                failures += 1
                if failures >= TRIES_MAX or isinstance(error, SequenceTaken):
                    await self._set_aside(delivery, error)
                    outcome = "dead"
                    break
                await asyncio.sleep(backoff_s(failures, base_s=RETRY_BASE_S, max_s=RETRY_MAX_S))
        telemetry.EVENTS_APPLIED.labels(self._label(delivery), outcome).inc()
        if outcome == "applied":
            self._observe_delay(delivery)
        if (delivery.topic, delivery.key) in self._held_up:
            await self._release(delivery.topic, delivery.key, dead=False)
            self._held_up.discard((delivery.topic, delivery.key))

    async def _receive(self, tx: Transaction, delivery: Delivery) -> str:
        """Apply a delivery, or find that it was applied before, or must wait."""
        standing = await inbox.standing_of(tx.connection, self._service, delivery)
        if standing.must_wait(delivery.sequence) and not standing.is_known:
            # A replay may release this key at the same time: look again once it is not.
            await inbox.lock_key(tx.connection, self._service, delivery.topic, delivery.key)
            standing = await inbox.standing_of(tx.connection, self._service, delivery)
        if standing.is_known:
            return "duplicate"
        if standing.must_wait(delivery.sequence):
            await inbox.park(tx.connection, self._service, delivery, error=inbox.GAP)
            self._held_up.add((delivery.topic, delivery.key))
            return "parked"
        if standing.is_taken:
            raise SequenceTaken(f"{delivery.key} has another event {delivery.sequence}")
        if standing.last is not None and delivery.sequence <= standing.last:
            return "duplicate"
        if standing.has_later:
            self._held_up.add((delivery.topic, delivery.key))
        await self._handle(tx, delivery)
        return "applied"

    async def _handle(self, tx: Transaction, delivery: Delivery) -> None:
        await inbox.note_applied(tx.connection, self._service, delivery)
        tx.event_time = datetime.fromisoformat(delivery.headers["ce_time"])
        known = self._handlers.get(delivery.event_type)
        if known is None:
            return
        event, handler = known
        parent = delivery.headers.get("ce_traceparent", "")
        with telemetry.span(f"event {event.DESCRIPTOR.name}", parent=parent):
            await handler(tx, event.FromString(delivery.payload))

    async def _set_aside(self, delivery: Delivery, error: Exception) -> None:
        log.error("event_dead", event_type=delivery.event_type, key=delivery.key, exc_info=error)
        await self._bury(delivery.topic, delivery.key, delivery.headers, delivery.payload, error)
        if isinstance(error, SequenceTaken):
            return  # its place in the order is gone, so nothing waits for it
        text = _text(error)
        await self._database.run(
            lambda tx: inbox.park_dead(tx.connection, self._service, delivery, error=text)
        )

    async def _bury(
        self, topic: str, key: str, headers: Mapping[str, str], payload: bytes, error: Exception
    ) -> None:
        await self._dead_letters.append(
            dead_letter_topic(topic),
            key=key,
            headers={
                **headers,
                "ironloop_consumer": self._service,
                "ironloop_error": _text(error),
            },
            payload=payload,
        )

    async def _release(self, topic: str, key: str, *, dead: bool) -> int:
        """Apply a key's parked events from the first on; stop at one that still cannot be.

        Args:
            dead: Whether those are tried, too, that failed before.
        """
        applied = 0
        try:
            while await self._database.run(
                lambda tx: self._release_next(tx, topic, key, dead=dead)
            ):
                applied += 1
        except ReleaseFailed as failure:
            error = failure.error
            log.error("replay_failed", topic=topic, key=key, exc_info=error)
            if not dead:
                await self._set_aside(failure.delivery, error)
        return applied

    async def _release_next(self, tx: Transaction, topic: str, key: str, *, dead: bool) -> bool:
        await inbox.lock_key(tx.connection, self._service, topic, key)
        found = await inbox.first_parked(tx.connection, self._service, topic, key)
        if found is None:
            return False
        delivery, error = found
        standing = await inbox.standing_of(tx.connection, self._service, delivery)
        is_next = standing.last is None or delivery.sequence <= standing.last + 1
        if not is_next or (error != inbox.GAP and not dead):
            return False
        await inbox.unpark(tx.connection, self._service, delivery)
        if not standing.is_known:
            try:
                await self._handle(tx, delivery)
            except (Retriable, *NOT_OF_THE_WORK):
                raise
            except Exception as failure:
                raise ReleaseFailed(delivery, failure) from failure
        return True

    def _label(self, delivery: Delivery) -> str:
        """Return the event's type if it is one of ours: a label's values must be few."""
        return delivery.event_type if delivery.event_type in self._handlers else "other"

    def _observe_delay(self, delivery: Delivery) -> None:
        # The event id is a UUIDv7 of real time; the event's own time may lie ahead of it.
        delay = (datetime.now(UTC) - made_at(delivery.event_id)).total_seconds()
        telemetry.EVENT_DELAY_SECONDS.observe(max(0.0, delay))


def delivery_of(record: Record) -> Delivery:
    """Read a record's headers.

    Raises:
        KeyError, ValueError: It is no event of ours.
    """
    headers = record.headers
    delivery = Delivery(
        topic=record.topic,
        key=record.key,
        sequence=int(headers["ce_sequence"]),
        event_id=UUID(headers["ce_id"]),
        event_type=headers["ce_type"],
        headers=headers,
        payload=record.payload,
    )
    if datetime.fromisoformat(headers["ce_time"]).tzinfo is None:
        raise ValueError(f"its time {headers['ce_time']} has no zone")
    if not 0 < delivery.sequence <= inbox.SEQUENCE_MAX or not record.key:
        raise ValueError(f"no event has the key {record.key!r} and sequence {delivery.sequence}")
    if any("\0" in text for text in (record.key, *headers, *headers.values())):
        raise ValueError("its key or headers hold the character U+0000")
    return delivery


def _text(error: Exception) -> str:
    return repr(error).replace("\0", "")[:ERROR_CHARACTERS_MAX]
