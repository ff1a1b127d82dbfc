"""How a listing leaves the market without a sale."""

from uuid import UUID

from services.kit.transaction import Transaction
from services.marketplace import auction_closing, listing_events, listing_store
from services.marketplace.lifecycle import LISTING
from services.marketplace.listing_model import Listing, ListingState
from services.marketplace.offer_handlers import end_offers

EXPIRY_TIMER = "listing_expiry"


async def close_listing(tx: Transaction, listing: Listing, command: str) -> Listing:
    """Withdraw or expire a locked listing; offers for it end with it.

    Raises:
        TransitionRefused: It is not published.
        AuctionUnderWay: Bidders rely on it; one that is not open yet is given up.
    """
    step = LISTING.next(listing.state, command, subject=listing.name)
    await auction_closing.cancel_of_listing(tx, listing)
    await end_offers(tx, listing)
    await tx.cancel_timers(listing.name)
    closed = await listing_store.update_listing(
        tx.connection, listing.moved(step.target), at=tx.now, announced=True
    )
    tell = listing_events.expired if command == "expire" else listing_events.withdrawn
    await tx.emit(tell(closed))
    return closed


async def withdraw_from_trade(tx: Transaction, machine_id: UUID) -> None:
    """Withdraw the published listing of a locked machine that is no longer its seller's to sell.

    A reserved one stays: the order that holds it is the reason.
    """
    listing = await listing_store.lock_on_offer(tx.connection, machine_id)
    if listing is not None and listing.state is ListingState.PUBLISHED:
        await close_listing(tx, listing, "withdraw")
