"""Machines of a fleet page as rows that are kept, and rows as machines of a page. Pure."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.iso15143.elements import ELEMENTS
from services.iso15143.model import (
    Count,
    Engine,
    Equipment,
    Fault,
    Header,
    Hours,
    Level,
    Location,
    Part,
    Quantity,
    Reading,
    Share,
    Switch,
)
from services.maintenance.fault_model import (
    DESCRIPTION_MAX,
    FaultReport,
    code_of,
    severity_of,
)
from services.maintenance.fault_model import (
    Fault as KeptFault,
)
from services.maintenance.telemetry_model import (
    LABEL_MAX,
    TelemetryElement,
    TelemetryRow,
    Unit,
    time_problem,
)

# The standard's name of each element that is kept as readings, and the attribute of its value.
_BY_ATTRIBUTE = {
    "location": TelemetryElement.LOCATION,
    "operating_hours": TelemetryElement.CUMULATIVE_OPERATING_HOURS,
    "idle_hours": TelemetryElement.CUMULATIVE_IDLE_HOURS,
    "idle_non_operating_hours": TelemetryElement.CUMULATIVE_IDLE_NON_OPERATING_HOURS,
    "power_take_off_hours": TelemetryElement.CUMULATIVE_POWER_TAKE_OFF_HOURS,
    "regeneration_hours": TelemetryElement.CUMULATIVE_ACTIVE_REGENERATION_HOURS,
    "fuel_used": TelemetryElement.FUEL_USED,
    "fuel_used_last_24": TelemetryElement.FUEL_USED_LAST_24,
    "fuel_remaining": TelemetryElement.FUEL_REMAINING,
    "def_remaining": TelemetryElement.DEF_REMAINING,
    "distance": TelemetryElement.DISTANCE,
    "engine": TelemetryElement.ENGINE_STATUS,
    "load_count": TelemetryElement.CUMULATIVE_LOAD_COUNT,
    "payload_total": TelemetryElement.CUMULATIVE_PAYLOAD_TOTALS,
    "load_factor_last_24": TelemetryElement.AVERAGE_LOAD_FACTOR_LAST_24,
    "maximum_speed_last_24": TelemetryElement.MAXIMUM_SPEED_LAST_24,
    "switches": TelemetryElement.SWITCH_STATUS,
}
ELEMENT_TAGS = {
    element.tag: _BY_ATTRIBUTE[element.attribute]
    for element in ELEMENTS
    if element.attribute in _BY_ATTRIBUTE
}
_ATTRIBUTES = {kept.value: attribute for attribute, kept in _BY_ATTRIBUTE.items()}
_TAGS = {kept.value: tag for tag, kept in ELEMENT_TAGS.items()}


@dataclass(frozen=True, slots=True)
class ReadMachine:
    """What a page says of one machine, as it is kept.

    Attributes:
        unit: How its sender knows it.
        problems: (element, why) of what cannot be kept.
    """

    unit: Unit
    rows: list[TelemetryRow]
    faults: list[FaultReport]
    problems: list[tuple[str, str]]


def rows_of(
    machine_id: UUID, equipment: Equipment, *, assumed_at: datetime, now: datetime
) -> ReadMachine:
    """Return what a page says of a machine.

    Args:
        assumed_at: When readings that state no instant were taken: when the page was made.
    """
    read = ReadMachine(unit_of(equipment.header), [], [], [])
    checked: datetime | None = None
    problem: str | None = None
    for number, attribute in _ATTRIBUTES.items():
        value = getattr(equipment, attribute)
        if not value:
            continue
        for reading in value if attribute == "switches" else (value,):
            read_at = reading.read_at or assumed_at
            if read_at is not checked:  # a machine's readings are mostly of one instant
                checked, problem = read_at, time_problem(read_at, now=now)
            if problem:
                read.problems.append((_TAGS[number], problem))
            else:
                read.rows.append(_row(machine_id, number, reading, read_at))
    if equipment.extras:
        # What the standard does not know was so when the machine last reported.
        last_at = max((row.read_at for row in read.rows), default=assumed_at)
        read.rows.extend(_other_rows(machine_id, equipment.extras, last_at))
    for fault in equipment.faults:
        at = fault.read_at or assumed_at
        if problem := time_problem(at, now=now):
            read.problems.append(("FaultCode", problem))
        else:
            read.faults.append(_report(machine_id, fault, at))
    return read


def equipment_of(
    header: Header, rows: Iterable[TelemetryRow], faults: Iterable[KeptFault]
) -> Equipment:
    """Return a machine as a page shows it: its latest readings and its open faults."""
    values: dict[str, Any] = {}
    others: list[Part] = []
    for row in rows:
        if row.element == TelemetryElement.OTHER:
            others.append(_parts(row.extras)[0])
            continue
        attribute, reading = _ATTRIBUTES[row.element], reading_of(row)
        if attribute == "switches":
            values[attribute] = (*values.get(attribute, ()), reading)
        elif attribute not in values or values[attribute].read_at < row.read_at:
            values[attribute] = reading
    return Equipment(
        header,
        **values,
        faults=tuple(fault_element(fault) for fault in faults),
        extras=tuple(sorted(others, key=lambda part: part.name)),
    )


def reading_of(row: TelemetryRow) -> Reading:
    """Return a kept row as the element of a page or series that it came from."""
    return _READERS[_ATTRIBUTES[row.element]](row, _parts(row.extras))


def fault_element(fault: KeptFault) -> Fault:
    """Return a fault as the element of a page."""
    code = fault.code
    if code.spn is None:
        identifier, source = code.oem_code, None
    else:
        identifier, source = f"SPN {code.spn} FMI {code.fmi}", "J1939"
        if code.source_address is not None:
            source = f"J1939 SA {code.source_address}"
    return Fault(
        identifier,
        fault.description or None,
        fault.severity.value,
        source,
        fault.last_report_time,
    )


def header_of(unit: Unit) -> Header:
    """Return how a sender knows a machine."""
    return Header(*unit[:-1], extras=_parts(unit[-1]))


def unit_of(header: Header) -> Unit:
    """Return how a sender knows a machine, as it is kept."""
    return (
        header.equipment_id,
        header.oem_name,
        header.model,
        header.serial_number,
        header.pin,
        header.unit_install_time,
        _extras(header.extras),
    )


def _row(machine_id: UUID, element: int, reading: Any, read_at: datetime) -> TelemetryRow:
    extras = _extras(reading.extras) if reading.extras else None
    if (figures := _FIGURES.get(type(reading))) is not None:
        value, capacity, units = figures(reading)
        return TelemetryRow(
            machine_id, element, read_at, "", value, None, None, capacity, units, None, extras
        )
    if isinstance(reading, Location):
        return TelemetryRow(
            machine_id,
            element,
            read_at,
            "",
            reading.latitude,
            reading.longitude,
            reading.altitude,
            extras=extras,
        )
    if isinstance(reading, Switch):
        return TelemetryRow(
            machine_id,
            element,
            read_at,
            reading.number[:LABEL_MAX],
            None,
            text=reading.value,
            extras=extras,
        )
    if isinstance(reading, Engine):
        label, running = (reading.number or "")[:LABEL_MAX], Decimal(reading.is_running)
        return TelemetryRow(machine_id, element, read_at, label, running, extras=extras)
    raise TypeError(f"no row is made of a {type(reading).__name__}")


# A reading's value, capacity and units; nearly every row of a page is made of one of these.
_FIGURES: dict[type, Callable[[Any], tuple[Decimal, Decimal | None, str | None]]] = {
    Hours: lambda reading: (reading.hours, None, None),
    Quantity: lambda reading: (reading.amount, None, reading.units),
    Level: lambda reading: (reading.percent, reading.capacity, reading.units),
    Count: lambda reading: (Decimal(reading.total), None, None),
    Share: lambda reading: (reading.percent, None, None),
}


def _other_rows(
    machine_id: UUID, extras: Sequence[Part], read_at: datetime
) -> Iterable[TelemetryRow]:
    """Return a row of each unknown element; of several with one name the later are numbered."""
    seen: dict[str, int] = {}
    for part in extras:
        seen[part.name] = number = seen.get(part.name, 0) + 1
        label = part.name[:LABEL_MAX] if number == 1 else f"{part.name[:LABEL_MAX]}#{number}"
        yield TelemetryRow(
            machine_id,
            TelemetryElement.OTHER.value,
            read_at,
            label,
            None,
            text=part.text or None,
            extras=_extras((part,)),
        )


def _report(machine_id: UUID, fault: Fault, at: datetime) -> FaultReport:
    return FaultReport(
        machine_id=machine_id,
        code=code_of(fault.identifier, fault.source),
        severity=severity_of(fault.severity),
        at=at,
        description=(fault.description or "")[:DESCRIPTION_MAX],
    )


def _text(value: str | None) -> str:
    return value or ""


def _number(value: Decimal | None) -> Decimal:
    assert value is not None
    return value


Parts = tuple[Part, ...]
_READERS: dict[str, Callable[[TelemetryRow, Parts], Reading]] = {
    "location": lambda row, extras: Location(
        _number(row.value), _number(row.longitude), row.altitude, row.read_at, extras
    ),
    "engine": lambda row, extras: Engine(row.label or None, bool(row.value), row.read_at, extras),
    "load_count": lambda row, extras: Count(int(_number(row.value)), row.read_at, extras),
    "load_factor_last_24": lambda row, extras: Share(_number(row.value), row.read_at, extras),
    "switches": lambda row, extras: Switch(row.label, _text(row.text), row.read_at, extras),
}
_READERS |= dict.fromkeys(
    (
        "operating_hours",
        "idle_hours",
        "idle_non_operating_hours",
        "power_take_off_hours",
        "regeneration_hours",
    ),
    lambda row, extras: Hours(_number(row.value), row.read_at, extras),
)
_READERS |= {
    attribute: lambda row, extras, units=units: Quantity(  # type: ignore[misc]
        _number(row.value), row.units or units, row.read_at, extras
    )
    for attribute, units in (
        ("fuel_used", "litre"),
        ("fuel_used_last_24", "litre"),
        ("distance", "kilometre"),
        ("payload_total", "kilogram"),
        ("maximum_speed_last_24", "kilometre per hour"),
    )
}
_READERS |= dict.fromkeys(
    ("fuel_remaining", "def_remaining"),
    lambda row, extras: Level(
        _number(row.value), row.capacity, row.units or "litre", row.read_at, extras
    ),
)


def _extras(parts: Iterable[Part]) -> str | None:
    listed = [_listed(part) for part in parts]
    return json.dumps(listed, ensure_ascii=False) if listed else None


def _listed(part: Part) -> list[Any]:
    return [part.name, part.text, [_listed(inner) for inner in part.parts]]


def _parts(extras: str | None) -> tuple[Part, ...]:
    return tuple(_part(listed) for listed in json.loads(extras)) if extras else ()


def _part(listed: list[Any]) -> Part:
    name, text, parts = listed
    return Part(name, text, tuple(_part(inner) for inner in parts))
