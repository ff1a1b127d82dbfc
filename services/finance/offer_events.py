"""What finance tells of offers; each event carries the offer's own next sequence."""

from ironloop.finance.v1 import finance_events_pb2 as events
from ironloop.finance.v1 import finance_pb2

from services.finance.offer_model import Offer
from services.kit import wire


def made(offer: Offer) -> events.OfferMade:
    """It stands until it expires."""
    assert offer.decision is not None
    assert offer.appraisal is not None
    return events.OfferMade(
        offer=offer.name,
        sequence=offer.event_sequence,
        machine=offer.wish.machine,
        funder=offer.funder,
        borrower=offer.borrower,
        amount=wire.money(offer.decision.amount_fen),
        nominal_rate=wire.decimal(offer.nominal_rate),
        loan_to_fmv=wire.decimal(offer.decision.loan_to_fmv),
        valuation=offer.appraisal.valuation,
        policy_version=offer.decision.policy_version,
    )


def accepted(offer: Offer) -> events.OfferAccepted:
    """The borrower took it."""
    assert offer.decision is not None
    return events.OfferAccepted(
        offer=offer.name,
        sequence=offer.event_sequence,
        machine=offer.wish.machine,
        funder=offer.funder,
        borrower=offer.borrower,
        amount=wire.money(offer.decision.amount_fen),
    )


def lapsed(offer: Offer) -> events.OfferLapsed:
    """It expired or was withdrawn."""
    return events.OfferLapsed(
        offer=offer.name,
        sequence=offer.event_sequence,
        machine=offer.wish.machine,
        funder=offer.funder,
        borrower=offer.borrower,
        state=wire.enum_number(finance_pb2.OfferState, offer.state, prefix="OFFER_STATE_"),
    )


def drawn(offer: Offer, *, draw: str, lien: str) -> events.OfferDrawn:
    """The lien is registered and the money paid."""
    assert offer.decision is not None
    assert offer.appraisal is not None
    return events.OfferDrawn(
        offer=offer.name,
        sequence=offer.event_sequence,
        machine=offer.wish.machine,
        funder=offer.funder,
        borrower=offer.borrower,
        draw=draw,
        amount=wire.money(offer.decision.amount_fen),
        nominal_rate=wire.decimal(offer.nominal_rate),
        lien=lien,
        valuation=offer.appraisal.valuation,
    )


def repaid(offer: Offer, *, draw: str) -> events.OfferRepaid:
    """Its draw is paid back to the last fen."""
    return events.OfferRepaid(
        offer=offer.name,
        sequence=offer.event_sequence,
        machine=offer.wish.machine,
        funder=offer.funder,
        borrower=offer.borrower,
        draw=draw,
    )
