"""Failure stories: an answer that is lost, a service that is killed, a broker that is down."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import grpc
import pytest
import pytest_asyncio
from ironloop.settlement.v1 import settlement_events_pb2 as events
from ironloop.settlement.v1 import settlement_pb2 as pb
from ironloop.settlement.v1 import settlement_pb2_grpc as rpc
from kafka import KafkaConsumer, TopicPartition

from services.kit.clients import CHANNEL_OPTIONS
from services.settlement.definition import DEFINITION
from tests.integration.settlement.faults import Wire, kill, start_process
from tests.integration.settlement.ledger_client import LedgerClient, codes, transfer
from tests.support import servers
from tests.support.world import World

NOBODY_LISTENS = "127.0.0.1:1"
TOPIC = "settlement.ledger.v1"
READ_WITHIN_S = 60.0
COMMITS_WITHIN_S = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(kafka_world: World) -> AsyncIterator[LedgerClient]:
    """Return a caller of a settlement whose broker is down."""
    await kafka_world.start(DEFINITION, kafka_bootstrap=NOBODY_LISTENS)
    yield LedgerClient(kafka_world, kafka_world.service("procurement"))


async def test_a_service_killed_between_commit_and_answer_has_moved_money_once(
    client: LedgerClient,
) -> None:
    world = client.world
    payer, payee = await client.funded_wallets(2, 1_000)
    await world.stop("settlement")
    process = await start_process(world)
    rows = [transfer(payer, payee, 100), transfer(payer, payee, 5_000)]
    async with Wire(world.ports["settlement"]).open() as wire:
        address = f"127.0.0.1:{wire.port}"
        async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
            await channel.channel_ready()
            stub = rpc.SettlementServiceStub(channel)
            wire.loses_answers = True
            call = asyncio.ensure_future(
                stub.PostTransfers(
                    pb.PostTransfersRequest(transfers=rows),
                    timeout=COMMITS_WITHIN_S,
                    metadata=[("authorization", f"Bearer {client.actor.token}")],
                )
            )
            await until_committed(world, rows[0].id)
            await kill(process)
            with pytest.raises(grpc.aio.AioRpcError):
                await call
    process = await start_process(world)
    try:
        assert codes(await client.post(*rows)) == ["EXISTS", "EXCEEDS_CREDITS"]
        assert await client.balance_fen(payer) == 900
        assert codes(await client.post(*rows)) == ["EXISTS", "EXCEEDS_CREDITS"]
    finally:
        await kill(process)
    await restart(world, NOBODY_LISTENS)


async def restart(world: World, bootstrap: str) -> None:
    """Start settlement in process again, and return once the world's channel reaches it."""
    await world.start(DEFINITION, kafka_bootstrap=bootstrap)
    await world.channel("settlement").channel_ready()


async def until_committed(world: World, transfer_id: str) -> None:
    """Return once a transfer is in the ledger."""
    connection = await asyncpg.connect(world.dsn("settlement"))
    deadline = time.monotonic() + COMMITS_WITHIN_S
    try:
        while not await connection.fetchval(
            "select true from transfer where id = $1", UUID(transfer_id)
        ):
            assert time.monotonic() < deadline, "nothing was ever committed"
            await asyncio.sleep(0.01)
    finally:
        await connection.close()


async def test_with_the_broker_down_money_moves_and_its_events_arrive_later_in_order(
    client: LedgerClient,
) -> None:
    world = client.world
    payer, payee = await client.funded_wallets(2, 10_000)
    sent = [[transfer(payer, payee, 1) for _ in range(size)] for size in (3, 1_200, 1, 40)]
    for batch in sent:
        assert set(codes(await client.post(*batch))) == {"CREATED"}
    async with world.running["settlement"].runtime.database.read() as connection:
        waiting = await connection.fetchval("select count(*) from outbox")
        posted = await connection.fetchval("select transfer_count from ledger where id = 1")
        last = await connection.fetchval("select event_sequence from ledger where id = 1")
    assert waiting >= 6
    await world.stop("settlement")
    await restart(world, world.bootstrap)
    received = await asyncio.to_thread(read_events, world, last)
    assert [event.sequence for event in received] == list(range(1, last + 1))
    assert max(len(event.transfers) for event in received) == 500
    number = 1
    for event in received:
        assert event.ledger == "ledgers/1"
        assert event.first_number == number
        number += len(event.transfers)
    assert number == posted + 1
    ids = [row.id for event in received for row in event.transfers]
    assert len(set(ids)) == len(ids)
    assert {row.id for batch in sent for row in batch} <= set(ids)
    await world.until_at_rest()


def read_events(world: World, last: int) -> list[events.TransfersPosted]:
    """Return the events of the ledger's topic up to a sequence, each once, as they stand in it.

    A relay that was killed may have published its last events twice: at least once is the rule.
    """
    topic = f"{world.prefix}{TOPIC}"
    consumer = KafkaConsumer(
        bootstrap_servers=servers.kafka_bootstrap(), auto_offset_reset="earliest"
    )
    received: dict[int, events.TransfersPosted] = {}
    try:
        partitions = consumer.partitions_for_topic(topic)
        consumer.assign([TopicPartition(topic, partition) for partition in partitions])
        deadline = time.monotonic() + READ_WITHIN_S
        while last not in received:
            assert time.monotonic() < deadline, f"{len(received)} of {last} events arrived"
            for records in consumer.poll(timeout_ms=200).values():
                for record in records:
                    assert record.key == b"ledgers/1"
                    event = events.TransfersPosted.FromString(record.value)
                    assert received.setdefault(event.sequence, event) == event
    finally:
        consumer.close()
    return list(received.values())
