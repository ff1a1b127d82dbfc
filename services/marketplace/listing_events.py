"""What marketplace tells of listings, offers and consents, as events of the contract."""

from typing import Any

from ironloop.marketplace.v1 import marketplace_events_pb2 as events

from services.kit import wire
from services.marketplace.consent_model import Consent
from services.marketplace.hours_wire import hours_to_wire
from services.marketplace.listing_model import Inspection, Listing, Sale
from services.marketplace.listing_wire import (
    format_number,
    grade_number,
    offer_state_number,
    purpose_number,
)
from services.marketplace.offer_model import Offer

PRODUCES = (
    events.ListingSubmitted,
    events.ListingRejected,
    events.ListingInspected,
    events.ListingPublished,
    events.ListingRepriced,
    events.ListingReserved,
    events.ListingReleased,
    events.ListingSold,
    events.ListingWithdrawn,
    events.ListingExpired,
    events.ListingOfferMade,
    events.ListingOfferAccepted,
    events.ListingOfferClosed,
    events.ConsentGranted,
    events.ConsentRevoked,
)


def submitted(listing: Listing) -> events.ListingSubmitted:
    """Tell that a listing waits for an inspection."""
    return events.ListingSubmitted(**_key(listing))


def rejected(listing: Listing) -> events.ListingRejected:
    """Tell that a listing was sent back."""
    return events.ListingRejected(**_key(listing), rejection_reason=listing.rejection_reason)


def inspected(listing: Listing, inspection: Inspection) -> events.ListingInspected:
    """Tell what an inspection found."""
    return events.ListingInspected(
        **_key(listing),
        inspection=inspection.name,
        grade=grade_number(inspection.grade),
        hours_meter=hours_to_wire(inspection.hours_meter),
    )


def published(listing: Listing, inspection: Inspection) -> events.ListingPublished:
    """Tell that a listing is on offer."""
    assert listing.guide is not None
    assert listing.expire_time is not None
    return events.ListingPublished(
        **_key(listing),
        format=format_number(listing.content.format),
        ask=wire.money(listing.content.ask_fen),
        grade=grade_number(inspection.grade),
        hours_meter=hours_to_wire(listing.machine.hours_meter),
        region=listing.content.region,
        valuation=listing.guide.valuation,
        expire_time=wire.instant(listing.expire_time),
    )


def repriced(listing: Listing) -> events.ListingRepriced:
    """Tell a published listing's new ask."""
    return events.ListingRepriced(**_key(listing), ask=wire.money(listing.content.ask_fen))


def reserved(listing: Listing, sale: Sale) -> events.ListingReserved:
    """Tell that an order holds a listing."""
    return events.ListingReserved(
        **_key(listing),
        order=sale.order,
        buyer=sale.buyer,
        agreed_price=wire.money(sale.price_fen),
    )


def released(listing: Listing, *, order: str) -> events.ListingReleased:
    """Tell that a listing is on offer again."""
    return events.ListingReleased(**_key(listing), order=order)


def sold(listing: Listing, sale: Sale, *, consent: str) -> events.ListingSold:
    """Tell a sale; `consent` is the seller's, "" where its price is no label."""
    return events.ListingSold(
        **_key(listing),
        order=sale.order,
        buyer=sale.buyer,
        price=wire.money(sale.price_fen),
        may_be_label=bool(consent),
        consent=consent,
    )


def withdrawn(listing: Listing) -> events.ListingWithdrawn:
    """Tell that a listing was taken back."""
    return events.ListingWithdrawn(**_key(listing))


def expired(listing: Listing) -> events.ListingExpired:
    """Tell that a listing ran out."""
    return events.ListingExpired(**_key(listing))


def offer_made(listing: Listing, offer: Offer) -> events.ListingOfferMade:
    """Tell of a new offer."""
    return events.ListingOfferMade(
        **_offer_key(listing, offer),
        amount=wire.money(offer.amount_fen),
        expire_time=wire.instant(offer.expire_time),
    )


def offer_accepted(listing: Listing, offer: Offer) -> events.ListingOfferAccepted:
    """Tell that an offer was accepted."""
    return events.ListingOfferAccepted(
        **_offer_key(listing, offer),
        amount=wire.money(offer.amount_fen),
        expire_time=wire.instant(offer.expire_time),
    )


def offer_closed(listing: Listing, offer: Offer) -> events.ListingOfferClosed:
    """Tell that an offer ended without an order."""
    return events.ListingOfferClosed(
        **_offer_key(listing, offer), state=offer_state_number(offer.state)
    )


def consent_granted(consent: Consent) -> events.ConsentGranted:
    """Tell that a consent was given."""
    return events.ConsentGranted(
        consent=consent.name,
        sequence=consent.event_sequence,
        party=consent.party,
        purpose=purpose_number(consent.purpose),
        text_version=consent.text_version,
        text_sha256=consent.text_sha256,
    )


def consent_revoked(consent: Consent) -> events.ConsentRevoked:
    """Tell that a consent was taken back."""
    return events.ConsentRevoked(
        consent=consent.name,
        sequence=consent.event_sequence,
        party=consent.party,
        purpose=purpose_number(consent.purpose),
    )


def _key(listing: Listing) -> dict[str, Any]:
    return {
        "listing": listing.name,
        "sequence": listing.event_sequence,
        "machine": listing.machine_name,
        "seller": listing.seller,
    }


def _offer_key(listing: Listing, offer: Offer) -> dict[str, Any]:
    # Offers change a listing's event sequence alone, so the offer carries it.
    return _key(listing) | {
        "sequence": offer.listing_sequence,
        "offer": offer.name,
        "buyer": offer.buyer,
    }
