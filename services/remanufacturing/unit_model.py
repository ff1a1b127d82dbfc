"""Units: certified components in stock, held, installed or sold."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from services.finmath.dates import add_months
from services.kit.ids import name
from services.kit.lifecycle import Transition
from services.remanufacturing.certificate_model import RemanClass


class UnitState(StrEnum):
    """Where a unit stands."""

    STOCKED = "STOCKED"
    RESERVED = "RESERVED"
    INSTALLED = "INSTALLED"
    SOLD = "SOLD"


@dataclass(frozen=True, slots=True)
class Installation:
    """Where and when a unit was installed."""

    machine: str
    work_order: str
    installed_on: date
    hours: Decimal
    position: str
    removed_serial_number: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A certified component; its id is that of its order.

    Attributes:
        event_sequence: That of its order, which tells of the unit too.
        reference: What it is held, installed or sold for.
    """

    id: UUID
    version: int
    event_sequence: int
    state: UnitState
    remanufacturer: str
    family_id: UUID
    component: str
    reman_class: RemanClass
    label_no: str
    serial_number: str
    prior_serial_number: str
    warranty_months: int
    warranty_hours: int | None
    price_fen: int
    location: str
    create_time: datetime
    update_time: datetime
    reference: str = ""
    installation: Installation | None = None
    warranty_end: date | None = None
    buyer: str = ""

    @property
    def name(self) -> str:
        """Return its resource name, "units/<uuid>"."""
        return name("units", self.id)

    @property
    def reman_order(self) -> str:
        """Return the resource name of its order."""
        return name("remanOrders", self.id)

    @property
    def part_family(self) -> str:
        """Return its family's resource name."""
        return name("partFamilies", self.family_id)

    def moved(self, step: Transition[UnitState], *, at: datetime, **changes: Any) -> Self:
        """Return the unit after a step, with its next version."""
        return replace(
            self,
            state=step.target,
            version=self.version + 1,
            event_sequence=self.event_sequence + 1,
            update_time=at,
            **changes,
        )


def warranty_end(begins_on: date, months: int) -> date:
    """Return the last day of a warranty."""
    return add_months(begins_on, months)
