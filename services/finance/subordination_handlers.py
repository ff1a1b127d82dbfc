"""Consents to junior liens: given, used, revoked, run out; one transaction a command."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from ironloop.finance.v1 import finance_events_pb2

from services.finance import draw_store, subordination_events, subordination_store
from services.finance.lifecycle import SUBORDINATION
from services.finance.offer_model import Offer
from services.finance.subordination_errors import SubordinationExists
from services.finance.subordination_model import (
    Subordination,
    SubordinationState,
    balances_fen,
    check_consent,
)
from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.timers import Timer
from services.kit.transaction import Transaction

EXPIRY = "subordination_expiry"


async def consent(
    tx: Transaction,
    draw_id: UUID,
    *,
    funder: str,
    junior_funder: str,
    senior_cap_fen: int,
    expire_at: datetime,
) -> Subordination:
    """Let another funder lend behind a funder's own draw.

    Raises:
        NotFound: The funder has no such draw.
        InvalidArgument, DrawNotOutstanding, SeniorCapTooLow: `subordination_model.check_consent`.
        SubordinationExists: One is given on it already.
    """
    draw = await draw_store.lock_draw_of(tx.connection, draw_id, party=funder)
    if draw is None or draw.funder != funder:
        raise NotFound(name("draws", draw_id))
    check_consent(
        draw,
        junior_funder=junior_funder,
        senior_cap_fen=senior_cap_fen,
        expire_at=expire_at,
        now=tx.now,
    )
    given = Subordination(
        id=new_id(),
        version=1,
        event_sequence=1,
        state=SubordinationState.GIVEN,
        senior_draw_id=draw.id,
        machine=draw.machine,
        senior_funder=funder,
        junior_funder=junior_funder,
        borrower=draw.borrower,
        senior_cap_fen=senior_cap_fen,
        junior_draw_id=None,
        expire_at=expire_at,
        create_time=tx.now,
        update_time=tx.now,
    )
    if not await subordination_store.insert_subordination(tx.connection, given):
        raise SubordinationExists(draw.name)
    await tx.set_timer(EXPIRY, given.name, due_at=given.expire_at)
    await tx.emit(subordination_events.given(given))
    return given


async def revoke(
    tx: Transaction, subordination_id: UUID, *, funder: str, etag: str
) -> Subordination:
    """Take a consent back that a funder gave.

    Raises:
        NotFound: The funder gave no such consent.
        EtagMismatch, TransitionRefused: It changed, or is not GIVEN.
        SubordinationBusy: A draw under it is on its way.
    """
    present = await subordination_store.lock_of_senior(
        tx.connection, subordination_id, funder=funder
    )
    if present is None:
        raise NotFound(name("subordinations", subordination_id))
    check_etag(etag, present.version)
    present.require_idle()
    return await _move(tx, present, "revoke")


async def expire(tx: Transaction, timer: Timer) -> None:
    """Let a consent run out under which no draw is on its way.

    Raises:
        TransitionRefused: It is over; the timer is dropped.
    """
    present = await subordination_store.lock_subordination(
        tx.connection, UUID(timer.subject.split("/")[1])
    )
    if present.junior_draw_id is None:
        await _move(tx, present, "expire")


async def check_for_offer(
    tx: Transaction, subordination_id: UUID, *, borrower: str, machine: str, funder: str
) -> None:
    """Check that a consent lets a borrower ask a funder for an offer on a machine.

    Raises:
        NotFound: The borrower knows no such consent.
        InvalidArgument, SubordinationNotGiven, SubordinationBusy: It does not.
    """
    found = await subordination_store.find_of_borrower(
        tx.connection, subordination_id, borrower=borrower
    )
    if found is None:
        raise NotFound(name("subordinations", subordination_id))
    found.require_covers(machine=machine, funder=funder)
    found.require_good(at=tx.now)


async def senior_lien(tx: Transaction, subordination_id: UUID | None) -> str:
    """Return the lien behind which a consent lets another one stand; empty where there is none."""
    if subordination_id is None:
        return ""
    found = await subordination_store.get_subordination(tx.connection, subordination_id)
    return (await draw_store.get_draw(tx.connection, found.senior_draw_id)).lien


async def senior_balances(tx: Transaction, offer: Offer) -> list[int]:
    """Return what ranks before an offer after month 0, 1, … of its term; nothing: an empty list.

    Raises:
        SubordinationNotGiven, SubordinationBusy: The consent ended meanwhile, or is being used.
    """
    if offer.wish.subordination_id is None:
        return []
    found = await subordination_store.get_subordination(tx.connection, offer.wish.subordination_id)
    found.require_good(at=tx.now)
    lines = await draw_store.list_instalments(tx.connection, found.senior_draw_id)
    return balances_fen(
        lines, cap_fen=found.senior_cap_fen, from_on=tx.today, months=offer.wish.term_months
    )


async def take(tx: Transaction, subordination_id: UUID, *, draw_id: UUID) -> None:
    """Begin a junior draw, which is written, under a consent.

    Raises:
        SubordinationNotGiven, SubordinationBusy: It is over, or another draw is begun under it.
    """
    present = await subordination_store.lock_subordination(tx.connection, subordination_id)
    present.require_good(at=tx.now)
    await subordination_store.update_subordination(
        tx.connection, replace(present, junior_draw_id=draw_id), at=tx.now
    )


async def use(tx: Transaction, subordination_id: UUID) -> None:
    """Note that the junior draw is paid out."""
    present = await subordination_store.lock_subordination(tx.connection, subordination_id)
    await _move(tx, present, "use")


async def give_up(tx: Transaction, subordination_id: UUID) -> None:
    """Note that the junior draw was given up; the consent is as good as before."""
    present = await subordination_store.lock_subordination(tx.connection, subordination_id)
    await subordination_store.update_subordination(
        tx.connection, replace(present, junior_draw_id=None), at=tx.now
    )
    # It may have run out meanwhile, when its timer found the draw under way.
    await tx.set_timer(EXPIRY, present.name, due_at=present.expire_at)


async def _move(tx: Transaction, present: Subordination, command: str) -> Subordination:
    """Take a consent's step, and tell of it."""
    step = SUBORDINATION.next(present.state, command, subject=present.name)
    moved = await subordination_store.update_subordination(
        tx.connection, replace(present, state=step.target), at=tx.now, events=1
    )
    await tx.cancel_timers(moved.name, kind=EXPIRY)
    if step.event is finance_events_pb2.SubordinationUsed:
        await tx.emit(subordination_events.used(moved))
    else:
        await tx.emit(subordination_events.ended(moved))
    return moved
