"""What machines in the field send: a page of ISO 15143-3 a month, as their telematics writes it.

The machines are the demo's; the page is written by the same library that reads everybody's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from infra.local.demo.act_trade import Purchase
from infra.local.demo.attributes import monthly_hours_of
from infra.local.demo.fleet import UNKNOWN_MAKE, FleetMachine
from services.iso15143.model import (
    Equipment,
    Fault,
    Fleet,
    Header,
    Hours,
    Level,
    Link,
    Location,
)
from services.iso15143.writer import write_page

SENDER = "https://telematics.example/Fleet/1"
IDLE_SHARE = Decimal("0.25")
TANK_PERCENT = Decimal(62)
LATITUDE, LONGITUDE = Decimal("28.1420"), Decimal("113.6330")  # Liuyang
PLACES = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A fault of a machine that must stop for it, as its controller reports it."""

    machine: str
    identifier: str = "SPN 100 FMI 1 SA 0"
    description: str = "engine oil pressure below the lower limit"


def hours_after(machine: FleetMachine, months: int | Decimal) -> Decimal:
    """Return what an hour meter shows after so many months on lease, two decimals."""
    hours = machine.hours_meter + months * monthly_hours_of(machine.equipment_id)
    return hours.quantize(PLACES)


def page_of(
    fleet: Sequence[Purchase],
    months: int | Decimal,
    *,
    at: datetime,
    breakdown: Breakdown | None = None,
) -> bytes:
    """Return the page that a fleet's telematics sends after so many months."""
    return write_page(
        Fleet(
            equipment=tuple(_equipment(one, months, at, breakdown) for one in fleet),
            links=tuple(Link(rel, SENDER) for rel in ("self", "first", "last")),
            version="1",
            snapshot_time=at,
        )
    )


def _equipment(
    purchase: Purchase, months: int | Decimal, at: datetime, breakdown: Breakdown | None
) -> Equipment:
    machine = purchase.fleet_machine
    hours = hours_after(machine, months)
    idle = machine.idle_hours + (hours - machine.hours_meter) * IDLE_SHARE
    faults: tuple[Fault, ...] = ()
    if breakdown is not None and breakdown.machine == purchase.machine:
        faults = (Fault(breakdown.identifier, breakdown.description, "STOP", "J1939", at),)
    return Equipment(
        header=Header(
            equipment_id=machine.equipment_id,
            oem_name=None if machine.make == UNKNOWN_MAKE else machine.make,
            model=machine.model,
            serial_number=machine.serial_number,
            pin=machine.pin or None,
        ),
        location=Location(LATITUDE, LONGITUDE, None, at),
        operating_hours=Hours(hours, at),
        idle_hours=Hours(idle.quantize(PLACES), at),
        fuel_remaining=Level(TANK_PERCENT, None, "litre", at),
        faults=faults,
    )
