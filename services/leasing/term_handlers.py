"""The end of a term: buyout quotes and their lapse, maturity and what is elected, extension."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.finmath.dates import add_months
from services.finmath.money import share_of
from services.finmath.schedule import Schedule, annuity_schedule
from services.kit import wire
from services.kit.calendar import CHINA
from services.kit.clock import start_of
from services.kit.errors import InvalidArgument
from services.kit.principals import Principal
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.leasing import instalment_store, lease_store
from services.leasing.announcements import announce, buyout_to_wire, lines, sides
from services.leasing.buyout_model import last_quotable_day, settle
from services.leasing.errors import ExtensionNotOffered
from services.leasing.instalment_handlers import set_agenda
from services.leasing.instalment_model import (
    Instalment,
    has_empty_payment,
    instalments_of,
    require_settled,
)
from services.leasing.lifecycle import LEASE
from services.leasing.locks import lock_as_lessee, lock_as_side, lock_by_name
from services.leasing.model import ELECTION_DAYS, Lease

BUYOUT_LAPSE = "lease_buyout_lapse"
MATURITY = "lease_maturity"
ELECTION = "lease_election"
INSTALMENTS_MAX = 1_000  # of a lease, extensions counted in: eighty years
BUYOUT_DAYS_AHEAD_MAX = 31  # interest is quoted that far ahead, a month's payment at most


async def quote_buyout(
    tx: Transaction, lease_id: UUID, *, viewer: Principal, as_of: date | None
) -> Lease:
    """Quote an early buyout for a day (today where none is asked for), good to its end.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        InvalidArgument: The day lies before today, over 31 days ahead, after the next instalment
            is payable, or after maturity.
    """
    lease = await lock_as_side(tx, lease_id, viewer=viewer)
    step = LEASE.next(lease.state, "quote_buyout", subject=lease.name)
    day = as_of or tx.today
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    last_day = min(
        tx.today + timedelta(BUYOUT_DAYS_AHEAD_MAX), last_quotable_day(lease, instalments)
    )
    if not tx.today <= day <= last_day:
        raise InvalidArgument("as_of_date", f"must lie in {tx.today} to {last_day}")
    quote = settle(lease, instalments, as_of=day).quote
    await tx.set_timer(BUYOUT_LAPSE, lease.name, due_at=quote.expire_at)
    lease = await announce(
        tx,
        replace(lease, state=step.target, buyout=quote),
        events.BuyoutQuoted,
        quote=buyout_to_wire(quote, deposit_fen=lease.deposit_held_fen),
        **sides(lease),
    )
    return await lease_store.update_lease(tx.connection, lease, at=tx.now)


async def lapse_buyout(tx: Transaction, timer: Timer) -> None:
    """Take a buyout quote back whose day is over."""
    lease = await lock_by_name(tx, timer.subject)
    lease.require_free()
    step = LEASE.next(lease.state, "lapse_buyout", subject=lease.name)
    await lease_store.update_lease(
        tx.connection, replace(lease, state=step.target, buyout=None), at=tx.now
    )


async def mature(tx: Transaction, timer: Timer) -> None:
    """End a lease's term; a buyout quote lapses with it. The lessee elects within 10 days."""
    lease = await lock_by_name(tx, timer.subject)
    lease.require_free()
    step = LEASE.next(lease.state, "mature", subject=lease.name)
    await tx.cancel_timers(lease.name, kind=BUYOUT_LAPSE)
    elect_by = CHINA.adjust_following(tx.today + timedelta(ELECTION_DAYS))
    await tx.set_timer(ELECTION, lease.name, due_at=start_of(elect_by + timedelta(1)))
    lease = await announce(
        tx,
        replace(lease, state=step.target, buyout=None),
        events.LeaseMatured,
        residual=wire.money(lease.residual_now_fen),
        **sides(lease),
    )
    await lease_store.update_lease(tx.connection, lease, at=tx.now)


async def lapse_election(tx: Transaction, timer: Timer) -> None:
    """Make the return due, since the lessee elected nothing."""
    lease = await lock_by_name(tx, timer.subject)
    lease.require_free()
    step = LEASE.next(lease.state, "lapse_election", subject=lease.name)
    await lease_store.update_lease(tx.connection, replace(lease, state=step.target), at=tx.now)


async def extend_lease(
    tx: Transaction, lease_id: UUID, *, viewer: Principal, months: int
) -> tuple[Lease, list[Instalment]]:
    """Extend a matured lease at its rate, from the residual down to its extension share.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        InstalmentUnpaid: An instalment is not paid.
        ExtensionNotOffered: The terms offer none, or a payment would be nothing.
        InvalidArgument: More months than are offered.
    """
    lease = await lock_as_lessee(tx, lease_id, viewer=viewer)
    step = LEASE.next(lease.state, "extend", subject=lease.name)
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    require_settled(instalments, by=tx.today)
    if len(instalments) + months > INSTALMENTS_MAX:
        raise ExtensionNotOffered(lease.name)
    schedule = _extension(lease, months)
    added = instalments_of(
        lease, schedule.rows, start_on=lease.started_on, after=len(instalments), calendar=CHINA
    )
    maturity_on = add_months(lease.started_on, len(instalments) + months)
    lease = replace(
        lease,
        state=step.target,
        maturity_on=maturity_on,
        outstanding_fen=schedule.financed_fen,
        residual_now_fen=schedule.residual_fen,
        schedule_revision=lease.schedule_revision + 1,
    )
    await instalment_store.insert_instalments(tx.connection, added)
    await tx.cancel_timers(lease.name, kind=ELECTION)
    await set_maturity(tx, lease)
    await set_agenda(tx, lease, added)
    lease = await announce_reschedule(tx, lease, added, prepaid_fen=0)
    lease = await lease_store.update_lease(tx.connection, lease, at=tx.now)
    return lease, [*instalments, *added]


async def set_maturity(tx: Transaction, lease: Lease) -> None:
    """Set the timer of a lease's maturity, on a business day."""
    day = CHINA.adjust_following(lease.matures_on)
    await tx.set_timer(MATURITY, lease.name, due_at=start_of(day))


async def announce_reschedule(
    tx: Transaction, lease: Lease, changed: list[Instalment], *, prepaid_fen: int
) -> Lease:
    """Say which instalments are new or changed."""
    return await announce(
        tx,
        lease,
        events.LeaseRescheduled,
        revision=lease.schedule_revision,
        prepaid_principal=wire.money(prepaid_fen),
        residual=wire.money(lease.residual_now_fen),
        maturity_date=wire.date(lease.matures_on),
        schedule=lines(changed),
        **sides(lease),
    )


def _extension(lease: Lease, months: int) -> Schedule:
    """Return the schedule of an extension.

    Raises:
        ExtensionNotOffered, InvalidArgument.
    """
    offered = lease.terms.extension_months_max
    if not offered or not lease.residual_now_fen:
        raise ExtensionNotOffered(lease.name)
    if months > offered:
        raise InvalidArgument("months", f"must not exceed the {offered} that the terms offer")
    schedule = annuity_schedule(
        lease.residual_now_fen,
        lease.terms.nominal_rate,
        months=months,
        residual_fen=share_of(lease.residual_now_fen, lease.terms.extension_residual_rate),
        in_advance=lease.terms.in_advance,
    )
    if has_empty_payment(schedule):
        raise ExtensionNotOffered(lease.name)
    return schedule
