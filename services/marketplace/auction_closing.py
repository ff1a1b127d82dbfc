"""How an auction ends without its bidders: given up before it opens, and what stands in the way."""

from dataclasses import replace

from services.kit.transaction import Transaction
from services.marketplace import auction_events, auction_store
from services.marketplace.auction_errors import AuctionUnderWay
from services.marketplace.auction_lifecycle import AUCTION
from services.marketplace.auction_model import TAKES_BIDS, Auction, AuctionState, CancelReason
from services.marketplace.listing_model import Listing

RELEASE_DEPOSITS = "release_deposits"


async def cancel(tx: Transaction, auction: Auction, *, reason: CancelReason) -> Auction:
    """Give up a locked auction that has not opened; its deposits are released.

    Raises:
        TransitionRefused: It has opened.
    """
    step = AUCTION.next(auction.state, "cancel", subject=auction.name)
    cancelled = await auction_store.update_auction(
        tx.connection, replace(auction.told(), state=step.target), at=tx.now
    )
    await tx.emit(auction_events.cancelled(cancelled, reason=reason))
    await begin_release(tx, cancelled)
    return cancelled


async def begin_release(tx: Transaction, auction: Auction) -> None:
    """Begin to release the deposits of an ended auction but the winner's."""
    if auction.deposit_fen:
        await tx.start_saga(RELEASE_DEPOSITS, auction.name, facts={"winner": auction.winner})


async def cancel_of_listing(tx: Transaction, listing: Listing) -> None:
    """Give up the auction of a locked listing that leaves the market.

    Raises:
        AuctionUnderWay: Bidders rely on it.
    """
    await check_none_under_way(tx, listing)
    auction = await auction_store.lock_live(tx.connection, listing.id)
    if auction is not None:
        await cancel(tx, auction, reason=CancelReason.LISTING_CLOSED)


async def check_none_under_way(tx: Transaction, listing: Listing) -> None:
    """Check that no auction of a locked listing takes bids or waits for its winner's order.

    Raises:
        AuctionUnderWay: One does.
    """
    auction = await auction_store.find_last(tx.connection, listing.id)
    if auction is not None and is_under_way(auction):
        raise AuctionUnderWay(auction.name)


def is_under_way(auction: Auction) -> bool:
    """Whether it takes bids, or is won and has no order yet."""
    awaits_order = (
        auction.state is AuctionState.CLOSED_SOLD and not auction.order and not auction.is_settled
    )
    return auction.state in TAKES_BIDS or awaits_order
