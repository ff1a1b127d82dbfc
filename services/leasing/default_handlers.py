"""Notice, default and cure, one transaction a command."""

from dataclasses import replace
from uuid import UUID

from ironloop.leasing.v1 import endings_pb2
from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.kit import wire
from services.kit.etags import check_etag
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.leasing import instalment_store, lease_store
from services.leasing.announcements import announce, bucket_to_wire, parts, sides
from services.leasing.default_model import default_cause, oldest_days_past_due, overdue_parts
from services.leasing.errors import NothingOverdue
from services.leasing.instalment_handlers import set_agenda
from services.leasing.instalment_model import require_settled
from services.leasing.lifecycle import LEASE
from services.leasing.locks import lock_as_lessor
from services.leasing.model import Lease
from services.leasing.term_handlers import BUYOUT_LAPSE, ELECTION, MATURITY, set_maturity


async def give_notice(tx: Transaction, lease_id: UUID, *, viewer: Principal, text: str) -> Lease:
    """Give the lessee 10 days to pay what is overdue; a second notice begins them anew.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        NothingOverdue: Nothing is.
    """
    lease = await lock_as_lessor(tx, lease_id, viewer=viewer)
    step = LEASE.next(lease.state, "give_notice", subject=lease.name)
    if not lease.overdue_count:
        raise NothingOverdue(lease.name)
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    lease = await announce(
        tx,
        replace(lease, state=step.target, notice_on=tx.today),
        events.DefaultNoticeGiven,
        notice_date=wire.date(tx.today),
        overdue=parts(overdue_parts(instalments, on=tx.today)),
        text=text,
        **sides(lease),
    )
    return await lease_store.update_lease(tx.connection, lease, at=tx.now)


async def declare_default(
    tx: Transaction, lease_id: UUID, *, viewer: Principal, etag: str
) -> Lease:
    """Declare the lessee's default; a buyout quote lapses, and the term no longer ends by itself.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, EtagMismatch, TransitionRefused.
        NotInDefault: Neither ground holds.
    """
    lease = await lock_as_lessor(tx, lease_id, viewer=viewer)
    check_etag(etag, lease.version)
    step = LEASE.next(lease.state, "declare_default", subject=lease.name)
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    cause = default_cause(lease, instalments, on=tx.today)
    await stop_term(tx, lease)
    lease = await announce(
        tx,
        replace(lease, state=step.target, buyout=None, defaulted_on=tx.today),
        events.LeaseDefaulted,
        cause=wire.enum_number(endings_pb2.DefaultCause, cause, prefix="DEFAULT_CAUSE_"),
        days_past_due=oldest_days_past_due(instalments, on=tx.today),
        bucket=bucket_to_wire(lease.arrears_bucket),
        overdue=parts(overdue_parts(instalments, on=tx.today)),
        outstanding_principal=wire.money(lease.outstanding_fen),
        **sides(lease),
    )
    return await lease_store.update_lease(tx.connection, lease, at=tx.now)


async def cure_default(tx: Transaction, lease_id: UUID, *, viewer: Principal, etag: str) -> Lease:
    """End a default whose arrears are paid: the lease runs on, and its term with it.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, EtagMismatch, TransitionRefused.
        InstalmentUnpaid: Something that has fallen due is not paid.
    """
    lease = await lock_as_lessor(tx, lease_id, viewer=viewer)
    check_etag(etag, lease.version)
    step = LEASE.next(lease.state, "cure_default", subject=lease.name)
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    require_settled(instalments, by=tx.today)
    lease = await announce(
        tx,
        await run_on(tx, replace(lease, state=step.target)),
        events.DefaultCured,
        cure_date=wire.date(tx.today),
        **sides(lease),
    )
    return await lease_store.update_lease(tx.connection, lease, at=tx.now)


async def stop_term(tx: Transaction, lease: Lease) -> None:
    """Keep a term from ending by itself; instalments go on falling due."""
    for kind in (BUYOUT_LAPSE, MATURITY, ELECTION):
        await tx.cancel_timers(lease.name, kind=kind)


async def run_on(tx: Transaction, lease: Lease) -> Lease:
    """Let a lease run on; where its term has ended meanwhile, it matures at once."""
    await set_maturity(tx, lease)
    await set_agenda(tx, lease, await instalment_store.list_of_lease(tx.connection, lease.id))
    return replace(lease, notice_on=None, defaulted_on=None, ended_on=None)
