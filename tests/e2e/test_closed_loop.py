"""The closed loop on every service, with real PostgreSQL and real Kafka.

The acts are the demo's own; here the services are stopped and started again between them, so what
carries on must have been in the databases and in the topics.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from ironloop.kit.v1 import operator_pb2, operator_pb2_grpc
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc
from kafka import KafkaConsumer, TopicPartition

from infra.local.business_time import BusinessTime
from infra.local.demo.act_finance import draw_on, factor_tail
from infra.local.demo.act_lease import (
    TERM_MONTHS,
    buy_out,
    lease_out,
    pay_assignee,
    pay_months,
    publish_programme,
)
from infra.local.demo.act_trade import (
    buy_listed,
    buy_pooled,
    fund_wallets,
    import_fleet,
    list_machines,
)
from infra.local.demo.cast import Cast
from infra.local.demo.fleet import OWN_PAGE, read_fleet
from infra.local.demo.narrator import Narrator
from infra.local.demo.scene import MAIN_LEDGER, Scene
from infra.local.demo.story import cast_machines
from services.kit.contract import dead_letter_topic, event_of
from services.kit.service import ServiceDefinition
from tests.support.world import SERVICES, World

TRADING = tuple(name for name in SERVICES if name != "parties")
MONTHS = 2  # the demo pays twelve; two are enough to carry on over a restart


def definition_of(service: str) -> ServiceDefinition:
    """Return a service's definition."""
    definition: ServiceDefinition = importlib.import_module(
        f"services.{service}.definition"
    ).DEFINITION
    return definition


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def loop_world(kafka_world: World) -> AsyncIterator[World]:
    """Return a world in which every service runs."""
    await kafka_world.start(*(definition_of(name) for name in TRADING))
    yield kafka_world


async def scene_in(world: World) -> Scene:
    """Return the demo's scene with a cast of its own."""
    cast = Cast(
        manufacturer=await world.party("SELLER"),
        dealer=await world.party("SELLER", "BUYER", "LESSOR"),
        lessee=await world.party("LESSEE"),
        financier=await world.party("FUNDER"),
        inspector=await world.party("TECHNICIAN"),
        buyers=(await world.party("BUYER"), await world.party("BUYER")),
        operator=world.operator,
    )
    time = BusinessTime(world.operator, lambda: world.running, with_broker=True)
    fleet = read_fleet(OWN_PAGE, today=world.today())
    return Scene(cast=cast, time=time, narrator=Narrator(), fleet=fleet.machines)


async def restart(world: World, *names: str) -> None:
    """Stop services, start them again on what their databases hold, and wait for their peers."""
    for name in names:
        await world.stop(name)
    await world.start(*(definition_of(name) for name in names))
    for name in names:
        await world.channel(name).channel_ready()
    for service in world.running.values():
        for channel in service.runtime.peers._channels.values():
            await channel.channel_ready()


@pytest.mark.timeout(400)
async def test_the_loop_closes_over_restarts_of_every_service(loop_world: World) -> None:
    world = loop_world
    scene = await scene_in(world)
    await fund_wallets(scene)
    await import_fleet(scene)
    pooled, offered = cast_machines(scene.fleet)
    first, *_ = await list_machines(scene, offered)
    await restart(world, "marketplace", "valuation")
    single = await buy_listed(scene, first)
    await restart(world, "settlement", "procurement")
    financed = (await buy_pooled(scene, pooled, guide_fen=first.guide_fen))[0]
    draw = await draw_on(scene, financed)
    await restart(world, "finance", "marketplace")
    programme = await publish_programme(scene)
    factored = await lease_out(scene, programme, financed)
    other = await lease_out(scene, programme, single)
    await restart(world, "leasing", "settlement")
    await pay_months(scene, [factored, other], draw, MONTHS)
    await restart(world, *TRADING)
    await factor_tail(scene, factored.name, from_number=MONTHS + 1, to_number=TERM_MONTHS)
    await buy_out(scene, other)
    await restart(world, "finance", "leasing")
    await pay_assignee(scene, factored, MONTHS + 1)
    await world.until_at_rest()

    assert scene.checks and all(scene.checks.values()), scene.checks
    leased = await _machine(world, financed.machine)
    assert (leased.title_holder, leased.custodian, leased.custody) == (
        scene.cast.dealer.party,
        scene.cast.lessee.party,
        machines_pb2.CUSTODY_ON_LEASE,
    )
    bought_out = await _machine(world, single.machine)
    assert (bought_out.title_holder, bought_out.custody) == (
        scene.cast.lessee.party,
        machines_pb2.CUSTODY_AVAILABLE,
    )
    assert await _ledger_is_balanced(world)
    assert await _running_sagas(world) == []
    assert await _events_amiss(world) == {}


async def _machine(world: World, name: str) -> machines_pb2.Machine:
    registry = world.operator.stub(machines_pb2_grpc.MachineServiceStub)
    return await registry.GetMachine(machines_pb2.GetMachineRequest(name=name))


async def _ledger_is_balanced(world: World) -> bool:
    ledger = world.operator.stub(settlement_pb2_grpc.SettlementServiceStub)
    balance = await ledger.GetTrialBalance(
        settlement_pb2.GetTrialBalanceRequest(ledger=MAIN_LEDGER)
    )
    return balance.is_balanced


async def _running_sagas(world: World) -> list[str]:
    running = []
    for name in world.running:
        operator = world.operator.stub(operator_pb2_grpc.OperatorServiceStub, service=name)
        listed = await operator.ListSagas(
            operator_pb2.ListSagasRequest(state=operator_pb2.SAGA_STATE_RUNNING)
        )
        running += [saga.name for saga in listed.sagas]
    return running


async def _events_amiss(world: World) -> dict[str, str]:
    """Return, by consumer and topic, where events were not applied once each, in order."""
    amiss = {}
    for name, service in world.running.items():
        topics = {event_of(event.DESCRIPTOR).topic for event in service.definition.consumes}
        published = await asyncio.to_thread(_records_in, world, sorted(topics))
        connection = await asyncpg.connect(world.dsn(name))
        try:
            rows = await connection.fetch(
                """
                select topic, count(*) as applied, count(distinct event_id) as events,
                    bool_and(in_order) as in_order
                from (select topic, event_id, sequence = row_number() over (
                        partition by topic, key order by sequence) as in_order from inbox) as one
                group by topic
                """
            )
        finally:
            await connection.close()
        applied = {row["topic"]: row for row in rows}
        for topic in topics:
            row = applied.get(topic)
            counts = (row["applied"], row["events"]) if row else (0, 0)
            if counts != (published[topic],) * 2 or (row and not row["in_order"]):
                amiss[f"{name} of {topic}"] = f"{counts} of {published[topic]}"
            if published[dead_letter_topic(topic)]:
                amiss[f"{name}'s dead letters"] = topic
    return amiss


def _records_in(world: World, topics: list[str]) -> dict[str, int]:
    """Return how many records topics and their dead letters hold."""
    consumer = KafkaConsumer(bootstrap_servers=world.bootstrap)
    try:
        counts = {}
        for topic in [*topics, *map(dead_letter_topic, topics)]:
            numbers = consumer.partitions_for_topic(world.prefix + topic) or set()
            partitions = [TopicPartition(world.prefix + topic, number) for number in numbers]
            counts[topic] = sum(consumer.end_offsets(partitions).values()) if partitions else 0
        return counts
    finally:
        consumer.close()
