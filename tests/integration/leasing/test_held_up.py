"""A step refused after the money has moved waits until its cause is mended, and is then done."""

import asyncio

from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc

from services.kit import wire
from services.kit.ids import new_id
from services.marketplace.definition import DEFINITION as MARKETPLACE
from tests.integration.leasing.fleet import (
    DEPOSIT_FEN,
    FEE_FEN,
    Fleet,
    fen,
    leases,
    request_id,
)
from tests.integration.leasing.test_restarts import until_step
from tests.support import money
from tests.support.locks import row_held
from tests.support.refusals import refused


async def until_held_up(fleet: Fleet, lease: pb.Lease, error: str) -> None:
    """Return once a step of a lease's saga has been refused more than twice."""
    database = fleet.world.running["leasing"].runtime.database
    query = """
        select exists (
            select from saga where subject = $1 and attempts > 2 and last_error like $2
        )
    """
    async with asyncio.timeout(20):
        while True:
            async with database.read() as connection:
                if await connection.fetchval(query, lease.name, f"%{error}%"):
                    return
            await asyncio.sleep(0.02)


def registry(fleet: Fleet) -> "machines_pb2_grpc.MachineServiceAsyncStub":
    return fleet.world.service("finance").stub(machines_pb2_grpc.MachineServiceStub)


async def test_a_title_refused_after_the_buyout_was_paid_moves_once_it_can(fleet: Fleet) -> None:
    lease = await fleet.active()
    quoted = await leases(fleet.lessee).QuoteBuyout(
        pb.QuoteBuyoutRequest(request_id=request_id(), name=lease.name)
    )
    await fleet.fund(fleet.lessee, fen(quoted.buyout_quote.total) - DEPOSIT_FEN)
    ledger, payer = (
        fleet.world.dsn("settlement"),
        await money.wallet_of(fleet.world, fleet.lessee.party),
    )
    async with row_held(ledger, "select from account where id = $1", payer):
        call = asyncio.ensure_future(
            leases(fleet.lessee).BuyOutLease(
                pb.BuyOutLeaseRequest(request_id=request_id(), name=lease.name)
            )
        )
        await until_step(fleet, "lease_buyout", 1)
        # A lien comes in between the plan and the title: nobody has planned its payoff.
        lien = await registry(fleet).RegisterLien(
            machines_pb2.RegisterLienRequest(
                request_id=request_id(),
                machine=lease.terms.machine,
                holder=(await fleet.world.party("FUNDER")).party,
                reference=f"loans/{new_id()}",
                registry_no="2026-0001",
                secured_amount=wire.money(30_000_000),
            )
        )
    await until_held_up(fleet, lease, "LIENS_ACTIVE")
    assert await fleet.balance(fleet.lessee) == 0
    assert (await fleet.look_up(lease.terms.machine)).title_holder == fleet.lessor.party
    await registry(fleet).ReleaseLien(
        machines_pb2.ReleaseLienRequest(request_id=request_id(), name=lien.name)
    )
    assert (await call).state == pb.LEASE_STATE_BOUGHT_OUT
    assert (await fleet.look_up(lease.terms.machine)).title_holder == fleet.lessee.party
    assert await fleet.balance(fleet.lessee) == 0


async def test_a_fee_that_the_lessor_has_spent_is_given_back_once_there_is_money(
    fleet: Fleet,
) -> None:
    lease = await fleet.signed()
    await fleet.fund(fleet.lessee, DEPOSIT_FEN + FEE_FEN)
    await fleet.accept(lease)
    machine = lease.terms.machine
    await registry(fleet).ReleaseMachine(
        machines_pb2.ReleaseMachineRequest(
            request_id=request_id(), name=machine, reference=lease.name
        )
    )
    await registry(fleet).HandOverMachine(
        machines_pb2.HandOverMachineRequest(
            request_id=request_id(),
            name=machine,
            custody=machines_pb2.CUSTODY_IN_SHOP,
            custodian=fleet.lessor.party,
            reference=f"repairs/{new_id()}",
        )
    )
    await fleet.world.stop("marketplace")
    call = asyncio.ensure_future(fleet.activate(lease))
    await until_step(fleet, "lease_activation", 1)
    somebody = await fleet.world.party("SELLER")
    purse, taker = [
        await money.wallet_of(fleet.world, actor.party) for actor in (fleet.lessor, somebody)
    ]
    await money.transfer(fleet.world, purse, taker, FEE_FEN)
    await fleet.world.start(MARKETPLACE)
    await until_held_up(fleet, lease, "does not hold 20,000.00 CNY")
    assert await fleet.deposit(lease) == DEPOSIT_FEN  # all of it goes back, or none
    await fleet.fund(fleet.lessor, FEE_FEN)
    with refused("HELD_BY_OTHER"):
        await call
    assert await fleet.balance(fleet.lessee) == DEPOSIT_FEN + FEE_FEN
    assert await fleet.balance(fleet.lessor) == 0
    assert await fleet.deposit(lease) == 0
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_SIGNED
