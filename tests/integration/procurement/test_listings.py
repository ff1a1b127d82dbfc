"""Orders of listed machines, and sales that pay a draw off, with every peer real."""

import asyncio
from typing import Any

import grpc
import pytest_asyncio
from ironloop.finance.v1 import finance_pb2
from ironloop.marketplace.v1 import listings_pb2, machines_pb2, offers_pb2
from ironloop.procurement.v1 import orders_pb2

from infra.local.client import Actor
from services.finance.definition import DEFINITION as FINANCE
from services.kit import wire
from services.maintenance.definition import DEFINITION as MAINTENANCE
from services.valuation.definition import DEFINITION as VALUATION
from tests.integration.finance.lending import Lending, finance
from tests.integration.marketplace import market
from tests.integration.procurement.trade import ADDRESS, Trade, orders, request_id
from tests.support.refusals import refused

ASK = 45_000_000
FEE = 675_000
SETTLED = orders_pb2.ORDER_STATE_SETTLED
PUBLISHED = listings_pb2.LISTING_STATE_PUBLISHED


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def market_trade(trade: Trade) -> Trade:
    """Return the world of trade with valuation and finance beside it."""
    await trade.world.start(VALUATION, FINANCE, MAINTENANCE)
    return trade


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def technician(market_trade: Trade) -> Actor:
    """Return somebody who inspects."""
    return await market_trade.world.party("TECHNICIAN")


async def listed(trade: Trade, seller: Actor, technician: Actor, **content: Any) -> str:
    """Return the name of a published listing of a new machine."""
    machine = await market.registered(
        seller,
        make="Caterpillar",
        model="320D",
        equipment_class=machines_pb2.EQUIPMENT_CLASS_HYDRAULIC_EXCAVATOR,
        build_year=trade.world.today().year - 5,
    )
    stated = {"ask": wire.money(ASK), "price_override_reason": "a price for tests"} | content
    listing = await market.published(seller, technician, machine, **stated)
    assert listing.state == PUBLISHED
    return listing.name


async def look_at(actor: Actor, listing: str) -> listings_pb2.Listing:
    return await market.listings(actor).GetListing(listings_pb2.GetListingRequest(name=listing))


async def create(buyer: Actor, *listings: str, expected_fen: int | None = None) -> orders_pb2.Order:
    return await orders(buyer).CreateOrder(
        orders_pb2.CreateOrderRequest(
            request_id=request_id(),
            listings=listings,
            delivery_address=ADDRESS,
            expected_total=None if expected_fen is None else wire.money(expected_fen),
        )
    )


async def carry_out(trade: Trade, order: str, *, buyer: Actor, seller: Actor) -> orders_pb2.Order:
    """Bring a new order as far as its settlement."""
    await orders(seller).ConfirmOrder(
        orders_pb2.ConfirmOrderRequest(request_id=request_id(), name=order)
    )
    await trade.pay(buyer, order)
    await trade.send_off(seller, order)
    await trade.deliver(seller, order)
    await trade.accept(buyer, order)
    return await trade.until(buyer, order, SETTLED)


async def test_two_listed_machines_of_a_seller_are_one_order(
    market_trade: Trade, technician: Actor
) -> None:
    trade = market_trade
    buyer, seller = await trade.buyer(fen=2 * ASK), await trade.seller()
    one, two = [await listed(trade, seller, technician) for _ in range(2)]
    made = await create(buyer, one, two, expected_fen=2 * ASK)
    assert [line.listing for line in made.lines] == [one, two]
    assert wire.fen(made.total, field="total") == 2 * ASK
    assert (await look_at(seller, one)).order == made.name
    settled = await carry_out(trade, made.name, buyer=buyer, seller=seller)
    assert await trade.balance(seller) == 2 * (ASK - FEE)
    for line in settled.lines:
        assert (await look_at(seller, line.listing)).state == listings_pb2.LISTING_STATE_SOLD
        bought = await trade.look_up(line.machine)
        assert (bought.title_holder, bought.custody) == (
            buyer.party,
            machines_pb2.CUSTODY_AVAILABLE,
        )


async def test_a_cancelled_order_puts_its_listing_on_offer_again(
    market_trade: Trade, technician: Actor
) -> None:
    trade = market_trade
    buyer, seller = await trade.buyer(), await trade.seller()
    listing = await listed(trade, seller, technician)
    made = await create(buyer, listing)
    assert (await look_at(seller, listing)).state == listings_pb2.LISTING_STATE_RESERVED
    await orders(buyer).CancelOrder(
        orders_pb2.CancelOrderRequest(request_id=request_id(), name=made.name)
    )
    assert (await look_at(seller, listing)).state == PUBLISHED
    assert (await create(await trade.buyer(), listing)).lines[0].listing == listing


async def test_one_of_two_buyers_that_race_gets_the_listing(
    market_trade: Trade, technician: Actor
) -> None:
    trade = market_trade
    listing = await listed(trade, await trade.seller(), technician)
    buyers = [await trade.buyer() for _ in range(3)]
    answers = await asyncio.gather(
        *(create(buyer, listing) for buyer in buyers), return_exceptions=True
    )
    made = [answer for answer in answers if isinstance(answer, orders_pb2.Order)]
    refusals = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert (len(made), len(refusals)) == (1, 2)
    assert {error.code() for error in refusals} == {grpc.StatusCode.FAILED_PRECONDITION}


async def test_what_cannot_be_one_order_is_refused_and_holds_nothing(
    market_trade: Trade, technician: Actor
) -> None:
    trade = market_trade
    buyer, other = await trade.buyer(), await trade.seller()
    seller = await trade.world.party("SELLER", "BUYER")
    mine, theirs = [await listed(trade, one, technician) for one in (seller, other)]
    with refused("SELLERS_DIFFER"):
        await create(buyer, mine, theirs)
    with refused("PRICE_CHANGED") as refusal:
        await create(buyer, mine, expected_fen=ASK - 1)
    assert refusal.metadata["total_fen"] == str(ASK)
    with refused("NOT_FOUND"):
        await create(buyer, mine, "listings/00000000-0000-7000-8000-000000000000")
    with refused("BUYER_IS_SELLER"):
        await create(seller, mine)
    for listing in (mine, theirs):
        assert (await look_at(seller, listing)).state == PUBLISHED


async def test_a_repeated_order_is_the_same_order(market_trade: Trade, technician: Actor) -> None:
    trade = market_trade
    buyer = await trade.buyer()
    request = orders_pb2.CreateOrderRequest(
        request_id=request_id(),
        listings=[await listed(trade, await trade.seller(), technician)],
        delivery_address=ADDRESS,
    )
    first = await orders(buyer).CreateOrder(request)
    assert await orders(buyer).CreateOrder(request) == first
    assert len((await orders(buyer).ListOrders(orders_pb2.ListOrdersRequest())).orders) == 1


async def test_an_accepted_offer_is_the_price(market_trade: Trade, technician: Actor) -> None:
    trade = market_trade
    buyer, seller = await trade.buyer(), await trade.seller()
    listing = await listed(trade, seller, technician, format=listings_pb2.LISTING_FORMAT_OFFER)
    with refused("OFFER_NOT_ACCEPTED"):
        await create(buyer, listing)
    made = await market.offer(buyer, await look_at(seller, listing), amount_fen=ASK - 500_000)
    await market.listings(seller).AcceptOffer(
        offers_pb2.AcceptOfferRequest(request_id=request_id(), name=made.name)
    )
    assert wire.fen((await create(buyer, listing)).total, field="total") == ASK - 500_000


async def test_a_sale_pays_the_draw_off_before_the_title_moves(
    market_trade: Trade, technician: Actor
) -> None:
    trade = market_trade
    lending = Lending(trade.world)
    funder, dealer = await lending.funder(fen=100_000_000), await lending.dealer()
    buyer = await trade.buyer(fen=200_000_000)
    order = await trade.confirmed(buyer, dealer, price_fen=150_000_000)
    machine = order.lines[0].machine
    draw = await lending.drawn(funder, dealer, machine=machine)
    lent = wire.fen(draw.principal, field="principal")
    assert await lending.liens(machine) == [draw.lien]
    await trade.world.advance_days(5)
    await trade.pay(buyer, order.name)
    await trade.send_off(dealer, order.name)
    await trade.deliver(dealer, order.name)
    await trade.accept(buyer, order.name)
    settled = await trade.until(buyer, order.name, SETTLED)
    (payoff,) = settled.settlement.payoffs
    paid = wire.fen(payoff.amount, field="payoff")
    assert (payoff.draw, payoff.lien, payoff.machine) == (draw.name, draw.lien, machine)
    assert paid > lent  # five days of interest
    fee = 2_250_000
    assert wire.fen(settled.settlement.platform_fee, field="fee") == fee
    assert await trade.balance(funder) == 100_000_000 - lent + paid
    assert await trade.balance(dealer) == lent + 150_000_000 - fee - paid
    closed = await lending.see(funder, draw.name)
    assert closed.state == finance_pb2.DRAW_STATE_REPAID
    sold = await trade.look_up(machine)
    assert (sold.title_holder, list(sold.liens)) == (buyer.party, [])
    assert await trade.is_balanced()


async def test_a_debt_above_the_price_blocks_the_settlement_until_it_is_paid_down(
    market_trade: Trade, technician: Actor
) -> None:
    trade = market_trade
    lending = Lending(trade.world)
    funder, dealer = await lending.funder(fen=100_000_000), await lending.dealer()
    buyer = await trade.buyer(fen=200_000_000)
    order = await trade.confirmed(buyer, dealer, price_fen=1_000_000)
    machine = order.lines[0].machine
    draw = await lending.drawn(funder, dealer, machine=machine)
    await trade.pay(buyer, order.name)
    await trade.send_off(dealer, order.name)
    await trade.deliver(dealer, order.name)
    await trade.accept(buyer, order.name)
    blocked = await trade.until(buyer, order.name, orders_pb2.ORDER_STATE_SETTLEMENT_BLOCKED)
    assert blocked.block_reason == "PAYOFFS_EXCEED_PRICE"
    assert await trade.escrow(blocked) == 1_000_000
    await trade.fund(dealer, 100_000_000)
    await finance(dealer).PayOffDraw(
        finance_pb2.PayOffDrawRequest(request_id=request_id(), name=draw.name)
    )
    await orders(dealer).RetrySettlement(
        orders_pb2.RetrySettlementRequest(request_id=request_id(), name=order.name)
    )
    settled = await trade.until(buyer, order.name, SETTLED)
    assert list(settled.settlement.payoffs) == []
