"""Plan templates: what is to be done again and again, with the kits of parts it takes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.kit.ids import name


class TemplateState(StrEnum):
    """Whether a template may be used."""

    ACTIVE = "ACTIVE"
    RETIRED = "RETIRED"


@dataclass(frozen=True, slots=True)
class KitPart:
    """A part that a service takes; the price of one in fen, tax included."""

    part_number: str
    description: str
    quantity: Decimal
    unit_price_fen: int


@dataclass(frozen=True, slots=True)
class PlanTask:
    """Work to be done again and again.

    Attributes:
        interval_hours: Hours of the machine, two decimals; None: not by hours.
        interval_months: 0: not by calendar.
        weight: What it weighs in the compliance.
    """

    code: str
    title: str
    interval_hours: Decimal | None
    interval_months: int
    weight: int
    kit: tuple[KitPart, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanTemplate:
    """A plan as its maker designed it.

    Attributes:
        owner: "parties/…"; empty: the platform's.
        make, model, equipment_class: What it fits; empty: any.
    """

    id: UUID
    version: int
    state: TemplateState
    owner: str
    title: str
    make: str
    model: str
    equipment_class: str
    tasks: tuple[PlanTask, ...]
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "planTemplates/<uuid>"."""
        return name("planTemplates", self.id)

    def fits(self, *, make: str, model: str, equipment_class: str) -> bool:
        """Whether it is for a machine."""
        return (
            self.make.casefold() in ("", make.casefold())
            and self.model.casefold() in ("", model.casefold())
            and self.equipment_class in ("", equipment_class)
        )


def best_fit(
    templates: Iterable[PlanTemplate], *, owner: str, make: str, model: str, equipment_class: str
) -> PlanTemplate | None:
    """Return the active template that fits a machine best: the owner's first, then the closest."""
    fitting = [
        template
        for template in templates
        if template.state is TemplateState.ACTIVE
        and template.owner in (owner, "")
        and template.fits(make=make, model=model, equipment_class=equipment_class)
    ]
    return max(
        fitting,
        key=lambda t: (
            bool(t.owner),
            bool(t.model),
            bool(t.make),
            bool(t.equipment_class),
            t.id.int,
        ),
        default=None,
    )
