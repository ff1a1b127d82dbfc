"""What marketplace tells of auctions, as events of the contract."""

from typing import Any

from ironloop.marketplace.v1 import marketplace_events_pb2 as events

from services.kit import wire
from services.kit.ids import name
from services.marketplace.auction_model import Auction, AuctionState, Bid, CancelReason
from services.marketplace.deposit_model import BidDeposit

PRODUCES = (
    events.AuctionOpened,
    events.BidPlaced,
    events.AuctionExtended,
    events.AuctionClosed,
    events.AuctionCancelled,
    events.BidDepositHeld,
    events.BidDepositReleased,
    events.BidDepositForfeited,
)


def opened(auction: Auction) -> events.AuctionOpened:
    """Tell that an auction takes bids."""
    return events.AuctionOpened(
        **_lot(auction),
        seller=auction.seller,
        close_time=wire.instant(auction.close_time),
        has_reserve=auction.reserve_fen is not None,
        deposit=wire.money(auction.deposit_fen),
        increment_policy_version=auction.policy_version,
    )


def bid_placed(auction: Auction, bid: Bid, *, sequence: int) -> events.BidPlaced:
    """Tell of a bid that is the highest now."""
    return events.BidPlaced(
        **(_lot(auction) | {"sequence": sequence}),
        bid=bid.name,
        bid_sequence=bid.sequence,
        bidder=bid.bidder,
        high=wire.money(bid.amount_fen),
        reserve_met=auction.reserve_met,
    )


def extended(auction: Auction) -> events.AuctionExtended:
    """Tell that a late bid has moved the close."""
    return events.AuctionExtended(
        auction=auction.name,
        sequence=auction.event_sequence,
        listing=name("listings", auction.listing_id),
        close_time=wire.instant(auction.close_time),
        extensions=auction.extensions,
    )


def closed(auction: Auction) -> events.AuctionClosed:
    """Tell how an auction ended."""
    message = events.AuctionClosed(
        **_lot(auction),
        seller=auction.seller,
        sold=auction.state is AuctionState.CLOSED_SOLD,
        reserve_met=auction.reserve_met,
        winner=auction.winner,
        accepted_bids=auction.accepted_bids,
        close_time=wire.instant(auction.close_time),
        disposal=auction.disposal,
        unsold_count=auction.unsold_count,
    )
    if auction.accepted_bids:
        message.high.CopyFrom(wire.money(auction.high_fen))
    if auction.reserve_fen is not None:
        message.reserve.CopyFrom(wire.money(auction.reserve_fen))
    return message


def cancelled(auction: Auction, *, reason: CancelReason) -> events.AuctionCancelled:
    """Tell that an auction will not open, and why."""
    return events.AuctionCancelled(
        **_lot(auction), seller=auction.seller, reason=reason, disposal=auction.disposal
    )


def deposit_held(auction: Auction, deposit: BidDeposit) -> events.BidDepositHeld:
    """Tell that a bidder's deposit is held."""
    return events.BidDepositHeld(**_deposit(auction, deposit))


def deposit_released(auction: Auction, deposit: BidDeposit) -> events.BidDepositReleased:
    """Tell that a deposit is the bidder's again."""
    return events.BidDepositReleased(**_deposit(auction, deposit))


def deposit_forfeited(
    auction: Auction, deposit: BidDeposit, *, order: str
) -> events.BidDepositForfeited:
    """Tell that a deposit is the seller's."""
    return events.BidDepositForfeited(
        **_deposit(auction, deposit), seller=auction.seller, order=order
    )


def _lot(auction: Auction) -> dict[str, Any]:
    return {
        "auction": auction.name,
        "sequence": auction.event_sequence,
        "listing": name("listings", auction.listing_id),
        "machine": name("machines", auction.machine_id),
    }


def _deposit(auction: Auction, deposit: BidDeposit) -> dict[str, Any]:
    return {
        "auction": auction.name,
        "sequence": auction.event_sequence,
        "deposit": deposit.name,
        "bidder": deposit.bidder,
        "amount": wire.money(deposit.amount_fen),
    }
