"""How bids are decided: those that wait for one auction together, in the order in which they came.

One transaction takes them all: the auction is locked once, each bid is decided after the other as
if it were alone, and one commit makes them true (ADR 0210). So a storm of bids on one lot costs
few commits, and its order is that of the lot's sequence.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from services.kit import telemetry
from services.kit.errors import DomainError, NotFound
from services.kit.ids import name
from services.kit.request_batches import Asked, Outcome
from services.kit.transaction import Transaction
from services.marketplace import auction_events, auction_store, bid_store
from services.marketplace.auction_errors import DepositMissing
from services.marketplace.auction_lifecycle import AUCTION
from services.marketplace.auction_model import (
    Auction,
    Bid,
    BidState,
    check_takes_bids,
    decide,
    refusal_of,
)
from services.marketplace.auction_wire import bid_to_wire


@dataclass(frozen=True, slots=True)
class Offered:
    """What a bidder offers."""

    bidder: str
    amount_fen: int


async def place_bids(
    tx: Transaction, subject: Hashable, batch: Sequence[Asked[Offered]]
) -> list[Outcome]:
    """Decide the bids of one auction in their order, and return each one's answer or refusal.

    Raises nothing for a single bid: NotFound, AuctionNotOpen, AuctionOver, BidderIsSeller,
    DepositMissing and BidTooLow are outcomes.
    """
    auction_id = cast(UUID, subject)
    lot = await auction_store.lock_lot(tx.connection, auction_id)
    if lot is None:
        return [NotFound(name("auctions", auction_id)) for _ in batch]
    auction, policy = lot
    admitted = await _admitted(tx, auction, batch)
    outcomes: list[Outcome] = []
    decided: list[Bid] = []
    for one in batch:
        offered = one.argument
        try:
            check_takes_bids(auction, bidder=offered.bidder, at=tx.now)
        except DomainError as refusal:
            outcomes.append(refusal)
            continue
        if offered.bidder not in admitted:
            outcomes.append(DepositMissing(auction.name, auction.deposit_fen))
            continue
        before = auction
        auction, bid = decide(
            auction, policy, bidder=offered.bidder, amount_fen=offered.amount_fen, at=tx.now
        )
        decided.append(bid)
        if bid.state is BidState.REFUSED:
            outcomes.append(refusal_of(bid))
            continue
        await _tell(tx, before, auction, bid, traceparent=one.traceparent)
        outcomes.append(bid_to_wire(bid, auction))
    if decided:
        await bid_store.write_decided(tx.connection, auction, decided, at=tx.now)
    return outcomes


async def _admitted(tx: Transaction, auction: Auction, batch: Sequence[Asked[Offered]]) -> set[str]:
    """Return who of a batch may bid as far as deposits go."""
    bidders = {one.argument.bidder for one in batch}
    if not auction.deposit_fen:
        return bidders
    return await bid_store.admitted_of(tx.connection, auction.id, list(bidders))


async def _tell(
    tx: Transaction, before: Auction, after: Auction, bid: Bid, *, traceparent: str
) -> None:
    """Tell of an accepted bid in the bidder's trace, and of the close that it moved."""
    command = "extend" if after.extensions > before.extensions else "bid"
    step = AUCTION.next(before.state, command, subject=after.name)
    assert step.target is after.state, "the model follows the table"
    with telemetry.span("bid", parent=traceparent):
        sequence = before.event_sequence + 1
        await tx.emit(auction_events.bid_placed(after, bid, sequence=sequence))
        if command == "extend":
            await tx.emit(auction_events.extended(after))
