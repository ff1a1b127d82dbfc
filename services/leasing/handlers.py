"""A lease from the quote to both signatures, one transaction a command."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.finmath.money import share_of
from services.kit.database import Database
from services.kit.errors import InvalidArgument, NotFound, PermissionDenied
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal
from services.kit.sagas import Saga
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.leasing import lease_store, programme_store
from services.leasing.announcements import announce, sides
from services.leasing.busy import begin
from services.leasing.clients import Machine
from services.leasing.errors import DeliveryAccepted, SameParty
from services.leasing.instalment_model import has_empty_payment
from services.leasing.lifecycle import LEASE, PROGRAMME
from services.leasing.locks import lock_as_lessee, lock_as_lessor, lock_as_side, lock_by_name
from services.leasing.model import QUOTE_VALID_FOR, RESERVING, Lease, LeaseState
from services.leasing.programme_model import Programme, Wish
from services.leasing.quote import quote_figures, remaining_life
from services.leasing.terms import LeaseTerms, canonical_terms, terms_sha256
from services.leasing.usage_model import Reading

EXPIRY = "lease_expiry"


async def quote_lease(
    tx: Transaction,
    *,
    programme_id: UUID,
    machine: Machine,
    lessee: str,
    viewer: Principal,
    wish: Wish,
) -> Lease:
    """Quote a lease of a machine from a programme, for 30 days.

    Raises:
        NotFound: There is no such programme, or its lessor does not hold the machine's title.
        TransitionRefused: The programme is retired.
        PermissionDenied: The viewer is neither its lessor nor the lessee.
        SameParty: Its lessor would be the lessee.
        InvalidArgument: The wish lies outside the programme's limits.
        RateNotFound: The payments have no rate.
    """
    programme = await programme_store.find_programme(tx.connection, programme_id, viewer=viewer)
    if programme is None:
        raise NotFound(name("leaseProgrammes", programme_id))
    PROGRAMME.next(programme.state, "quote", subject=programme.name)
    if viewer.party not in (programme.lessor, lessee):
        raise PermissionDenied(f"a quote for {lessee} is made by it or by the lessor")
    if lessee == programme.lessor:
        raise SameParty(lessee)
    if machine.title_holder != programme.lessor:
        raise NotFound(machine.name)
    programme.terms.check_wish(wish)
    terms = _terms(programme, machine, lessee=lessee, wish=wish)
    lease = _quoted(tx, programme, machine, terms)
    await lease_store.insert_lease(tx.connection, lease)
    await tx.set_timer(EXPIRY, lease.name, due_at=tx.now + QUOTE_VALID_FOR)
    return lease


async def apply_for_lease(
    tx: Transaction, lease_id: UUID, *, viewer: Principal, etag: str
) -> Lease:
    """Apply for a quoted lease.

    Raises:
        NotFound, PermissionDenied, EtagMismatch, TransitionRefused.
    """
    lease = await lock_as_lessee(tx, lease_id, viewer=viewer)
    check_etag(etag, lease.version)
    step = LEASE.next(lease.state, "apply", subject=lease.name)
    return await lease_store.update_lease(
        tx.connection, replace(lease, state=step.target), at=tx.now
    )


async def decline_lease(
    tx: Transaction, lease_id: UUID, *, viewer: Principal, etag: str, reason: str
) -> Lease:
    """Decline an application.

    Raises:
        NotFound, PermissionDenied, EtagMismatch, LeaseBusy, TransitionRefused.
    """
    lease = await lock_as_lessor(tx, lease_id, viewer=viewer)
    check_etag(etag, lease.version)
    step = LEASE.next(lease.state, "decline", subject=lease.name)
    await tx.cancel_timers(lease.name)
    declined = replace(lease, state=step.target, reason=reason, expire_at=None)
    return await lease_store.update_lease(tx.connection, declined, at=tx.now)


async def sign_lease(tx: Transaction, lease_id: UUID, *, viewer: Principal, sha256: str) -> Lease:
    """Sign the terms for the viewer's side; the second signature makes the lease SIGNED.

    Raises:
        NotFound, LeaseBusy, TransitionRefused.
        TermsChanged: The hash is not that of the terms.
        AlreadySigned: The side has signed.
    """
    lease = await lock_as_side(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "sign", subject=lease.name)
    lease.require_signable(viewer.party, sha256=sha256)
    if viewer.party == lease.terms.lessor:
        lease = replace(lease, lessor_signer=viewer.subject, lessor_sign_time=tx.now)
    else:
        lease = replace(lease, lessee_signer=viewer.subject, lessee_sign_time=tx.now)
    if lease.is_signed_by_both:
        step = LEASE.next(lease.state, "complete_signatures", subject=lease.name)
        lease = await announce(
            tx,
            replace(lease, state=step.target),
            events.LeaseSigned,
            terms_sha256=lease.terms_sha256,
            **sides(lease),
        )
    return await lease_store.update_lease(tx.connection, lease, at=tx.now)


async def accept_delivery(
    tx: Transaction, lease_id: UUID, *, viewer: Principal, hours: Decimal | None
) -> Lease:
    """Accept the machine's delivery, with its hours where they are read: the first day is today.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        DeliveryAccepted: It was accepted before.
    """
    lease = await lock_as_lessee(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "accept_delivery", subject=lease.name)
    if lease.start_on is not None:
        raise DeliveryAccepted(lease.name, lease.start_on)
    if hours is not None:
        reading = Reading(tx.today, hours)
        await lease_store.add_reading(
            tx.connection, lease.id, reading, reporter=viewer.subject, at=tx.now
        )
    return await lease_store.update_lease(
        tx.connection, replace(lease, start_on=tx.today), at=tx.now
    )


async def get_lease(database: Database, lease_id: UUID, *, viewer: Principal) -> Lease:
    """Return a lease that the viewer may see.

    Raises:
        NotFound: There is none.
    """
    async with database.read() as connection:
        lease = await lease_store.find_lease(connection, lease_id, viewer=viewer)
    if lease is None:
        raise NotFound(name("leases", lease_id))
    return lease


async def expire(tx: Transaction, timer: Timer) -> None:
    """Let a lease that is not active yet run out; one that holds a machine releases it first."""
    lease = await lock_by_name(tx, timer.subject)
    lease.require_free()
    step = LEASE.next(lease.state, "expire", subject=lease.name)
    if lease.state in RESERVING:
        await begin_release(tx, lease, command="expire", reason="ran out before it was active")
        return
    await lease_store.update_lease(
        tx.connection, replace(lease, state=step.target, expire_at=None), at=tx.now
    )


async def begin_release(tx: Transaction, lease: Lease, *, command: str, reason: str) -> Saga:
    """Begin the saga that releases the machine of a free, locked lease and ends the lease."""
    is_reserved = lease.state in RESERVING
    return await begin(
        tx, lease, "lease_release", is_reserved=is_reserved, command=command, reason=reason
    )


def _terms(programme: Programme, machine: Machine, *, lessee: str, wish: Wish) -> LeaseTerms:
    """Return the terms that a programme's present revision makes of a wish.

    Raises:
        InvalidArgument: So little is financed that a payment would be nothing.
    """
    offered = programme.terms
    terms = LeaseTerms(
        programme_id=programme.id,
        programme_revision=programme.revision,
        machine=machine.name,
        machine_number=machine.number,
        lessor=programme.lessor,
        lessee=lessee,
        financed_fen=wish.financed_fen,
        residual_fen=wish.residual_fen,
        guaranteed_residual_fen=wish.guaranteed_fen,
        term_months=wish.term_months,
        in_advance=offered.in_advance,
        nominal_rate=offered.nominal_rate,
        day_count=offered.day_count,
        fee_fen=share_of(wish.financed_fen, offered.fee_rate),
        deposit_fen=share_of(wish.financed_fen, offered.deposit_rate),
        hours_per_year=offered.hours_per_year,
        excess_hour_rate_fen=offered.excess_hour_rate_fen,
        buyout_fee_rate=offered.buyout_fee_rate,
        penalty_daily_rate=offered.penalty_daily_rate,
        penalty_cap_rate=offered.penalty_cap_rate,
        extension_months_max=offered.extension_months_max,
        extension_residual_rate=offered.extension_residual_rate,
    )
    if has_empty_payment(terms.schedule()):
        raise InvalidArgument("financed_amount", "is so small that a payment would be nothing")
    return terms


def _quoted(tx: Transaction, programme: Programme, machine: Machine, terms: LeaseTerms) -> Lease:
    """Return a new lease on these terms, quoted now.

    Raises:
        RateNotFound: The payments have no rate.
    """
    canonical = canonical_terms(terms)
    return Lease(
        id=new_id(),
        version=1,
        event_sequence=0,
        state=LeaseState.QUOTED,
        saga_id=None,
        terms=terms,
        canonical_terms=canonical,
        terms_sha256=terms_sha256(canonical),
        figures=quote_figures(
            terms,
            direct_cost_fen=programme.terms.initial_direct_cost_fen,
            remaining_life_months=remaining_life(
                programme.terms.economic_life_months, build_year=machine.build_year, on=tx.today
            ),
        ),
        expire_at=tx.now + QUOTE_VALID_FOR,
        lessor_signer="",
        lessor_sign_time=None,
        lessee_signer="",
        lessee_sign_time=None,
        start_on=None,
        maturity_on=None,
        registry_no="",
        calendar_version="",
        schedule_revision=0,
        outstanding_fen=0,
        residual_now_fen=terms.residual_fen,
        deposit_held_fen=0,
        buyout=None,
        reason="",
        overdue_count=0,
        create_time=tx.now,
        update_time=tx.now,
    )
