"""The outbox and its relay: everything that commits leaves, in order, once the broker takes it."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from ironloop.parties.v1 import parties_pb2

from services.kit.connection import Row
from services.kit.contract import ContractError
from services.kit.outbox import PAYLOAD_BYTES_MAX
from services.kit.relay import EventLog, Relay
from services.kit.transaction import Transaction
from tests.integration.kit.probe import EVENT, Probe, until

WRITERS = 8
EVENTS_EACH = 150
AGGREGATES = 3


class KeptLog:
    """An event log in memory that takes what it is told to take."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int]] = []
        self.takes_max = 10_000
        self.asked = 0

    async def publish(self, rows: Sequence[Row]) -> int:
        """Keep the first rows."""
        self.asked += 1
        taken = rows[: self.takes_max]
        self.rows += [(row["key"], int(row["headers"]["ce_sequence"])) for row in taken]
        return len(taken)


@asynccontextmanager
async def relaying(probe: Probe, log: EventLog) -> AsyncIterator[Relay]:
    relay = Relay(probe.dsn, log)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def is_empty(probe: Probe) -> bool:
    return bool(await probe.ask("select count(*) = 0 from outbox"))


def sequences(rows: list[tuple[str, int]]) -> dict[str, list[int]]:
    by_key: dict[str, list[int]] = defaultdict(list)
    for key, sequence in rows:
        by_key[key].append(sequence)
    return by_key


async def test_late_commits_neither_lose_nor_invert_events(probe: Probe) -> None:
    log = KeptLog()

    async def write(writer: int) -> None:
        dice = random.Random(writer)

        async def work(tx: Transaction) -> None:
            for key in sorted(dice.sample(range(AGGREGATES), k=dice.choice([1, 1, 2]))):
                await probe.bump(tx, f"hot/{key}")
            if dice.random() < 0.1:
                await asyncio.sleep(dice.random() * 0.02)  # commits long after it took its number

        for _ in range(EVENTS_EACH):
            await probe.database.run(work)

    async with relaying(probe, log) as relay:
        probe.database.after_commit(lambda _: relay.woken.set())
        await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
        await until(lambda: is_empty(probe), what="an empty outbox")
    made = await probe.ask("select sum(sequence) from counter")
    assert made >= WRITERS * EVENTS_EACH
    assert log.asked > 10, "the relay never read while writers were at work"
    for key, found in sequences(log.rows).items():
        assert found == list(range(1, len(found) + 1)), key
    assert len(log.rows) == made


async def test_what_is_not_acknowledged_waits_in_order(probe: Probe) -> None:
    log = KeptLog()
    log.takes_max = 3
    for _ in range(10):
        await probe.database.run(lambda tx: probe.bump(tx, "one"))
    async with relaying(probe, log):
        await until(lambda: is_empty(probe), what="an empty outbox")
    assert sequences(log.rows)["one"] == list(range(1, 11))
    assert log.asked >= 4


async def test_one_relay_leads_and_another_takes_over(probe: Probe) -> None:
    first, second = KeptLog(), KeptLog()
    async with relaying(probe, first):
        await probe.database.run(lambda tx: probe.bump(tx, "one"))
        await until(lambda: is_empty(probe), what="an empty outbox")
        async with relaying(probe, second):
            await probe.database.run(lambda tx: probe.bump(tx, "one"))
            await until(lambda: is_empty(probe), what="an empty outbox")
            assert not second.rows
            await probe.ask(
                """
                select count(pg_terminate_backend(l.pid)) from pg_locks l
                join pg_stat_activity a on a.pid = l.pid
                where l.locktype = 'advisory' and l.granted and a.datname = current_database()
                """
            )
            await probe.database.run(lambda tx: probe.bump(tx, "one"))
            await until(lambda: is_empty(probe), what="an empty outbox")
    together = sequences(first.rows + second.rows)["one"]
    assert sorted(together) == [1, 2, 3]


async def test_a_relay_outlives_a_log_that_raises(probe: Probe) -> None:
    class Raising(KeptLog):
        async def publish(self, rows: Sequence[Row]) -> int:
            if self.asked == 0:
                self.asked += 1
                raise RuntimeError("a defect of the producer")
            return await super().publish(rows)

    log = Raising()
    await probe.database.run(lambda tx: probe.bump(tx, "one"))
    async with relaying(probe, log):
        await until(lambda: is_empty(probe), what="an empty outbox")
    assert log.rows == [("one", 1)]


async def test_an_event_without_key_or_sequence_is_never_written(probe: Probe) -> None:
    for event in (EVENT(party="one"), EVENT(sequence=1), EVENT(party="one", sequence=-1)):
        with pytest.raises(ValueError, match="key and a sequence"):
            await probe.database.run(lambda tx, event=event: tx.emit(event))  # type: ignore[misc]
    with pytest.raises(ValueError, match="too large"):
        await probe.database.run(
            lambda tx: tx.emit(EVENT(party="x" * (PAYLOAD_BYTES_MAX + 1), sequence=1))
        )
    with pytest.raises(ContractError):
        await probe.database.run(lambda tx: tx.emit(parties_pb2.Party(name="x")))
    assert await is_empty(probe)
