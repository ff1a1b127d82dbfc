"""What marketplace does with listings up to publication, one transaction a command.

A listing's machine is locked before the listing; `lock_own` and its kin do both.
"""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID

from ironloop.options.v1 import options_pb2

from services.kit.connection import Connection
from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id, parse_name
from services.kit.principals import Principal
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.marketplace import (
    auction_store,
    inspection_store,
    lien_store,
    listing_events,
    listing_store,
    machine_handlers,
    machine_store,
)
from services.marketplace.auction_closing import is_under_way
from services.marketplace.errors import (
    InspectorIsSeller,
    MachineScrapped,
    NotTitleHolder,
    ReferenceTaken,
)
from services.marketplace.lifecycle import LISTING
from services.marketplace.listing_closing import close_listing
from services.marketplace.listing_model import (
    ConditionGrade,
    Content,
    Document,
    Inspection,
    Listing,
    ListingState,
    check_ask,
    check_complete,
    check_disclosure,
    check_inspected_on,
    listed,
    seen_by,
)
from services.marketplace.machine_model import Machine, MachineLifecycle
from services.marketplace.offer_handlers import check_none_accepted


async def create_listing(
    tx: Transaction,
    machine_id: UUID,
    content: Content,
    *,
    reference: str,
    disposal: str,
    viewer: Principal,
) -> Listing:
    """Draft a listing of a machine that the caller's party owns; a service drafts for the owner.

    Raises:
        NotFound: The machine does not exist, or is not theirs to see.
        NotTitleHolder, MachineScrapped, ReferenceTaken: As they say.
    """
    machine, _ = await machine_handlers.get_machine(tx.connection, machine_id, viewer=viewer)
    is_service = viewer.holds(options_pb2.ROLE_SERVICE)
    seller = machine.title_holder if is_service else viewer.require_party()
    check_sellable(machine, seller=seller)
    listing = new_listing(
        tx, machine, content, seller=seller, reference=reference, disposal=disposal
    )
    if not await listing_store.insert_listing(tx.connection, listing):
        taken = await listing_store.find_by_reference(tx.connection, seller, reference)
        raise ReferenceTaken(reference, taken.name if taken else "another listing")
    return listing


def new_listing(
    tx: Transaction,
    machine: Machine,
    content: Content,
    *,
    seller: str,
    reference: str,
    disposal: str = "",
) -> Listing:
    """Return a draft."""
    return Listing(
        id=new_id(),
        version=1,
        event_sequence=0,
        state=ListingState.DRAFT,
        machine_id=machine.id,
        seller=seller,
        reference=reference or None,
        content=content,
        machine=listed(machine),
        guide=None,
        sale=None,
        rejection_reason="",
        disposal=disposal,
        publish_time=None,
        expire_time=None,
        create_time=tx.now,
        update_time=tx.now,
    )


async def get_listing(
    connection: Connection, listing_id: UUID, *, viewer: Principal
) -> tuple[Listing, Inspection | None]:
    """Return what a viewer sees of a listing, and its latest inspection.

    Raises:
        NotFound: There is none, or nothing of it is theirs to see.
    """
    seen = await listing_store.find_machine_of(
        connection, listing_id, viewer=viewer, inspects=viewer.holds(options_pb2.ROLE_TECHNICIAN)
    )
    listing = await listing_store.find_listing(connection, listing_id) if seen else None
    if listing is None:
        raise NotFound(name("listings", listing_id))
    inspections = await inspection_store.last_inspections(connection, [listing_id])
    return seen_by(listing, viewer), inspections.get(listing_id)


async def update_listing(
    tx: Transaction, listing_id: UUID, content: Content, *, etag: str, viewer: Principal
) -> Listing:
    """Replace what a draft says.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
    """
    machine, listing = await lock_own(tx, listing_id, viewer=viewer, etag=etag)
    return await rewrite(tx, machine, listing, content)


async def rewrite(tx: Transaction, machine: Machine, listing: Listing, content: Content) -> Listing:
    """Replace what a locked draft says.

    Raises:
        TransitionRefused: It is no draft any more.
    """
    step = LISTING.next(listing.state, "update", subject=listing.name)
    changed = replace(listing.moved(step.target).shows(machine), content=content)
    return await listing_store.update_listing(tx.connection, changed, at=tx.now, announced=False)


async def reprice_listing(
    tx: Transaction,
    listing_id: UUID,
    *,
    ask_fen: int,
    price_override_reason: str,
    etag: str,
    viewer: Principal,
) -> Listing:
    """Change the ask of an inspected or published listing.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
        AskOutOfRange: It is published and the ask needs a reason.
    """
    _, listing = await lock_own(tx, listing_id, viewer=viewer, etag=etag)
    step = LISTING.next(listing.state, "reprice", subject=listing.name)
    content = replace(
        listing.content, ask_fen=ask_fen, price_override_reason=price_override_reason.strip()
    )
    changed = replace(listing.moved(step.target), content=content)
    on_offer = listing.state is ListingState.PUBLISHED
    if on_offer:
        check_ask(changed)
    saved = await listing_store.update_listing(
        tx.connection, changed, at=tx.now, announced=on_offer
    )
    if on_offer:
        await tx.emit(listing_events.repriced(saved))
    return saved


async def submit_listing(
    tx: Transaction, listing_id: UUID, *, etag: str, viewer: Principal
) -> Listing:
    """Submit a draft for inspection.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
        NotTitleHolder, MachineScrapped, ListingIncomplete, LiensUndisclosed: A guard fails.
    """
    machine, listing = await lock_own(tx, listing_id, viewer=viewer, etag=etag)
    active_liens = await count_active_liens(tx, machine)
    return await submit(tx, machine, listing, active_liens=active_liens)


async def submit(
    tx: Transaction, machine: Machine, listing: Listing, *, active_liens: int
) -> Listing:
    """Submit a locked draft.

    Raises:
        TransitionRefused, NotTitleHolder, MachineScrapped, ListingIncomplete, LiensUndisclosed:
            As they say.
    """
    step = LISTING.next(listing.state, "submit", subject=listing.name)
    check_sellable(machine, seller=listing.seller)
    check_complete(listing, machine)
    check_disclosure(listing, active_liens=active_liens)
    submitted = replace(listing.moved(step.target).shows(machine), rejection_reason="")
    saved = await listing_store.update_listing(tx.connection, submitted, at=tx.now, announced=True)
    await tx.emit(listing_events.submitted(saved))
    return saved


async def reject_listing(
    tx: Transaction, listing_id: UUID, *, rejection_reason: str, viewer: Principal
) -> Listing:
    """Send a submitted listing back to its seller.

    Raises:
        NotFound, TransitionRefused, InspectorIsSeller: As they say.
    """
    _, listing = await _lock_to_inspect(tx, listing_id, viewer=viewer)
    step = LISTING.next(listing.state, "reject", subject=listing.name)
    saved = await listing_store.update_listing(
        tx.connection,
        replace(listing.moved(step.target), rejection_reason=rejection_reason),
        at=tx.now,
        announced=True,
    )
    await tx.emit(listing_events.rejected(saved))
    return saved


async def record_inspection(
    tx: Transaction,
    listing_id: UUID,
    *,
    inspected_on: date,
    grade: ConditionGrade,
    hours_meter: Decimal,
    report: Document,
    notes: str,
    viewer: Principal,
) -> Inspection:
    """Record an inspection; the machine's hours become those that were read.

    Raises:
        NotFound, TransitionRefused, InspectorIsSeller: As they say.
        DayOutOfRange: The day is ahead, or more than 90 days ago.
        HoursBelowLast: The meter would have run backwards.
    """
    machine, listing = await _lock_to_inspect(tx, listing_id, viewer=viewer)
    step = LISTING.next(listing.state, "inspect", subject=listing.name)
    check_inspected_on(inspected_on, today=tx.today)
    if hours_meter != machine.facts.hours_meter:
        read = replace(machine.facts, hours_meter=hours_meter)
        machine = await machine_handlers.correct(tx, machine, read)
    inspection = Inspection(
        id=new_id(),
        listing_id=listing_id,
        machine_id=machine.id,
        inspector_party=viewer.party,
        inspector=viewer.subject,
        inspected_on=inspected_on,
        grade=grade,
        hours_meter=hours_meter,
        report=report,
        notes=notes,
        create_time=tx.now,
    )
    await inspection_store.insert_inspection(tx.connection, inspection)
    saved = await listing_store.update_listing(
        tx.connection, listing.moved(step.target).shows(machine), at=tx.now, announced=True
    )
    await tx.emit(listing_events.inspected(saved, inspection))
    return inspection


async def withdraw_listing(
    tx: Transaction, listing_id: UUID, *, etag: str, viewer: Principal
) -> Listing:
    """Take a published listing back.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
        OfferAccepted: A buyer may still order at an accepted offer.
        AuctionUnderWay: Its auction takes bids, or is won and has no order yet.
    """
    _, listing = await lock_own(tx, listing_id, viewer=viewer, etag=etag)
    LISTING.next(listing.state, "withdraw", subject=listing.name)
    await check_none_accepted(tx, listing)
    return await close_listing(tx, listing, "withdraw")


async def expire_listing(tx: Transaction, timer: Timer) -> None:
    """End a publication that has run out; one that an order or an auction holds goes on."""
    listing = await listing_store.lock_listing(tx.connection, parse_name(timer.subject, "listings"))
    if listing is None or listing.state is not ListingState.PUBLISHED:
        return
    auction = await auction_store.find_last(tx.connection, listing.id)
    if auction is None or not is_under_way(auction):
        await close_listing(tx, listing, "expire")


async def lock_own(
    tx: Transaction, listing_id: UUID, *, viewer: Principal, etag: str
) -> tuple[Machine, Listing]:
    """Return a listing of the caller's party and its machine, both locked.

    Raises:
        NotFound, EtagMismatch: As they say.
    """
    machine_id = await listing_store.find_machine_of_own(
        tx.connection, listing_id, seller=viewer.require_party()
    )
    machine, listing = await _lock(tx, listing_id, machine_id)
    check_etag(etag, listing.version)
    return machine, listing


async def lock_any(tx: Transaction, listing_id: UUID) -> tuple[Machine, Listing]:
    """Return a listing and its machine, both locked, for a service.

    Raises:
        NotFound: There is none.
    """
    listing = await listing_store.find_listing(tx.connection, listing_id)
    return await _lock(tx, listing_id, listing.machine_id if listing else None)


def check_sellable(machine: Machine, *, seller: str) -> None:
    """Check that a machine is its seller's to sell.

    Raises:
        NotTitleHolder, MachineScrapped: It is not.
    """
    if machine.title_holder != seller:
        raise NotTitleHolder(machine.name, seller)
    if machine.lifecycle is MachineLifecycle.SCRAPPED:
        raise MachineScrapped(machine.name)


async def count_active_liens(tx: Transaction, machine: Machine) -> int:
    """Return how many liens bind a locked machine."""
    liens = await lien_store.active_liens(tx.connection, [machine.id])
    return len(liens.get(machine.id, []))


async def _lock_to_inspect(
    tx: Transaction, listing_id: UUID, *, viewer: Principal
) -> tuple[Machine, Listing]:
    machine_id = await listing_store.find_machine_of(
        tx.connection,
        listing_id,
        viewer=viewer,
        inspects=viewer.holds(options_pb2.ROLE_TECHNICIAN),
    )
    machine, listing = await _lock(tx, listing_id, machine_id)
    if viewer.party == listing.seller:
        raise InspectorIsSeller(listing.name)
    return machine, listing


async def _lock(
    tx: Transaction, listing_id: UUID, machine_id: UUID | None
) -> tuple[Machine, Listing]:
    if machine_id is None:
        raise NotFound(name("listings", listing_id))
    machine = await machine_store.lock_machine(tx.connection, machine_id)
    listing = await listing_store.lock_listing(tx.connection, listing_id)
    assert machine is not None
    assert listing is not None
    return machine, listing
