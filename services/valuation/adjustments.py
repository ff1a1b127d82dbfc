"""What the auctions lack: condition, maintenance, component ages and open faults, as factors.

Each is a published factor of the policy table on the booster's value, never a row of its training.
A value falls with the condition's rank, open STOP faults and the hours of a remanufactured
component, and rises with maintenance compliance.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from services.valuation.model import Adjustments, Component, Factor
from services.valuation.policy import PolicyTable

MONTHS_PER_YEAR = 12
HOURS_ADJUSTMENT_SCALE = Decimal("0.000000000001")
CONDITION_GRADES = ("EXCELLENT", "VERY_GOOD", "GOOD", "FAIR", "POOR")

Factors: TypeAlias = tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    """How far ahead of the as-of date a value is asked for, and how the machine fares until then.

    Attributes:
        compliance: Maintenance compliance from the as-of date on; None: as it was.
    """

    months: int = 0
    hours_per_year: Decimal = Decimal(0)
    compliance: Decimal | None = None

    @property
    def hours(self) -> Decimal:
        """The hours that pass until then."""
        return self.hours_per_year * self.months / MONTHS_PER_YEAR


NOW = Outlook()


def adjustment_factors(
    policy: PolicyTable, adjustments: Adjustments, *, hours: Decimal | None, outlook: Outlook = NOW
) -> Factors:
    """Return the factors of what is stated about a machine beside what the booster sees.

    Args:
        hours: What the meter shows at the outlook's month; None: unknown.
    """
    return (
        *_hours_beyond_data(policy, hours),
        *_condition(policy, adjustments.condition),
        *_maintenance(policy, adjustments.maintenance_compliance, outlook),
        *_stop_faults(policy, adjustments.open_stop_faults),
        *(_component(policy, component, outlook) for component in adjustments.components),
        *_region(policy, adjustments.region),
    )


def hours_adjustment(policy: PolicyTable, hours: Decimal) -> Decimal:
    """Return e^(−rate · thousand hours above the norm), 1 up to the norm (WE-19)."""
    above = max(Decimal(0), hours - policy.number("HOURS_ADJUSTMENT.NORM")) / 1_000
    rate = policy.number("HOURS_ADJUSTMENT.PER_1000")
    return (-rate * above).exp().quantize(HOURS_ADJUSTMENT_SCALE)


def compliance_at(
    policy: PolicyTable, compliance: Decimal | None, outlook: Outlook
) -> Decimal | None:
    """Return the maintenance compliance that shows at an outlook's month; None: not stated.

    It moves from that of the valuation (the neutral one where none was stated) to the outlook's
    in the policy's months.
    """
    if outlook.compliance is None:
        return compliance
    start = policy.number("MAINTENANCE.NEUTRAL") if compliance is None else compliance
    passed = min(Decimal(1), outlook.months / policy.number("MAINTENANCE.MONTHS"))
    return start + (outlook.compliance - start) * passed


def _hours_beyond_data(policy: PolicyTable, hours: Decimal | None) -> Factors:
    code = "HOURS_ADJUSTMENT.PER_1000"
    if hours is None or not policy.has(code) or hours <= policy.number("HOURS_ADJUSTMENT.NORM"):
        return ()
    return (Factor("HOURS_BEYOND_DATA", hours_adjustment(policy, hours), policy.source(code)),)


def _condition(policy: PolicyTable, condition: str) -> Factors:
    return (policy.factor(f"CONDITION.{condition}"),) if condition else ()


def _maintenance(policy: PolicyTable, stated: Decimal | None, outlook: Outlook) -> Factors:
    compliance = compliance_at(policy, stated, outlook)
    if compliance is None:
        return ()
    slope, neutral = policy.number("MAINTENANCE.SLOPE"), policy.number("MAINTENANCE.NEUTRAL")
    value = 1 + slope * (compliance - neutral)
    return (Factor("MAINTENANCE", value, policy.source("MAINTENANCE.SLOPE")),)


def _stop_faults(policy: PolicyTable, count: int | None) -> Factors:
    if count is None:
        return ()
    counted = min(count, int(policy.number("STOP_FAULT.COUNTED_MAX")))
    value = policy.number("STOP_FAULT.EACH") ** counted
    return (Factor("STOP_FAULTS", value, policy.source("STOP_FAULT.EACH")),)


def _component(policy: PolicyTable, component: Component, outlook: Outlook) -> Factor:
    line = f"COMPONENT.{component.code}"
    life = policy.number(f"{line}.LIFE_HOURS")
    left = max(Decimal(0), 1 - (component.hours_since_reman + outlook.hours) / life)
    value = (1 + policy.number(f"{line}.SHARE") * left).quantize(HOURS_ADJUSTMENT_SCALE)
    return Factor(line, value, policy.source(f"{line}.SHARE"))


def _region(policy: PolicyTable, region: str) -> Factors:
    return (policy.factor(f"REGION.{region}"),) if region else ()
