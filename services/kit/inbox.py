"""What a consumer has applied and what it has parked, as rows: all SQL of the consumer runtime."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from google.protobuf.message import Message

from services.kit.connection import Connection
from services.kit.contract import event_of
from services.kit.ids import new_id

if TYPE_CHECKING:
    from services.kit.transaction import Transaction

KEPT_FOR = timedelta(days=30)  # longer than a topic keeps its records
GAP = "waits for an earlier event of its key"
SEQUENCE_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event as delivered, with what its headers say of it."""

    topic: str
    key: str
    sequence: int
    event_id: UUID
    event_type: str
    headers: Mapping[str, str]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a key stands when one of its events comes in.

    Attributes:
        last: The highest sequence applied or seeded; None where the key is new here.
        is_known: Whether this very event was applied.
        is_taken: Whether another event was applied under this event's sequence.
        is_behind: Whether an event of the key is parked at or before this one.
        has_later: Whether one is parked after it.
    """

    last: int | None
    is_known: bool
    is_taken: bool
    is_behind: bool
    has_later: bool

    def must_wait(self, sequence: int) -> bool:
        """Whether an event of this sequence has to wait for an earlier one."""
        return self.is_behind or (self.last is not None and sequence > self.last + 1)


async def seed(
    tx: "Transaction", event: type[Message], *, consumer: str, key: str, sequence: int
) -> None:
    """Note that a copy was taken from the owner's List rpc, as of an aggregate's event sequence.

    A service that joins late does this for each row it reads, in the transaction that writes its
    copy; events up to `sequence` then count as applied, and the next ones follow on.
    """
    await tx.connection.execute(
        """
        insert into inbox (consumer, event_id, topic, key, sequence, is_seed)
        values ($1, $2, $3, $4, $5, true)
        on conflict (consumer, topic, key, sequence) do nothing
        """,
        consumer,
        new_id(),
        event_of(event.DESCRIPTOR).topic,
        key,
        sequence,
    )


async def standing_of(connection: Connection, consumer: str, delivery: Delivery) -> Standing:
    """Return where a delivery's key stands."""
    row = await connection.fetchrow(
        """
        select
            (select max(sequence) from inbox
             where consumer = $1 and topic = $2 and key = $3) as last,
            exists (select from inbox where consumer = $1 and event_id = $5) as is_known,
            exists (select from inbox
                    where consumer = $1 and topic = $2 and key = $3 and sequence = $4
                      and event_id <> $5 and not is_seed) as is_taken,
            exists (select from parked_event
                    where consumer = $1 and topic = $2 and key = $3
                      and sequence <= $4) as is_behind,
            exists (select from parked_event
                    where consumer = $1 and topic = $2 and key = $3
                      and sequence > $4) as has_later
        """,
        consumer,
        delivery.topic,
        delivery.key,
        delivery.sequence,
        delivery.event_id,
    )
    assert row is not None
    return Standing(**row)


async def lock_key(connection: Connection, consumer: str, topic: str, key: str) -> None:
    """Wait for whoever parks or releases events of this key, until the transaction ends."""
    await connection.execute(
        "select pg_advisory_xact_lock(hashtextextended($1, 0))", f"{consumer} {topic} {key}"
    )


async def note_applied(connection: Connection, consumer: str, delivery: Delivery) -> None:
    """Write an event down as applied."""
    await connection.execute(
        "insert into inbox (consumer, event_id, topic, key, sequence) values ($1, $2, $3, $4, $5)",
        consumer,
        delivery.event_id,
        delivery.topic,
        delivery.key,
        delivery.sequence,
    )


async def park(connection: Connection, consumer: str, delivery: Delivery, *, error: str) -> None:
    """Set an event aside, with why; one that is parked stays as it is."""
    await connection.execute(
        """
        insert into parked_event
            (consumer, topic, key, sequence, event_id, event_type, headers, payload, error)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing
        """,
        consumer,
        delivery.topic,
        delivery.key,
        delivery.sequence,
        delivery.event_id,
        delivery.event_type,
        dict(delivery.headers),
        delivery.payload,
        error,
    )


async def park_dead(
    connection: Connection, consumer: str, delivery: Delivery, *, error: str
) -> None:
    """Set an event aside that could not be applied; only a replay tries it again."""
    await park(connection, consumer, delivery, error=error)
    await connection.execute(
        """
        update parked_event set error = $5
        where consumer = $1 and topic = $2 and key = $3 and sequence = $4
        """,
        consumer,
        delivery.topic,
        delivery.key,
        delivery.sequence,
        error,
    )


async def first_parked(
    connection: Connection, consumer: str, topic: str, key: str
) -> tuple[Delivery, str] | None:
    """Return a key's earliest parked event and why it is parked."""
    row = await connection.fetchrow(
        """
        select topic, key, sequence, event_id, event_type, headers, payload, error
        from parked_event
        where consumer = $1 and topic = $2 and key = $3 order by sequence limit 1
        """,
        consumer,
        topic,
        key,
    )
    if row is None:
        return None
    return Delivery(**{name: row[name] for name in Delivery.__slots__}), row["error"]


async def unpark(connection: Connection, consumer: str, delivery: Delivery) -> None:
    """Remove a parked event."""
    await connection.execute(
        """
        delete from parked_event
        where consumer = $1 and topic = $2 and key = $3 and sequence = $4
        """,
        consumer,
        delivery.topic,
        delivery.key,
        delivery.sequence,
    )


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
    """Remove rows of events that no topic holds any more; each key keeps its highest sequence."""
    await connection.execute(
        """
        delete from inbox where create_time < now() - $1::interval and exists (
            select from inbox later
            where later.consumer = inbox.consumer and later.topic = inbox.topic
              and later.key = inbox.key and later.sequence > inbox.sequence)
        """,
        KEPT_FOR,
    )
