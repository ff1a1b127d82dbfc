"""The machine of a defaulted lease under the hammer: unsold twice, then sold, and its price
distributed by leasing, with every service but valuation real, and real events."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from google.type import decimal_pb2
from ironloop.leasing.v1 import disposals_pb2
from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.marketplace.v1 import auctions_pb2, inspections_pb2, listings_pb2, machines_pb2
from ironloop.procurement.v1 import orders_pb2

from services.finance.definition import DEFINITION as FINANCE
from services.kit import wire
from services.leasing.definition import DEFINITION as LEASING
from services.maintenance.definition import DEFINITION as MAINTENANCE
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.procurement.definition import DEFINITION as PROCUREMENT
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.finance.valuer import open_valuer
from tests.integration.leasing import ends
from tests.integration.leasing.fleet import Fleet
from tests.integration.marketplace import lots, market
from tests.integration.procurement.trade import ADDRESS, Trade, eventually, orders, request_id
from tests.support.refusals import refused
from tests.support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASK_FEN = 60_000_000
UNSOLD = auctions_pb2.AUCTION_STATE_CLOSED_UNSOLD
SOLD = auctions_pb2.AUCTION_STATE_CLOSED_SOLD


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fleet(kafka_world: World) -> AsyncIterator[Fleet]:
    """Return a lessor's fleet in a world in which leases end and machines are auctioned."""
    await kafka_world.start(SETTLEMENT, MARKETPLACE, MAINTENANCE, FINANCE, LEASING, PROCUREMENT)
    _, valuation = await open_valuer(kafka_world)
    yield await Fleet.open(kafka_world)
    await valuation.stop(0)


async def disposed(fleet: Fleet) -> tuple[pb.Lease, disposals_pb2.Disposal]:
    """Return a repossessed lease and its open disposal."""
    lease = await fleet.active(term_months=6)
    await ends.default(fleet, lease)
    lease = await ends.repossess(fleet, lease)
    return lease, await ends.open_disposal(fleet, lease)


async def offered(fleet: Fleet, disposal: disposals_pb2.Disposal, *, form: int) -> str:
    """Return the name of a published listing for a disposal."""
    technician = await fleet.world.party("TECHNICIAN")
    own = market.listings(fleet.lessor)
    drafted = await own.CreateListing(
        listings_pb2.CreateListingRequest(
            request_id=request_id(),
            machine=disposal.machine,
            disposal=disposal.name,
            content=market.content(
                format=form, ask=wire.money(ASK_FEN), price_override_reason="a forced sale"
            ),
        )
    )
    await own.SubmitListing(
        listings_pb2.SubmitListingRequest(request_id=request_id(), name=drafted.name)
    )
    await market.listings(technician).RecordInspection(
        inspections_pb2.RecordInspectionRequest(
            request_id=request_id(),
            listing=drafted.name,
            inspect_date=wire.date(fleet.world.today()),
            grade=inspections_pb2.CONDITION_GRADE_FAIR,
            hours_meter=decimal_pb2.Decimal(value="3000"),
            report=market.document("report"),
        )
    )
    published = await market.publish(fleet.lessor, drafted)
    assert published.disposal == disposal.name
    return published.name


async def look_at(fleet: Fleet, disposal: str) -> disposals_pb2.Disposal:
    return await ends.disposals(fleet.lessor).GetDisposal(
        disposals_pb2.GetDisposalRequest(name=disposal)
    )


async def under_the_hammer(fleet: Fleet, listing: str, reserve_fen: int) -> auctions_pb2.Auction:
    """Return an open auction of a listing at a reserve."""
    auction = await lots.scheduled(
        fleet.world,
        fleet.lessor,
        listings_pb2.Listing(name=listing),
        reserve=wire.money(reserve_fen),
    )
    return await lots.until_state(fleet.lessor, auction.name, auctions_pb2.AUCTION_STATE_OPEN)


async def hammer_falls(
    fleet: Fleet, auction: str, state: "auctions_pb2.AuctionState.ValueType"
) -> auctions_pb2.Auction:
    """Have an auction close now."""
    await lots.close_in(fleet.world, auction, timedelta(milliseconds=1))
    return await lots.until_state(fleet.lessor, auction, state)


async def carry_out(fleet: Fleet, order: orders_pb2.Order) -> orders_pb2.Order:
    """Bring a funded order to its settlement, its buyer accepting by time."""
    trade = Trade(fleet.world)
    await trade.send_off(fleet.lessor, order.name)
    await trade.deliver(fleet.lessor, order.name)
    await fleet.world.advance_days(7)
    return await trade.until(fleet.lessor, order.name, orders_pb2.ORDER_STATE_SETTLED)


async def test_a_disposal_unsold_twice_is_sold_at_a_lower_reserve_and_its_price_distributed(
    fleet: Fleet,
) -> None:
    _, disposal = await disposed(fleet)
    reserve_fen = wire.fen(disposal.reserve, field="reserve", positive=True)
    listing = await offered(fleet, disposal, form=listings_pb2.LISTING_FORMAT_TIMED_AUCTION)
    for count in (1, 2):
        auction = await under_the_hammer(fleet, listing, reserve_fen)
        assert (await hammer_falls(fleet, auction.name, UNSOLD)).unsold_count == count

    async def is_lower() -> bool:
        seen = await look_at(fleet, disposal.name)
        return seen.unsold_count == 2 and wire.fen(seen.reserve, field="reserve") < reserve_fen

    await eventually(is_lower, True)
    reserve_fen = wire.fen((await look_at(fleet, disposal.name)).reserve, field="reserve")
    auction = await under_the_hammer(fleet, listing, reserve_fen)
    trade = Trade(fleet.world)
    buyer = await trade.buyer(fen=reserve_fen)
    await lots.bid(buyer, auction.name, -(-reserve_fen // 100))
    sold = await hammer_falls(fleet, auction.name, SOLD)
    price_fen = wire.fen(sold.high, field="high")
    await trade.fund(buyer, price_fen - reserve_fen + 1)

    async def look() -> orders_pb2.Order | None:
        found = await orders(buyer).ListOrders(orders_pb2.ListOrdersRequest())
        return found.orders[0] if found.orders else None

    made = await lots.until(look)
    assert (made.disposal, made.auction) == (disposal.name, auction.name)
    await trade.pay(buyer, made.name)
    settled = await carry_out(fleet, made)
    assert wire.fen(settled.settlement.distributed, field="distributed") == price_fen
    assert await trade.escrow(settled) == 0
    done = await look_at(fleet, disposal.name)
    assert (done.state, done.order, done.price) == (
        disposals_pb2.DISPOSAL_STATE_SETTLED,
        made.name,
        sold.high,
    )
    paid_fen = sum(wire.fen(line.paid, field="paid") for line in done.lines)
    assert paid_fen + wire.fen(done.surplus, field="surplus") == price_fen
    bought = await trade.look_up(disposal.machine)
    assert (bought.title_holder, bought.custody) == (buyer.party, machines_pb2.CUSTODY_AVAILABLE)
    assert await trade.is_balanced()


async def test_a_disposal_at_a_fixed_price_is_ordered_alone_and_settled_by_its_claims(
    fleet: Fleet,
) -> None:
    trade = Trade(fleet.world)
    _, one = await disposed(fleet)
    _, other = await disposed(fleet)
    fixed = listings_pb2.LISTING_FORMAT_FIXED
    first, second = [await offered(fleet, each, form=fixed) for each in (one, other)]
    buyer = await trade.buyer(fen=ASK_FEN)

    async def order(*names: str) -> orders_pb2.Order:
        return await orders(buyer).CreateOrder(
            orders_pb2.CreateOrderRequest(
                request_id=request_id(), listings=names, delivery_address=ADDRESS
            )
        )

    with refused("DISPOSAL_SOLD_ALONE"):
        await order(first, second)
    made = await order(first)
    assert made.disposal == one.name
    await orders(fleet.lessor).ConfirmOrder(
        orders_pb2.ConfirmOrderRequest(request_id=request_id(), name=made.name)
    )
    await trade.pay(buyer, made.name)
    settled = await carry_out(fleet, made)
    assert wire.fen(settled.settlement.distributed, field="distributed") == ASK_FEN
    assert await trade.escrow(settled) == 0
    done = await look_at(fleet, one.name)
    assert (done.state, done.price) == (
        disposals_pb2.DISPOSAL_STATE_SETTLED,
        wire.money(ASK_FEN),
    )
    assert (await trade.look_up(one.machine)).title_holder == buyer.party
