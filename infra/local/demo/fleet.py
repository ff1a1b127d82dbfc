"""The machines of a fleet page, completed by the attribute table."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from infra.local.demo.attributes import Template, build_year_of, hours_of, template_of

OWN_PAGE = Path(__file__).with_name("fleet_page.xml")
MACHINES_MIN = 8  # the story needs a pool and a few listings


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

    @property
    def kind(self) -> tuple[str, str]:
        """Return make and model: machines alike in both can be pooled."""
        return self.make, self.model
