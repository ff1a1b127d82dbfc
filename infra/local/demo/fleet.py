"""The machines of a fleet page, completed by the attribute table."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from infra.local.demo.attributes import Template, build_year_of, hours_of, template_of
from services.iso15143.errors import PageRefused
from services.iso15143.model import Equipment
from services.iso15143.reader import read_page

OWN_PAGE = Path(__file__).with_name("fleet_page.xml")
ALIKE_MIN = 5  # lendable machines of one class: the story pools four and lists one
LENDABLE_YEARS = 8  # a lease of three years then ends within finance's twelve
UNKNOWN_MAKE = "Unknown make"


class FleetUnreadable(Exception):
    """The page cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class FleetMachine:
    """A machine ready to be registered; what the page lacked is synthetic."""

    equipment_id: str
    pin: str
    serial_number: str
    make: str
    model: str
    template: Template
    build_year: int
    hours_meter: Decimal
    idle_hours: Decimal
    is_lendable: bool


@dataclass(frozen=True, slots=True)
class ReadFleet:
    """The machines of a page.

    Attributes:
        document: The page as it was read.
        remarks: What was left out or added, in sentences.
    """

    document: bytes
    machines: list[FleetMachine]
    remarks: list[str]


def read_fleet(path: Path, *, today: date) -> ReadFleet:
    """Read a page; one with too few machines is topped up from the demo's own page.

    Raises:
        FleetUnreadable: There is no such file, or it is no fleet page.
    """
    try:
        document = path.read_bytes()
        page = read_page(document)
    except OSError as error:
        raise FleetUnreadable(
            f"the fleet page {path} cannot be read ({error.strerror}); name one: FLEET=page.xml"
        ) from error
    except PageRefused as error:
        raise FleetUnreadable(f"{path} is no page of ISO 15143-3: {error}") from error
    remarks = [
        f"{problem.machine} {problem.element}: {problem.reason}" for problem in page.problems
    ]
    machines = [_machine(equipment, today) for equipment in page.fleet.equipment]
    if len(alike(machines)) < ALIKE_MIN and path != OWN_PAGE:
        known = {machine.equipment_id for machine in machines}
        own = read_fleet(OWN_PAGE, today=today).machines
        machines += [machine for machine in own if machine.equipment_id not in known]
        remarks.append(
            f"fewer than {ALIKE_MIN} machines of one class that a loan is given on: topped up from "
            f"{OWN_PAGE.name}"
        )
    return ReadFleet(document, machines, remarks)


def alike(machines: list[FleetMachine]) -> list[FleetMachine]:
    """Return the machines of the commonest class, of those that a loan is given on."""
    lendable = [machine for machine in machines if machine.is_lendable]
    classes = Counter(machine.template.equipment_class for machine in lendable)
    if not classes:
        return []
    (commonest, _), *_ = classes.most_common(1)
    return [machine for machine in lendable if machine.template.equipment_class == commonest]


def _machine(equipment: Equipment, today: date) -> FleetMachine:
    header = equipment.header
    template = template_of(header.equipment_id, header.model or "")
    installed = header.unit_install_time
    build_year = build_year_of(header.equipment_id, installed.year if installed else None)
    read = equipment.operating_hours
    age_years = today.year - build_year
    hours = read.hours if read else hours_of(header.equipment_id, template, age_years=age_years)
    return FleetMachine(
        equipment_id=header.equipment_id,
        pin=header.pin or "",
        serial_number=header.serial_number or header.equipment_id,
        make=header.oem_name or UNKNOWN_MAKE,
        model=header.model or template.model,
        template=template,
        build_year=build_year,
        hours_meter=hours,
        idle_hours=equipment.idle_hours.hours if equipment.idle_hours else Decimal(0),
        is_lendable=age_years <= LENDABLE_YEARS and hours <= template.lendable_hours,
    )
