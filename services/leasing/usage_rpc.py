"""The contract of usage: hours go to maintenance, and come back as accepted readings."""

from datetime import date, datetime, timedelta
from typing import Any

from ironloop.leasing.v1 import leasing_pb2

from services.kit.clock import start_of
from services.kit.database import Database
from services.kit.ids import derived_request_id, parse_name
from services.kit.principals import principal
from services.kit.requests import Commands
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.leasing import meter_clients, usage_handlers
from services.leasing.arguments import hours, optional_date
from services.leasing.messages import usage_to_wire
from services.leasing.usage_model import Reading


class UsageRpc:
    """The part of LeasingService that keeps usage."""

    _runtime: Runtime
    _database: Database
    _commands: Commands

    async def ReportUsage(
        self, request: leasing_pb2.ReportUsageRequest, context: Any
    ) -> leasing_pb2.Usage:
        """Report the hour meter at maintenance."""
        known: leasing_pb2.Usage | None = await self._commands.find_answer(request)
        if known is not None:
            return known
        viewer, clock = principal(), self._runtime.clock
        lease_id = parse_name(request.name, "leases")
        reading = Reading(
            optional_date(request, "report_date") or clock.today(),
            hours(request.hours_meter, field="hours_meter"),
        )
        lease = await usage_handlers.check_report(
            self._database,
            lease_id,
            viewer=viewer,
            reported_on=reading.reported_on,
            today=clock.today(),
        )
        reported = await meter_clients.report_hours(
            self._runtime.peers,
            lease.terms.machine,
            hours=reading.hours,
            read_at=_read_at(reading, today=clock.today()),
            lease=lease.name,
            actor=viewer.actor,
            request_id=derived_request_id(viewer.subject, request.request_id),
        )

        async def work(tx: Transaction) -> leasing_pb2.Usage:
            noted, usage = await usage_handlers.note_report(
                tx, lease_id, viewer=viewer, reading=reading, reported=reported
            )
            return usage_to_wire(noted, usage, reported=reported)

        return await self._commands.run(request, work)

    async def GetUsage(
        self, request: leasing_pb2.GetUsageRequest, context: Any
    ) -> leasing_pb2.Usage:
        """Return a lease's usage by accepted readings."""
        lease_id = parse_name(request.name, "leases")
        lease, usage = await usage_handlers.get_usage(self._database, lease_id, viewer=principal())
        return usage_to_wire(lease, usage)


def _read_at(reading: Reading, *, today: date) -> datetime | None:
    """Return the instant of a reading of an earlier day, its end; None for today's, which is now.

    Now is for maintenance to say: by our clock it might lie ahead of its own.
    """
    if reading.reported_on == today:
        return None
    return start_of(reading.reported_on + timedelta(days=1)) - timedelta(seconds=1)
