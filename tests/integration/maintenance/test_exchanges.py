"""Exchange repairs with the real remanufacturing room: every step, every refusal, every death."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from functools import partial

import grpc
import pytest
import pytest_asyncio
from ironloop.maintenance.v1 import exchanges_pb2 as pb
from ironloop.maintenance.v1 import work_orders_pb2
from ironloop.remanufacturing.v1 import cores_pb2, reman_pb2
from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as reman_events

from services.kit import wire
from services.kit.principals import enter, service_principal
from services.kit.service import ServiceDefinition
from services.maintenance import work_consumers
from services.maintenance.definition import DEFINITION as MAINTENANCE
from services.maintenance.exchange_sagas import EXCHANGE_SAGAS
from services.maintenance.work_order_sagas import WORK_ORDER_SAGAS
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.remanufacturing.definition import DEFINITION as REMANUFACTURING
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.maintenance.exchange_shop import (
    DEPOSIT_FEN,
    LABOUR_FEN,
    PRICE_FEN,
    ExchangeShop,
    Halt,
    halt_points,
)
from tests.integration.maintenance.workshop import Shop, exchanges, orders, request_id
from tests.integration.remanufacturing.shop import cores
from tests.support import money
from tests.support.refusals import refused
from tests.support.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def exchange_world(world: World) -> World:
    """Return the module's world, with remanufacturing."""
    await world.start(SETTLEMENT, MARKETPLACE, REMANUFACTURING, MAINTENANCE)
    return world


@pytest_asyncio.fixture(loop_scope="session")
async def repair(exchange_world: World) -> AsyncIterator[ExchangeShop]:
    """Return a workshop, its customer and a remanufacturer in the module's world."""
    yield await ExchangeShop.open(exchange_world)
    if "maintenance" not in exchange_world.running:
        await exchange_world.start(MAINTENANCE)


def steps_of(exchange: pb.Exchange) -> list[str]:
    return [step.step for step in exchange.steps]


async def test_an_exchange_holds_a_unit_and_its_deposit_until_the_unit_is_installed(
    repair: ExchangeShop,
) -> None:
    family, order = await repair.family(), await repair.order()
    request = repair.request(order.name, family.name, deposit=wire.money(DEPOSIT_FEN))
    asked = await exchanges(repair.shop.owner).RequestExchange(request)
    assert await exchanges(repair.shop.owner).RequestExchange(request) == asked
    assert asked.state == pb.EXCHANGE_STATE_DEPOSIT_CHARGED
    assert asked.unit_price == wire.money(PRICE_FEN)
    assert await repair.wallet() == PRICE_FEN + LABOUR_FEN
    with refused("EXCHANGE_NOT_SHIPPED"):
        await repair.shop.complete(order.name)
    await repair.ship(asked.name)
    with refused("REMOVED_SERIAL_MISSING"):
        await repair.shop.complete(order.name)
    done = await repair.shop.complete(order.name, **repair.removal(asked.name))
    assert done.cost.units == wire.money(PRICE_FEN)
    installed = await repair.until(asked.name, pb.EXCHANGE_STATE_INSTALLED)
    assert steps_of(installed) == [
        "REQUEST",
        "RESERVE_UNIT",
        "CHARGE_DEPOSIT",
        "SHIP",
        "FIT",
        "INSTALL_UNIT",
    ]
    unit = await repair.unit(asked.unit)
    assert unit.state == reman_pb2.UNIT_STATE_INSTALLED
    assert (unit.machine, unit.work_order) == (order.machine, order.name)
    assert unit.removed_serial_number == "OLD-ENGINE-1"
    (component,) = (await repair.shop.look_up(order.machine)).components
    assert component.serial_number == unit.serial_number


async def test_the_invoice_pays_workshop_and_remanufacturer_in_one_chain(
    repair: ExchangeShop,
) -> None:
    family, order = await repair.family(), await repair.order()
    asked = await repair.requested(order.name, family.name)
    await repair.ship(asked.name)
    await repair.shop.complete(order.name, **repair.removal(asked.name))
    await repair.until(asked.name, pb.EXCHANGE_STATE_INSTALLED)
    await repair.shop.verify(order.name)
    await repair.shop.invoice(order.name)
    assert await repair.wallet() == 0
    assert await repair.shop.balance(repair.shop.technician.party) == LABOUR_FEN
    assert await repair.shop.balance(repair.reman.foreman.party) == PRICE_FEN
    assert await money.is_balanced(repair.shop.world)


async def test_without_a_unit_in_stock_nothing_is_charged(repair: ExchangeShop) -> None:
    family, order = await repair.family(stocked=0), await repair.order()
    with refused("NO_UNIT_IN_STOCK"):
        await repair.requested(order.name, family.name)
    listed = await exchanges(repair.shop.owner).ListExchanges(
        pb.ListExchangesRequest(work_order=order.name)
    )
    (only,) = listed.exchanges
    assert (only.state, only.cancel_reason) == (pb.EXCHANGE_STATE_CANCELLED, "NO_UNIT_IN_STOCK")
    assert (await repair.shop.complete(order.name)).completer


async def test_a_refused_deposit_releases_the_unit(repair: ExchangeShop) -> None:
    family, order = await repair.family(), await repair.order()
    world, owner = repair.shop.world, repair.shop.owner.party
    elsewhere = await world.party("BUYER")
    wallets = [await money.wallet_of(world, party) for party in (owner, elsewhere.party)]
    await money.transfer(world, wallets[0], wallets[1], PRICE_FEN + LABOUR_FEN + 1)
    with refused("INSUFFICIENT_FUNDS"):
        await repair.requested(order.name, family.name)
    (only,) = (
        await exchanges(repair.shop.owner).ListExchanges(
            pb.ListExchangesRequest(work_order=order.name)
        )
    ).exchanges
    assert steps_of(only) == ["REQUEST", "RESERVE_UNIT", "RELEASE_UNIT", "REFUSED"]
    assert (await repair.unit(only.unit)).state == reman_pb2.UNIT_STATE_STOCKED
    await money.fund(world, owner, 1)
    again = await repair.requested(order.name, family.name)
    assert again.unit == only.unit


async def test_an_exchange_given_up_pays_the_deposit_back_to_the_fen(
    repair: ExchangeShop,
) -> None:
    family, order = await repair.family(), await repair.order()
    asked = await repair.requested(order.name, family.name)
    with refused("EXCHANGE_UNDER_WAY"):
        await orders(repair.shop.owner).CancelWorkOrder(
            work_orders_pb2.CancelWorkOrderRequest(
                request_id=request_id(), name=order.name, reason="Sold"
            )
        )
    given_up = await exchanges(repair.shop.owner).CancelExchange(
        pb.CancelExchangeRequest(request_id=request_id(), name=asked.name, reason="Not needed")
    )
    assert given_up.state == pb.EXCHANGE_STATE_CANCELLED
    assert steps_of(given_up)[-3:] == ["REFUND_DEPOSIT", "RELEASE_UNIT", "CANCEL"]
    assert await repair.wallet() == DEPOSIT_FEN + PRICE_FEN + LABOUR_FEN
    assert (await repair.unit(asked.unit)).state == reman_pb2.UNIT_STATE_STOCKED


async def test_a_core_that_may_be_sent_is_not_given_up(repair: ExchangeShop) -> None:
    family, order = await repair.family(), await repair.order()
    asked = await repair.requested(order.name, family.name)
    await cores(repair.reman.foreman).AuthoriseCoreReturn(
        cores_pb2.AuthoriseCoreReturnRequest(request_id=request_id(), name=asked.core_return)
    )
    with refused("TRANSITION_REFUSED"):
        await exchanges(repair.shop.owner).CancelExchange(
            pb.CancelExchangeRequest(request_id=request_id(), name=asked.name, reason="Late")
        )
    assert (await repair.read(asked.name)).state == pb.EXCHANGE_STATE_DEPOSIT_CHARGED


async def test_a_workshop_charges_no_deposit_that_is_not_approved(repair: ExchangeShop) -> None:
    family = await repair.family()
    order = await repair.order(approved_cost=wire.money(DEPOSIT_FEN - 1))
    stub = exchanges(repair.shop.technician)
    for stated in ({}, {"deposit": wire.money(DEPOSIT_FEN)}):
        with refused("COST_NOT_APPROVED"):
            await stub.RequestExchange(repair.request(order.name, family.name, **stated))
    assert await repair.wallet() == DEPOSIT_FEN + PRICE_FEN + LABOUR_FEN


async def test_under_a_repairs_warranty_the_workshop_bears_the_exchange(
    repair: ExchangeShop,
) -> None:
    shop, family = repair.shop, await repair.family()
    first = await repair.order()
    await shop.complete(first.name, warranty_months=3)
    again = await shop.started(first.machine, warranty_of=first.name)
    with refused("NOT_A_PARTY_TO_THIS"):
        await repair.requested(again.name, family.name)
    await money.fund(shop.world, shop.technician.party, DEPOSIT_FEN + PRICE_FEN)
    asked = await exchanges(shop.technician).RequestExchange(
        repair.request(again.name, family.name)
    )
    assert asked.payer == shop.technician.party
    await repair.ship(asked.name)
    done = await shop.complete(again.name, **repair.removal(asked.name))
    assert (done.cost.total, done.cost.units) == (wire.money(0), wire.money(0))
    await repair.until(asked.name, pb.EXCHANGE_STATE_INSTALLED)
    await shop.verify(again.name)
    await shop.invoice(again.name)
    assert await shop.balance(shop.technician.party) == 0
    assert await shop.balance(repair.reman.foreman.party) == PRICE_FEN
    assert await repair.wallet() == DEPOSIT_FEN + PRICE_FEN + LABOUR_FEN


async def test_an_exchange_is_not_found_by_a_stranger(repair: ExchangeShop) -> None:
    family, order = await repair.family(), await repair.order()
    asked = await repair.requested(order.name, family.name)
    stranger = await repair.shop.world.party("BUYER", "REMANUFACTURER")
    with refused("NOT_FOUND"):
        await exchanges(stranger).GetExchange(pb.GetExchangeRequest(name=asked.name))
    listed = await exchanges(repair.reman.foreman).ListExchanges(pb.ListExchangesRequest())
    assert [one.name for one in listed.exchanges] == [asked.name]


@pytest.mark.parametrize(
    ("kind", "step", "after_call"),
    halt_points([kind for kind in EXCHANGE_SAGAS if kind.kind != "exchange_cancel"]),
)
async def test_an_exchange_repair_killed_after_any_step_is_finished_on_restart(
    repair: ExchangeShop, kind: str, step: str, after_call: bool
) -> None:
    halt = Halt(kind, step, after_call, asyncio.Event())
    family, order = await repair.family(), await repair.order()
    request = repair.request(order.name, family.name)
    await halted(repair.shop, halt)
    calls = exchanges(repair.shop.owner)
    if kind == "exchange_request":
        await dies(repair.shop, halt, calls.RequestExchange(request))
    asked = await calls.RequestExchange(request)
    assert asked.state == pb.EXCHANGE_STATE_DEPOSIT_CHARGED
    await repair.ship(asked.name)
    await repair.shop.complete(order.name, **repair.removal(asked.name))
    if kind == "exchange_install":
        await dies(repair.shop, halt)
    await repair.until(asked.name, pb.EXCHANGE_STATE_INSTALLED)
    assert (await repair.unit(asked.unit)).machine == order.machine
    assert len((await repair.shop.look_up(order.machine)).components) == 1
    assert await repair.wallet() == PRICE_FEN + LABOUR_FEN


@pytest.mark.parametrize(
    ("kind", "step", "after_call"),
    halt_points([kind for kind in EXCHANGE_SAGAS if kind.kind == "exchange_cancel"]),
)
async def test_giving_an_exchange_up_killed_after_any_step_is_finished_on_restart(
    repair: ExchangeShop, kind: str, step: str, after_call: bool
) -> None:
    halt = Halt(kind, step, after_call, asyncio.Event())
    family, order = await repair.family(), await repair.order()
    asked = await repair.requested(order.name, family.name)
    request = pb.CancelExchangeRequest(request_id=request_id(), name=asked.name, reason="Sold")
    await halted(repair.shop, halt)
    await dies(repair.shop, halt, exchanges(repair.shop.owner).CancelExchange(request))
    given_up = await exchanges(repair.shop.owner).CancelExchange(request)
    assert given_up.state == pb.EXCHANGE_STATE_CANCELLED
    assert (await repair.unit(asked.unit)).state == reman_pb2.UNIT_STATE_STOCKED
    assert await repair.wallet() == DEPOSIT_FEN + PRICE_FEN + LABOUR_FEN


async def test_a_cores_event_waits_for_an_exchange_that_is_still_being_written(
    repair: ExchangeShop,
) -> None:
    halt = Halt("exchange_request", "charge_deposit", after_call=True, reached=asyncio.Event())
    family, order = await repair.family(), await repair.order()
    request = repair.request(order.name, family.name)
    await halted(repair.shop, halt)
    call = asyncio.ensure_future(exchanges(repair.shop.owner).RequestExchange(request))
    async with asyncio.timeout(20):
        await halt.reached.wait()
    listed = await cores(repair.reman.foreman).ListCoreReturns(cores_pb2.ListCoreReturnsRequest())
    charged = listed.core_returns[0]
    forfeited = reman_events.CoreForfeited(core_return=charged.name, work_order=order.name)
    enter(service_principal("maintenance"), "events")
    settle = partial(work_consumers.settle_forfeited, event=forfeited)
    with pytest.raises(work_consumers.ExchangeNotReady):
        await repair.shop.world.running["maintenance"].runtime.database.run(settle)
    await dies(repair.shop, halt, call)
    asked = await exchanges(repair.shop.owner).RequestExchange(request)
    await repair.shop.world.running["maintenance"].runtime.database.run(settle)
    known = await repair.read(asked.name)
    assert known.core_outcome == pb.CORE_OUTCOME_FORFEITED
    assert known.state == pb.EXCHANGE_STATE_DEPOSIT_CHARGED  # closed once its unit is installed
    await repair.ship(asked.name)
    await repair.shop.complete(order.name, **repair.removal(asked.name))
    assert steps_of(await repair.until(asked.name, pb.EXCHANGE_STATE_CLOSED))[-1] == "CLOSE"


@pytest.mark.parametrize(("kind", "step", "after_call"), halt_points(WORK_ORDER_SAGAS))
async def test_a_work_order_killed_at_any_step_is_finished_on_restart(
    repair: ExchangeShop, kind: str, step: str, after_call: bool
) -> None:
    shop, halt = repair.shop, Halt(kind, step, after_call, asyncio.Event())
    place = work_orders_pb2.WORK_PLACE_SHOP
    name = (await shop.opened(await shop.machine(), work_place=place)).name
    calls = {"request_id": request_id(), "name": name}
    technician, owner = orders(shop.technician), orders(shop.owner)
    await technician.AssignWorkOrder(
        work_orders_pb2.AssignWorkOrderRequest(technician=shop.technician.subject, **calls)
    )
    await halted(shop, halt)
    start = work_orders_pb2.StartWorkOrderRequest(**calls)
    if kind == "work_order_start":
        await dies(shop, halt, technician.StartWorkOrder(start))
    assert (await technician.StartWorkOrder(start)).in_shop
    if kind == "work_order_cancel":
        cancel = work_orders_pb2.CancelWorkOrderRequest(reason="Sold", **calls)
        await dies(shop, halt, owner.CancelWorkOrder(cancel))
        ended = await owner.CancelWorkOrder(cancel)
        assert (ended.state, ended.in_shop) == (work_orders_pb2.WORK_ORDER_STATE_CANCELLED, False)
        return
    await shop.complete(name)
    verify = work_orders_pb2.VerifyWorkOrderRequest(**calls)
    if kind == "work_order_verify":
        await dies(shop, halt, owner.VerifyWorkOrder(verify))
    assert not (await owner.VerifyWorkOrder(verify)).in_shop
    before = await shop.balance(shop.owner.party)
    invoice = work_orders_pb2.InvoiceWorkOrderRequest(**calls)
    if kind == "work_order_invoice":
        await dies(shop, halt, owner.InvoiceWorkOrder(invoice))
    invoiced = await owner.InvoiceWorkOrder(invoice)
    assert invoiced.state == work_orders_pb2.WORK_ORDER_STATE_INVOICED
    assert await shop.balance(shop.owner.party) == before - LABOUR_FEN
    assert (await shop.look_up(invoiced.machine)).custodian == shop.owner.party


async def halted(shop: Shop, halt: Halt) -> None:
    """Have maintenance run on as one that will hang at the step."""
    await restart(shop, halt.definition())


async def dies(shop: Shop, halt: Halt, call: Awaitable[object] | None = None) -> None:
    """Kill maintenance at the step, and start it again as it should be."""
    under_way = None if call is None else asyncio.ensure_future(call)
    async with asyncio.timeout(20):
        await halt.reached.wait()
    await shop.world.stop("maintenance")
    if under_way is not None:
        with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
            await under_way
    await restart(shop, MAINTENANCE)
    await shop.world.until_at_rest()


async def restart(shop: Shop, definition: ServiceDefinition) -> None:
    """Start maintenance, as defined, on the database that it had."""
    world = shop.world
    if "maintenance" in world.running:
        await world.stop("maintenance")
    await world.start(definition, drain_s=0.0)
    await world.channel("maintenance").channel_ready()
