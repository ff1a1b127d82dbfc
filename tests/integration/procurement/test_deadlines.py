"""What happens when nobody acts: unpaid orders, unanswered deliveries, over weekends too."""

from datetime import date, timedelta

import asyncpg
from ironloop.marketplace.v1 import machines_pb2
from ironloop.procurement.v1 import orders_pb2

from services.kit import wire
from services.kit.calendar import CHINA
from services.kit.clock import business_date
from tests.integration.procurement.trade import Trade, orders, request_id
from tests.support.refusals import refused

PRICE = 78_000_000
DAY = timedelta(days=1)


def last_to_look(delivered_on: date) -> date:
    """Return the second business day after a delivery, counted day by day."""
    day, left = delivered_on, 2
    while left:
        day += DAY
        left -= CHINA.is_business_day(day)
    return day


async def state_of(trade: Trade, order: str) -> orders_pb2.Order:
    operator = orders(trade.world.operator)
    return await operator.GetOrder(orders_pb2.GetOrderRequest(name=order))


async def test_a_delivery_before_days_off_is_accepted_after_two_business_days(
    trade: Trade,
) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    # Deliver on the last business day before days off, so that they fall within the window.
    while CHINA.is_business_day(trade.world.today() + DAY) or not CHINA.is_business_day(
        trade.world.today()
    ):
        await trade.world.advance_days(1)
    delivered_on = trade.world.today()
    made = await trade.delivered(buyer, seller)
    last = last_to_look(delivered_on)
    assert last - delivered_on >= 4 * DAY
    deadline = wire.to_instant(made.acceptance_deadline_time, field="deadline")
    assert business_date(deadline) == last + DAY
    await trade.world.advance_to(last)
    assert (await state_of(trade, made.name)).state == orders_pb2.ORDER_STATE_DELIVERED
    await trade.world.advance_to(last + DAY)
    settled = await state_of(trade, made.name)
    assert settled.state == orders_pb2.ORDER_STATE_SETTLED
    assert settled.accepted_automatically
    assert (await trade.look_up(made.lines[0].machine)).title_holder == buyer.party


async def test_a_disputed_delivery_is_not_accepted_by_time(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    await orders(buyer).DisputeOrder(
        orders_pb2.DisputeOrderRequest(
            request_id=request_id(),
            name=made.name,
            reason="wrong bucket",
            claim=orders_pb2.DISPUTE_OUTCOME_RETURN,
        )
    )
    await trade.world.advance_days(10)
    assert (await state_of(trade, made.name)).state == orders_pb2.ORDER_STATE_DISPUTED


async def test_a_dispute_after_the_window_is_refused_even_before_the_timer_fires(
    trade: Trade,
) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    connection = await asyncpg.connect(trade.world.dsn("procurement"))
    await connection.execute("delete from timer where subject = $1", made.name)
    await connection.close()
    await trade.world.advance_days(10)
    with refused("DISPUTE_WINDOW_CLOSED"):
        await orders(buyer).DisputeOrder(
            orders_pb2.DisputeOrderRequest(
                request_id=request_id(),
                name=made.name,
                reason="late",
                claim=orders_pb2.DISPUTE_OUTCOME_RETURN,
            )
        )


async def test_a_confirmed_order_that_is_unpaid_for_seven_days_is_cancelled(trade: Trade) -> None:
    buyer, seller = await trade.buyer(), await trade.seller()
    made = await trade.confirmed(buyer, seller)
    await trade.world.advance_days(7)
    assert (await state_of(trade, made.name)).state == orders_pb2.ORDER_STATE_CONFIRMED
    await trade.world.advance_days(1)
    cancelled = await state_of(trade, made.name)
    assert cancelled.state == orders_pb2.ORDER_STATE_CANCELLED
    assert cancelled.cancel_reason == orders_pb2.CANCEL_REASON_UNPAID
    free = await trade.look_up(made.lines[0].machine)
    assert free.custody == machines_pb2.CUSTODY_AVAILABLE


async def test_a_paid_order_is_not_cancelled_by_time(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.confirmed(buyer, seller)
    await trade.pay(buyer, made.name)
    await trade.world.advance_days(20)
    assert (await state_of(trade, made.name)).state == orders_pb2.ORDER_STATE_FUNDED
