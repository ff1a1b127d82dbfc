"""How a listing is published: valuation is asked for a value, then the ask is checked against it.

Of a listing for lease leasing is asked first whether its programme is open.

The value is kept as the listing's guide even where publication is refused, so that its seller
sees what to ask. A value that is still good is used again, also one that waits for a review.
While the listing is on offer its guide is renewed every 30 days.
"""

from dataclasses import replace
from uuid import UUID

from google.protobuf.message import Message

from services.kit.ids import parse_name
from services.kit.principals import Principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.marketplace import clients, inspection_store, listing_events, listing_store
from services.marketplace.errors import (
    LeaseProgrammeNotOpen,
    MachineAlreadyListed,
    MachineNotAvailable,
)
from services.marketplace.lifecycle import LISTING
from services.marketplace.listing_closing import EXPIRY_TIMER
from services.marketplace.listing_handlers import (
    check_sellable,
    count_active_liens,
    lock_any,
    lock_own,
)
from services.marketplace.listing_model import (
    GUIDE_GOOD_FOR,
    IN_REVIEW,
    ISSUED,
    PUBLISHED_FOR,
    Inspection,
    Listing,
    ListingState,
    check_ask,
    check_disclosure,
    check_report_age,
    guide_from_json,
    guide_to_json,
)
from services.marketplace.listing_wire import listing_to_wire
from services.marketplace.machine_model import Custody, Machine

GUIDE_TIMER = "listing_guide"

_GUIDED = frozenset({ListingState.INSPECTED, ListingState.PUBLISHED})


async def begin(tx: Transaction, listing_id: UUID, *, etag: str, viewer: Principal) -> Saga:
    """Start to publish a listing, its guards checked as far as they need no value.

    Raises:
        NotFound, EtagMismatch, TransitionRefused, SagaRunning: As they say.
        NotTitleHolder, MachineScrapped, MachineNotAvailable, MachineAlreadyListed, ReportTooOld,
            LiensUndisclosed: A guard fails.
    """
    machine, listing = await lock_own(tx, listing_id, viewer=viewer, etag=etag)
    inspection = await _check_ready(tx, machine, listing)
    guide = listing.guide
    fresh = guide is not None and guide.value_time >= inspection.create_time
    return await tx.start_saga(
        PUBLISHING.kind,
        listing.name,
        facts=_facts(listing, present_valuation=guide.valuation if guide and fresh else ""),
    )


async def renew_guide(tx: Transaction, timer: Timer) -> None:
    """Begin to have a published listing's machine valued anew, and come back in 30 days.

    Raises:
        SagaRunning: The last renewal is still under way; the timer is tried again.
    """
    listing = await listing_store.find_listing(tx.connection, parse_name(timer.subject, "listings"))
    if listing is None or listing.state is not ListingState.PUBLISHED:
        return
    await tx.set_timer(GUIDE_TIMER, listing.name, due_at=timer.due_at + GUIDE_GOOD_FOR)
    await tx.start_saga(RENEWING.kind, listing.name, facts=_facts(listing, present_valuation=""))


async def check_programme(runtime: Runtime, saga: Saga) -> Facts:
    """Check that whoever finds a machine for lease gets a quote of it.

    Raises:
        LeaseProgrammeNotOpen: The seller has no such programme, or makes no quotes from it.
    """
    programme, seller = saga.facts["lease_programme"], saga.facts["seller"]
    if programme and not await clients.is_open_programme(runtime, programme, lessor=seller):
        raise LeaseProgrammeNotOpen(programme, seller)
    return {}


async def take_value(runtime: Runtime, saga: Saga) -> Facts:
    """Ask valuation for the present value if it is still good, else for a new one."""
    if present := saga.facts["present_valuation"]:
        guide = await clients.get_valuation(runtime, present)
        if guide.state in {ISSUED, IN_REVIEW}:
            return {"guide": guide_to_json(guide)}
    guide = await clients.create_valuation(
        runtime,
        request_id=saga.request_id("value"),
        party=saga.facts["seller"],
        machine=saga.facts["machine"],
    )
    return {"guide": guide_to_json(guide)}


async def keep_guide(tx: Transaction, saga: Saga) -> None:
    """Keep the value as the guide of a listing that shows one."""
    _, listing = await lock_any(tx, parse_name(saga.subject, "listings"))
    if listing.state not in _GUIDED:
        return
    await listing_store.update_listing(
        tx.connection,
        replace(listing, guide=guide_from_json(saga.facts["guide"])),
        at=tx.now,
        announced=False,
    )


async def publish(tx: Transaction, saga: Saga) -> None:
    """Put the listing on offer for 90 days.

    Raises:
        TransitionRefused: It is no longer inspected.
        ValuationNotIssued, AskOutOfRange: The value guides nobody yet, or the ask is far from it.
        MachineScrapped, …: A guard that held at the beginning no longer does.
    """
    machine, listing = await lock_any(tx, parse_name(saga.subject, "listings"))
    inspection = await _check_ready(tx, machine, listing)
    check_ask(listing)
    step = LISTING.next(listing.state, "publish", subject=listing.name)
    expire_time = tx.now + PUBLISHED_FOR
    published = await listing_store.update_listing(
        tx.connection,
        replace(
            listing.moved(step.target).shows(machine),
            publish_time=tx.now,
            expire_time=expire_time,
        ),
        at=tx.now,
        announced=True,
    )
    await tx.set_timer(EXPIRY_TIMER, listing.name, due_at=expire_time)
    await tx.set_timer(GUIDE_TIMER, listing.name, due_at=tx.now + GUIDE_GOOD_FOR)
    await tx.emit(listing_events.published(published, inspection))


async def answer(tx: Transaction, saga: Saga) -> Message:
    """Return the published listing."""
    listing_id = parse_name(saga.subject, "listings")
    listing = await listing_store.find_listing(tx.connection, listing_id)
    assert listing is not None
    inspections = await inspection_store.last_inspections(tx.connection, [listing_id])
    return listing_to_wire(listing, inspections.get(listing_id))


_VALUE = Step("value", call=take_value, apply=keep_guide)

PUBLISHING = SagaKind(
    "publish_listing",
    steps=(
        Step("lease_programme", call=check_programme),
        _VALUE,
        Step("publish", apply=publish),
    ),
    answer=answer,
)
RENEWING = SagaKind("renew_guide", steps=(_VALUE,))


def _facts(listing: Listing, *, present_valuation: str) -> Facts:
    return {
        "seller": listing.seller,
        "machine": listing.machine_name,
        "lease_programme": listing.content.lease_programme,
        "present_valuation": present_valuation,
    }


async def _check_ready(tx: Transaction, machine: Machine, listing: Listing) -> Inspection:
    """Check every guard of publication but the value's, and return the latest inspection."""
    LISTING.next(listing.state, "publish", subject=listing.name)
    check_sellable(machine, seller=listing.seller)
    if machine.custody is not Custody.AVAILABLE:
        raise MachineNotAvailable(machine.name, machine.custody.value)
    if await listing_store.lock_on_offer(tx.connection, machine.id) is not None:
        raise MachineAlreadyListed(machine.name)
    inspections = await inspection_store.last_inspections(tx.connection, [listing.id])
    inspection = inspections[listing.id]
    check_report_age(listing, inspection, today=tx.today)
    check_disclosure(listing, active_liens=await count_active_liens(tx, machine))
    return inspection
