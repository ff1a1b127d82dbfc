"""The consumer: each event once, each key in order, a poison one set aside."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from ironloop.parties.v1 import parties_events_pb2

from services.kit import inbox
from services.kit.consumer import Consumer
from services.kit.errors import Unavailable
from services.kit.ids import new_id
from services.kit.kafka_log import Record
from services.kit.principals import principal
from services.kit.transaction import Transaction
from tests.integration.kit.probe import EVENT, SERVICE, TOPIC, Probe, until

ROLES = [1]


class KeptDeadLetters:
    """Dead letters in memory."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, str, dict[str, str]]] = []

    async def append(
        self, topic: str, *, key: str, headers: Mapping[str, str], payload: bytes
    ) -> None:
        """Keep a letter."""
        self.letters.append((topic, key, dict(headers)))


class Reader:
    """A consumer whose handler writes down what it saw, and fails where it is told to."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.poison: set[tuple[str, int]] = set()
        self.tries = 0
        self.dead = KeptDeadLetters()
        self.consumer = Consumer(
            probe.database, {EVENT: self.see}, service=SERVICE, dead_letters=self.dead
        )

    async def see(self, tx: Transaction, event: parties_events_pb2.PartyRolesChanged) -> None:
        """Keep the event's sequence."""
        self.tries += 1
        assert principal().subject == f"services/{SERVICE}"
        await tx.connection.execute(
            "insert into seen (key, sequence) values ($1, $2)", event.party, event.sequence
        )
        if (event.party, event.sequence) in self.poison:
            raise LookupError(f"cannot take {event.sequence}")

    async def seen(self, key: str) -> list[int]:
        """Return the sequences that had an effect, in the order they had it."""
        found = await self.probe.ask(
            "select array_agg(sequence order by seq) from seen where key = $1", key
        )
        return list(found or [])

    async def parked(self, key: str) -> list[int]:
        """Return the sequences that are parked."""
        found = await self.probe.ask(
            "select array_agg(sequence order by sequence) from parked_event where key = $1", key
        )
        return list(found or [])


@pytest.fixture
def reader(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> Reader:
    monkeypatch.setattr("services.kit.consumer.RETRY_BASE_S", 0.001)
    return Reader(probe)


def record(key: str, sequence: int, **headers: str) -> Record:
    event = EVENT(party=key, sequence=sequence)
    return Record(
        topic=TOPIC,
        partition=0,
        offset=sequence,
        key=key,
        headers={
            "ce_id": str(new_id()),
            "ce_type": EVENT.DESCRIPTOR.full_name,
            "ce_sequence": str(sequence),
            "ce_time": "2026-01-05T01:00:00+00:00",
        }
        | headers,
        payload=event.SerializeToString(),
    )


def records(key: str, *sequences: int) -> list[Record]:
    return [record(key, sequence) for sequence in sequences]


async def test_a_second_delivery_has_no_second_effect(reader: Reader) -> None:
    batch = records("a", 1, 2, 3)
    await reader.consumer.apply(batch)
    await reader.consumer.apply(batch)
    assert await reader.seen("a") == [1, 2, 3]
    assert not await reader.parked("a")


async def test_an_early_event_waits_for_its_predecessor(reader: Reader) -> None:
    one, two, three, four = records("a", 1, 2, 3, 4)
    await reader.consumer.apply([one, four, three])
    assert await reader.seen("a") == [1]
    assert await reader.parked("a") == [3, 4]
    await reader.consumer.apply([two])
    assert await reader.seen("a") == [1, 2, 3, 4]
    assert not await reader.parked("a")


async def test_a_poison_event_holds_up_its_own_key_only(reader: Reader) -> None:
    reader.poison = {("a", 2)}
    await reader.consumer.apply([*records("a", 1, 2, 3), *records("b", 1, 2), *records("a", 4)])
    assert await reader.seen("a") == [1]
    assert await reader.parked("a") == [2, 3, 4]
    assert await reader.seen("b") == [1, 2]
    topic, key, headers = reader.dead.letters[0]
    assert (topic, key) == (f"{TOPIC}.dlq", "a")
    assert "cannot take 2" in headers["ironloop_error"]
    assert headers["ironloop_consumer"] == SERVICE
    assert reader.tries == 1 + 5 + 2


async def test_a_replay_releases_a_key_in_order(reader: Reader) -> None:
    reader.poison = {("a", 2)}
    await reader.consumer.apply(records("a", 1, 2, 3, 4))
    assert await reader.consumer.replay() == (0, 3)
    reader.poison.clear()
    assert await reader.consumer.replay(key="b") == (0, 3)
    assert await reader.consumer.replay(topic=TOPIC, key="a") == (3, 0)
    assert await reader.seen("a") == [1, 2, 3, 4]
    await reader.consumer.apply(records("a", 5))
    assert await reader.seen("a") == [1, 2, 3, 4, 5]


async def test_a_redelivered_poison_event_stays_dead(reader: Reader) -> None:
    reader.poison = {("a", 1)}
    batch = records("a", 1, 2)
    await reader.consumer.apply(batch)
    tries = reader.tries
    reader.poison.clear()
    await reader.consumer.apply(batch)
    assert reader.tries == tries
    assert await reader.parked("a") == [1, 2]
    assert await reader.consumer.replay() == (2, 0)


async def test_an_early_event_that_turns_out_poison_is_buried_too(reader: Reader) -> None:
    reader.poison = {("a", 3)}
    one, two, three, four = records("a", 1, 2, 3, 4)
    await reader.consumer.apply([one, three, four, two])
    assert await reader.seen("a") == [1, 2]
    assert await reader.parked("a") == [3, 4]
    assert len(reader.dead.letters) == 1
    reader.poison.clear()
    assert await reader.consumer.replay() == (2, 0)
    assert await reader.seen("a") == [1, 2, 3, 4]


async def test_events_that_come_in_during_a_replay_are_not_left_behind(reader: Reader) -> None:
    reader.poison = {("a", 1)}
    await reader.consumer.apply(records("a", *range(1, 30)))
    reader.poison.clear()
    await asyncio.gather(
        reader.consumer.replay(), reader.consumer.apply(records("a", *range(30, 60)))
    )
    assert await reader.seen("a") == list(range(1, 60))
    assert not await reader.parked("a")


async def test_a_refusal_of_the_moment_is_waited_for(reader: Reader) -> None:
    refusals = 7

    async def busy(tx: Transaction, event: Any) -> None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise Unavailable("a peer is away")
        await reader.see(tx, event)

    consumer = Consumer(
        reader.probe.database, {EVENT: busy}, service=SERVICE, dead_letters=reader.dead
    )
    await consumer.apply(records("a", 1))
    assert await reader.seen("a") == [1]
    assert not refusals
    assert not reader.dead.letters


async def test_a_consumer_killed_before_its_commit_leaves_one_effect(reader: Reader) -> None:
    """The task ends between the effect and the commit; the broker delivers again."""
    reached = asyncio.Event()

    async def stuck(tx: Transaction, event: Any) -> None:
        await reader.see(tx, event)
        reached.set()
        await asyncio.sleep(60)

    dying = Consumer(
        reader.probe.database, {EVENT: stuck}, service=SERVICE, dead_letters=reader.dead
    )
    batch = records("a", 1)
    task = asyncio.create_task(dying.apply(batch))
    await reached.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert await reader.seen("a") == []
    await reader.consumer.apply(batch)
    await reader.consumer.apply(batch)
    assert await reader.seen("a") == [1]


async def test_a_key_may_begin_late_where_the_topic_has_dropped_its_start(reader: Reader) -> None:
    await reader.consumer.apply(records("a", 7, 8))
    assert await reader.seen("a") == [7, 8]


async def test_a_late_joiner_goes_on_after_its_seed(reader: Reader) -> None:
    await reader.probe.database.run(
        lambda tx: inbox.seed(tx, EVENT, consumer=SERVICE, key="a", sequence=3)
    )
    await reader.consumer.apply(records("a", 1, 2, 3, 4))
    assert await reader.seen("a") == [4]
    assert not reader.dead.letters


async def test_two_events_of_one_sequence_are_a_defect_that_blocks_nothing(
    reader: Reader,
) -> None:
    await reader.consumer.apply([*records("a", 1, 2), *records("a", 2), *records("a", 3)])
    assert await reader.seen("a") == [1, 2, 3]
    assert "SequenceTaken" in reader.dead.letters[0][2]["ironloop_error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"ce_id": "x"},
        {"ce_sequence": "x"},
        {"ce_sequence": "0"},
        {"ce_sequence": str(2**63)},
        {"ce_type": "a\0b"},
    ],
)
async def test_what_is_no_event_is_buried_and_passed_over(
    reader: Reader, headers: dict[str, str]
) -> None:
    await reader.consumer.apply([record("a", 1, **headers), *records("a", 1)])
    assert await reader.seen("a") == [1]
    assert len(reader.dead.letters) == 1


async def test_a_strangers_record_is_buried_and_passed_over(reader: Reader) -> None:
    alien = Record(topic=TOPIC, partition=0, offset=0, key="", headers={}, payload=b"?")
    await reader.consumer.apply([alien, *records("a", 1)])
    assert await reader.seen("a") == [1]
    assert len(reader.dead.letters) == 1


async def test_an_event_that_nobody_handles_counts_for_the_order(reader: Reader) -> None:
    await reader.consumer.apply(
        [record("a", 1), record("a", 2, ce_type="ironloop.other.Event"), record("a", 3)]
    )
    assert await reader.seen("a") == [1, 3]


async def test_the_inbox_forgets_old_events_and_still_knows_where_a_key_stands(
    reader: Reader,
) -> None:
    batch = records("a", 1, 2, 3)
    await reader.consumer.apply(batch)
    async with reader.probe.database.read() as connection:
        await connection.execute("update inbox set create_time = now() - interval '31 days'")
        await inbox.forget_old(connection)
    assert await reader.probe.ask("select count(*) from inbox") == 1
    await reader.consumer.apply(batch)
    assert await reader.seen("a") == [1, 2, 3]
    assert not reader.dead.letters


async def test_nothing_is_lost_when_the_database_goes_away_in_the_middle(reader: Reader) -> None:
    killed = False

    async def cut(tx: Transaction, event: parties_events_pb2.PartyRolesChanged) -> None:
        nonlocal killed
        await reader.see(tx, event)
        if event.sequence == 2 and not killed:
            killed = True
            await tx.connection.execute("select pg_terminate_backend(pg_backend_pid())")

    consumer = Consumer(
        reader.probe.database, {EVENT: cut}, service=SERVICE, dead_letters=reader.dead
    )
    await consumer.apply(records("a", 1, 2, 3))
    assert killed
    assert await reader.seen("a") == [1, 2, 3]

    async def at_rest() -> bool:
        return not await reader.parked("a")

    await until(at_rest, what="nothing parked")
