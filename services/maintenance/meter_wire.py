"""Meters and their readings as the contract shows them, and back."""

from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

from google.type import decimal_pb2
from ironloop.maintenance.v1 import meters_pb2

from services.kit import wire
from services.kit.errors import InvalidArgument
from services.kit.etags import etag
from services.kit.ids import name
from services.maintenance.meter_model import Meter, MeterKind, MeterReading, ReadingState

FIGURE_MAX = Decimal(1_000_000_000)  # as the contract says; what is implausible is quarantined
_CENT = Decimal("0.01")

pb = meters_pb2


def kind_of(number: pb.MeterKind.ValueType) -> MeterKind:
    """Return what a meter counts; hours where it is not stated."""
    return MeterKind(wire.enum_name(pb.MeterKind, number or pb.METER_KIND_HOURS, prefix=_KIND))


def state_of(number: pb.MeterReadingState.ValueType) -> ReadingState | None:
    """Return a state, or None for any."""
    return (
        ReadingState(wire.enum_name(pb.MeterReadingState, number, prefix=_STATE))
        if number
        else None
    )


def figure_of(value: decimal_pb2.Decimal, *, field: str) -> Decimal:
    """Return a meter's figure, rounded to two decimals.

    Raises:
        InvalidArgument: It is negative or larger than any meter; names `field`.
    """
    figure = wire.to_decimal(value, field=field)
    if not 0 <= figure <= FIGURE_MAX:
        raise InvalidArgument(field, f"must lie in 0 to {FIGURE_MAX:,}")
    return figure.quantize(_CENT, ROUND_HALF_UP)


def meter_to_wire(meter: Meter, *, quarantined: int) -> pb.Meter:
    """Return a meter, with how many of its readings wait."""
    return pb.Meter(
        machine=name("machines", meter.machine_id),
        kind=wire.enum_number(pb.MeterKind, meter.kind.value, prefix=_KIND),
        etag=etag(meter.version),
        figure=wire.decimal(meter.figure),
        life=wire.decimal(meter.life),
        reading_time=wire.instant(meter.read_at),
        rolls_over_at=None if meter.rolls_over_at is None else wire.decimal(meter.rolls_over_at),
        replacements=meter.replacements,
        roll_overs=meter.roll_overs,
        quarantined=quarantined,
        create_time=wire.instant(meter.create_time),
        update_time=wire.instant(meter.update_time),
    )


def reading_to_wire(reading: MeterReading) -> pb.MeterReading:
    """Return a reading."""
    return pb.MeterReading(
        name=reading.name,
        uid=str(reading.id),
        etag=etag(reading.version),
        state=wire.enum_number(pb.MeterReadingState, reading.state.value, prefix=_STATE),
        event_sequence=reading.event_sequence,
        machine=name("machines", reading.machine_id),
        kind=wire.enum_number(pb.MeterKind, reading.kind.value, prefix=_KIND),
        hours=wire.decimal(reading.figure),
        life_hours=None if reading.life is None else wire.decimal(reading.life),
        reading_time=wire.instant(reading.read_at),
        source=wire.enum_number(pb.ReadingSource, reading.source.value, prefix="READING_SOURCE_"),
        reference=reading.reference,
        reporter=reading.reporter,
        quarantine_reason=wire.enum_number(
            pb.QuarantineReason, reading.reason.value or "UNSPECIFIED", prefix="QUARANTINE_REASON_"
        ),
        last_hours=None if reading.last_figure is None else wire.decimal(reading.last_figure),
        occurrences=reading.occurrences,
        corrects=_name_of(reading.corrects),
        comment=reading.comment,
        decided_by=reading.decided_by,
        create_time=wire.instant(reading.create_time),
        update_time=wire.instant(reading.update_time),
    )


_KIND = "METER_KIND_"
_STATE = "METER_READING_STATE_"


def _name_of(reading_id: UUID | None) -> str:
    return "" if reading_id is None else name("meterReadings", reading_id)
