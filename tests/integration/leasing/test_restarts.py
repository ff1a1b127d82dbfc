"""A service stopped in the middle of a saga finishes it after its restart; money moves once."""

import asyncio
from decimal import Decimal

import grpc
import pytest
from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc

from services.kit import wire
from services.kit.service import ServiceDefinition
from services.leasing.definition import DEFINITION as LEASING
from services.maintenance.definition import DEFINITION as MAINTENANCE
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.leasing import ends
from tests.integration.leasing.fleet import DEPOSIT_FEN, FEE_FEN, Fleet, fen, leases, request_id
from tests.support.refusals import refused
from tests.support.world import World


async def step_of(fleet: Fleet) -> tuple[str, int] | None:
    """Return (kind, next step) of the saga under way at leasing, or None."""
    database = fleet.world.running["leasing"].runtime.database
    async with database.read() as connection:
        row = await connection.fetchrow(
            "select kind, step from saga where state = 'RUNNING' order by id desc limit 1"
        )
    return None if row is None else (row["kind"], row["step"])


async def until_step(fleet: Fleet, kind: str, step: int) -> None:
    async with asyncio.timeout(20):
        while await step_of(fleet) != (kind, step):  # noqa: ASYNC110  (a row has no event)
            await asyncio.sleep(0.02)


async def start_again(world: World, *definitions: ServiceDefinition) -> None:
    """Start stopped services, and wait until they are reached and have nothing left to do."""
    for definition in definitions:
        await world.start(definition)
        await world.channel(definition.name).channel_ready()
    await world.until_at_rest()


async def test_an_activation_goes_on_after_a_restart(fleet: Fleet) -> None:
    lease = await fleet.signed()
    await fleet.fund(fleet.lessee, 2 * (DEPOSIT_FEN + FEE_FEN))
    await fleet.accept(lease)
    world = fleet.world
    await world.stop("marketplace")  # deposit and fee are taken, the machine cannot be handed over
    request = pb.ActivateLeaseRequest(request_id=request_id(), name=lease.name, registry_no="ZD-1")
    call = asyncio.ensure_future(leases(fleet.lessor).ActivateLease(request))
    await until_step(fleet, "lease_activation", 1)
    assert await fleet.deposit(lease) == DEPOSIT_FEN
    await world.stop("leasing")
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        await call
    await start_again(world, MARKETPLACE, LEASING)
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_ACTIVE
    assert (await leases(fleet.lessor).ActivateLease(request)).state == pb.LEASE_STATE_ACTIVE
    assert await fleet.deposit(lease) == DEPOSIT_FEN
    assert await fleet.balance(fleet.lessee) == DEPOSIT_FEN + FEE_FEN
    assert len((await fleet.schedule(lease)).instalments) == 36


async def test_a_payment_goes_on_after_a_restart(fleet: Fleet) -> None:
    lease = await fleet.active(term_months=1)
    await fleet.until_payable(lease, 1)
    instalment = await fleet.instalment(lease, 1)
    owed_fen = fen(instalment.interest) + fen(instalment.principal)
    await fleet.fund(fleet.lessee, owed_fen + 7)
    world = fleet.world
    await world.stop("settlement")
    request = pb.PayInstalmentRequest(request_id=request_id(), name=lease.name)
    call = asyncio.ensure_future(leases(fleet.lessee).PayInstalment(request))
    await until_step(fleet, "lease_payment", 0)
    await world.stop("leasing")
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        await call
    await start_again(world, LEASING, SETTLEMENT)
    answer = await leases(fleet.lessee).PayInstalment(request)
    assert fen(answer.amount) == owed_fen
    assert await fleet.balance(fleet.lessee) == 7
    assert (await fleet.instalment(lease, 1)).state == pb.INSTALMENT_STATE_PAID


async def test_a_refused_hand_over_gives_deposit_and_fee_back(fleet: Fleet) -> None:
    lease = await fleet.signed()
    await fleet.fund(fleet.lessee, DEPOSIT_FEN + FEE_FEN)
    await fleet.accept(lease)
    # The hold ends behind leasing's back, so that marketplace refuses the hand-over.
    marketplace = fleet.world.service("leasing").stub(machines_pb2_grpc.MachineServiceStub)
    await marketplace.ReleaseMachine(
        machines_pb2.ReleaseMachineRequest(
            request_id=request_id(), name=lease.terms.machine, reference=lease.name
        )
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await fleet.activate(lease)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_SIGNED
    assert await fleet.deposit(lease) == 0
    assert await fleet.balance(fleet.lessor) == 0
    assert await fleet.balance(fleet.lessee) == DEPOSIT_FEN + FEE_FEN


async def test_hours_wait_for_maintenance_and_a_return_goes_on_with_them(fleet: Fleet) -> None:
    lease = await ends.matured(fleet)
    world = fleet.world
    await world.stop("maintenance")
    report = pb.ReportUsageRequest(
        request_id=request_id(), name=lease.name, hours_meter=wire.decimal(Decimal(150))
    )
    with refused("PEER_UNAVAILABLE") as refusal:
        await leases(fleet.lessee).ReportUsage(report)
    assert "maintenance" in refusal.status.message
    call = asyncio.ensure_future(ends.returned(fleet, lease))
    await until_step(fleet, "lease_return_confirmation", 1)
    await world.stop("leasing")
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        await call
    await start_again(world, MAINTENANCE, LEASING)
    returned = await fleet.read(lease)
    assert returned.state == pb.LEASE_STATE_RETURNED
    usage = await leases(fleet.lessor).GetUsage(pb.GetUsageRequest(name=lease.name))
    assert Decimal(usage.hours_meter.value) == 300
    # Nothing was kept of the report that did not get through; now the machine is not the lessee's.
    with refused("TRANSITION_REFUSED"):
        await leases(fleet.lessee).ReportUsage(report)
