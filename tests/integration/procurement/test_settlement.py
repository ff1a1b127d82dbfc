"""What may go wrong while an accepted order is settled, and that money moves once all the same."""

import asyncpg
from ironloop.kit.v1 import operator_pb2, operator_pb2_grpc
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc
from ironloop.procurement.v1 import orders_pb2

from services.finance.definition import DEFINITION as FINANCE
from services.kit import wire
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.procurement.definition import DEFINITION as PROCUREMENT
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.procurement.trade import Trade, eventually, orders, request_id
from tests.support.locks import row_held
from tests.support.refusals import refused

PRICE = 78_000_000
FEE = 1_170_000
ACCEPTED = orders_pb2.ORDER_STATE_ACCEPTED
BLOCKED = orders_pb2.ORDER_STATE_SETTLEMENT_BLOCKED
SETTLED = orders_pb2.ORDER_STATE_SETTLED


async def saga_step(trade: Trade, order: str) -> int:
    """Return which step of an order's settlement is next; -1 before there is one."""
    connection = await asyncpg.connect(trade.world.dsn("procurement"))
    try:
        step = await connection.fetchval(
            "select step from saga where subject = $1 and kind = 'settle_order'", order
        )
    finally:
        await connection.close()
    return -1 if step is None else int(step)


async def until_step(trade: Trade, order: str, step: int) -> None:
    """Return once an order's settlement stands at a step."""
    await eventually(lambda: saga_step(trade, order), step)


async def settlement_retries(trade: Trade, order: str, error: str) -> bool:
    """Whether the operator sees that an order's settlement is tried again after an error."""
    operator = trade.world.operator.stub(
        operator_pb2_grpc.OperatorServiceStub, service="procurement"
    )
    listed = await operator.ListSagas(
        operator_pb2.ListSagasRequest(state=operator_pb2.SAGA_STATE_RUNNING)
    )
    return any(
        saga.subject == order and saga.attempts > 1 and error in saga.last_error
        for saga in listed.sagas
    )


def escrow_row(order: orders_pb2.Order) -> int:
    """Return the number of an order's escrow."""
    return int(order.escrow_account.removeprefix("accounts/"))


LOCK_ACCOUNT = "select from account where id = $1"
LOCK_SAGA = "select from saga where subject = $1 and kind = 'settle_order'"


async def test_killed_after_the_money_moved_the_saga_goes_on_and_pays_once(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    ledger, own = trade.world.dsn("settlement"), trade.world.dsn("procurement")
    async with row_held(ledger, LOCK_ACCOUNT, escrow_row(made)):
        await trade.accept(buyer, made.name)
        await until_step(trade, made.name, 1)
        hold_saga = row_held(own, LOCK_SAGA, made.name)
        await hold_saga.__aenter__()
    # The chain is posted now, and procurement cannot write that it is.
    await eventually(lambda: trade.balance(seller), PRICE - FEE)
    await trade.world.stop("procurement")
    await hold_saga.__aexit__(None, None, None)
    assert await saga_step(trade, made.name) == 1
    await trade.world.start(PROCUREMENT)
    settled = await trade.until(buyer, made.name, SETTLED)
    assert await trade.balance(seller) == PRICE - FEE
    assert await trade.escrow(settled) == 0
    assert (await trade.look_up(made.lines[0].machine)).title_holder == buyer.party
    assert await trade.is_balanced()


async def test_killed_before_the_money_moved_the_saga_goes_on_and_pays_once(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    async with row_held(trade.world.dsn("settlement"), LOCK_ACCOUNT, escrow_row(made)):
        await trade.accept(buyer, made.name)
        await until_step(trade, made.name, 1)
        await trade.world.stop("procurement")
    await trade.world.start(PROCUREMENT)
    await trade.until(buyer, made.name, SETTLED)
    assert await trade.balance(seller) == PRICE - FEE
    assert await trade.balance(buyer) == 0


async def test_a_settlement_outlives_the_account_of_who_accepted(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    async with row_held(trade.world.dsn("settlement"), LOCK_ACCOUNT, escrow_row(made)):
        await trade.accept(buyer, made.name)
        await until_step(trade, made.name, 1)
        await trade.world.operator.stub(parties_pb2_grpc.PartiesServiceStub).DisableUser(
            parties_pb2.DisableUserRequest(request_id=request_id(), name=buyer.subject)
        )
        await trade.world.stop("procurement")
    await trade.world.start(PROCUREMENT)  # it holds no token of theirs any more
    await trade.until(seller, made.name, SETTLED)
    assert await trade.balance(seller) == PRICE - FEE


async def test_with_settlement_away_acceptance_stands_and_is_settled_later(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    await trade.world.stop("settlement")
    assert (await trade.accept(buyer, made.name)).state == ACCEPTED
    await trade.world.start(SETTLEMENT)
    await trade.until(buyer, made.name, SETTLED)
    assert await trade.balance(seller) == PRICE - FEE


async def test_with_marketplace_away_the_title_is_tried_until_it_has_moved(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    async with row_held(trade.world.dsn("settlement"), LOCK_ACCOUNT, escrow_row(made)):
        await trade.accept(buyer, made.name)
        await until_step(trade, made.name, 1)
        await trade.world.stop("marketplace")
    await until_step(trade, made.name, 3)
    # The seller has its money, and that is not taken back while the title cannot move.
    assert await trade.balance(seller) == PRICE - FEE
    await eventually(lambda: settlement_retries(trade, made.name, "UNAVAILABLE"), True)
    waiting = await orders(buyer).GetOrder(orders_pb2.GetOrderRequest(name=made.name))
    assert waiting.state == ACCEPTED
    await trade.world.start(MARKETPLACE)
    await trade.until(buyer, made.name, SETTLED)
    assert (await trade.look_up(made.lines[0].machine)).title_holder == buyer.party
    assert await trade.balance(seller) == PRICE - FEE


async def test_a_title_refused_after_the_money_moved_is_held_up_and_not_reversed(
    trade: Trade,
) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    machine = made.lines[0].machine
    async with row_held(trade.world.dsn("settlement"), LOCK_ACCOUNT, escrow_row(made)):
        await trade.accept(buyer, made.name)
        await until_step(trade, made.name, 1)
        # A lien comes in between the plan and the title: nobody has planned its payoff.
        lien = await trade.register_lien(machine, await trade.world.party("FUNDER"))
    await until_step(trade, made.name, 3)
    await eventually(lambda: settlement_retries(trade, made.name, "LIENS_ACTIVE"), True)
    assert await trade.balance(seller) == PRICE - FEE
    assert (await trade.look_up(machine)).title_holder == seller.party
    await trade.release_lien(lien)
    await trade.until(buyer, made.name, SETTLED)
    assert (await trade.look_up(machine)).title_holder == buyer.party
    assert await trade.balance(seller) == PRICE - FEE


async def test_a_machine_sold_on_while_another_is_held_up_stays_with_its_new_holder(
    trade: Trade,
) -> None:
    buyer, seller = await trade.buyer(fen=2 * PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller, count=2)
    first, second = (line.machine for line in made.lines)
    async with row_held(trade.world.dsn("settlement"), LOCK_ACCOUNT, escrow_row(made)):
        await trade.accept(buyer, made.name)
        await until_step(trade, made.name, 1)
        lien = await trade.register_lien(second, await trade.world.party("FUNDER"))
    await eventually(lambda: settlement_retries(trade, made.name, "LIENS_ACTIVE"), True)
    assert (await trade.look_up(first)).title_holder == buyer.party
    next_buyer = await trade.buyer()
    await trade.move_title(first, buyer, next_buyer, reference="orders/next")
    await trade.release_lien(lien)
    await trade.until(buyer, made.name, SETTLED)
    assert (await trade.look_up(first)).title_holder == next_buyer.party
    assert (await trade.look_up(second)).title_holder == buyer.party


async def test_refused_by_settlement_the_money_stays_in_escrow_until_it_can_be_paid(
    trade: Trade,
) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    await trade.fund(seller, 1)
    made = await trade.delivered(buyer, seller)
    await trade.freeze(seller, frozen=True)
    await trade.accept(buyer, made.name)
    blocked = await trade.until(buyer, made.name, BLOCKED)
    assert blocked.block_reason == "TRANSFER_REFUSED"
    assert "CREDIT_ACCOUNT_FROZEN" in blocked.block_detail
    assert await trade.escrow(blocked) == PRICE
    retry = orders_pb2.RetrySettlementRequest(request_id=request_id(), name=made.name)
    again = await orders(seller).RetrySettlement(retry)
    assert (again.state, again.block_reason) == (ACCEPTED, "")
    assert await orders(seller).RetrySettlement(retry) == again
    still = await trade.until(buyer, made.name, BLOCKED)
    assert await trade.escrow(still) == PRICE
    await trade.freeze(seller, frozen=False)
    retry.request_id = request_id()
    await orders(trade.world.operator).RetrySettlement(retry)
    settled = await trade.until(buyer, made.name, SETTLED)
    assert settled.block_reason == ""
    assert await trade.balance(seller) == PRICE - FEE + 1
    assert await trade.escrow(settled) == 0


async def test_a_blocked_order_is_tried_again_on_the_next_business_day(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    await trade.fund(seller, 1)
    made = await trade.delivered(buyer, seller)
    await trade.freeze(seller, frozen=True)
    await trade.accept(buyer, made.name)
    await trade.until(buyer, made.name, BLOCKED)
    await trade.freeze(seller, frozen=False)
    runtime = trade.world.running["procurement"].runtime
    while not runtime.calendar.is_business_day(trade.world.today()):
        await trade.world.advance_days(1)
    await trade.world.advance_days(4)
    settled = await orders(buyer).GetOrder(orders_pb2.GetOrderRequest(name=made.name))
    assert settled.state == SETTLED


async def test_a_title_lost_to_somebody_else_blocks_the_settlement(trade: Trade) -> None:
    buyer, seller, thief = await trade.buyer(fen=PRICE), await trade.seller(), await trade.buyer()
    made = await trade.delivered(buyer, seller)
    # The registry moves the title under the order's own reference: a correction from outside.
    await trade.move_title(made.lines[0].machine, seller, thief, reference=made.name)
    await trade.accept(buyer, made.name)
    blocked = await trade.until(buyer, made.name, BLOCKED)
    assert blocked.block_reason == "NOT_THE_SELLERS"
    assert await trade.escrow(blocked) == PRICE
    assert await trade.balance(seller) == 0


async def test_a_lien_without_a_payoff_blocks_the_settlement_until_it_is_released(
    trade: Trade,
) -> None:
    await trade.world.start(FINANCE)
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    bank = await trade.world.party("FUNDER")
    lien = await trade.register_lien(made.lines[0].machine, bank)
    await trade.accept(buyer, made.name)
    blocked = await trade.until(buyer, made.name, BLOCKED)
    assert blocked.block_reason == "LIEN_WITHOUT_PAYOFF"
    assert lien in blocked.block_detail
    assert await trade.escrow(blocked) == PRICE
    await trade.release_lien(lien)
    await orders(buyer).RetrySettlement(
        orders_pb2.RetrySettlementRequest(request_id=request_id(), name=made.name)
    )
    await trade.until(buyer, made.name, SETTLED)
    assert await trade.balance(seller) == PRICE - FEE


async def test_the_sale_price_is_told_with_the_machine_and_its_hours(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    await trade.accept(buyer, made.name)
    await trade.until(buyer, made.name, SETTLED)
    events = await trade.events(made.name)
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5, 6, 7]
    told = events[-1]
    assert told.DESCRIPTOR.name == "OrderSettled"
    assert (told.buyer, told.seller, told.sequence) == (buyer.party, seller.party, 7)
    assert [wire.fen(sold.price, field="price") for sold in told.machines] == [PRICE]
    assert told.machines[0].machine == made.lines[0].machine
    assert told.machines[0].hours_meter.value == "3250.50"
    assert wire.fen(told.settlement.platform_fee, field="fee") == FEE


async def test_only_a_blocked_order_is_settled_anew(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    with refused("TRANSITION_REFUSED"):
        await orders(buyer).RetrySettlement(
            orders_pb2.RetrySettlementRequest(request_id=request_id(), name=made.name)
        )
