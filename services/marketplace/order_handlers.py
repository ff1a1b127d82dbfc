"""What marketplace does for an order: hold a listing, give it back, or mark it as sold.

The order's service may repeat each of them; the listing's machine is held in the same step.
"""

from dataclasses import replace
from uuid import UUID

from services.kit.transaction import Transaction
from services.marketplace import (
    auction_handlers,
    consent_store,
    custody_handlers,
    listing_events,
    listing_store,
    offer_handlers,
)
from services.marketplace.consent_model import ConsentPurpose, ConsentState
from services.marketplace.errors import (
    BuyerIsSeller,
    HeldByOther,
    ListedForLease,
    MachineNotAvailable,
    OfferNotAccepted,
    TitleNotMoved,
)
from services.marketplace.lifecycle import LISTING
from services.marketplace.listing_closing import EXPIRY_TIMER
from services.marketplace.listing_handlers import check_sellable, lock_any
from services.marketplace.listing_model import Listing, ListingFormat, ListingState, Sale
from services.marketplace.machine_model import Custody, Reservation


async def reserve_listing(tx: Transaction, listing_id: UUID, *, order: str, buyer: str) -> Listing:
    """Hold a published listing and its machine for an order; held for it before, it is returned.

    Raises:
        NotFound, BuyerIsSeller, NotTitleHolder, MachineScrapped: As they say.
        TransitionRefused: It is not published: another order was first.
        OfferNotAccepted: It is sold by offer, and none of this buyer is accepted.
        AuctionNotWon: It is sold by auction, and this buyer has no open win of it.
        ListedForLease: It is leased, not sold.
        MachineNotAvailable: Its machine is held otherwise.
    """
    machine, listing = await lock_any(tx, listing_id)
    if listing.sale and (listing.sale.order, listing.sale.buyer) == (order, buyer):
        return listing
    step = LISTING.next(listing.state, "reserve", subject=listing.name)
    if buyer == listing.seller:
        raise BuyerIsSeller(listing.name)
    check_sellable(machine, seller=listing.seller)
    if listing.content.format is ListingFormat.LEASE:
        raise ListedForLease(listing.name, listing.content.lease_programme)
    won_fen = None
    if listing.content.format is ListingFormat.TIMED_AUCTION:
        machine, won_fen = await auction_handlers.take_win(
            tx, machine, listing, order=order, buyer=buyer
        )
    if machine.custody is not Custody.AVAILABLE:
        raise MachineNotAvailable(machine.name, machine.custody.value)
    offer = await offer_handlers.find_accepted(tx, listing, buyer=buyer)
    if offer is None and listing.content.format is ListingFormat.OFFER:
        raise OfferNotAccepted(listing.name, buyer)
    agreed_fen = offer.amount_fen if offer else won_fen
    sale = Sale(order, buyer, agreed_fen or listing.content.ask_fen)
    held = await listing_store.update_listing(
        tx.connection,
        replace(listing.moved(step.target), sale=sale),
        at=tx.now,
        announced=True,
    )
    await tx.cancel_timers(listing.name, kind=EXPIRY_TIMER)
    if offer is not None:
        await offer_handlers.move(tx, offer, "order", sequence=held.event_sequence)
    await custody_handlers.reserve(tx, machine, Reservation(order, buyer, None))
    await tx.emit(listing_events.reserved(held, sale))
    return held


async def release_listing(tx: Transaction, listing_id: UUID, *, order: str) -> Listing:
    """Publish a listing again whose order was cancelled; one it does not hold stays as it is.

    Raises:
        NotFound: There is no such listing.
        TransitionRefused: The order has bought it.
    """
    machine, listing = await lock_any(tx, listing_id)
    if listing.sale is None or listing.sale.order != order:
        return listing
    step = LISTING.next(listing.state, "release", subject=listing.name)
    freed = await listing_store.update_listing(
        tx.connection,
        replace(listing.moved(step.target), sale=None),
        at=tx.now,
        announced=True,
    )
    assert freed.expire_time is not None
    await tx.set_timer(EXPIRY_TIMER, listing.name, due_at=freed.expire_time)
    await offer_handlers.cancel_order(tx, freed)
    await custody_handlers.release(tx, machine, reference=order)
    await tx.emit(listing_events.released(freed, order=order))
    return freed


async def complete_sale(tx: Transaction, listing_id: UUID, *, order: str) -> Listing:
    """Mark a listing as sold to the order that holds it; marked before, it is returned.

    The event says whether the seller's consent lets the price serve as a label.

    Raises:
        NotFound, TransitionRefused: As they say.
        HeldByOther: Another order holds it.
        TitleNotMoved: The title is not the buyer's yet.
    """
    machine, listing = await lock_any(tx, listing_id)
    sale = listing.sale
    if sale and sale.order == order and listing.state is ListingState.SOLD:
        return listing
    step = LISTING.next(listing.state, "complete_sale", subject=listing.name)
    assert sale is not None
    if sale.order != order:
        raise HeldByOther(listing.name, holder=sale.order, asked=order)
    if machine.title_holder != sale.buyer:
        raise TitleNotMoved(listing.name, sale.buyer)
    await offer_handlers.end_offers(tx, listing)
    sold = await listing_store.update_listing(
        tx.connection, listing.moved(step.target), at=tx.now, announced=True
    )
    await custody_handlers.release(tx, machine, reference=order)
    await tx.emit(listing_events.sold(sold, sale, consent=await _consent_of(tx, listing.seller)))
    return sold


async def _consent_of(tx: Transaction, seller: str) -> str:
    consent = await consent_store.find_latest(
        tx.connection, seller, ConsentPurpose.SALE_PRICE_LABEL, lock=False
    )
    active = consent is not None and consent.state is ConsentState.ACTIVE
    return consent.name if consent and active else ""
