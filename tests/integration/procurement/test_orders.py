"""Orders with escrow, from creation to settlement, with real peers."""

import asyncio

import grpc
import pytest
from ironloop.marketplace.v1 import machines_pb2
from ironloop.procurement.v1 import orders_pb2

from services.kit import wire
from tests.integration.procurement.trade import DOCUMENT, Trade, orders, request_id
from tests.support.refusals import refused

PRICE = 78_000_000
FEE = 1_170_000
CREATED = orders_pb2.ORDER_STATE_CREATED
CONFIRMED = orders_pb2.ORDER_STATE_CONFIRMED
FUNDED = orders_pb2.ORDER_STATE_FUNDED
SETTLED = orders_pb2.ORDER_STATE_SETTLED
CANCELLED = orders_pb2.ORDER_STATE_CANCELLED


async def test_an_order_is_settled_and_the_machine_is_the_buyers(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=100_000_000), await trade.seller()
    fees = await trade.platform_fees()
    made = await trade.order(buyer, seller, price_fen=PRICE)
    machine = made.lines[0].machine
    assert (made.state, wire.fen(made.total, field="total")) == (CREATED, PRICE)
    held = await trade.look_up(machine)
    assert (held.reservation.reference, held.reservation.party) == (made.name, buyer.party)

    confirmed = await orders(seller).ConfirmOrder(
        orders_pb2.ConfirmOrderRequest(request_id=request_id(), name=made.name, etag=made.etag)
    )
    assert confirmed.state == CONFIRMED
    funded = await trade.pay(buyer, made.name)
    assert funded.state == FUNDED
    assert not funded.HasField("payment_deadline_time")
    assert await trade.escrow(funded) == PRICE
    assert await trade.balance(buyer) == 100_000_000 - PRICE

    await trade.send_off(seller, made.name)
    delivered = await trade.deliver(seller, made.name)
    arrived = await trade.look_up(machine)
    assert (arrived.custody, arrived.custodian) == (machines_pb2.CUSTODY_RESERVED, buyer.party)
    assert arrived.title_holder == seller.party
    assert delivered.HasField("acceptance_deadline_time")

    assert (await trade.accept(buyer, made.name)).state == orders_pb2.ORDER_STATE_ACCEPTED
    settled = await trade.until(seller, made.name, SETTLED)
    parts = settled.settlement
    assert wire.fen(parts.platform_fee, field="fee") == FEE
    assert wire.fen(parts.seller_proceeds, field="proceeds") == PRICE - FEE
    assert await trade.escrow(settled) == 0
    assert await trade.balance(seller) == PRICE - FEE
    assert await trade.platform_fees() == fees + FEE
    bought = await trade.look_up(machine)
    assert (bought.title_holder, bought.custodian) == (buyer.party, buyer.party)
    assert (bought.custody, bought.HasField("reservation")) == (
        machines_pb2.CUSTODY_AVAILABLE,
        False,
    )
    assert await trade.is_balanced()
    assert settled.event_sequence == 7  # created, confirmed, funded, …, settled: one each


async def test_a_retried_payment_moves_money_once(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE * 3), await trade.seller()
    made = await trade.confirmed(buyer, seller)
    request = orders_pb2.FundOrderRequest(request_id=request_id(), name=made.name)
    first = await orders(buyer).FundOrder(request)
    assert await orders(buyer).FundOrder(request) == first
    with refused("TRANSITION_REFUSED"):
        await trade.pay(buyer, made.name)
    assert await trade.balance(buyer) == PRICE * 2
    assert await trade.escrow(first) == PRICE


async def test_payments_that_race_move_money_once(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE * 3), await trade.seller()
    made = await trade.confirmed(buyer, seller)
    answers = await asyncio.gather(
        *(trade.pay(buyer, made.name) for _ in range(4)), return_exceptions=True
    )
    funded = [answer for answer in answers if isinstance(answer, orders_pb2.Order)]
    refusals = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert (len(funded), len(refusals)) == (1, 3)
    assert {error.code() for error in refusals} <= {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
    assert await trade.balance(buyer) == PRICE * 2


async def test_without_the_money_an_order_stays_as_it_was_and_can_be_paid_later(
    trade: Trade,
) -> None:
    buyer, seller = await trade.buyer(fen=PRICE - 1), await trade.seller()
    made = await trade.confirmed(buyer, seller)
    with refused("INSUFFICIENT_FUNDS") as refusal:
        await trade.pay(buyer, made.name)
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    unchanged = await orders(buyer).GetOrder(orders_pb2.GetOrderRequest(name=made.name))
    assert unchanged == made
    assert await trade.balance(buyer) == PRICE - 1
    await trade.fund(buyer, 1)
    assert (await trade.pay(buyer, made.name)).state == FUNDED
    assert await trade.balance(buyer) == 0


async def test_an_order_is_hidden_from_whoever_is_not_party_to_it(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.confirmed(buyer, seller)
    other_buyer, other_seller = await trade.buyer(fen=PRICE), await trade.seller()
    for stranger in (other_buyer, other_seller):
        with refused("NOT_FOUND"):
            await orders(stranger).GetOrder(orders_pb2.GetOrderRequest(name=made.name))
        listed = await orders(stranger).ListOrders(orders_pb2.ListOrdersRequest())
        assert made.name not in [order.name for order in listed.orders]
    with refused("NOT_FOUND"):
        await trade.pay(other_buyer, made.name)
    with refused("NOT_FOUND"):
        await trade.send_off(other_seller, made.name)
    auditor = await trade.world.party("AUDITOR")
    assert await orders(auditor).GetOrder(orders_pb2.GetOrderRequest(name=made.name)) == made


async def test_each_side_does_its_own_part_only(trade: Trade) -> None:
    buyer, seller = (
        await trade.buyer("SELLER", fen=PRICE),
        await trade.world.party("SELLER", "BUYER"),
    )
    made = await trade.order(buyer, seller)
    with refused("NOT_A_PARTY_TO_THIS"):
        await orders(buyer).ConfirmOrder(
            orders_pb2.ConfirmOrderRequest(request_id=request_id(), name=made.name)
        )
    await orders(seller).ConfirmOrder(
        orders_pb2.ConfirmOrderRequest(request_id=request_id(), name=made.name)
    )
    with refused("NOT_A_PARTY_TO_THIS"):
        await trade.pay(seller, made.name)
    await trade.pay(buyer, made.name)
    with refused("NOT_A_PARTY_TO_THIS"):
        await trade.send_off(buyer, made.name)
    await trade.send_off(seller, made.name)
    await trade.deliver(buyer, made.name)
    with refused("NOT_A_PARTY_TO_THIS"):
        await trade.accept(seller, made.name)


async def test_a_party_that_sees_everything_still_commands_nothing(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.confirmed(buyer, seller)
    auditor = await trade.world.party("AUDITOR", "BUYER", "SELLER")
    with refused("NOT_A_PARTY_TO_THIS"):
        await orders(auditor).CancelOrder(
            orders_pb2.CancelOrderRequest(request_id=request_id(), name=made.name)
        )


async def test_a_stale_etag_is_refused(trade: Trade) -> None:
    buyer, seller = await trade.buyer(), await trade.seller()
    made = await trade.order(buyer, seller)
    await orders(seller).ConfirmOrder(
        orders_pb2.ConfirmOrderRequest(request_id=request_id(), name=made.name, etag=made.etag)
    )
    with refused("ETAG_MISMATCH"):
        await orders(buyer).FundOrder(
            orders_pb2.FundOrderRequest(request_id=request_id(), name=made.name, etag=made.etag)
        )


@pytest.mark.parametrize("canceller", ["buyer", "seller"])
async def test_cancelling_a_funded_order_refunds_to_the_fen_and_frees_the_machine(
    trade: Trade, canceller: str
) -> None:
    buyer, seller = await trade.buyer(fen=PRICE + 77), await trade.seller()
    made = await trade.confirmed(buyer, seller, count=2, price_fen=PRICE // 2)
    await trade.pay(buyer, made.name)
    assert await trade.balance(buyer) == 77
    who = {"buyer": buyer, "seller": seller}[canceller]
    request = orders_pb2.CancelOrderRequest(request_id=request_id(), name=made.name)
    cancelled = await orders(who).CancelOrder(request)
    assert await orders(who).CancelOrder(request) == cancelled
    assert cancelled.state == CANCELLED
    assert orders_pb2.CancelReason.Name(cancelled.cancel_reason) == (
        f"CANCEL_REASON_{canceller.upper()}"
    )
    assert await trade.balance(buyer) == PRICE + 77
    assert await trade.escrow(cancelled) == 0
    for line in made.lines:
        free = await trade.look_up(line.machine)
        assert free.custody == machines_pb2.CUSTODY_AVAILABLE
        assert free.title_holder == seller.party
    assert await trade.is_balanced()
    with refused("TRANSITION_REFUSED"):
        await trade.send_off(seller, made.name)


async def test_a_machine_of_a_cancelled_order_is_ordered_again(trade: Trade) -> None:
    buyer, seller = await trade.buyer(), await trade.seller()
    pool = (await trade.pool(buyer)).name
    await trade.join(buyer, pool)
    await trade.lock(buyer, pool)
    machine = await trade.machine(seller)
    await trade.quote(seller, pool, [machine])
    await trade.award(buyer, pool)
    first = (await orders(buyer).ListOrders(orders_pb2.ListOrdersRequest(pool=pool))).orders[0]
    await orders(buyer).CancelOrder(
        orders_pb2.CancelOrderRequest(request_id=request_id(), name=first.name)
    )
    again = (await trade.pool(buyer)).name
    await trade.join(buyer, again)
    await trade.lock(buyer, again)
    await trade.quote(seller, again, [machine])
    await trade.award(buyer, again)
    second = (await orders(buyer).ListOrders(orders_pb2.ListOrdersRequest(pool=again))).orders[0]
    assert [line.machine for line in second.lines] == [machine]


async def test_a_dispatched_order_is_not_cancelled(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.confirmed(buyer, seller)
    await trade.pay(buyer, made.name)
    await trade.send_off(seller, made.name)
    with refused("TRANSITION_REFUSED"):
        await orders(buyer).CancelOrder(
            orders_pb2.CancelOrderRequest(request_id=request_id(), name=made.name)
        )


async def _dispute(
    trade: Trade, order: str, buyer: object, *, allowance_fen: int | None
) -> orders_pb2.Order:
    return await orders(buyer).DisputeOrder(  # type: ignore[arg-type]
        orders_pb2.DisputeOrderRequest(
            request_id=request_id(),
            name=order,
            reason="the boom is bent",
            claim=(
                orders_pb2.DISPUTE_OUTCOME_RETURN
                if allowance_fen is None
                else orders_pb2.DISPUTE_OUTCOME_ALLOWANCE
            ),
            claimed_allowance=None if allowance_fen is None else wire.money(allowance_fen),
            documents=[DOCUMENT],
        )
    )


async def test_an_allowance_goes_back_to_the_buyer_out_of_escrow(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    disputed = await _dispute(trade, made.name, buyer, allowance_fen=3_000_000)
    assert disputed.dispute.reason == "the boom is bent"
    with refused("NOT_YOURS_TO_DECIDE"):
        await orders(seller).ResolveDispute(
            orders_pb2.ResolveDisputeRequest(
                request_id=request_id(),
                name=made.name,
                outcome=orders_pb2.DISPUTE_OUTCOME_ALLOWANCE,
                allowance=wire.money(2_999_999),
            )
        )
    accepted = await orders(seller).ResolveDispute(
        orders_pb2.ResolveDisputeRequest(
            request_id=request_id(),
            name=made.name,
            outcome=orders_pb2.DISPUTE_OUTCOME_ALLOWANCE,
            allowance=wire.money(3_000_000),
        )
    )
    assert accepted.dispute.outcome == orders_pb2.DISPUTE_OUTCOME_ALLOWANCE
    assert wire.fen(accepted.allowance, field="allowance") == 3_000_000
    settled = await trade.until(buyer, made.name, SETTLED)
    assert await trade.balance(buyer) == 3_000_000
    assert wire.fen(settled.settlement.platform_fee, field="fee") == 1_125_000  # of 750,000.00
    assert await trade.balance(seller) == PRICE - 3_000_000 - 1_125_000
    assert await trade.escrow(settled) == 0


async def test_a_return_gives_back_machine_and_money(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    await _dispute(trade, made.name, buyer, allowance_fen=None)
    returned = await orders(seller).ResolveDispute(
        orders_pb2.ResolveDisputeRequest(
            request_id=request_id(), name=made.name, outcome=orders_pb2.DISPUTE_OUTCOME_RETURN
        )
    )
    assert returned.state == orders_pb2.ORDER_STATE_RETURNED
    assert returned.dispute.resolver == seller.subject
    assert await trade.balance(buyer) == PRICE
    assert await trade.escrow(returned) == 0
    back = await trade.look_up(made.lines[0].machine)
    assert (back.custodian, back.title_holder) == (seller.party, seller.party)
    assert back.custody == machines_pb2.CUSTODY_AVAILABLE


async def test_the_operator_decides_a_dispute_freely_but_not_above_the_total(
    trade: Trade,
) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    await _dispute(trade, made.name, buyer, allowance_fen=3_000_000)
    request = orders_pb2.ResolveDisputeRequest(
        request_id=request_id(),
        name=made.name,
        outcome=orders_pb2.DISPUTE_OUTCOME_ALLOWANCE,
        allowance=wire.money(PRICE + 1),
    )
    with refused("INVALID_FIELD") as refusal:
        await orders(trade.world.operator).ResolveDispute(request)
    assert "780,000.00" in refusal.status.message
    request.request_id = request_id()
    request.allowance.CopyFrom(wire.money(PRICE))
    await orders(trade.world.operator).ResolveDispute(request)
    settled = await trade.until(buyer, made.name, SETTLED)
    assert await trade.balance(buyer) == PRICE
    assert wire.fen(settled.settlement.seller_proceeds, field="proceeds") == 0


async def test_more_than_the_total_is_not_claimed_and_a_claim_says_what_it_is(
    trade: Trade,
) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    made = await trade.delivered(buyer, seller)
    with refused("INVALID_FIELD"):
        await _dispute(trade, made.name, buyer, allowance_fen=PRICE + 1)
    with refused("INVALID_FIELD") as refusal:
        await orders(buyer).DisputeOrder(
            orders_pb2.DisputeOrderRequest(
                request_id=request_id(),
                name=made.name,
                reason="x",
                claim=orders_pb2.DISPUTE_OUTCOME_ALLOWANCE,
            )
        )
    assert "claimed_allowance is needed" in refusal.status.message


async def test_orders_are_listed_by_side_and_paged(trade: Trade) -> None:
    both = await trade.world.party("BUYER", "SELLER")
    other = await trade.world.party("BUYER", "SELLER")
    bought = [await trade.order(both, other) for _ in range(2)]
    sold = await trade.order(other, both)

    async def listed(**filters: object) -> list[str]:
        names: list[str] = []
        request = orders_pb2.ListOrdersRequest(page_size=1, **filters)  # type: ignore[arg-type]
        while True:
            page = await orders(both).ListOrders(request)
            names += [order.name for order in page.orders]
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return names

    assert await listed(side=orders_pb2.ORDER_SIDE_BUYER) == [bought[1].name, bought[0].name]
    assert await listed(side=orders_pb2.ORDER_SIDE_SELLER) == [sold.name]
    assert await listed() == [sold.name, bought[1].name, bought[0].name]
    assert await listed(state=CONFIRMED) == []
    operator = orders(trade.world.operator)
    everything = await operator.ListOrders(orders_pb2.ListOrdersRequest())
    assert {sold.name, *(order.name for order in bought)} <= {
        order.name for order in everything.orders
    }
    own = await operator.ListOrders(orders_pb2.ListOrdersRequest(side=orders_pb2.ORDER_SIDE_BUYER))
    assert list(own.orders) == []


async def test_a_new_policy_holds_for_new_orders_only(trade: Trade) -> None:
    buyer, seller = await trade.buyer(fen=PRICE), await trade.seller()
    before = await trade.order(buyer, seller)
    operator = orders(trade.world.operator)
    in_force = (await operator.ListTradePolicies(orders_pb2.ListTradePoliciesRequest())).policies[0]
    request = orders_pb2.PublishTradePolicyRequest(
        request_id=request_id(), payment_days=7, acceptance_business_days=2
    )
    request.platform_fee_rate.value = "0.02"
    published = await operator.PublishTradePolicy(request)
    after = await trade.order(buyer, seller)
    assert before.policy_version == in_force.version
    assert after.policy_version == published.version == in_force.version + 1
    request.request_id = request_id()
    request.platform_fee_rate.CopyFrom(in_force.platform_fee_rate)
    await operator.PublishTradePolicy(request)
    with refused("INVALID_FIELD"):
        request.request_id = request_id()
        request.platform_fee_rate.value = "0.2000001"
        await operator.PublishTradePolicy(request)
