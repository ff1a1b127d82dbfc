"""The contract of telemetry: protobuf to arguments and back, nothing else."""

from collections.abc import AsyncIterator
from typing import Any

from ironloop.maintenance.v1 import telemetry_pb2, telemetry_pb2_grpc

from services.iso15143.model import Problem
from services.kit import wire
from services.kit.errors import NotFound
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.maintenance import machine_store, telemetry_store
from services.maintenance.fleet_desk import FleetDesk, Outcome, RowReport
from services.maintenance.fleet_source_store import list_points
from services.maintenance.fleet_source_wire import source_to_wire
from services.maintenance.settings import MaintenanceSettings
from services.maintenance.telemetry_intake import Intake
from services.maintenance.telemetry_stream import TelemetryStream
from services.maintenance.telemetry_wire import reading_to_wire

pb = telemetry_pb2


class TelemetryRpc(telemetry_pb2_grpc.TelemetryServiceServicer):
    """Serves ironloop.maintenance.v1.TelemetryService."""

    def __init__(
        self, runtime: Runtime, settings: MaintenanceSettings, intake: Intake, desk: FleetDesk
    ) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._pages = runtime.pages
        self._settings = settings
        self._intake = intake
        self._desk = desk

    async def ImportFleetSnapshot(
        self, request: pb.ImportFleetSnapshotRequest, context: Any
    ) -> pb.ImportFleetSnapshotResponse:
        """Take a page of a fleet."""
        in_minutes = request.idle_in_minutes if request.HasField("idle_in_minutes") else None
        report = await self._desk.take(
            request.document, viewer=principal(), idle_in_minutes=in_minutes
        )
        rows = report.rows
        return pb.ImportFleetSnapshotResponse(
            rows=[_row_report(index, row) for index, row in enumerate(rows)],
            accepted=sum(row.accepted for row in rows),
            duplicate=sum(row.duplicate for row in rows),
            quarantined=sum(row.quarantined for row in rows),
            unreadable=sum(len(row.problems) for row in rows) + len(report.problems),
            unknown_machines=sum(row.outcome is Outcome.UNKNOWN_MACHINE for row in rows),
            problems=[_problem(problem) for problem in report.problems],
            next_href=report.next_href,
        )

    async def IngestTelemetry(
        self, requests: AsyncIterator[pb.IngestTelemetryRequest], context: Any
    ) -> pb.IngestTelemetryResponse:
        """Take a stream of readings and faults."""
        stream = TelemetryStream(self._runtime, self._intake, viewer=principal())
        totals = await stream.run(requests)
        return pb.IngestTelemetryResponse(
            accepted=totals.accepted,
            duplicate=totals.duplicate,
            quarantined=totals.quarantined,
            refused=totals.refused,
            faults=totals.faults,
            problems=totals.problems,
        )

    async def GetTelemetry(self, request: pb.GetTelemetryRequest, context: Any) -> pb.Telemetry:
        """Return a machine's latest readings."""
        machine_id = parse_name(request.machine, "machines", field="machine")
        async with self._database.read() as connection:
            machine = await machine_store.find_machine_seen(
                connection, machine_id, viewer=principal()
            )
            if machine is None:
                raise NotFound(request.machine)
            rows = (await telemetry_store.latest(connection, [machine_id]))[machine_id]
            units = await telemetry_store.find_units(connection, [machine_id])
        message = pb.Telemetry(
            machine=machine.name,
            equipment_id=units[machine_id][0] if machine_id in units else "",
            readings=[reading_to_wire(row) for row in rows],
        )
        if rows:
            message.last_read_time.CopyFrom(wire.instant(max(row.read_at for row in rows)))
        return message

    async def ListReadings(
        self, request: pb.ListReadingsRequest, context: Any
    ) -> pb.ListReadingsResponse:
        """List the readings of an element of a machine."""
        machine_id = parse_name(request.machine, "machines", field="machine")
        page = self._pages.open(request)
        since = getattr(request, "from")
        async with self._database.read() as connection:
            if not await machine_store.find_machine_seen(
                connection, machine_id, viewer=principal()
            ):
                raise NotFound(request.machine)
            rows = await telemetry_store.list_readings(
                connection,
                machine_id,
                [request.element],
                since=wire.to_instant(since, field="from") if request.HasField("from") else None,
                until=wire.to_instant(request.to, field="to") if request.HasField("to") else None,
                after=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.read_at, row.label))
        return pb.ListReadingsResponse(
            readings=[reading_to_wire(row) for row in kept], next_page_token=token
        )

    async def ListFleetSources(
        self, request: pb.ListFleetSourcesRequest, context: Any
    ) -> pb.ListFleetSourcesResponse:
        """List the endpoints that the poller walks."""
        async with self._database.read() as connection:
            points = await list_points(connection)
        return pb.ListFleetSourcesResponse(
            sources=[
                source_to_wire(source, points.get(source.name))
                for source in sorted(self._settings.sources, key=lambda one: one.name)
            ]
        )


def _row_report(index: int, row: RowReport) -> pb.FleetRowReport:
    return pb.FleetRowReport(
        index=index,
        equipment_id=row.equipment_id,
        machine=row.machine,
        outcome=wire.enum_number(
            pb.FleetRowOutcome, row.outcome.value, prefix="FLEET_ROW_OUTCOME_"
        ),
        accepted=row.accepted,
        duplicate=row.duplicate,
        quarantined=row.quarantined,
        problems=[_problem(problem) for problem in row.problems],
        faults=row.faults,
    )


def _problem(problem: Problem) -> pb.ReadingProblem:
    return pb.ReadingProblem(
        machine=problem.machine, element=problem.element, description=problem.reason
    )
