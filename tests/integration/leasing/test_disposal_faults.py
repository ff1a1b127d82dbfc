"""A disposal that is asked for wrongly, or whose settlement is cut short."""

import asyncio
from uuid import uuid4

import grpc
import pytest
from ironloop.leasing.v1 import disposals_pb2
from ironloop.marketplace.v1 import marketplace_events_pb2

from services.kit import wire
from services.kit.ids import name, new_id
from services.kit.principals import enter, service_principal
from services.leasing import consumers
from services.leasing.definition import DEFINITION as LEASING
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.leasing import ends
from tests.integration.leasing.ends import disposals
from tests.integration.leasing.fleet import (
    request_id,
)
from tests.integration.leasing.sale import Sale, lend_we_17
from tests.integration.leasing.test_restarts import start_again, until_step
from tests.support import money
from tests.support.refusals import refused


async def test_a_machine_has_one_open_disposal(sale: Sale) -> None:
    lease = await sale.repossessed()
    disposal = await sale.open(lease)
    with refused("DISPOSAL_OPEN"):
        await sale.open(lease)
    stranger = await sale.fleet.world.party("LESSOR", "LESSEE", "FUNDER")
    with refused("NOT_FOUND"):
        await disposals(stranger).GetDisposal(disposals_pb2.GetDisposalRequest(name=disposal.name))
    assert not (
        await disposals(stranger).ListDisposals(disposals_pb2.ListDisposalsRequest())
    ).disposals
    cancel = disposals_pb2.CancelDisposalRequest(request_id=request_id(), name=disposal.name)
    with refused("NOT_FOUND"):
        await disposals(stranger).CancelDisposal(cancel)
    cancelled = await disposals(sale.fleet.lessor).CancelDisposal(cancel)
    assert cancelled.state == disposals_pb2.DISPOSAL_STATE_CANCELLED
    with refused("TRANSITION_REFUSED"):
        await sale.settle(disposal, 50_000_000)
    again = await sale.open(lease)
    listed = await disposals(sale.fleet.lessee).ListDisposals(
        disposals_pb2.ListDisposalsRequest(lease=lease.name)
    )
    assert [each.name for each in listed.disposals] == [again.name, disposal.name]


async def test_the_price_of_another_machine_settles_nothing(sale: Sale) -> None:
    disposal = await sale.open(await sale.repossessed())
    await sale.hold(disposal, name("orders", uuid4()))
    # An order whose listing names this disposal, and whose machine is another one.
    with refused("MACHINE_NOT_SOLD"):
        await sale.settle(disposal, 100)
    assert (await sale.read(disposal)).state == disposals_pb2.DISPOSAL_STATE_OPEN
    event = marketplace_events_pb2.AuctionClosed(
        auction=name("auctions", new_id()),
        disposal=disposal.name,
        machine=name("machines", new_id()),
    )
    database = sale.fleet.world.running["leasing"].runtime.database
    enter(service_principal("leasing"), "events")
    await database.run(lambda tx: consumers.note_auction(tx, event))
    assert (await sale.read(disposal)).unsold_count == 0


async def test_an_empty_escrow_moves_nothing(sale: Sale) -> None:
    lease = await sale.repossessed()
    disposal = await sale.open(lease)
    order = name("orders", uuid4())
    escrow = await sale.escrow(order, 0)
    await sale.hold(disposal, order)
    request = disposals_pb2.SettleDisposalRequest(
        request_id=request_id(),
        disposal=disposal.name,
        order=order,
        escrow_account=f"accounts/{escrow}",
        price=wire.money(50_000_000),
    )
    with refused("INSUFFICIENT_FUNDS"):
        await disposals(sale.fleet.world.service("procurement")).SettleDisposal(request)
    # The order's next attempt, once the money is there, is a call of its own.
    settled = await sale.settle(disposal, 50_000_000, order=order)
    assert settled.order == order


@pytest.mark.parametrize("stopped", ["settlement", "leasing"])
async def test_a_settlement_goes_on_after_a_restart(sale: Sale, stopped: str) -> None:
    fleet = sale.fleet
    senior, _ = await lend_we_17(sale)
    disposal = await sale.open(await sale.repossessed())
    order = name("orders", uuid4())
    escrow = await sale.escrow(order, 50_000_000)
    await sale.hold(disposal, order)
    request = disposals_pb2.SettleDisposalRequest(
        request_id=request_id(),
        disposal=disposal.name,
        order=order,
        escrow_account=f"accounts/{escrow}",
        price=wire.money(50_000_000),
    )
    stub = disposals(fleet.world.service("procurement"))
    await fleet.world.stop("settlement")
    call = asyncio.ensure_future(stub.SettleDisposal(request))
    await until_step(fleet, "lease_disposal_settlement", 1)
    if stopped == "leasing":
        await fleet.world.stop("leasing")
        with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
            await call
        await start_again(fleet.world, LEASING, SETTLEMENT)
    else:
        await start_again(fleet.world, SETTLEMENT)
        await call
    settled = await stub.SettleDisposal(request)
    assert settled.state == disposals_pb2.DISPOSAL_STATE_SETTLED
    assert await sale.funders(senior) == [38_506_667]
    assert await fleet.balance(fleet.lessee) == 1_443_333


async def test_a_settlement_killed_after_the_money_moved_is_finished(sale: Sale) -> None:
    fleet = sale.fleet
    senior, junior = await lend_we_17(sale)
    lease = await sale.repossessed()
    disposal = await sale.open(lease)
    sale.lenders.is_away = True
    order = name("orders", uuid4())
    call = asyncio.ensure_future(sale.settle(disposal, 50_000_000, order=order))
    await until_step(fleet, "lease_disposal_settlement", 2)
    with refused("LEASE_BUSY"):
        await ends.close(fleet, lease)
    await fleet.world.stop("leasing")
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        await call
    sale.lenders.is_away = False
    await start_again(fleet.world, LEASING)
    settled = await sale.settle(disposal, 50_000_000, order=order)
    assert settled.state == disposals_pb2.DISPOSAL_STATE_SETTLED
    assert await sale.funders(senior, junior) == [38_506_667, 6_000_000]
    assert await fleet.balance(fleet.lessee) == 1_443_333
    assert await money.is_balanced(fleet.world)


async def test_a_carrier_that_does_not_exist_is_not_paid(sale: Sale) -> None:
    lease = await sale.repossessed()
    with refused("NOT_FOUND"):
        await disposals(sale.fleet.lessor).OpenDisposal(
            disposals_pb2.OpenDisposalRequest(
                request_id=request_id(), lease=lease.name, carrier=name("parties", new_id())
            )
        )
