"""What a telematics page lacks and a sale needs: class, model, build year, hours, replacement cost.

SYNTHETIC. A page of ISO 15143-3 identifies machines and counts their hours; it does not say what
they cost new or when they were built, and some leave the model out. This table supplies the rest,
always the same for an EquipmentID, so that any page can run the demo:

- a model that the table knows decides the template; any other is drawn by the model's hash, or,
  where the page names none, by the EquipmentID's, in proportion to the weights;
- the build year is drawn from 2017 to 2022, unless the page names when the unit was installed;
- hours that the page lacks are the template's yearly hours, times the age, times 0.8 to 1.1;
- on lease a machine works 132 to 136 hours a month, so that 36 of them exceed the 1,500 a year that
  are paid for; a quarter of them it idles;
- replacement costs are round figures of this table, not quotations;
- the asking price is the model's price guide times 0.98 to 1.04, in whole thousands.
"""

import hashlib
from dataclasses import dataclass
from decimal import Decimal

from ironloop.marketplace.v1 import machines_pb2 as machines

FIRST_BUILD_YEAR, LAST_BUILD_YEAR = 2017, 2022
FEN_PER_THOUSAND = 100_000


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of machine.

    Attributes:
        replacement_cost_fen: What it costs new, fen.
        hours_per_year: What one usually works.
        lendable_hours: Up to how many hours the demo asks for a loan on one; finance's own limit
            at maturity lies three years' work above.
        weight: How often it is drawn where the page names no model.
    """

    model: str
    equipment_class: machines.EquipmentClass.ValueType
    replacement_cost_fen: int
    hours_per_year: int
    lendable_hours: int
    weight: int


TEMPLATES = (
    Template("EX-20", machines.EQUIPMENT_CLASS_HYDRAULIC_EXCAVATOR, 105_000_000, 1_500, 10_000, 10),
    Template("WL-50", machines.EQUIPMENT_CLASS_WHEEL_LOADER, 46_000_000, 1_400, 15_000, 3),
    Template("TT-16", machines.EQUIPMENT_CLASS_TRACK_TYPE_TRACTOR, 88_000_000, 1_300, 15_000, 2),
    Template("BL-09", machines.EQUIPMENT_CLASS_BACKHOE_LOADER, 52_000_000, 900, 8_000, 1),
    Template("MG-14", machines.EQUIPMENT_CLASS_MOTOR_GRADER, 96_000_000, 1_000, 15_000, 1),
    Template("SL-08", machines.EQUIPMENT_CLASS_SKID_STEER_LOADER, 24_000_000, 700, 4_000, 1),
)
_BY_MODEL = {template.model: template for template in TEMPLATES}


def template_of(equipment_id: str, model: str) -> Template:
    """Return the template of a machine."""
    if model in _BY_MODEL:
        return _BY_MODEL[model]
    weights = sum(template.weight for template in TEMPLATES)
    drawn = _draw(model or equipment_id, "template", weights)
    for template in TEMPLATES:
        drawn -= template.weight
        if drawn < 0:
            return template
    raise AssertionError("weights sum to the range drawn from")


def build_year_of(equipment_id: str, installed_year: int | None) -> int:
    """Return the year in which a machine was built."""
    if installed_year is not None:
        return installed_year
    return FIRST_BUILD_YEAR + _draw(
        equipment_id, "build year", LAST_BUILD_YEAR - FIRST_BUILD_YEAR + 1
    )


def hours_of(equipment_id: str, template: Template, *, age_years: int) -> Decimal:
    """Return the hour meter of a machine whose page does not show it."""
    percent = 80 + _draw(equipment_id, "hours", 31)
    return Decimal(template.hours_per_year * max(1, age_years) * percent) / 100


def monthly_hours_of(equipment_id: str) -> Decimal:
    """Return how many hours a machine works in a month on lease."""
    return 132 + Decimal(_draw(equipment_id, "monthly hours", 17)) / 4


def ask_fen_of(equipment_id: str, guide_fen: int) -> int:
    """Return the asking price next to a price guide, fen."""
    permille = 980 + _draw(equipment_id, "ask", 61)
    return max(1, guide_fen * permille // (1_000 * FEN_PER_THOUSAND)) * FEN_PER_THOUSAND


def _draw(equipment_id: str, what: str, count: int) -> int:
    """Return a number from 0 to `count` - 1, always the same for a machine and a use."""
    digest = hashlib.sha256(f"{equipment_id}\x00{what}".encode()).digest()
    return int.from_bytes(digest[:8]) % count
