"""Readings as they are kept: one row an element and instant of a machine. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from services.maintenance.meter_model import MeterKind

READ_AT_MIN = datetime(2000, 1, 1, tzinfo=UTC)  # no telematics unit is older
AHEAD_MAX = timedelta(days=1)  # clocks of machines go wrong; a day covers every zone
LABEL_MAX = 100
NUMBER_MAX = Decimal(10) ** 12  # as services.iso15143.values: a larger number is noise


class TelemetryElement(IntEnum):
    """What a reading tells of; the numbers are those of the contract."""

    LOCATION = 1
    CUMULATIVE_OPERATING_HOURS = 2
    CUMULATIVE_IDLE_HOURS = 3
    CUMULATIVE_IDLE_NON_OPERATING_HOURS = 4
    CUMULATIVE_POWER_TAKE_OFF_HOURS = 5
    CUMULATIVE_ACTIVE_REGENERATION_HOURS = 6
    FUEL_USED = 7
    FUEL_USED_LAST_24 = 8
    FUEL_REMAINING = 9
    DEF_REMAINING = 10
    DISTANCE = 11
    ENGINE_STATUS = 12
    CUMULATIVE_LOAD_COUNT = 13
    CUMULATIVE_PAYLOAD_TOTALS = 14
    AVERAGE_LOAD_FACTOR_LAST_24 = 15
    MAXIMUM_SPEED_LAST_24 = 16
    SWITCH_STATUS = 17
    OTHER = 18


class TelemetryRow(NamedTuple):
    """One reading, in the order of the table's columns.

    Attributes:
        label: Which engine or input, or the name of an unknown element.
        value: The figure; the latitude of a location; None for a text.
        extras: JSON of the parts that the standard does not know.
    """

    machine_id: UUID
    element: int
    read_at: datetime
    label: str
    value: Decimal | None
    longitude: Decimal | None = None
    altitude: Decimal | None = None
    capacity: Decimal | None = None
    units: str | None = None
    text: str | None = None
    extras: str | None = None


# How a sender knows a machine: equipment id, OEM, model, serial number, PIN, when its unit was
# installed, and JSON of the parts that the standard does not know.
Unit = tuple[str, str | None, str | None, str | None, str | None, datetime | None, str | None]
Series = tuple[UUID, int, str]  # machine, element, label
SeriesKey = tuple[int, str]

# The running totals that are meters, and what their senders' units are in ours.
METERS = {
    TelemetryElement.CUMULATIVE_OPERATING_HOURS.value: MeterKind.HOURS,
    TelemetryElement.CUMULATIVE_IDLE_HOURS.value: MeterKind.IDLE_HOURS,
    TelemetryElement.FUEL_USED.value: MeterKind.FUEL,
    TelemetryElement.DISTANCE.value: MeterKind.DISTANCE,
}
_LITRES = {
    **dict.fromkeys(("", "l", "litre", "litres", "liter", "liters"), Decimal(1)),
    **dict.fromkeys(("gallon", "gallons", "us gallon", "gal"), Decimal("3.785411784")),
    **dict.fromkeys(("imperial gallon", "uk gallon"), Decimal("4.54609")),
}
_KILOMETRES = {
    **dict.fromkeys(("", "km", "kilometre", "kilometres", "kilometer", "kilometers"), Decimal(1)),
    **dict.fromkeys(("mile", "miles", "mi"), Decimal("1.609344")),
}
_FACTORS = {MeterKind.FUEL: _LITRES, MeterKind.DISTANCE: _KILOMETRES}


def meter_figure(row: TelemetryRow, kind: MeterKind) -> Decimal | None:
    """Return a running total in the meter's own unit; None where its units are not known."""
    assert row.value is not None
    factors = _FACTORS.get(kind)
    if factors is None:
        return row.value
    factor = factors.get((row.units or "").lower())
    if factor is None or factor == 1:
        return row.value if factor else None
    return (row.value * factor).quantize(Decimal("0.001"))


def time_problem(read_at: datetime, *, now: datetime) -> str | None:
    """Return why a reading's instant cannot be taken, or None."""
    if read_at > now + AHEAD_MAX:
        return f"was read at {read_at:%Y-%m-%d %H:%M}, which lies ahead"
    if read_at < READ_AT_MIN:
        return f"was read at {read_at:%Y-%m-%d %H:%M}, before {READ_AT_MIN:%Y-%m-%d}"
    return None


@dataclass(slots=True)
class Stored:
    """What became of a batch.

    Attributes:
        accepted: New readings by machine.
        duplicate: Readings that were there already, by machine.
        quarantined: Meter readings that wait for a decision, by machine.
        faults: Faults raised, come again or gone, by machine.
        series: Series that were not there before.
    """

    accepted: Counter[UUID] = field(default_factory=Counter)
    duplicate: Counter[UUID] = field(default_factory=Counter)
    quarantined: Counter[UUID] = field(default_factory=Counter)
    faults: Counter[UUID] = field(default_factory=Counter)
    series: list[Series] = field(default_factory=list)
