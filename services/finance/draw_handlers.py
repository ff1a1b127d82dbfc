"""Draws from headroom to payout, and their ageing; one transaction a command."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from services.finance import (
    collateral_handlers,
    draw_events,
    draw_store,
    facility_store,
    offer_handlers,
    offer_store,
    policy_store,
    subordination_handlers,
    subordination_store,
)
from services.finance.clients import RegisteredLien, registration_number
from services.finance.collateral_handlers import REVALUE
from services.finance.draw_model import (
    CollateralState,
    Draw,
    DrawState,
    Instalment,
    bucket_of,
    days_past_due,
    make_schedule,
    next_ageing_on,
    overdue_fen,
)
from services.finance.errors import DrawExists, OfferExpired, ShortfallBlocksDraws
from services.finance.lifecycle import DRAW, OFFER
from services.finance.offer_model import Offer
from services.finance.policy_model import Parameter
from services.finance.revaluation_handlers import DRAWN
from services.kit.calendar import CHINA
from services.kit.clock import start_of
from services.kit.errors import NotFound
from services.kit.ids import name, new_id
from services.kit.timers import Timer
from services.kit.transaction import Transaction

AGEING = "draw_ageing"


async def begin_draw(tx: Transaction, offer_id: UUID, *, borrower: str) -> tuple[Draw, bool]:
    """Take the headroom for an accepted offer; lien and payment follow.

    Returns:
        The draw, and whether its money buys the machine itself.

    Raises:
        NotFound: The borrower has no such offer.
        TransitionRefused: It is not ACCEPTED.
        DrawExists, OfferExpired, ShortfallBlocksDraws, FacilityNotActive, HeadroomExceeded,
        SubordinationNotGiven, SubordinationBusy.
    """
    offer = await offer_store.lock_offer_of(
        tx.connection, offer_id, party=borrower, borrower_only=True
    )
    if offer is None:
        raise NotFound(name("offers", offer_id))
    OFFER.next(offer.state, "draw", subject=offer.name)
    if offer.draw_id is not None:
        raise DrawExists(offer.name)
    if offer.expire_at is not None and offer.expire_at <= tx.now:
        raise OfferExpired(offer.name, offer.expire_at)
    draw = await _new_draw(tx, offer)
    if not await draw_store.insert_draw(tx.connection, draw):
        raise DrawExists(offer.name)
    if draw.subordination_id is not None:
        await subordination_handlers.take(tx, draw.subordination_id, draw_id=draw.id)
    await offer_store.update_offer(tx.connection, replace(offer, draw_id=draw.id), at=tx.now)
    facility = await facility_store.lock_facility(tx.connection, offer.facility_id)
    if await draw_store.has_shortfall(tx.connection, facility.id):
        raise ShortfallBlocksDraws(facility.name)
    reserved = facility.reserve(draw.principal_fen)
    await facility_store.update_facility(tx.connection, reserved, at=tx.now)
    return draw, offer.wish.purchase_money


async def note_lien(tx: Transaction, draw_id: UUID, lien: RegisteredLien) -> None:
    """Keep the lien that was registered for a draw, and how it ranks."""
    draw = await draw_store.lock_draw(tx.connection, draw_id)
    ranked = replace(
        draw,
        lien=lien.name,
        lien_first=lien.first,
        lien_time=lien.time,
        lien_place=lien.place,
    )
    await draw_store.update_draw(tx.connection, ranked, at=tx.now)


async def pay_out(tx: Transaction, draw_id: UUID, *, transfer_id: UUID) -> Draw:
    """Note that a draw is paid out: its schedule begins today."""
    draw = await draw_store.lock_draw(tx.connection, draw_id)
    step = DRAW.next(draw.state, "pay_out", subject=draw.name)
    lines = make_schedule(
        draw.principal_fen,
        draw.nominal_rate,
        balloon_fen=draw.balloon_fen,
        start_on=tx.today,
        numbers=range(1, draw.term_months + 1),
        balloon_number=draw.term_months + 1,
        calendar=CHINA,
    )
    active = await draw_store.update_draw(
        tx.connection,
        replace(
            draw,
            state=step.target,
            start_on=tx.today,
            maturity_on=lines[-1].contract_on,
            outstanding_fen=draw.principal_fen,
            transfer_id=str(transfer_id),
            calendar_version=CHINA.version,
        ),
        at=tx.now,
    )
    await draw_store.write_instalments(tx.connection, draw.id, lines)
    if draw.subordination_id is not None:
        await subordination_handlers.use(tx, draw.subordination_id)
    await offer_handlers.mark_drawn(tx, draw.offer_id, draw=draw.name, lien=draw.lien)
    facility = await facility_store.lock_facility(tx.connection, draw.facility_id)
    await facility_store.update_facility(
        tx.connection, facility.pay_out(draw.principal_fen), at=tx.now
    )
    await tx.set_timer(
        REVALUE,
        active.name,
        due_at=tx.now,
        payload={"cause": DRAWN.cause.value, "description": DRAWN.description},
    )
    assessed = await collateral_handlers.assess(tx, active, lines, cause="its payout")
    return await age(tx, assessed, lines)


async def cancel_draw(tx: Transaction, draw_id: UUID) -> None:
    """Give up a draw whose lien or payment was refused; its offer stays ACCEPTED."""
    draw = await draw_store.lock_draw(tx.connection, draw_id)
    step = DRAW.next(draw.state, "cancel", subject=draw.name)
    await draw_store.update_draw(
        tx.connection, replace(draw, state=step.target, outstanding_fen=0), at=tx.now
    )
    if draw.subordination_id is not None:
        await subordination_handlers.give_up(tx, draw.subordination_id)
    offer = await offer_store.lock_offer(tx.connection, draw.offer_id)
    await offer_store.update_offer(tx.connection, replace(offer, draw_id=None), at=tx.now)
    if offer.expire_at is not None:
        # It may have run out meanwhile, when its timer found the draw under way.
        await tx.set_timer(offer_handlers.EXPIRY, offer.name, due_at=offer.expire_at)
    facility = await facility_store.lock_facility(tx.connection, draw.facility_id)
    await facility_store.update_facility(
        tx.connection, facility.give_back(draw.principal_fen), at=tx.now
    )


async def age(tx: Transaction, draw: Draw, lines: Sequence[Instalment]) -> Draw:
    """Tell of a delinquency bucket that was entered, and wait for the next."""
    if draw.state is not DrawState.ACTIVE:
        await tx.cancel_timers(draw.name, kind=AGEING)
        return draw
    days = days_past_due(lines, tx.today)
    bucket = bucket_of(days)
    if (next_on := next_ageing_on(lines, tx.today)) is not None:
        await tx.set_timer(AGEING, draw.name, due_at=start_of(next_on))
    if bucket == draw.overdue_bucket:
        return draw
    is_worse = bucket > draw.overdue_bucket
    aged = await draw_store.update_draw(
        tx.connection,
        replace(draw, overdue_bucket=bucket),
        at=tx.now,
        events=1 if is_worse else 0,
    )
    if is_worse:
        overdue = overdue_fen(lines, tx.today)
        await tx.emit(draw_events.overdue(aged, overdue_fen=overdue, days=days))
    return aged


async def age_by_timer(tx: Transaction, timer: Timer) -> None:
    """Age a draw on the day its timer was set for."""
    draw = await draw_store.lock_draw(tx.connection, UUID(timer.subject.split("/")[1]))
    await age(tx, draw, await draw_store.list_instalments(tx.connection, draw.id))


async def _new_draw(tx: Transaction, offer: Offer) -> Draw:
    assert offer.decision is not None
    assert offer.appraisal is not None
    facility = await facility_store.get_facility(tx.connection, offer.facility_id)
    policy = await policy_store.get_policy_version(tx.connection, offer.decision.policy_version)
    terms = policy.terms(facility.overrides)
    consent = None
    if offer.wish.subordination_id is not None:
        consent = await subordination_store.get_subordination(
            tx.connection, offer.wish.subordination_id
        )
    draw_id = new_id()
    return Draw(
        id=draw_id,
        version=1,
        event_sequence=0,
        state=DrawState.PENDING,
        offer_id=offer.id,
        facility_id=facility.id,
        funder=offer.funder,
        borrower=offer.borrower,
        machine=offer.wish.machine,
        principal_fen=offer.decision.amount_fen,
        balloon_fen=offer.wish.balloon_fen,
        nominal_rate=offer.nominal_rate,
        day_count=facility.day_count,
        term_months=offer.wish.term_months,
        start_on=None,
        maturity_on=None,
        outstanding_fen=0,
        lien="",
        registry_no=registration_number("LIEN", draw_id, tx.today),
        transfer_id="",
        policy_version=offer.decision.policy_version,
        valuation=offer.appraisal.valuation,
        haircut=offer.decision.haircut,
        collateral_fen=offer.decision.collateral_fen,
        olv_median_fen=offer.appraisal.olv_median_fen,
        watch_line=terms[Parameter.WATCH_LINE],
        maintenance_cap=terms[Parameter.MAINTENANCE_CAP],
        penalty_daily_rate=terms[Parameter.PENALTY_DAILY_RATE],
        penalty_cap=terms[Parameter.PENALTY_CAP],
        collateral_state=CollateralState.COMPLIANT,
        cure_by=None,
        overdue_bucket=0,
        calendar_version="",
        held_by="",
        create_time=tx.now,
        update_time=tx.now,
        hours_per_year=offer.wish.hours_per_year,
        subordination_id=offer.wish.subordination_id,
        senior_draw_id=None if consent is None else consent.senior_draw_id,
        senior_cap_fen=None if consent is None else consent.senior_cap_fen,
    )
