"""The whole exchange repair over a real Kafka, until the core's own events close it."""

import pytest
import pytest_asyncio
from ironloop.maintenance.v1 import exchanges_pb2 as pb
from ironloop.maintenance.v1 import work_orders_pb2
from ironloop.remanufacturing.v1 import cores_pb2

from services.kit import wire
from services.maintenance.definition import DEFINITION as MAINTENANCE
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.remanufacturing.definition import DEFINITION as REMANUFACTURING
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.maintenance.exchange_shop import (
    DEPOSIT_FEN,
    LABOUR_FEN,
    PRICE_FEN,
    ExchangeShop,
)
from tests.integration.maintenance.workshop import orders, request_id
from tests.integration.remanufacturing.shop import cores
from tests.support import money
from tests.support.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def repair(kafka_world: World) -> ExchangeShop:
    """Return a workshop, its customer and a remanufacturer, their services linked by Kafka."""
    await kafka_world.start(SETTLEMENT, MARKETPLACE, REMANUFACTURING, MAINTENANCE)
    return await ExchangeShop.open(kafka_world)


async def installed(repair: ExchangeShop) -> pb.Exchange:
    """Return an exchange whose unit is in its machine, for a STOP fault."""
    family = await repair.family()
    machine = await repair.shop.machine()
    await repair.shop.read_meter(machine, "1000")
    fault = await repair.shop.fault(machine)
    order = await repair.shop.started(
        machine, faults=[fault.name], work_place=work_orders_pb2.WORK_PLACE_SHOP
    )
    asked = await repair.requested(order.name, family.name)
    await repair.ship(asked.name)
    await repair.shop.complete(order.name, **repair.removal(asked.name))
    return await repair.until(asked.name, pb.EXCHANGE_STATE_INSTALLED)


async def authorise(repair: ExchangeShop, exchange: pb.Exchange) -> None:
    await cores(repair.reman.foreman).AuthoriseCoreReturn(
        cores_pb2.AuthoriseCoreReturnRequest(request_id=request_id(), name=exchange.core_return)
    )


async def test_a_repair_runs_from_a_stop_fault_to_the_cores_credit(repair: ExchangeShop) -> None:
    exchange = await installed(repair)
    await repair.shop.verify(exchange.work_order)
    await repair.shop.invoice(exchange.work_order)
    await authorise(repair, exchange)
    await repair.reman.receive(exchange.core_return)
    await repair.reman.graded(exchange.core_return, cores_pb2.CORE_GRADE_DAMAGED, "UPGRADE_TIER3")
    closed = await repair.until(exchange.name, pb.EXCHANGE_STATE_CLOSED)
    assert closed.core_outcome == pb.CORE_OUTCOME_CREDITED
    assert closed.credit == wire.money(22_500_00)  # WE-12
    assert [step.step for step in closed.steps] == [
        "REQUEST",
        "RESERVE_UNIT",
        "CHARGE_DEPOSIT",
        "SHIP",
        "FIT",
        "INSTALL_UNIT",
        "CORE_AUTHORISED",
        "CORE_RECEIVED",
        "CORE_GRADED",
        "CORE_CREDITED",
    ]
    assert await repair.wallet() == 22_500_00
    assert await money.is_balanced(repair.shop.world)
    put_away = await orders(repair.shop.owner).CloseWorkOrder(
        work_orders_pb2.CloseWorkOrderRequest(request_id=request_id(), name=exchange.work_order)
    )
    assert put_away.state == work_orders_pb2.WORK_ORDER_STATE_CLOSED


@pytest.mark.parametrize("outcome", ["REJECTED", "FORFEITED"])
async def test_a_core_sent_back_or_never_sent_closes_its_exchange(
    repair: ExchangeShop, outcome: str
) -> None:
    await money.fund(
        repair.shop.world, repair.shop.owner.party, DEPOSIT_FEN + PRICE_FEN + LABOUR_FEN
    )
    exchange = await installed(repair)
    if outcome == "REJECTED":
        await authorise(repair, exchange)
        await cores(repair.reman.foreman).RejectCore(
            cores_pb2.RejectCoreRequest(
                request_id=request_id(),
                name=exchange.core_return,
                reason="Another maker's engine",
                return_freight=wire.money(800_00),
            )
        )
    else:
        await repair.shop.world.advance_days(181)
    closed = await repair.until(exchange.name, pb.EXCHANGE_STATE_CLOSED)
    expected = pb.CoreOutcome.Value(f"CORE_OUTCOME_{outcome}")
    assert (closed.core_outcome, closed.credit) == (expected, wire.money(0))
    assert closed.steps[-1].step == f"CORE_{outcome}"
