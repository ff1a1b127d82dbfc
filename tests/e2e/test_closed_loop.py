"""The closed loop on every service, with real PostgreSQL and real Kafka.

The acts are the demo's own; here the services are stopped and started again between them, so what
carries on must have been in the databases and in the topics.
"""

import importlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from ironloop.finance.v1 import finance_pb2, finance_pb2_grpc
from ironloop.leasing.v1 import leasing_pb2, leasing_pb2_grpc
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc

from infra.local.business_time import BusinessTime
from infra.local.demo.act_breakdown import AS_NEW, BROKEN, MERELY_MENDED
from infra.local.demo.act_value import olv_fen
from infra.local.demo.cast import Cast
from infra.local.demo.checks import run_checks
from infra.local.demo.events import Ground
from infra.local.demo.fleet import OWN_PAGE, read_fleet
from infra.local.demo.life import life_of
from infra.local.demo.money import holdings
from infra.local.demo.narrator import Narrator
from infra.local.demo.scene import Scene
from infra.local.demo.story import ACTS, Act, Story, tell_story
from services.kit.service import ServiceDefinition
from tests.support.world import SERVICES, World

WORKING = tuple(name for name in SERVICES if name != "parties")
# What is stopped and started again, by the act before it: each service in the middle of its part,
# and in the middle of the term all of them.
RESTARTS: dict[Act, tuple[str, ...]] = {
    Story.offer: ("marketplace", "valuation"),
    Story.buy: ("settlement", "procurement"),
    Story.remanufacture: ("remanufacturing",),
    Story.borrow: ("finance", "marketplace"),
    Story.lease: ("leasing", "maintenance"),
    Story.first_year: WORKING,
    Story.factor: ("finance", "leasing"),
    Story.break_down: ("maintenance", "valuation"),
    Story.mend: ("maintenance", "remanufacturing", "finance"),
    Story.give_back: ("leasing", "marketplace"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def loop_world(kafka_world: World) -> AsyncIterator[World]:
    """Return a world in which every service runs."""
    await kafka_world.start(*(definition_of(name) for name in WORKING))
    yield kafka_world


def definition_of(service: str) -> ServiceDefinition:
    """Return a service's definition."""
    definition: ServiceDefinition = importlib.import_module(
        f"services.{service}.definition"
    ).DEFINITION
    return definition


async def scene_in(world: World) -> Scene:
    """Return the demo's scene with a cast of its own."""
    foreman = await world.party("TECHNICIAN")
    remanufacturer = await world.party("REMANUFACTURER")
    cast = Cast(
        manufacturer=await world.party("SELLER"),
        dealer=await world.party("SELLER", "BUYER", "LESSOR"),
        lessee=await world.party("LESSEE"),
        financier=await world.party("FUNDER"),
        inspector=await world.party("TECHNICIAN"),
        buyers=(await world.party("BUYER"), await world.party("BUYER")),
        operator=world.operator,
        second_lender=await world.party("FUNDER"),
        bidder=await world.party("BUYER"),
        foreman=foreman,
        technician=await world.user(foreman.party, "TECHNICIAN"),
        remanufacturer=remanufacturer,
        certifier=await world.user(remanufacturer.party, "REMANUFACTURER"),
    )
    time = BusinessTime(world.operator, lambda: world.running, with_broker=True)
    fleet = read_fleet(OWN_PAGE, today=world.today())
    return Scene(
        cast=cast, time=time, narrator=Narrator(), page=fleet.document, fleet=fleet.machines
    )


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


@pytest.mark.timeout(600)
async def test_the_loop_closes_over_restarts_of_every_service(loop_world: World) -> None:
    world = loop_world
    scene = await scene_in(world)
    acts = iter([act for _, act in ACTS])

    async def carry_on(_: Story) -> None:
        if names := RESTARTS.get(next(acts)):
            await restart(world, *names)

    story = await tell_story(scene, after=carry_on)
    await world.until_at_rest()
    ground = Ground(
        services=tuple(world.running),
        dsn=world.dsn,
        kafka_bootstrap=world.bootstrap,
        prefix=world.prefix,
    )
    told = await run_checks(scene, ground, story.subjects)

    assert told.amiss == {}
    failed = [name for name, is_ok in scene.checks.items() if not is_ok]
    assert scene.checks and failed == []
    await _ends_where_it_must(world, story)


async def _ends_where_it_must(world: World, story: Story) -> None:
    """Look at what the checks do not: who has what at the end, and that nothing was left out."""
    scene, cast = story.scene, story.scene.cast
    assert story.course is not None
    registry = world.operator.stub(machines_pb2_grpc.MachineServiceStub)
    sold = await registry.GetMachine(machines_pb2.GetMachineRequest(name=story.main))
    buyers = {actor.party for actor in (*cast.buyers, cast.bidder)}
    assert sold.title_holder in buyers and sold.custodian == sold.title_holder
    assert not sold.liens
    assert [component.kind for component in sold.components] == ["ENGINE"]
    life = [moment.what for moment in await life_of(scene, story.main)]
    assert [what for what in life if what.startswith("title")] == [
        f"title: {who}" for who in ("manufacturer", "dealer", cast.name_of(sold.title_holder))
    ]
    (signed,) = story.course.leases
    ended = await cast.dealer.stub(leasing_pb2_grpc.LeasingServiceStub).GetLease(
        leasing_pb2.GetLeaseRequest(name=signed.name)
    )
    assert ended.state == leasing_pb2.LEASE_STATE_CLOSED
    finance = cast.dealer.stub(finance_pb2_grpc.FinanceServiceStub)
    for draw in story.course.draws:
        repaid = await finance.GetDraw(finance_pb2.GetDrawRequest(name=draw.name))
        assert repaid.state == finance_pb2.DRAW_STATE_REPAID
    values = {moment: olv_fen(value) for moment, value in scene.values.items()}
    assert values[BROKEN] < values[MERELY_MENDED] < values[AS_NEW]
    assert sum(one.holds_fen for one in await holdings(scene)) == 0
    claimants = {claimant for claimant, _, _ in scene.waterfall}
    assert {"senior principal", "junior", "lessor residual", "surplus"} <= claimants
