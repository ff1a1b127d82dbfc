"""Usage as the lessee reports it, one transaction a report."""

from decimal import Decimal
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.kit import wire
from services.kit.database import Database
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.leasing import handlers, lease_store
from services.leasing.announcements import announce
from services.leasing.lifecycle import LEASE
from services.leasing.locks import lock_as_lessee
from services.leasing.model import Lease
from services.leasing.usage_model import Reading, Usage, check_reading, usage_of


async def report_usage(
    tx: Transaction, lease_id: UUID, *, viewer: Principal, reading: Reading
) -> tuple[Lease, Usage]:
    """Keep a reading of the hour meter, and return the use so far.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        HoursBelowLast, HoursImplausible, InvalidArgument: The reading cannot be.
    """
    lease = await lock_as_lessee(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "report_usage", subject=lease.name)
    usage = await keep_reading(tx, lease, reading, reporter=viewer.subject)
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


async def keep_reading(tx: Transaction, lease: Lease, reading: Reading, *, reporter: str) -> Usage:
    """Write a reading of an active, locked lease, and return the use with it.

    Where the hours at delivery are not known, the first reading is what use is counted from.

    Raises:
        HoursBelowLast, HoursImplausible, InvalidArgument: It cannot be.
    """
    readings = await lease_store.find_readings(tx.connection, lease.id)
    first, last = readings or (reading, Reading(lease.started_on, reading.hours))
    check_reading(reading, last=last, today=tx.today)
    await lease_store.add_reading(tx.connection, lease.id, reading, reporter=reporter, at=tx.now)
    return usage_of(lease.terms, first=first, last=reading)


async def get_usage(
    database: Database, lease_id: UUID, *, viewer: Principal
) -> tuple[Lease, Usage]:
    """Return a lease's use by the last report.

    Raises:
        NotFound: There is no such lease.
        TransitionRefused: It is not active yet.
    """
    lease = await handlers.get_lease(database, lease_id, viewer=viewer)
    if lease.maturity_on is None:
        LEASE.next(lease.state, "report_usage", subject=lease.name)
    async with database.read() as connection:
        readings = await lease_store.find_readings(connection, lease.id)
    unread = Reading(lease.started_on, Decimal(0))
    first, last = readings or (unread, unread)
    return lease, usage_of(lease.terms, first=first, last=last)
