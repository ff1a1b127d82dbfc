"""Listings, inspections, offers and consents as the contract shows them, and back."""

from collections.abc import Iterable
from typing import Any

from ironloop.common.v1 import common_pb2
from ironloop.marketplace.v1 import (
    consents_pb2,
    inspections_pb2,
    listings_pb2,
    machines_pb2,
    offers_pb2,
)

from services.kit import wire
from services.kit.errors import InvalidArgument
from services.kit.etags import etag
from services.kit.ids import name
from services.marketplace.consent_model import Consent, ConsentPurpose, ConsentText
from services.marketplace.hours_wire import hours_to_wire
from services.marketplace.listing_model import (
    ISSUED,
    ConditionGrade,
    Content,
    Document,
    Guide,
    Inspection,
    LienDisclosure,
    Listing,
    ListingFormat,
)
from services.marketplace.machine_wire import class_number
from services.marketplace.offer_model import Offer, OfferState


def listing_to_wire(listing: Listing, inspection: Inspection | None) -> listings_pb2.Listing:
    """Return a listing with its latest inspection."""
    content = listing.content
    message = listings_pb2.Listing(
        name=listing.name,
        uid=str(listing.id),
        etag=etag(listing.version),
        event_sequence=listing.event_sequence,
        state=wire.enum_number(listings_pb2.ListingState, listing.state, prefix="LISTING_STATE_"),
        machine=listing.machine_name,
        seller=listing.seller,
        reference=listing.reference or "",
        format=format_number(content.format),
        ask=wire.money(content.ask_fen),
        price_override_reason=content.price_override_reason,
        region=content.region,
        description=content.description,
        photos=[document_to_wire(photo) for photo in content.photos],
        title_proofs=[document_to_wire(proof) for proof in content.title_proofs],
        listed_machine=_listed_to_wire(listing),
        rejection_reason=listing.rejection_reason,
        disposal=listing.disposal,
        lease_programme=content.lease_programme,
        create_time=wire.instant(listing.create_time),
        update_time=wire.instant(listing.update_time),
    )
    if content.lien_disclosure is not None:
        message.lien_disclosure.has_liens = content.lien_disclosure.has_liens
        message.lien_disclosure.statement = content.lien_disclosure.statement
    if inspection is not None:
        message.inspection.CopyFrom(inspection_to_wire(inspection))
    if listing.guide is not None:
        message.price_guide.CopyFrom(guide_to_wire(listing, listing.guide))
    if listing.sale is not None:
        message.order = listing.sale.order
        message.buyer = listing.sale.buyer
        message.agreed_price.CopyFrom(wire.money(listing.sale.price_fen))
    if listing.publish_time is not None:
        message.publish_time.CopyFrom(wire.instant(listing.publish_time))
    if listing.expire_time is not None:
        message.expire_time.CopyFrom(wire.instant(listing.expire_time))
    return message


def content_from_wire(message: listings_pb2.ListingContent, *, field: str) -> Content:
    """Return what a seller writes; `field` is the path that refusals begin with.

    Raises:
        InvalidArgument: The ask is not in CNY or not above zero; or a lease programme is named
            where the machine is sold, or missing where it is leased.
    """
    form = format_of(message.format)
    if bool(message.lease_programme) != (form is ListingFormat.LEASE):
        raise InvalidArgument(
            f"{field}.lease_programme", "is needed with format LEASE, and fits no other"
        )
    disclosure = message.lien_disclosure if message.HasField("lien_disclosure") else None
    return Content(
        format=form,
        ask_fen=wire.fen(message.ask, field=f"{field}.ask", positive=True),
        price_override_reason=message.price_override_reason.strip(),
        region=message.region.strip(),
        description=message.description,
        photos=documents_from_wire(message.photos),
        title_proofs=documents_from_wire(message.title_proofs),
        lien_disclosure=disclosure and LienDisclosure(disclosure.has_liens, disclosure.statement),
        lease_programme=message.lease_programme,
    )


def format_of(number: listings_pb2.ListingFormat.ValueType) -> ListingFormat:
    """Return the format with this number."""
    return ListingFormat(
        wire.enum_name(listings_pb2.ListingFormat, number, prefix="LISTING_FORMAT_")
    )


def format_number(form: ListingFormat) -> Any:
    """Return a format's number."""
    return wire.enum_number(listings_pb2.ListingFormat, form, prefix="LISTING_FORMAT_")


def guide_to_wire(listing: Listing, guide: Guide) -> listings_pb2.PriceGuide:
    """Return a price guide beside the listing's ask."""
    q05, q10, q50, q90, q95 = (wire.money(amount_fen) for amount_fen in guide.fmv_fen)
    ratio = listing.ask_ratio
    return listings_pb2.PriceGuide(
        valuation=guide.valuation,
        fmv=common_pb2.Quantiles(q05=q05, q10=q10, q50=q50, q90=q90, q95=q95),
        grade=guide.grade,
        as_of=wire.date(guide.as_of),
        is_issued=guide.state == ISSUED,
        ask_ratio=None if ratio is None else wire.decimal(ratio),
        value_time=wire.instant(guide.value_time),
    )


def inspection_to_wire(inspection: Inspection) -> inspections_pb2.Inspection:
    """Return an inspection."""
    return inspections_pb2.Inspection(
        name=inspection.name,
        uid=str(inspection.id),
        listing=name("listings", inspection.listing_id),
        machine=name("machines", inspection.machine_id),
        inspector_party=inspection.inspector_party,
        inspector=inspection.inspector,
        inspect_date=wire.date(inspection.inspected_on),
        grade=grade_number(inspection.grade),
        hours_meter=hours_to_wire(inspection.hours_meter),
        report=document_to_wire(inspection.report),
        notes=inspection.notes,
        create_time=wire.instant(inspection.create_time),
    )


def condition_to_wire(inspection: Inspection) -> machines_pb2.MachineCondition:
    """Return what an inspection says of its machine's condition."""
    return machines_pb2.MachineCondition(
        inspection=inspection.name,
        grade=grade_number(inspection.grade),
        inspect_date=wire.date(inspection.inspected_on),
        hours_meter=hours_to_wire(inspection.hours_meter),
    )


def grade_of(number: inspections_pb2.ConditionGrade.ValueType) -> ConditionGrade:
    """Return the condition with this number."""
    return ConditionGrade(
        wire.enum_name(inspections_pb2.ConditionGrade, number, prefix="CONDITION_GRADE_")
    )


def grade_number(grade: ConditionGrade) -> Any:
    """Return a condition's number."""
    return wire.enum_number(inspections_pb2.ConditionGrade, grade, prefix="CONDITION_GRADE_")


def offer_to_wire(offer: Offer) -> offers_pb2.Offer:
    """Return an offer."""
    return offers_pb2.Offer(
        name=offer.name,
        uid=str(offer.id),
        etag=etag(offer.version),
        state=offer_state_number(offer.state),
        listing=name("listings", offer.listing_id),
        buyer=offer.buyer,
        amount=wire.money(offer.amount_fen),
        expire_time=wire.instant(offer.expire_time),
        create_time=wire.instant(offer.create_time),
        update_time=wire.instant(offer.update_time),
        event_sequence=offer.listing_sequence,
    )


def offer_state_number(state: OfferState) -> Any:
    """Return an offer state's number."""
    return wire.enum_number(offers_pb2.OfferState, state, prefix="OFFER_STATE_")


def consent_to_wire(consent: Consent) -> consents_pb2.Consent:
    """Return a consent."""
    message = consents_pb2.Consent(
        name=consent.name,
        uid=str(consent.id),
        etag=etag(consent.version),
        state=wire.enum_number(consents_pb2.ConsentState, consent.state, prefix="CONSENT_STATE_"),
        party=consent.party,
        purpose=purpose_number(consent.purpose),
        text_version=consent.text_version,
        text_sha256=consent.text_sha256,
        granted_by=consent.granted_by,
        revoked_by=consent.revoked_by,
        create_time=wire.instant(consent.create_time),
        update_time=wire.instant(consent.update_time),
        event_sequence=consent.event_sequence,
    )
    if consent.revoke_time is not None:
        message.revoke_time.CopyFrom(wire.instant(consent.revoke_time))
    return message


def consent_text_to_wire(text: ConsentText) -> consents_pb2.ConsentText:
    """Return a text that parties agree to."""
    return consents_pb2.ConsentText(
        purpose=purpose_number(text.purpose),
        version=text.version,
        text=text.text,
        sha256=text.sha256,
    )


def purpose_of(number: consents_pb2.ConsentPurpose.ValueType) -> ConsentPurpose:
    """Return the purpose with this number."""
    return ConsentPurpose(
        wire.enum_name(consents_pb2.ConsentPurpose, number, prefix="CONSENT_PURPOSE_")
    )


def purpose_number(purpose: ConsentPurpose) -> Any:
    """Return a purpose's number."""
    return wire.enum_number(consents_pb2.ConsentPurpose, purpose, prefix="CONSENT_PURPOSE_")


def document_from_wire(message: common_pb2.Document) -> Document:
    """Return a document."""
    return Document(message.uri, message.sha256, message.media_type)


def documents_from_wire(messages: Iterable[common_pb2.Document]) -> tuple[Document, ...]:
    """Return documents."""
    return tuple(document_from_wire(message) for message in messages)


def document_to_wire(document: Document) -> common_pb2.Document:
    """Return a document as the contract shows it."""
    return common_pb2.Document(
        uri=document.uri, sha256=document.sha256, media_type=document.media_type
    )


def _listed_to_wire(listing: Listing) -> listings_pb2.ListedMachine:
    machine = listing.machine
    return listings_pb2.ListedMachine(
        make=machine.make,
        model=machine.model,
        equipment_class=class_number(machine.equipment_class),
        build_year=machine.build_year or 0,
        hours_meter=hours_to_wire(machine.hours_meter),
    )
