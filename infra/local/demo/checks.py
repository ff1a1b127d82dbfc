"""What must be true once the story is told, looked up through the API, the topics, the inboxes."""

import asyncio
import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import asyncpg
from ironloop.kit.v1 import operator_pb2, operator_pb2_grpc
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc
from ironloop.valuation.v1 import valuation_pb2, valuation_pb2_grpc
from kafka import KafkaConsumer, TopicPartition

from infra.local.databases import dsn_of
from infra.local.demo.scene import MAIN_LEDGER, Scene
from infra.local.environment import Addresses, database_of
from services.kit.contract import dead_letter_topic, event_of, event_topics
from services.kit.service import ServiceDefinition


@dataclass(frozen=True, slots=True)
class EventCount:
    """The events of one topic.

    Attributes:
        consumed: By consumer, how many of them it has applied.
    """

    topic: str
    published: int
    consumed: dict[str, int]
    dead: int


async def run_checks(scene: Scene, addresses: Addresses) -> list[EventCount]:
    """Add every check to the scene, and return the events by topic."""
    scene.checks["the ledger sums to zero"] = await _ledger_balances(scene)
    scene.checks["one title and one custody a machine at each instant"] = await _histories_hold(
        scene
    )
    scene.checks["every valuation replays byte for byte"] = await _valuations_replay(scene)
    scene.checks["no saga is left open"] = await _sagas_are_done(scene, addresses.services)
    events = await count_events(addresses)
    scene.checks["every event was consumed once"] = all(
        count.dead == 0 and all(done == count.published for done in count.consumed.values())
        for count in events
    )
    return events


async def count_events(addresses: Addresses) -> list[EventCount]:
    """Count what is in each topic, and what each consumer's inbox says it has applied."""
    topics = event_topics()
    published = await asyncio.to_thread(
        _records_in, addresses.kafka_bootstrap, [*topics, *map(dead_letter_topic, topics)]
    )
    consumed: dict[str, dict[str, int]] = {topic: {} for topic in topics}
    for service in addresses.services:
        for topic, count in (await _applied(service, addresses.postgres_dsn)).items():
            consumed[topic][service] = count
    return [
        EventCount(topic, published[topic], consumed[topic], published[dead_letter_topic(topic)])
        for topic in topics
    ]


async def _ledger_balances(scene: Scene) -> bool:
    ledger = scene.cast.operator.stub(settlement_pb2_grpc.SettlementServiceStub)
    balance = await ledger.GetTrialBalance(
        settlement_pb2.GetTrialBalanceRequest(ledger=MAIN_LEDGER)
    )
    return balance.is_balanced and balance.transfer_count > 0


async def _histories_hold(scene: Scene) -> bool:
    registry = scene.cast.operator.stub(machines_pb2_grpc.MachineServiceStub)
    for machine in scene.machines.values():
        titles = await registry.ListTitleHistory(
            machines_pb2.ListTitleHistoryRequest(machine=machine, page_size=200)
        )
        custodies = await registry.ListCustodyHistory(
            machines_pb2.ListCustodyHistoryRequest(machine=machine, page_size=200)
        )
        if not (_follow_on(titles.intervals) and _follow_on(custodies.intervals)):
            return False
    return bool(scene.machines)


def _follow_on(
    intervals: Sequence[machines_pb2.TitleInterval] | Sequence[machines_pb2.CustodyInterval],
) -> bool:
    """Whether each interval begins where the one before ended, and only the last is open."""
    starts = [interval.start_time.ToNanoseconds() for interval in intervals]
    ends = [
        interval.end_time.ToNanoseconds() if interval.HasField("end_time") else None
        for interval in intervals
    ]
    return bool(starts) and ends[:-1] == starts[1:] and ends[-1] is None


async def _valuations_replay(scene: Scene) -> bool:
    for name, actor in scene.valuations.items():
        answer = await actor.stub(valuation_pb2_grpc.ValuationServiceStub).ReplayValuation(
            valuation_pb2.ReplayValuationRequest(name=name)
        )
        if answer.outcome != valuation_pb2.REPLAY_OUTCOME_MATCH:
            return False
    return bool(scene.valuations)


async def _sagas_are_done(scene: Scene, services: Iterable[str]) -> bool:
    for service in services:
        operator = scene.cast.operator.stub(operator_pb2_grpc.OperatorServiceStub, service=service)
        answer = await operator.ListSagas(
            operator_pb2.ListSagasRequest(state=operator_pb2.SAGA_STATE_RUNNING)
        )
        if answer.sagas:
            return False
    return True


async def _applied(service: str, server_dsn: str) -> dict[str, int]:
    """Return by topic how many events a service has applied; parked ones are not."""
    definition: ServiceDefinition = importlib.import_module(
        f"services.{service}.definition"
    ).DEFINITION
    topics = {event_of(event.DESCRIPTOR).topic for event in definition.consumes}
    connection = await asyncpg.connect(dsn_of(server_dsn, database=database_of(service)))
    try:
        rows = await connection.fetch(
            "select topic, count(distinct event_id) as applied from inbox group by topic"
        )
    finally:
        await connection.close()
    counts = {row["topic"]: row["applied"] for row in rows}
    return {topic: counts.get(topic, 0) for topic in topics}


def _records_in(bootstrap: str, topics: list[str]) -> dict[str, int]:
    """Return how many records each topic holds."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    try:
        counts = {}
        for topic in topics:
            numbers = consumer.partitions_for_topic(topic) or set()
            partitions = [TopicPartition(topic, number) for number in numbers]
            counts[topic] = sum(consumer.end_offsets(partitions).values()) if partitions else 0
        return counts
    finally:
        consumer.close()
