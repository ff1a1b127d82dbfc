"""Components of a machine: what is installed in which place."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

COMPONENTS_MAX = 60  # places of one machine; they travel with every answer that shows it


class ManufactureClass(StrEnum):
    """How a component was made."""

    NEW = "NEW"
    REMANUFACTURED = "REMANUFACTURED"
    RECONDITIONED = "RECONDITIONED"


@dataclass(frozen=True, slots=True)
class Component:
    """A component in its place.

    Attributes:
        kind: A code of valuation's policy table, for example "ENGINE".
        position: Where, of several of a kind; "" where there is one.
        hours_at_install: The machine's hour meter then, two decimals.
        label_no: The number of its remanufacturing label, or "".
        unit: The unit that it is, or "".
    """

    kind: str
    position: str
    serial_number: str
    manufacture_class: ManufactureClass
    installed_on: date
    hours_at_install: Decimal
    label_no: str
    unit: str

    @property
    def place(self) -> tuple[str, str]:
        """Return its place in the machine: one component at a time."""
        return self.kind, self.position


@dataclass(frozen=True, slots=True)
class ComponentInterval:
    """A component in its place from `start_time` up to `end_time`, exclusive.

    Attributes:
        number: Its place in the machine's history, from 1.
        reference: Why it was installed, or "".
        end_time: None while it is installed.
    """

    number: int
    component: Component
    reference: str
    start_time: datetime
    end_time: datetime | None
