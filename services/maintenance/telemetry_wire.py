"""Readings and faults of streams as the contract has them, each checked by itself."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from ironloop.maintenance.v1 import telemetry_pb2

from services.kit import wire
from services.maintenance.fault_model import (
    DESCRIPTION_MAX,
    FMI_MAX,
    OEM_CODE_MAX,
    SOURCE_ADDRESS_MAX,
    SPN_MAX,
    ControllerReport,
    FaultCode,
    FaultReport,
    severity_of,
)
from services.maintenance.j1939 import Dm1Unreadable, decode_dm1
from services.maintenance.telemetry_model import (
    AHEAD_MAX,
    LABEL_MAX,
    NUMBER_MAX,
    READ_AT_MIN,
    TelemetryElement,
    TelemetryRow,
    time_problem,
)

UNITS_MAX = 50
TEXT_MAX = 500
OCCURRENCES_MAX = 126  # 7 bits; 127 means unknown (SAE J1939-73)
PERCENT_MAX = 100
DIGITS_MAX = 21  # twelve before the point, nine behind it

_SIGNED = re.compile(r"-?\d{1,12}(?:\.\d{1,9})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCATION = TelemetryElement.LOCATION.value
_SWITCH = TelemetryElement.SWITCH_STATUS.value
_OTHER = TelemetryElement.OTHER.value
_PERCENTS = frozenset(
    {
        TelemetryElement.FUEL_REMAINING.value,
        TelemetryElement.DEF_REMAINING.value,
        TelemetryElement.AVERAGE_LOAD_FACTOR_LAST_24.value,
    }
)
_TEXTS = frozenset({_SWITCH, _OTHER})

pb = telemetry_pb2


class RowRefused(ValueError):
    """A row of a stream cannot be taken; the message says why in one sentence."""


class RowReader:
    """Reads the rows of one batch against one present instant."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._earliest_us = _microseconds(READ_AT_MIN)
        self._latest_us = _microseconds(now + AHEAD_MAX)
        self._last_us: int | None = None
        self._last_at = _EPOCH

    def reading(self, machine_id: UUID, row: pb.ReadingRow) -> TelemetryRow:
        """Return a reading as it is kept.

        Raises:
            RowRefused: A value of it is missing, or outside its limits.
        """
        element = row.element
        if not 0 < element <= _OTHER:
            raise RowRefused(f"element {element} is not known")
        read_at = self._instant(row.read_at_us)
        label = _text(row.label, "label", LABEL_MAX) if row.label else ""
        units = _text(row.units, "units", UNITS_MAX) if row.units else None
        if element in _TEXTS:
            if element == _SWITCH and not label:
                raise RowRefused("label: a digital input needs its number")
            text = _text(row.text, "text", TEXT_MAX)
            return TelemetryRow(machine_id, element, read_at, label, None, units=units, text=text)
        if element == _LOCATION:
            return self._location(machine_id, read_at, row)
        value = _number(row.value)
        if element in _PERCENTS and value > PERCENT_MAX:
            raise RowRefused(f"value: {value} percent is more than all")
        return TelemetryRow(machine_id, element, read_at, label, value, None, None, None, units)

    def fault(self, machine_id: UUID, row: pb.FaultRow) -> FaultReport:
        """Return what a machine says of a fault.

        Raises:
            RowRefused: A value of it is missing, or outside its limits.
        """
        return FaultReport(
            machine_id=machine_id,
            code=_code(row),
            severity=severity_of(_text(row.severity, "severity", UNITS_MAX)),
            at=self._instant(row.read_at_us),
            occurrences=_bounded(row.occurrences, "occurrences", OCCURRENCES_MAX),
            description=_text(row.description, "description", DESCRIPTION_MAX),
            is_gone=row.cleared,
        )

    def frame(self, machine_id: UUID, row: pb.Dm1Frame) -> ControllerReport:
        """Return every active fault of a DM1 message.

        Raises:
            RowRefused: It is none, or a value of it is outside its limits.
        """
        at = self._instant(row.read_at_us)
        address = _bounded(row.source_address, "source_address", SOURCE_ADDRESS_MAX)
        try:
            lamps, codes = decode_dm1(row.payload)
        except Dm1Unreadable as error:
            raise RowRefused(f"payload: {error}") from error
        reports = tuple(
            FaultReport(
                machine_id=machine_id,
                code=FaultCode(code.spn, code.fmi, address),
                severity=severity_of(None, lamps),
                at=at,
                lamps=lamps,
                occurrences=code.count,
            )
            for code in codes
        )
        return ControllerReport(machine_id, address, at, reports)

    def _instant(self, microseconds: int) -> datetime:
        if microseconds == self._last_us:  # rows of one instant come together
            return self._last_at
        if self._earliest_us <= microseconds <= self._latest_us:
            self._last_us = microseconds
            self._last_at = _EPOCH + timedelta(microseconds=microseconds)
            return self._last_at
        try:
            moment = _EPOCH + timedelta(microseconds=microseconds)
        except OverflowError as error:
            raise RowRefused(f"read_at_us: {microseconds} lies outside the calendar") from error
        raise RowRefused(f"read_at_us: {time_problem(moment, now=self._now)}")

    def _location(self, machine_id: UUID, read_at: datetime, row: pb.ReadingRow) -> TelemetryRow:
        latitude = _degrees(row.value, "value", 90)
        longitude = _degrees(row.longitude, "longitude", 180)
        altitude = _signed(row.altitude, "altitude") if row.altitude else None
        return TelemetryRow(machine_id, _LOCATION, read_at, "", latitude, longitude, altitude)


def _number(stated: str) -> Decimal:
    # Digits around one point, tested by methods that cost a fraction of an expression.
    digits = stated.replace(".", "", 1)
    if digits.isdecimal() and digits.isascii() and len(digits) <= DIGITS_MAX:
        value = Decimal(stated)
        if value <= NUMBER_MAX:
            return value
    raise RowRefused(f'value: "{stated[:40]}" is no number of 0 to {NUMBER_MAX:,}')


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _code(row: pb.FaultRow) -> FaultCode:
    if not row.HasField("spn"):
        if not row.oem_code:
            raise RowRefused("spn and fmi, or oem_code, are needed")
        return FaultCode(oem_code=_text(row.oem_code, "oem_code", OEM_CODE_MAX))
    if not row.HasField("fmi"):
        raise RowRefused("fmi: is needed beside spn")
    address = None
    if row.HasField("source_address"):
        address = _bounded(row.source_address, "source_address", SOURCE_ADDRESS_MAX)
    return FaultCode(
        _bounded(row.spn, "spn", SPN_MAX),
        _bounded(row.fmi, "fmi", FMI_MAX),
        address,
        _text(row.oem_code, "oem_code", OEM_CODE_MAX),
    )


def _bounded(number: int, field: str, largest: int) -> int:
    if not 0 <= number <= largest:
        raise RowRefused(f"{field}: {number} is outside 0 to {largest:,}")
    return number


def _signed(stated: str, field: str) -> Decimal:
    if not _SIGNED.fullmatch(stated):
        raise RowRefused(f'{field}: "{stated[:40]}" is no number')
    return Decimal(stated)


def _degrees(stated: str, field: str, limit: int) -> Decimal:
    value = _signed(stated, field)
    if abs(value) > limit:
        raise RowRefused(f"{field}: {value} is outside -{limit} to {limit}")
    return value


def _text(value: str, field: str, longest: int) -> str:
    if len(value) > longest:
        raise RowRefused(f"{field}: has {len(value)} characters, more than {longest}")
    if not value.isprintable():
        raise RowRefused(f"{field}: holds a control character")
    return value


def reading_to_wire(row: TelemetryRow) -> pb.Reading:
    """Return a kept reading."""
    message = pb.Reading(
        element=row.element,  # type: ignore[arg-type]  # the contract's own number
        label=row.label,
        read_time=wire.instant(row.read_at),
        units=row.units or "",
        text=row.text or "",
    )
    for field in _NUMBERS:
        if (value := getattr(row, field)) is not None:
            getattr(message, field).CopyFrom(wire.decimal(value))
    return message


_NUMBERS = ("value", "longitude", "altitude", "capacity")
