"""The disposal of a returned machine: auctioned, ordered, its price distributed by rank."""

import asyncio
import itertools
from datetime import timedelta
from decimal import Decimal

from ironloop.leasing.v1 import (
    disposals_pb2,
    disposals_pb2_grpc,
    endings_pb2,
    leasing_pb2,
    leasing_pb2_grpc,
)
from ironloop.marketplace.v1 import (
    auctions_pb2,
    auctions_pb2_grpc,
    consents_pb2,
    listings_pb2,
    listings_pb2_grpc,
    offers_pb2,
)
from ironloop.procurement.v1 import orders_pb2, orders_pb2_grpc

from infra.local.client import Actor
from infra.local.demo.act_list import publish
from infra.local.demo.act_months import Course
from infra.local.demo.act_trade import carry_out
from infra.local.demo.field import hours_after
from infra.local.demo.scene import Scene, fen, request_id
from services.kit import wire
from services.kit.amounts import yuan

COST_RATE = Decimal("0.025")
TRANSPORT_FEN = 800_000
BID_DEPOSIT_FEN = 2_000_000
OPEN_DAYS = 3
# The close lies this much later in the day than the opening: what is bid on the last day is bid
# within 120 seconds of it, and adds as much.
CLOSE_LATER = timedelta(seconds=110)
JUNIOR = "junior"  # the claimant that is paid behind the senior lender
ROUNDS = 2  # each bidder raises so often on the last day
FEN_PER_THOUSAND = 100_000


async def let_prices_be_labels(scene: Scene) -> None:
    """Let the dealer consent to its sale prices serving as labels of the model."""
    listings = scene.cast.dealer.stub(listings_pb2_grpc.ListingServiceStub)
    purpose = consents_pb2.CONSENT_PURPOSE_SALE_PRICE_LABEL
    text = await listings.GetConsentText(consents_pb2.GetConsentTextRequest(purpose=purpose))
    await listings.GrantConsent(
        consents_pb2.GrantConsentRequest(
            request_id=request_id(),
            purpose=purpose,
            text_version=text.version,
            text_sha256=text.sha256,
        )
    )
    scene.narrator.tell("dealer", "lets its sale prices serve as labels of the model (consent)")


async def dispose(scene: Scene, course: Course) -> disposals_pb2.Disposal:
    """Sell the returned machine at auction and distribute its price."""
    (lease,) = course.leases
    disposals = scene.cast.dealer.stub(disposals_pb2_grpc.DisposalServiceStub)
    disposal = await disposals.OpenDisposal(
        disposals_pb2.OpenDisposalRequest(
            request_id=request_id(),
            lease=lease.name,
            cost_rate=wire.decimal(COST_RATE),
            transport=wire.money(TRANSPORT_FEN),
        )
    )
    reserve_fen = fen(disposal.reserve)
    scene.narrator.tell(
        "dealer",
        f"opens the disposal: reserve {yuan(reserve_fen)}, {len(disposal.lines)} claims before the "
        "surplus",
    )
    auction = await _auction(scene, course, disposal)
    await _bid(scene, auction, reserve_fen)
    order = await _order_of_winner(scene, auction)
    winner = _bidder(scene, order.buyer)
    sold = await carry_out(scene, order, seller=scene.cast.dealer, buyer=winner)
    settled = await disposals.GetDisposal(disposals_pb2.GetDisposalRequest(name=disposal.name))
    _tell_waterfall(scene, settled)
    scene.sale_order = sold.name
    distributed_fen = sum(amount for _, _, amount in scene.waterfall)
    scene.checks["the waterfall sums to the sale price"] = (
        settled.state == disposals_pb2.DISPOSAL_STATE_SETTLED
        and distributed_fen == fen(settled.price) == fen(sold.total)
    )
    paid_to = {
        whose for claimant, whose, amount in scene.waterfall if claimant == JUNIOR and amount
    }
    scene.checks["the second lender was paid behind the financier"] = paid_to == {"second lender"}
    closed = await scene.cast.dealer.stub(leasing_pb2_grpc.LeasingServiceStub).CloseLease(
        endings_pb2.CloseLeaseRequest(request_id=request_id(), name=lease.name)
    )
    scene.checks["the lease is closed"] = closed.state == leasing_pb2.LEASE_STATE_CLOSED
    # A day on, consents of before the sale have arrived: its price becomes a label.
    await scene.time.advance_to(await scene.time.today() + timedelta(days=1))
    return settled


async def _auction(
    scene: Scene, course: Course, disposal: disposals_pb2.Disposal
) -> auctions_pb2.Auction:
    """List the machine again and schedule its auction."""
    dealer = scene.cast.dealer
    machine = course.main.fleet_machine
    ask_fen = fen(disposal.reserve) * 5 // 4
    listing = await publish(
        scene,
        dealer,
        course.main.machine,
        reference=f"{machine.equipment_id}-D",
        hours=hours_after(machine, course.months),
        content=listings_pb2.ListingContent(
            format=listings_pb2.LISTING_FORMAT_TIMED_AUCTION,
            ask=wire.money(ask_fen),
            price_override_reason="about the auction's reserve",
            description=f"{machine.make} {machine.model}, back from a lease",
            lien_disclosure=listings_pb2.LienDisclosure(
                has_liens=True, statement="paid off with the settlement"
            ),
        ),
        disposal=disposal.name,
    )
    close_time = await scene.time.now() + timedelta(days=OPEN_DAYS) + CLOSE_LATER
    auction = await dealer.stub(auctions_pb2_grpc.AuctionServiceStub).CreateAuction(
        auctions_pb2.CreateAuctionRequest(
            request_id=request_id(),
            listing=listing.name,
            close_time=wire.instant(close_time),
            reserve=disposal.reserve,
            deposit=auctions_pb2.DepositRule(amount=wire.money(BID_DEPOSIT_FEN)),
        )
    )
    scene.narrator.tell(
        "dealer",
        f"lists it again and has it auctioned, {OPEN_DAYS} days, with a deposit of "
        f"{yuan(BID_DEPOSIT_FEN)}; guide {yuan(fen(listing.price_guide.fmv.q50))}",
    )
    return auction


async def _bid(scene: Scene, auction: auctions_pb2.Auction, reserve_fen: int) -> None:
    """Let three bid, the last of them in the last seconds, and let the auction close."""
    bidders = (*scene.cast.buyers, scene.cast.bidder)
    await scene.time.until_at_rest()
    await asyncio.gather(*(_deposit(bidder, auction.name) for bidder in bidders))
    opening_fen = reserve_fen * 9 // 10 // FEN_PER_THOUSAND * FEN_PER_THOUSAND
    await _place(bidders[0], auction.name, opening_fen)
    scene.narrator.tell("buyer 1", f"opens at {yuan(opening_fen)}")
    await scene.time.advance_to(await scene.time.today() + timedelta(days=OPEN_DAYS))
    turns = itertools.islice(itertools.cycle(bidders[1:] + bidders[:1]), ROUNDS * len(bidders))
    for bidder in turns:
        now = await _see(bidder, auction.name)
        amount_fen = max(fen(now.minimum_bid), reserve_fen)
        await _place(bidder, auction.name, amount_fen)
    late = await _see(scene.cast.dealer, auction.name)
    scene.narrator.tell(
        "bidders",
        f"raise {ROUNDS} times each in the last two minutes: {yuan(fen(late.high))}; the close "
        f"moves to {late.close_time.ToDatetime():%H:%M:%S}, two minutes on",
    )
    await scene.time.advance_to(await scene.time.today() + timedelta(days=1))
    await scene.time.until_at_rest()
    closed = await _see(scene.cast.dealer, auction.name)
    scene.checks["bids in the last seconds moved the close, and the highest won"] = (
        closed.state == auctions_pb2.AUCTION_STATE_CLOSED_SOLD
        and closed.extensions > 0
        and closed.accepted_bids == 1 + ROUNDS * len(bidders)
        and closed.winner == closed.high_bidder == late.high_bidder
    )


async def _order_of_winner(scene: Scene, auction: auctions_pb2.Auction) -> orders_pb2.Order:
    """Return the order that the winner has by itself."""
    closed = await _see(scene.cast.dealer, auction.name)
    winner = _bidder(scene, closed.winner)
    order = await winner.stub(orders_pb2_grpc.OrderServiceStub).GetOrder(
        orders_pb2.GetOrderRequest(name=closed.order)
    )
    scene.narrator.tell(
        scene.cast.name_of(winner.party),
        f"wins at {yuan(fen(closed.high))}; its order is there, the others' deposits are free",
    )
    return order


def _tell_waterfall(scene: Scene, settled: disposals_pb2.Disposal) -> None:
    """Keep and say who got what of the price."""
    for line in settled.lines:
        claimant = wire.enum_name(
            disposals_pb2.DisposalClaimant, line.claimant, prefix="DISPOSAL_CLAIMANT_"
        )
        whose = scene.cast.name_of(line.creditor) if line.creditor else "platform"
        scene.waterfall.append((_words(claimant), whose, fen(line.paid)))
    beneficiary = scene.cast.name_of(settled.beneficiary)
    scene.waterfall.append(("surplus", beneficiary, fen(settled.surplus)))
    paid = ", ".join(
        f"{claimant} {yuan(amount)} to {whose}" for claimant, whose, amount in scene.waterfall
    )
    scene.narrator.tell("settlement", f"distributes {yuan(fen(settled.price))}: {paid}")


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def _bidder(scene: Scene, party: str) -> Actor:
    bidders = (*scene.cast.buyers, scene.cast.bidder)
    return next(bidder for bidder in bidders if bidder.party == party)


async def _deposit(bidder: Actor, auction: str) -> None:
    await bidder.stub(auctions_pb2_grpc.AuctionServiceStub).PlaceDeposit(
        auctions_pb2.PlaceDepositRequest(request_id=request_id(), auction=auction)
    )


async def _place(bidder: Actor, auction: str, amount_fen: int) -> None:
    await bidder.stub(auctions_pb2_grpc.AuctionServiceStub).PlaceBid(
        offers_pb2.PlaceBidRequest(
            request_id=request_id(), auction=auction, amount=wire.money(amount_fen)
        )
    )


async def _see(actor: Actor, auction: str) -> auctions_pb2.Auction:
    return await actor.stub(auctions_pb2_grpc.AuctionServiceStub).GetAuction(
        auctions_pb2.GetAuctionRequest(name=auction)
    )
