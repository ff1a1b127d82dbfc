"""Orders of auctions' winners, from the hammer to the title, with real events and real money."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
import pytest_asyncio
from ironloop.marketplace.v1 import auctions_pb2, listings_pb2, machines_pb2
from ironloop.procurement.v1 import orders_pb2
from ironloop.settlement.v1 import settlement_pb2

from infra.local.client import Actor
from services.kit import wire
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.procurement.definition import DEFINITION as PROCUREMENT
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.marketplace import lots, market
from tests.integration.procurement.trade import Trade, eventually, orders, request_id
from tests.support import money
from tests.support.refusals import refused
from tests.support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

YUAN = 100
DEPOSIT_FEN = 20_000 * YUAN
HIGH_YUAN = 300_000
CONFIRMED = orders_pb2.ORDER_STATE_CONFIRMED


@dataclass(frozen=True, slots=True)
class House:
    """An auction house: the trade, a seller and who inspects its lots."""

    trade: Trade
    seller: Actor
    technician: Actor

    async def sold_lot(self) -> tuple[auctions_pb2.Auction, Actor, Actor]:
        """Return an auction that is sold, its winner and who lost."""
        world = self.trade.world
        auction = await lots.opened(
            world,
            self.seller,
            self.technician,
            deposit=auctions_pb2.DepositRule(amount=wire.money(DEPOSIT_FEN)),
        )
        winner = await self.trade.buyer(fen=HIGH_YUAN * YUAN + DEPOSIT_FEN)
        loser = await self.trade.buyer(fen=DEPOSIT_FEN)
        for bidder, yuan in ((loser, 200_000), (winner, HIGH_YUAN)):
            await lots.deposit(bidder, auction.name)
            await lots.bid(bidder, auction.name, yuan)
        await lots.close_in(world, auction.name, timedelta(milliseconds=1))
        sold = auctions_pb2.AUCTION_STATE_CLOSED_SOLD
        return await lots.until_state(self.seller, auction.name, sold), winner, loser

    async def order_of(self, winner: Actor) -> orders_pb2.Order:
        """Return the winner's order once it is there."""

        async def look() -> orders_pb2.Order | None:
            found = await orders(winner).ListOrders(orders_pb2.ListOrdersRequest())
            return found.orders[0] if found.orders else None

        return await lots.until(look)

    async def available(self, party: Actor) -> int:
        """Return what a wallet has free, in fen."""
        number = await money.wallet_of(self.trade.world, party.party)
        account = await money.ledger(self.trade.world).GetAccount(
            settlement_pb2.GetAccountRequest(name=f"accounts/{number}")
        )
        return wire.fen(account.available, field="available")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(kafka_world: World) -> AsyncIterator[House]:
    """Return an auction house with every service that it needs, and a broker."""
    await kafka_world.start(SETTLEMENT, MARKETPLACE, PROCUREMENT)
    _, server = await market.open_valuer(kafka_world)
    seller = await kafka_world.party("SELLER")
    yield House(Trade(kafka_world), seller, await kafka_world.party("TECHNICIAN"))
    await server.stop(0)


async def test_the_winner_gets_a_confirmed_order_and_its_deposit_back_when_it_has_paid(
    house: House,
) -> None:
    auction, winner, loser = await house.sold_lot()
    made = await house.order_of(winner)
    assert (made.state, made.auction, made.seller) == (
        CONFIRMED,
        auction.name,
        house.seller.party,
    )
    assert (made.total, made.delivery_address.region) == (
        wire.money(HIGH_YUAN * YUAN),
        "Hunan",
    )
    assert made.HasField("payment_deadline_time")
    await eventually(lambda: house.available(loser), DEPOSIT_FEN)
    assert await house.available(winner) == HIGH_YUAN * YUAN
    trade = house.trade
    await trade.pay(winner, made.name)
    assert await house.available(winner) == DEPOSIT_FEN
    await trade.send_off(house.seller, made.name)
    await trade.deliver(house.seller, made.name)
    await trade.accept(winner, made.name)
    await trade.until(winner, made.name, orders_pb2.ORDER_STATE_SETTLED)
    bought = await trade.look_up(auction.machine)
    assert (bought.title_holder, bought.custody) == (winner.party, machines_pb2.CUSTODY_AVAILABLE)
    assert (await lots.get(house.seller, auction.name)).order == made.name
    assert await trade.is_balanced()


async def test_a_winner_that_does_not_pay_in_time_loses_deposit_and_lot(house: House) -> None:
    auction, winner, _ = await house.sold_lot()
    made = await house.order_of(winner)
    before = await house.available(house.seller)
    await house.trade.world.advance_days(9)
    cancelled = await house.trade.until(winner, made.name, orders_pb2.ORDER_STATE_CANCELLED)
    assert cancelled.cancel_reason == orders_pb2.CANCEL_REASON_UNPAID
    await eventually(lambda: house.available(house.seller), before + DEPOSIT_FEN)
    assert await house.available(winner) == HIGH_YUAN * YUAN
    listing = await market.listings(house.seller).GetListing(
        listings_pb2.GetListingRequest(name=auction.listing)
    )
    assert listing.state == listings_pb2.LISTING_STATE_PUBLISHED
    again = await lots.scheduled(house.trade.world, house.seller, listing)
    assert again.name != auction.name


async def test_a_seller_that_gives_up_frees_the_winners_deposit(house: House) -> None:
    auction, winner, _ = await house.sold_lot()
    made = await house.order_of(winner)
    await orders(house.seller).CancelOrder(
        orders_pb2.CancelOrderRequest(request_id=request_id(), name=made.name)
    )
    assert await house.available(winner) == HIGH_YUAN * YUAN + DEPOSIT_FEN
    deposits = await market_deposits(house, auction.name)
    assert set(deposits.values()) == {auctions_pb2.BID_DEPOSIT_STATE_RELEASED}


async def test_a_winner_that_gives_up_before_it_has_paid_leaves_its_deposit(house: House) -> None:
    _, winner, _ = await house.sold_lot()
    made = await house.order_of(winner)
    before = await house.available(house.seller)
    await orders(winner).CancelOrder(
        orders_pb2.CancelOrderRequest(request_id=request_id(), name=made.name)
    )
    assert await house.available(house.seller) == before + DEPOSIT_FEN
    assert await house.available(winner) == HIGH_YUAN * YUAN


async def market_deposits(house: House, auction: str) -> dict[str, int]:
    """Return what became of an auction's deposits, by bidder."""
    listed = await lots.auctions(house.seller).ListDeposits(
        auctions_pb2.ListDepositsRequest(auction=auction)
    )
    return {one.bidder: one.state for one in listed.deposits}


async def test_a_win_is_ordered_once_and_by_its_winner_alone(house: House) -> None:
    auction, winner, loser = await house.sold_lot()
    await house.order_of(winner)
    with refused("TRANSITION_REFUSED"):
        await orders(loser).CreateOrder(
            orders_pb2.CreateOrderRequest(
                request_id=request_id(),
                listings=[auction.listing],
                delivery_address=orders_pb2.DeliveryAddress(
                    recipient="x", street="x", city="x", region="x", country_code="CN"
                ),
            )
        )
    found = await orders(winner).ListOrders(orders_pb2.ListOrdersRequest())
    assert len(found.orders) == 1
