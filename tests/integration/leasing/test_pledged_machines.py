"""A lease whose machine is pledged ends: the draw is paid off out of the lessor's proceeds."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from ironloop.finance.v1 import finance_pb2
from ironloop.leasing.v1 import leasing_pb2 as pb

from services.finance.definition import DEFINITION as FINANCE
from tests.integration.finance.lending import Lending
from tests.integration.finance.valuer import open_valuer
from tests.integration.leasing.fleet import DEPOSIT_FEN, Fleet, fen, leases, request_id
from tests.integration.leasing.test_restarts import start_again, until_step
from tests.support.refusals import refused
from tests.support.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lending(leasing_world: World) -> AsyncIterator[Lending]:
    """Return the module's world, in which machines are lent on at the values of WE-7."""
    valuer, server = await open_valuer(leasing_world)
    yield Lending(leasing_world, valuer)
    await server.stop(0)


async def pledged_lease(fleet: Fleet, lending: Lending) -> tuple[pb.Lease, finance_pb2.Draw]:
    """Return an active lease whose machine secures a draw that the lessor has spent."""
    machine = await fleet.machine(build_year=lending.world.today().year - 3)
    funder = await lending.funder(fen=100_000_000)
    draw = await lending.drawn(funder, fleet.lessor, machine=machine)
    lease = await fleet.active(machine)
    bank = await lending.wallet(await fleet.world.party("SELLER"))
    spent_fen = await fleet.balance(fleet.lessor)
    await lending.transfer(await lending.wallet(fleet.lessor), bank, spent_fen, purpose="")
    return lease, draw


async def quoted(fleet: Fleet, lease: pb.Lease) -> int:
    """Quote the lease's buyout for today, and return what the lessee needs for it."""
    answer = await leases(fleet.lessee).QuoteBuyout(
        pb.QuoteBuyoutRequest(request_id=request_id(), name=lease.name)
    )
    return fen(answer.buyout_quote.total) - DEPOSIT_FEN


async def test_a_buyout_pays_the_draw_off_and_moves_the_title(
    fleet: Fleet, lending: Lending
) -> None:
    lease, draw = await pledged_lease(fleet, lending)
    needed_fen = await quoted(fleet, lease)
    await fleet.fund(fleet.lessee, needed_fen)
    bought = await leases(fleet.lessee).BuyOutLease(
        pb.BuyOutLeaseRequest(request_id=request_id(), name=lease.name)
    )
    assert bought.state == pb.LEASE_STATE_BOUGHT_OUT
    closed = await lending.see(fleet.lessor, draw.name)
    assert closed.state == finance_pb2.DRAW_STATE_REPAID
    assert await lending.liens(lease.terms.machine) == []
    machine = await fleet.look_up(lease.terms.machine)
    assert machine.title_holder == fleet.lessee.party
    total_fen = needed_fen + DEPOSIT_FEN
    assert await fleet.balance(fleet.lessor) == total_fen - fen(draw.outstanding)
    assert await fleet.balance(fleet.lessee) == 0
    assert await lending.is_balanced()


async def test_a_buyout_goes_on_once_finance_is_back(fleet: Fleet, lending: Lending) -> None:
    lease, draw = await pledged_lease(fleet, lending)
    await fleet.fund(fleet.lessee, await quoted(fleet, lease))
    world = fleet.world
    await world.stop("finance")
    request = pb.BuyOutLeaseRequest(request_id=request_id(), name=lease.name)
    call = asyncio.ensure_future(leases(fleet.lessee).BuyOutLease(request))
    await until_step(fleet, "lease_buyout", 0)
    with refused("LEASE_BUSY"):
        await fleet.pay(lease)
    with refused("REQUEST_RUNNING"):
        await leases(fleet.lessee).BuyOutLease(request)
    await start_again(world, FINANCE)
    assert (await call).state == pb.LEASE_STATE_BOUGHT_OUT
    assert (await lending.see(fleet.lessor, draw.name)).state == finance_pb2.DRAW_STATE_REPAID


async def test_proceeds_that_do_not_cover_the_draw_move_nothing(
    fleet: Fleet, lending: Lending
) -> None:
    lease, draw = await pledged_lease(fleet, lending)
    funder = await fleet.world.party("FUNDER")
    await fleet.assign(lease, funder.party, 1, 36, reference="factorings/1")
    needed_fen = await quoted(fleet, lease)
    await fleet.fund(fleet.lessee, needed_fen)
    # The assignee takes the principal of its rentals; the lessor's rest is less than the draw.
    with refused("INSUFFICIENT_FUNDS") as refusal:
        await leases(fleet.lessee).BuyOutLease(
            pb.BuyOutLeaseRequest(request_id=request_id(), name=lease.name)
        )
    assert fleet.lessor.party in refusal.status.message
    assert await fleet.balance(fleet.lessee) == needed_fen
    assert await fleet.balance(funder) == 0
    assert await lending.liens(lease.terms.machine) == [draw.lien]
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_BUYOUT_QUOTED
