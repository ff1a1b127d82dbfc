"""Usage by the readings that maintenance accepted, one transaction a command."""

from datetime import date
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.kit import wire
from services.kit.clock import business_date
from services.kit.connection import Connection
from services.kit.database import Database
from services.kit.errors import InvalidArgument, NotFound, PermissionDenied
from services.kit.ids import name
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.leasing import handlers, lease_store, meter_store
from services.leasing.announcements import announce
from services.leasing.lifecycle import LEASE
from services.leasing.locks import lock_as_lessee
from services.leasing.meter_clients import Reported
from services.leasing.model import Lease
from services.leasing.papers import TermUse
from services.leasing.usage_model import Reading, Readings, Usage, readings_of, term_use, usage_of


async def check_report(
    database: Database, lease_id: UUID, *, viewer: Principal, reported_on: date, today: date
) -> Lease:
    """Return a lease whose hours the viewer may report as of a day.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        InvalidArgument: The day lies before the lease or after today.
    """
    async with database.read() as connection:
        lease = await lease_store.find_lease(connection, lease_id, viewer=viewer)
    if lease is None:
        raise NotFound(name("leases", lease_id))
    if viewer.party != lease.terms.lessee:
        raise PermissionDenied(f"only the lessee of {lease.name} may do this")
    lease.require_free()
    LEASE.next(lease.state, "report_usage", subject=lease.name)
    if not lease.started_on <= reported_on <= today:
        raise InvalidArgument("report_date", f"must lie in {lease.started_on} to {today}")
    return lease


async def note_report(
    tx: Transaction,
    lease_id: UUID,
    *,
    viewer: Principal,
    reading: Reading,
    reported: Reported,
) -> tuple[Lease, Usage]:
    """Note that a reading was reported at maintenance, and return the use by accepted ones.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
    """
    lease = await lock_as_lessee(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "report_usage", subject=lease.name)
    await keep_reported(tx, lease, reported)
    usage = await usage_now(tx.connection, lease)
    lease = await announce(
        tx,
        lease,
        events.UsageReported,
        lessee=lease.terms.lessee,
        report_date=wire.date(reading.reported_on),
        hours_meter=wire.decimal(reading.hours),
        excess_hours=wire.decimal(usage.excess),
    )
    return await lease_store.update_lease(tx.connection, lease, at=tx.now), usage


async def keep_reported(tx: Transaction, lease: Lease, reported: Reported) -> None:
    """Keep a reading that maintenance has accepted at once; its event says the same again."""
    if reported.hours is None:
        return
    await meter_store.keep_accepted(
        tx.connection,
        lease.terms.machine,
        read_at=reported.read_at,
        read_on=business_date(reported.read_at),
        hours=reported.hours,
        reading=reported.name,
    )


async def usage_now(connection: Connection, lease: Lease) -> Usage:
    """Return the use of a lease that has begun, by the last accepted reading of its time."""
    readings = await _readings(connection, lease, end=lease.ended_on or date.max)
    return usage_of(lease.terms, readings, start_on=lease.started_on)


async def use_of_term(connection: Connection, lease: Lease) -> TermUse:
    """Return the use of a lease whose machine is back, which is charged."""
    readings = await _readings(connection, lease, end=lease.left_on)
    return term_use(
        lease.terms,
        readings,
        start_on=lease.started_on,
        matures_on=lease.matures_on,
        ended_on=lease.left_on,
    )


async def get_usage(
    database: Database, lease_id: UUID, *, viewer: Principal
) -> tuple[Lease, Usage]:
    """Return a lease's use by accepted readings.

    Raises:
        NotFound: There is no such lease.
        TransitionRefused: It is not active yet.
    """
    lease = await handlers.get_lease(database, lease_id, viewer=viewer)
    if lease.maturity_on is None:
        LEASE.next(lease.state, "report_usage", subject=lease.name)
    async with database.read() as connection:
        return lease, await usage_now(connection, lease)


async def _readings(connection: Connection, lease: Lease, *, end: date) -> Readings:
    machine, start = lease.terms.machine, lease.started_on
    return readings_of(
        delivery=await lease_store.find_delivery(connection, lease.id),
        first=await meter_store.find_first(connection, machine, start=start),
        last=await meter_store.find_last(connection, machine, start=start, end=end),
    )
