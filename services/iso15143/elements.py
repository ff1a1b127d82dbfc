"""The elements of a machine's snapshot as a table: how each is read and how it is written.

Names of the standard as seen in pages; those marked [GK] come from general knowledge of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from services.iso15143 import values
from services.iso15143.errors import Unreadable
from services.iso15143.model import (
    Count,
    Engine,
    Fault,
    Header,
    Hours,
    Level,
    Location,
    Quantity,
    Share,
    Switch,
)
from services.iso15143.tree import Node, Texts, texts_of

READ_AT = "datetime"  # the name of the instant of every reading
PIN_LENGTH = 17  # ISO 10261 and ISO 3779
Parts = list[tuple[str, str]]  # (element, text), in the order of the standard


@dataclass(frozen=True, slots=True)
class Element:
    """One element.

    Attributes:
        tag: Its name in XML; read whatever the case, and by `aliases`.
        attribute: Where `Equipment` keeps it.
        read: Texts of its parts to value; raises Unreadable.
        write: Value to its parts; the instant is written by the writer.
        segment: Its name in the address of a time series, and in that of its page.
        parts: The names of its parts, lower case; what has another name is an extra.
        many: Whether a machine may have several.
    """

    tag: str
    attribute: str
    read: Callable[[Texts], Any]
    write: Callable[[Any], Parts]
    segment: str
    parts: frozenset[str]
    aliases: tuple[str, ...] = ()
    many: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every name under which it is read."""
        return (self.tag.lower(), *self.aliases)


def read_header(node: Node | None) -> Header:
    """Return which machine a row is about.

    Raises:
        Unreadable: It names none, or a value of it cannot be read.
    """
    if node is None:
        raise Unreadable("is missing")
    texts = texts_of(node)
    serial_number = values.text(texts.get("serialnumber"))
    pin = values.text(texts.get("pin"))
    equipment_id = values.text(texts.get("equipmentid")) or serial_number or pin
    if equipment_id is None:
        raise Unreadable("names neither EquipmentID nor SerialNumber nor PIN")
    return Header(
        equipment_id=equipment_id,
        oem_name=values.text(texts.get("oemname")),
        model=values.text(texts.get("model")),
        serial_number=serial_number,
        pin=None if pin == serial_number and len(pin or "") != PIN_LENGTH else pin,
        unit_install_time=values.instant(texts.get("unitinstalldatetime")),
        extras=() if texts.keys() <= HEADER_PARTS else values.extras(node, but=HEADER_PARTS),
    )


HEADER_PARTS = frozenset(
    {"unitinstalldatetime", "oemname", "model", "equipmentid", "serialnumber", "pin"}
)


def write_header(header: Header) -> Parts:
    """Return a header's parts."""
    parts = [
        ("UnitInstallDateTime", header.unit_install_time and stamp(header.unit_install_time)),
        ("OEMName", header.oem_name),
        ("Model", header.model),
        ("EquipmentID", header.equipment_id),
        ("SerialNumber", header.serial_number),
        ("PIN", header.pin),
    ]
    return [(tag, value) for tag, value in parts if value]


def stamp(moment: datetime) -> str:
    """Return an instant as pages write it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain(value: Decimal) -> str:
    """Return a number in plain notation."""
    return f"{value:f}"


def _read_location(texts: Texts) -> Location:
    return Location(
        values.degrees(texts.get("latitude"), what="Latitude", limit=90),
        values.degrees(texts.get("longitude"), what="Longitude", limit=180),
        values.signed_number(texts.get("altitude")),
        values.instant(texts.get(READ_AT)),
    )


def _write_location(location: Location) -> Parts:
    parts = [("Latitude", plain(location.latitude)), ("Longitude", plain(location.longitude))]
    if location.altitude is None:
        return parts
    return [*parts, ("Altitude", plain(location.altitude)), ("AltitudeUnits", "metre")]


def _hours(tag: str, attribute: str) -> Element:
    return Element(
        tag,
        attribute,
        lambda texts: Hours(
            values.hours(texts, in_minutes=IN_MINUTES in texts), values.instant(texts.get(READ_AT))
        ),
        lambda reading: [("Hour", plain(reading.hours))],
        segment=tag,
        parts=_known("Hour", "Hours", "Minute", "Minutes", IN_MINUTES),
    )


def _known(*names: str) -> frozenset[str]:
    return frozenset({READ_AT, *(name.lower() for name in names)})


# What the reader adds to an element that its page gives in minutes under the name Hour.
IN_MINUTES = "#minutes"


def _quantity(
    tag: str, attribute: str, *, amount: str, units: str, default_units: str, segment: str = ""
) -> Element:
    amount_name, units_name = amount.lower(), units.lower()

    def read(texts: Texts) -> Quantity:
        return Quantity(
            values.needed(values.number(texts.get(amount_name)), amount),
            values.text(texts.get(units_name)) or default_units,
            values.instant(texts.get(READ_AT)),
        )

    return Element(
        tag,
        attribute,
        read,
        lambda reading: [(units, reading.units), (amount, plain(reading.amount))],
        segment=segment or tag,
        parts=_known(amount, units),
    )


def _level(tag: str, attribute: str, *, tank: str, segment: str) -> Element:
    capacity_name, units_name = f"{tank}TankCapacity".lower(), f"{tank}TankCapacityUnits".lower()

    def read(texts: Texts) -> Level:
        # A tank of 0 litres is a tank of unknown size.
        capacity = values.number(texts.get(capacity_name))
        return Level(
            values.percent(texts.get("percent")),
            capacity or None,
            values.text(texts.get(units_name)) or "litre",
            values.instant(texts.get(READ_AT)),
        )

    def write(reading: Level) -> Parts:
        parts = [
            ("Percent", plain(reading.percent)),
            (f"{tank}TankCapacityUnits", reading.units),
        ]
        if reading.capacity is not None:
            parts.append((f"{tank}TankCapacity", plain(reading.capacity)))
        return parts

    return Element(
        tag,
        attribute,
        read,
        write,
        segment=segment,
        parts=_known("Percent", f"{tank}TankCapacity", f"{tank}TankCapacityUnits"),
    )


def _read_engine(texts: Texts) -> Engine:
    return Engine(
        values.text(texts.get("enginenumber")),
        values.truth(texts.get("running"), what="Running"),
        values.instant(texts.get(READ_AT)),
    )


def _write_engine(engine: Engine) -> Parts:
    running = ("Running", str(engine.is_running).lower())
    return [("EngineNumber", engine.number), running] if engine.number else [running]


def _read_count(texts: Texts) -> Count:
    count = values.needed(values.number(texts.get("count")), "Count")
    if count != count.to_integral_value():
        raise Unreadable(f"Count {count} is no whole number")
    return Count(int(count), values.instant(texts.get(READ_AT)))


def _read_switch(texts: Texts) -> Switch:
    number = values.text(texts.get("number", texts.get("switchnumber")))
    value = values.text(texts.get("value", texts.get("switchvalue")))
    if number is None or value is None:
        raise Unreadable("number or value is missing")
    return Switch(number, value, values.instant(texts.get(READ_AT)))


def _read_fault(texts: Texts) -> Fault:
    identifier = values.text(texts.get("codeidentifier", texts.get("identifier")))
    if identifier is None:
        raise Unreadable("CodeIdentifier is missing")
    return Fault(
        identifier,
        values.text(texts.get("codedescription", texts.get("description"))),
        values.text(texts.get("codeseverity", texts.get("severity"))),
        values.text(texts.get("codesource", texts.get("source"))),
        values.instant(texts.get(READ_AT)),
    )


def _write_fault(fault: Fault) -> Parts:
    parts = [
        ("CodeIdentifier", fault.identifier),
        ("CodeDescription", fault.description),
        ("CodeSeverity", fault.severity),
        ("CodeSource", fault.source),
    ]
    return [(tag, value) for tag, value in parts if value]


_FUEL = {"amount": "FuelConsumed", "units": "FuelUnits", "default_units": "litre"}

ELEMENTS: tuple[Element, ...] = (
    Element(
        "Location",
        "location",
        _read_location,
        _write_location,
        segment="Locations",
        parts=_known("Latitude", "Longitude", "Altitude", "AltitudeUnits"),
    ),
    _hours("CumulativeOperatingHours", "operating_hours"),
    _hours("CumulativeIdleHours", "idle_hours"),
    _hours("CumulativeIdleNonOperatingHours", "idle_non_operating_hours"),
    _hours("CumulativePowerTakeOffHours", "power_take_off_hours"),
    _hours("CumulativeActiveRegenerationHours", "regeneration_hours"),
    _quantity("FuelUsed", "fuel_used", segment="CumulativeFuelUsed", **_FUEL),
    _quantity(
        "FuelUsedLast24", "fuel_used_last_24", segment="FuelUsedInThePreceding24Hours", **_FUEL
    ),
    _level("FuelRemaining", "fuel_remaining", tank="Fuel", segment="FuelRemainingRatio"),
    _level("DEFRemaining", "def_remaining", tank="DEF", segment="DEFRemaining"),
    _quantity(
        "Distance",
        "distance",
        amount="Odometer",
        units="OdometerUnits",
        default_units="kilometre",
    ),
    Element(
        "EngineStatus",
        "engine",
        _read_engine,
        _write_engine,
        segment="EngineCondition",
        parts=_known("EngineNumber", "Running"),
    ),
    Element(
        "CumulativeLoadCount",
        "load_count",
        _read_count,
        lambda reading: [("Count", str(reading.total))],
        segment="CumulativeLoadCount",
        parts=_known("Count"),
    ),
    _quantity(
        "CumulativePayloadTotals",
        "payload_total",
        amount="Payload",
        units="PayloadUnits",
        default_units="kilogram",
    ),
    Element(
        "AverageLoadFactorLast24",
        "load_factor_last_24",
        lambda texts: Share(
            values.percent(texts.get("percent")), values.instant(texts.get(READ_AT))
        ),
        lambda reading: [("Percent", plain(reading.percent))],
        segment="AverageLoadFactorLast24",
        parts=_known("Percent"),
    ),
    _quantity(
        "MaximumSpeedLast24",
        "maximum_speed_last_24",
        amount="Speed",
        units="SpeedUnits",
        default_units="kilometre per hour",  # [GK]
    ),
    Element(
        "SwitchStatus",
        "switches",
        _read_switch,
        lambda switch: [("Number", switch.number), ("Value", switch.value)],
        segment="SwitchStatus",
        parts=_known("Number", "SwitchNumber", "Value", "SwitchValue"),
        aliases=("digitalinput",),
        many=True,
    ),
    Element(  # the names of its parts are [GK]
        "FaultCode",
        "faults",
        _read_fault,
        _write_fault,
        segment="Faults",
        parts=_known(
            "CodeIdentifier",
            "Identifier",
            "CodeDescription",
            "Description",
            "CodeSeverity",
            "Severity",
            "CodeSource",
            "Source",
        ),
        aliases=("cautioncode",),
        many=True,
    ),
)

BY_NAME = {name: element for element in ELEMENTS for name in element.names}
# Bell calls the series of faults by their other name.
BY_SEGMENT = {element.segment.lower(): element for element in ELEMENTS} | {
    "cautioncodes": BY_NAME["faultcode"]
}
