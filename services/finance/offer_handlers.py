"""Offers, one transaction a command."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from ironloop.finance.v1 import finance_events_pb2

from services.finance import (
    drift_model,
    drift_store,
    facility_store,
    offer_events,
    offer_store,
    policy_store,
    subordination_handlers,
)
from services.finance.errors import LienFound
from services.finance.lifecycle import OFFER
from services.finance.offer_model import (
    Appraisal,
    MachineFacts,
    Offer,
    OfferState,
    Wish,
    decide,
)
from services.finance.policy_model import Parameter
from services.kit.errors import DomainError, InvalidArgument, NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.timers import Timer
from services.kit.transaction import Transaction

EXPIRY = "offer_expiry"


async def request_offer(tx: Transaction, facility_id: UUID, wish: Wish, *, borrower: str) -> Offer:
    """Note what a borrower asks for; search and valuation follow.

    Raises:
        NotFound: The borrower has no such facility.
        FacilityNotActive: It is suspended or closed.
        InvalidArgument: The balloon is not below the requested amount, or a junior offer would be
            purchase money.
        SubordinationNotGiven, SubordinationBusy: The consent that it names is not good.
    """
    facility = await facility_store.find_facility_of_borrower(
        tx.connection, facility_id, borrower=borrower
    )
    if facility is None:
        raise NotFound(name("facilities", facility_id))
    facility.require_active()
    if wish.requested_fen is not None:
        if wish.balloon_fen >= wish.requested_fen:
            raise InvalidArgument("balloon", "must be below requested_amount")
        facility.require_headroom(wish.requested_fen)
    if wish.subordination_id is not None:
        if wish.purchase_money:
            raise InvalidArgument("purchase_money", "would rank before the senior lender's lien")
        await subordination_handlers.check_for_offer(
            tx,
            wish.subordination_id,
            borrower=borrower,
            machine=wish.machine,
            funder=facility.funder,
        )
    offer = Offer(
        id=new_id(),
        version=1,
        event_sequence=0,
        state=OfferState.REQUESTED,
        facility_id=facility.id,
        funder=facility.funder,
        borrower=borrower,
        wish=wish,
        nominal_rate=facility.nominal_rate,
        appraisal=None,
        decision=None,
        refusal_reason="",
        refusal_message="",
        draw_id=None,
        expire_at=None,
        create_time=tx.now,
        update_time=tx.now,
    )
    await offer_store.insert_offer(tx.connection, offer)
    return offer


def check_title(facts: MachineFacts, *, borrower: str, agreed: str) -> None:
    """Check that the borrower owns the machine, and its liens.

    Raises:
        NotFound: Another party's machine is not the borrower's to pledge, nor to see.
        LienFound: As `check_liens`.
    """
    if facts.title_holder != borrower:
        raise NotFound(facts.machine)
    check_liens(facts.machine, facts.liens, agreed=agreed)


def check_liens(machine: str, liens: Collection[str], *, agreed: str) -> None:
    """Check that nobody holds a lien on a machine but who agreed to another one behind it.

    Args:
        agreed: The senior lender's lien; empty where nobody agreed.

    Raises:
        LienFound: Somebody else holds a lien.
    """
    if others := [lien for lien in liens if lien != agreed]:
        raise LienFound(machine, others[0])


async def make_offer(
    tx: Transaction,
    offer_id: UUID,
    facts: MachineFacts,
    appraisal: Appraisal,
    *,
    flv_q10_fen: Sequence[int],
) -> Offer:
    """Decide a requested offer by the policy in force.

    Raises:
        DomainError: What the policy refuses (`offer_model.decide`), or the facility's state or
            headroom.
    """
    offer = await offer_store.lock_offer(tx.connection, offer_id)
    facility = await facility_store.lock_facility(tx.connection, offer.facility_id)
    facility.require_active()
    policy = await policy_store.current_policy(tx.connection)
    level = await drift_store.level_of(tx.connection, facts.equipment_class)
    terms = drift_model.terms_under(
        policy.terms(facility.overrides), level, equipment_class=facts.equipment_class
    )
    decision = decide(
        offer.wish,
        replace(facts, senior_fen=await subordination_handlers.senior_balances(tx, offer)),
        appraisal,
        flv_q10_fen=flv_q10_fen,
        terms=terms,
        basis=facility.basis,
        nominal_rate=offer.nominal_rate,
        year=tx.today.year,
    )
    facility.require_headroom(decision.amount_fen)
    offer = await offer_store.write_appraisal(tx.connection, offer, appraisal)
    offer = await offer_store.write_decision(tx.connection, offer, decision)
    expire_at = tx.now + timedelta(days=int(terms[Parameter.OFFER_VALID_DAYS]))
    return await _move(tx, replace(offer, expire_at=min(expire_at, appraisal.expire_at)), "make")


async def refuse_offer(
    tx: Transaction, offer_id: UUID, refusal: DomainError, *, appraisal: Appraisal | None
) -> None:
    """Keep why a request was refused, and the valuation where it came that far."""
    offer = await offer_store.lock_offer(tx.connection, offer_id)
    if appraisal is not None:
        offer = await offer_store.write_appraisal(tx.connection, offer, appraisal)
    refused = replace(offer, refusal_reason=refusal.reason, refusal_message=refusal.message)
    await _move(tx, refused, "refuse")


async def accept_offer(tx: Transaction, offer_id: UUID, *, borrower: str, etag: str) -> Offer:
    """Accept an offer; it can be drawn until its valuation expires.

    Raises:
        NotFound: The borrower has no such offer.
        EtagMismatch, TransitionRefused: It changed, or is not open.
    """
    offer = await _lock(tx, offer_id, party=borrower, etag=etag, borrower_only=True)
    assert offer.appraisal is not None or offer.state is not OfferState.OFFERED
    expire_at = offer.appraisal.expire_at if offer.appraisal else None
    return await _move(tx, replace(offer, expire_at=expire_at), "accept")


async def withdraw_offer(tx: Transaction, offer_id: UUID, *, party: str, etag: str) -> Offer:
    """Take an offer back that is not accepted; either side may.

    Raises:
        NotFound: The party has no such offer.
        EtagMismatch, TransitionRefused: It changed, or is not open.
    """
    offer = await _lock(tx, offer_id, party=party, etag=etag, borrower_only=False)
    return await _move(tx, offer, "withdraw")


async def expire_offer(tx: Transaction, timer: Timer) -> None:
    """Let an offer run out that was not accepted, or not drawn, in time.

    Raises:
        TransitionRefused: It is neither; the timer is dropped.
    """
    offer = await offer_store.lock_offer(tx.connection, UUID(timer.subject.split("/")[1]))
    if offer.draw_id is None:
        await _move(tx, offer, "expire")


async def _lock(
    tx: Transaction, offer_id: UUID, *, party: str, etag: str, borrower_only: bool
) -> Offer:
    offer = await offer_store.lock_offer_of(
        tx.connection, offer_id, party=party, borrower_only=borrower_only
    )
    if offer is None:
        raise NotFound(name("offers", offer_id))
    check_etag(etag, offer.version)
    return offer


async def _move(tx: Transaction, offer: Offer, command: str) -> Offer:
    """Take an offer's step, tell of it, and set or remove its expiry."""
    step = OFFER.next(offer.state, command, subject=offer.name)
    moved = await offer_store.update_offer(
        tx.connection,
        replace(offer, state=step.target),
        at=tx.now,
        events=1 if step.event else 0,
    )
    if moved.state in (OfferState.OFFERED, OfferState.ACCEPTED) and moved.expire_at is not None:
        await tx.set_timer(EXPIRY, moved.name, due_at=moved.expire_at)
    else:
        await tx.cancel_timers(moved.name, kind=EXPIRY)
    if step.event is finance_events_pb2.OfferMade:
        await tx.emit(offer_events.made(moved))
    elif step.event is finance_events_pb2.OfferAccepted:
        await tx.emit(offer_events.accepted(moved))
    elif step.event is finance_events_pb2.OfferLapsed:
        await tx.emit(offer_events.lapsed(moved))
    return moved


async def mark_drawn(tx: Transaction, offer_id: UUID, *, draw: str, lien: str) -> None:
    """Note that an offer's money is paid."""
    offer = await offer_store.lock_offer(tx.connection, offer_id)
    moved = await _move(tx, offer, "draw")
    await tx.emit(offer_events.drawn(moved, draw=draw, lien=lien))


async def mark_defaulted(tx: Transaction, offer_id: UUID) -> None:
    """Note that an offer's draw is in default; the draw's own event tells of it."""
    await _move(tx, await offer_store.lock_offer(tx.connection, offer_id), "declare_default")


async def mark_repaid(tx: Transaction, offer_id: UUID, *, draw: str) -> None:
    """Note that an offer's draw is paid back to the last fen."""
    offer = await offer_store.lock_offer(tx.connection, offer_id)
    moved = await _move(tx, offer, "repay")
    await tx.emit(offer_events.repaid(moved, draw=draw))
