"""A broker that lost its log is fed again: the same events, byte for byte, under the same ids."""

import asyncio
from datetime import UTC, datetime

import pytest
from ironloop.settlement.v1.settlement_pb2 import Transfer
from kafka import KafkaConsumer, TopicPartition

from infra.local.kafka import create_topics
from services.kit.kafka_log import KafkaEventLog
from services.settlement.definition import DEFINITION
from services.settlement.events import EVENT_TRANSFERS_MAX, transfer_to_wire
from services.settlement.republish import BrokerSilent, republish
from services.settlement.transfer import Posted, Standing
from services.settlement.wire import transfer_of
from tests.integration.settlement.ledger_client import (
    PENDING,
    POST_PENDING,
    LedgerClient,
    codes,
    transfer,
)
from tests.support.world import World

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LOST = "lost."  # stands for a broker whose log is gone: a topic that was never written


def records(bootstrap: str, topic: str) -> list[tuple[bytes, dict[str, bytes], bytes]]:
    """Return key, headers and payload of what a topic holds."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    try:
        parts = [TopicPartition(topic, part) for part in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(parts)
        ends = consumer.end_offsets(parts)
        found = []
        while any(consumer.position(part) < ends[part] for part in parts):
            for batch in consumer.poll(timeout_ms=200).values():
                found += [(record.key, dict(record.headers), record.value) for record in batch]
        return found
    finally:
        consumer.close()


async def test_events_made_anew_are_the_events_that_were_lost(kafka_world: World) -> None:
    await kafka_world.start(DEFINITION)
    client = LedgerClient(kafka_world, kafka_world.service("finance"))
    payer, payee = await client.funded_wallets(2, 100_000)
    hold = transfer(payer, payee, 50, kind=PENDING)
    assert codes(await client.post(hold)) == ["CREATED"]
    await client.post(
        transfer(0, 0, 20, kind=POST_PENDING, pending_id=hold.id),
        transfer(payer, payee, 9 * 10**9),
        transfer(payer, payee, 3, memo="第一期"),
    )
    await client.post(*(transfer(payer, payee, 1) for _ in range(EVENT_TRANSFERS_MAX + 1)))
    await kafka_world.until_at_rest()

    database = kafka_world.running["settlement"].runtime.database
    topic = f"{kafka_world.prefix}settlement.ledger.v1"
    await asyncio.to_thread(create_topics, kafka_world.bootstrap, [f"{LOST}{topic}"])
    said: list[str] = []
    log = KafkaEventLog(
        kafka_world.bootstrap, client_id="republish", prefix=f"{LOST}{kafka_world.prefix}"
    )
    done = await republish(database, log, since=LONG_AGO, say=said.append)
    later = await republish(database, log, since=datetime(9000, 1, 1, tzinfo=UTC), say=said.append)
    await log.close()

    first = await asyncio.to_thread(records, kafka_world.bootstrap, topic)
    again = await asyncio.to_thread(records, kafka_world.bootstrap, f"{LOST}{topic}")
    assert [payload for _, _, payload in again] == [payload for _, _, payload in first]
    kept = ("ce_id", "ce_sequence", "ce_type", "ce_time", "ce_source", "ce_subject")
    for (key, headers, _), (key_again, headers_again, _) in zip(first, again, strict=True):
        assert key == key_again
        assert [headers[name] for name in kept] == [headers_again[name] for name in kept]
    assert done.events == len(first) > 0
    assert done.unlike == []
    assert later.events == 0
    assert said


async def test_a_broker_that_takes_nothing_is_told_of(
    kafka_world: World,
) -> None:
    database = kafka_world.running["settlement"].runtime.database

    class Silent(KafkaEventLog):
        async def publish(self, rows: object) -> int:
            return 0

    with pytest.raises(BrokerSilent):
        await republish(database, Silent("nowhere", client_id="x"), since=LONG_AGO, say=print)


def test_the_message_that_brought_a_transfer_is_the_one_that_tells_of_it() -> None:
    sent = transfer(1_000_000_000_001, 1_000_000_000_002, 7, memo="第一期", purpose="leases/1")
    unknown = Transfer.FromString(sent.SerializeToString() + b"\xfa\x7f\x02hi")
    for message in (sent, unknown):
        message.DiscardUnknownFields()
        row = transfer_of(message)
        posted = Posted(row, 1, 0, LONG_AGO, Standing(0, 0), Standing(0, 0))
        assert message.SerializeToString(deterministic=True) == transfer_to_wire(
            posted
        ).SerializeToString(deterministic=True)
