"""Auctions, bids, deposits and increments as the contract shows them, and back."""

from collections.abc import Iterable
from decimal import Decimal

from ironloop.marketplace.v1 import auctions_pb2, offers_pb2

from services.kit import wire
from services.kit.errors import InvalidArgument
from services.kit.etags import etag
from services.kit.ids import name
from services.marketplace.auction_model import (
    LIVE,
    Auction,
    Bid,
    IncrementPolicy,
    IncrementStep,
)
from services.marketplace.deposit_model import BidDeposit, WinOutcome


def auction_to_wire(
    auction: Auction, policy: IncrementPolicy, *, is_whole: bool, party: str = ""
) -> auctions_pb2.Auction:
    """Return an auction, whole or its public fields.

    Args:
        party: Whose own bid and win are shown among the public fields.
    """
    is_own = bool(party) and party == auction.high_bidder
    message = auctions_pb2.Auction(
        name=auction.name,
        uid=str(auction.id),
        etag=etag(auction.version),
        event_sequence=auction.event_sequence,
        state=wire.enum_number(auctions_pb2.AuctionState, auction.state, prefix="AUCTION_STATE_"),
        listing=name("listings", auction.listing_id),
        machine=name("machines", auction.machine_id),
        seller=auction.seller,
        open_time=wire.instant(auction.open_time),
        close_time=wire.instant(auction.close_time),
        scheduled_close_time=wire.instant(auction.scheduled_close_time),
        has_reserve=auction.reserve_fen is not None,
        reserve_met=auction.reserve_met,
        deposit=wire.money(auction.deposit_fen),
        increment_policy_version=auction.policy_version,
        accepted_bids=auction.accepted_bids,
        bid_sequence=auction.bid_sequence,
        extensions=auction.extensions,
        unsold_count=auction.unsold_count,
        create_time=wire.instant(auction.create_time),
        update_time=wire.instant(auction.update_time),
    )
    if auction.accepted_bids:
        message.high.CopyFrom(wire.money(auction.high_fen))
    if auction.state in LIVE:
        message.minimum_bid.CopyFrom(wire.money(auction.minimum_fen(policy)))
    if is_whole or is_own:
        message.high_bidder = auction.high_bidder
        message.winner = auction.winner
        message.order = auction.order
    if is_whole:
        message.disposal = auction.disposal
        if auction.reserve_fen is not None:
            message.reserve.CopyFrom(wire.money(auction.reserve_fen))
    return message


def bid_to_wire(bid: Bid, auction: Auction) -> offers_pb2.Bid:
    """Return a decided bid."""
    return offers_pb2.Bid(
        name=bid.name,
        listing=name("listings", auction.listing_id),
        bidder=bid.bidder,
        amount=wire.money(bid.amount_fen),
        auction=auction.name,
        sequence=bid.sequence,
        state=wire.enum_number(offers_pb2.BidState, bid.state, prefix="BID_STATE_"),
        minimum=wire.money(bid.minimum_fen),
        place_time=wire.instant(bid.place_time),
        close_time=wire.instant(bid.close_time),
    )


def deposit_to_wire(deposit: BidDeposit) -> auctions_pb2.BidDeposit:
    """Return a deposit."""
    return auctions_pb2.BidDeposit(
        name=deposit.name,
        uid=str(deposit.id),
        etag=etag(deposit.version),
        state=wire.enum_number(
            auctions_pb2.BidDepositState, deposit.state, prefix="BID_DEPOSIT_STATE_"
        ),
        auction=name("auctions", deposit.auction_id),
        bidder=deposit.bidder,
        amount=wire.money(deposit.amount_fen),
        transfer=str(deposit.transfer_id),
        create_time=wire.instant(deposit.create_time),
        update_time=wire.instant(deposit.update_time),
        event_sequence=deposit.auction_sequence,
    )


def deposit_rule_from_wire(rule: auctions_pb2.DepositRule) -> int | Decimal:
    """Return a deposit as an amount in fen, or as a part of the ask.

    Raises:
        InvalidArgument: It states neither, or the amount is not in CNY and above zero.
    """
    if rule.HasField("amount"):
        return wire.fen(rule.amount, field="deposit.amount", positive=True)
    if rule.HasField("rate_of_ask"):
        return wire.to_decimal(rule.rate_of_ask, field="deposit.rate_of_ask")
    raise InvalidArgument("deposit", "must state an amount or a rate_of_ask")


def outcome_of(number: auctions_pb2.WinOutcome.ValueType) -> WinOutcome:
    """Return the outcome with this number."""
    return WinOutcome(wire.enum_name(auctions_pb2.WinOutcome, number, prefix="WIN_OUTCOME_"))


def state_filter(number: auctions_pb2.AuctionState.ValueType) -> str | None:
    """Return the state that a list is narrowed to, None for 0."""
    if not number:
        return None
    return wire.enum_name(auctions_pb2.AuctionState, number, prefix="AUCTION_STATE_")


def policy_to_wire(policy: IncrementPolicy) -> auctions_pb2.IncrementPolicy:
    """Return a version of the table of increments."""
    return auctions_pb2.IncrementPolicy(
        version=policy.version,
        steps=[
            auctions_pb2.IncrementStep(
                below=None if step.below_fen is None else wire.money(step.below_fen),
                increment=wire.money(step.increment_fen),
            )
            for step in policy.steps
        ],
        publisher=policy.publisher,
        create_time=wire.instant(policy.create_time),
    )


def steps_from_wire(steps: Iterable[auctions_pb2.IncrementStep]) -> tuple[IncrementStep, ...]:
    """Return the lines of a table of increments.

    Raises:
        InvalidArgument: An amount is not in CNY and above zero.
    """
    return tuple(
        IncrementStep(
            wire.fen(step.below, field=f"steps[{place}].below", positive=True)
            if step.HasField("below")
            else None,
            wire.fen(step.increment, field=f"steps[{place}].increment", positive=True),
        )
        for place, step in enumerate(steps)
    )
