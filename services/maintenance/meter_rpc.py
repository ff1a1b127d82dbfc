"""The contract of meters: protobuf to arguments and back, nothing else."""

from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from ironloop.maintenance.v1 import meters_pb2, meters_pb2_grpc

from services.kit import wire
from services.kit.errors import InvalidArgument, NotFound
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.maintenance import (
    machine_clients,
    machine_store,
    meter_handlers,
    meter_store,
    reading_handlers,
)
from services.maintenance.meter_model import Meter
from services.maintenance.meter_wire import (
    figure_of,
    kind_of,
    meter_to_wire,
    reading_to_wire,
    state_of,
)
from services.maintenance.telemetry_model import READ_AT_MIN

pb = meters_pb2


class MeterRpc(meters_pb2_grpc.MeterServiceServicer):
    """Serves ironloop.maintenance.v1.MeterService."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def ReportMeterReading(
        self, request: pb.ReportMeterReadingRequest, context: Any
    ) -> pb.MeterReading:
        """Take a reported reading."""
        machine_id = parse_name(request.machine, "machines", field="machine")
        figure = figure_of(request.hours, field="hours")
        await machine_clients.ensure_known(self._runtime, machine_id, viewer=principal())

        async def work(tx: Transaction) -> pb.MeterReading:
            reading = await meter_handlers.report(
                tx,
                machine_id,
                kind_of(request.kind),
                figure=figure,
                read_at=(
                    _past(request.reading_time, tx.now, field="reading_time")
                    if request.HasField("reading_time")
                    else tx.now
                ),
                reference=request.reference,
                viewer=principal(),
            )
            return reading_to_wire(reading)

        return await self._commands.run(request, work)

    async def GetMeterReading(
        self, request: pb.GetMeterReadingRequest, context: Any
    ) -> pb.MeterReading:
        """Return a reading."""
        reading_id = parse_name(request.name, "meterReadings")
        async with self._database.read() as connection:
            reading = await meter_store.find_reading_seen(
                connection, reading_id, viewer=principal()
            )
        if reading is None:
            raise NotFound(request.name)
        return reading_to_wire(reading)

    async def ListMeterReadings(
        self, request: pb.ListMeterReadingsRequest, context: Any
    ) -> pb.ListMeterReadingsResponse:
        """List a machine's readings."""
        machine_id = parse_name(request.machine, "machines", field="machine")
        page = self._pages.open(request)
        since = getattr(request, "from")
        async with self._database.read() as connection:
            if not await machine_store.find_machine_seen(
                connection, machine_id, viewer=principal()
            ):
                raise NotFound(request.machine)
            rows = await meter_store.list_readings(
                connection,
                machine_id,
                kind_of(request.kind),
                state=state_of(request.state),
                since=wire.to_instant(since, field="from") if request.HasField("from") else None,
                until=wire.to_instant(request.to, field="to") if request.HasField("to") else None,
                after=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.read_at, row.id))
        return pb.ListMeterReadingsResponse(
            readings=[reading_to_wire(row) for row in kept], next_page_token=token
        )

    async def GetMeter(self, request: pb.GetMeterRequest, context: Any) -> pb.Meter:
        """Return a machine's meter."""
        machine_id = parse_name(request.machine, "machines", field="machine")
        kind = kind_of(request.kind)
        async with self._database.read() as connection:
            machine = await machine_store.find_machine_seen(
                connection, machine_id, viewer=principal()
            )
            meter = await meter_store.find_meter(connection, machine_id, kind) if machine else None
            if meter is None:
                raise NotFound(f"{request.machine}/meters/{kind.value}")
            waiting = await meter_store.count_quarantined(connection, machine_id, kind)
        return meter_to_wire(meter, quarantined=waiting)

    async def SetMeterRange(self, request: pb.SetMeterRangeRequest, context: Any) -> pb.Meter:
        """Say where a meter starts again."""

        async def work(tx: Transaction) -> pb.Meter:
            at = request.rolls_over_at
            meter = await meter_handlers.set_range(
                tx,
                parse_name(request.machine, "machines", field="machine"),
                kind_of(request.kind),
                etag=request.etag,
                rolls_over_at=(
                    figure_of(at, field="rolls_over_at")
                    if request.HasField("rolls_over_at")
                    else None
                ),
                viewer=principal(),
            )
            return await _whole(tx, meter)

        return await self._commands.run(request, work)

    async def ReplaceMeter(self, request: pb.ReplaceMeterRequest, context: Any) -> pb.Meter:
        """Record that a meter was replaced."""

        async def work(tx: Transaction) -> pb.Meter:
            meter = await meter_handlers.replace_meter(
                tx,
                parse_name(request.machine, "machines", field="machine"),
                kind_of(request.kind),
                at=_past(request.replace_time, tx.now, field="replace_time"),
                old_figure=figure_of(request.old_figure, field="old_figure"),
                new_figure=figure_of(request.new_figure, field="new_figure"),
                reference=request.reference,
                viewer=principal(),
            )
            return await _whole(tx, meter)

        return await self._commands.run(request, work)

    async def CorrectReading(
        self, request: pb.CorrectReadingRequest, context: Any
    ) -> pb.MeterReading:
        """Correct an accepted reading."""

        async def work(tx: Transaction) -> pb.MeterReading:
            return reading_to_wire(
                await reading_handlers.correct(
                    tx,
                    parse_name(request.name, "meterReadings"),
                    etag=request.etag,
                    figure=figure_of(request.hours, field="hours"),
                    comment=request.comment,
                    viewer=principal(),
                )
            )

        return await self._commands.run(request, work)

    async def AcceptReading(
        self, request: pb.AcceptReadingRequest, context: Any
    ) -> pb.MeterReading:
        """Accept a quarantined reading."""

        async def work(tx: Transaction) -> pb.MeterReading:
            return reading_to_wire(
                await reading_handlers.accept(
                    tx,
                    parse_name(request.name, "meterReadings"),
                    etag=request.etag,
                    comment=request.comment,
                    viewer=principal(),
                )
            )

        return await self._commands.run(request, work)

    async def RejectReading(
        self, request: pb.RejectReadingRequest, context: Any
    ) -> pb.MeterReading:
        """Reject a quarantined reading."""

        async def work(tx: Transaction) -> pb.MeterReading:
            return reading_to_wire(
                await reading_handlers.reject(
                    tx,
                    parse_name(request.name, "meterReadings"),
                    etag=request.etag,
                    comment=request.comment,
                    viewer=principal(),
                )
            )

        return await self._commands.run(request, work)


async def _whole(tx: Transaction, meter: Meter) -> pb.Meter:
    waiting = await meter_store.count_quarantined(tx.connection, meter.machine_id, meter.kind)
    return meter_to_wire(meter, quarantined=waiting)


def _past(value: Timestamp, now: datetime, *, field: str) -> datetime:
    """Return an instant that does not lie ahead.

    Raises:
        InvalidArgument: It does, or lies before there were telematics units; names `field`.
    """
    moment = wire.to_instant(value, field=field)
    if not READ_AT_MIN <= moment <= now:
        raise InvalidArgument(field, f"must lie in {READ_AT_MIN:%Y-%m-%d} to {now:%Y-%m-%d %H:%M}")
    return moment
