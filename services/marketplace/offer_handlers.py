"""What marketplace does with offers, one transaction a command; their listing is locked first."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id, parse_name
from services.kit.principals import Principal, service_principal
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.marketplace import listing_events, listing_store, offer_store
from services.marketplace.errors import (
    BuyerIsSeller,
    FormatTakesNoOffers,
    InstantOutOfRange,
    OfferAccepted,
    OfferOpen,
)
from services.marketplace.lifecycle import LISTING, OFFER
from services.marketplace.listing_model import (
    Listing,
    ListingFormat,
)
from services.marketplace.offer_model import (
    ACCEPTED_OFFER_HOLDS,
    OFFER_GOOD_FOR,
    OFFER_GOOD_FOR_MAX,
    Offer,
    OfferState,
)

OFFER_TIMER = "offer_expiry"

_BOUND = frozenset({OfferState.ACCEPTED, OfferState.ORDERED})


async def make_offer(
    tx: Transaction,
    listing_id: UUID,
    *,
    amount_fen: int,
    expire_time: datetime | None,
    viewer: Principal,
) -> Offer:
    """Offer an amount for a listing; an expiry of None is in seven days.

    Raises:
        NotFound, BuyerIsSeller, FormatTakesNoOffers, TransitionRefused, OfferOpen: As they say.
        InstantOutOfRange: The expiry is not ahead, or more than thirty days.
    """
    buyer = viewer.require_party()
    latest = tx.now + OFFER_GOOD_FOR_MAX
    expire_time = expire_time or tx.now + OFFER_GOOD_FOR
    if not tx.now < expire_time <= latest:
        raise InstantOutOfRange("expire_time", after=tx.now, until=latest)
    seen = await listing_store.find_machine_of(
        tx.connection, listing_id, viewer=viewer, inspects=False
    )
    listing = await listing_store.lock_listing(tx.connection, listing_id) if seen else None
    if listing is None:
        raise NotFound(name("listings", listing_id))
    if listing.seller == buyer:
        raise BuyerIsSeller(listing.name)
    if listing.content.format is not ListingFormat.OFFER:
        raise FormatTakesNoOffers(listing.name)
    LISTING.next(listing.state, "take_offer", subject=listing.name)
    for other in await offer_store.list_live(tx.connection, listing_id):
        if other.buyer == buyer:
            raise OfferOpen(other.name)
    offer = Offer(
        id=new_id(),
        version=1,
        listing_id=listing_id,
        buyer=buyer,
        amount_fen=amount_fen,
        state=OfferState.OPEN,
        expire_time=expire_time,
        listing_sequence=await listing_store.take_sequence(tx.connection, listing_id),
        create_time=tx.now,
        update_time=tx.now,
    )
    await offer_store.insert_offer(tx.connection, offer)
    await tx.set_timer(OFFER_TIMER, offer.name, due_at=expire_time)
    await tx.emit(listing_events.offer_made(listing, offer))
    return offer


async def accept_offer(tx: Transaction, offer_id: UUID, *, etag: str, viewer: Principal) -> Offer:
    """Accept an offer for the seller; its buyer may order at it for three days.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
        OfferAccepted: Another one is.
    """
    listing, offer = await _locked(tx, offer_id, viewer=viewer)
    if listing.seller != viewer.party:
        raise NotFound(offer.name)
    check_etag(etag, offer.version)
    OFFER.next(offer.state, "accept", subject=offer.name)
    LISTING.next(listing.state, "take_offer", subject=listing.name)
    await check_none_accepted(tx, listing)
    holds_until = tx.now + ACCEPTED_OFFER_HOLDS
    offer = await move(tx, offer, "accept", expire_time=holds_until)
    await tx.set_timer(OFFER_TIMER, offer.name, due_at=holds_until)
    await tx.emit(listing_events.offer_accepted(listing, offer))
    return offer


async def reject_offer(tx: Transaction, offer_id: UUID, *, etag: str, viewer: Principal) -> Offer:
    """Refuse an offer for the seller.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
    """
    listing, offer = await _locked(tx, offer_id, viewer=viewer)
    if listing.seller != viewer.party:
        raise NotFound(offer.name)
    check_etag(etag, offer.version)
    return await close(tx, listing, offer, "reject")


async def withdraw_offer(tx: Transaction, offer_id: UUID, *, etag: str, viewer: Principal) -> Offer:
    """Take an offer back for its buyer.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
    """
    listing, offer = await _locked(tx, offer_id, viewer=viewer)
    if offer.buyer != viewer.party:
        raise NotFound(offer.name)
    check_etag(etag, offer.version)
    return await close(tx, listing, offer, "withdraw")


async def expire_offer(tx: Transaction, timer: Timer) -> None:
    """End an offer that has run out."""
    listing, offer = await _locked(
        tx, parse_name(timer.subject, "offers"), viewer=service_principal(tx.service)
    )
    await close(tx, listing, offer, "expire")


async def end_offers(tx: Transaction, listing: Listing) -> None:
    """End every open or accepted offer of a locked listing that is on offer no longer."""
    await _close_those(tx, listing, {OfferState.OPEN, OfferState.ACCEPTED}, "end_listing")


async def check_none_accepted(tx: Transaction, listing: Listing) -> None:
    """Check that no buyer may order at an accepted offer.

    Raises:
        OfferAccepted: One may.
    """
    for offer in await offer_store.list_live(tx.connection, listing.id):
        if offer.state in _BOUND:
            raise OfferAccepted(listing.name, offer.name)


async def find_accepted(tx: Transaction, listing: Listing, *, buyer: str) -> Offer | None:
    """Return the accepted offer of a buyer for a locked listing."""
    for offer in await offer_store.list_live(tx.connection, listing.id):
        if offer.buyer == buyer and offer.state is OfferState.ACCEPTED:
            return offer
    return None


async def cancel_order(tx: Transaction, listing: Listing) -> None:
    """End the offer of a locked listing whose order was cancelled; the event tells it all."""
    for offer in await offer_store.list_live(tx.connection, listing.id):
        if offer.state is OfferState.ORDERED:
            await move(tx, offer, "cancel_order", sequence=listing.event_sequence)


async def move(
    tx: Transaction,
    offer: Offer,
    command: str,
    *,
    expire_time: datetime | None = None,
    sequence: int = 0,
) -> Offer:
    """Take an offer's next step; a sequence of 0 takes the listing's next one.

    Raises:
        TransitionRefused: There is no such step.
    """
    step = OFFER.next(offer.state, command, subject=offer.name)
    sequence = sequence or await listing_store.take_sequence(tx.connection, offer.listing_id)
    await tx.cancel_timers(offer.name)
    return await offer_store.update_offer(
        tx.connection,
        offer.id,
        state=step.target,
        expire_time=expire_time or offer.expire_time,
        listing_sequence=sequence,
        at=tx.now,
    )


async def close(tx: Transaction, listing: Listing, offer: Offer, command: str) -> Offer:
    """End an offer of a locked listing without an order.

    Raises:
        TransitionRefused: There is no such step.
    """
    offer = await move(tx, offer, command)
    await tx.emit(listing_events.offer_closed(listing, offer))
    return offer


async def _close_those(
    tx: Transaction, listing: Listing, states: Collection[OfferState], command: str
) -> None:
    for offer in await offer_store.list_live(tx.connection, listing.id):
        if offer.state in states:
            await close(tx, listing, offer, command)


async def _locked(tx: Transaction, offer_id: UUID, *, viewer: Principal) -> tuple[Listing, Offer]:
    """Return an offer that the viewer may see, its listing locked."""
    offer = await offer_store.find_offer(tx.connection, offer_id, viewer=viewer)
    if offer is None:
        raise NotFound(name("offers", offer_id))
    listing = await listing_store.lock_listing(tx.connection, offer.listing_id)
    assert listing is not None
    return listing, await offer_store.get_offer(tx.connection, offer_id)
