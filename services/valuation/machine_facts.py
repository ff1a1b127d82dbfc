"""What registry and maintenance know of a machine, joined with what a request states of it.

The request's own values win. Accepted hours win over the registry's reading. Of components those
count that were fitted new or remanufactured; a reconditioned one promises less and adds nothing.
The condition is that of the latest inspection, as long as the policy table takes it for known.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from services.valuation.model import Component, Inputs, Specification
from services.valuation.policy import PolicyTable
from services.valuation.record import Json

COUNTED_CLASSES = frozenset({"NEW", "REMANUFACTURED"})


class Source(StrEnum):
    """Where a fact came from; UNSPECIFIED: it is not known."""

    UNSPECIFIED = "UNSPECIFIED"
    REQUEST = "REQUEST"
    MAINTENANCE = "MAINTENANCE"
    REGISTRY = "REGISTRY"
    INSPECTION = "INSPECTION"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A component as the registry has it.

    Attributes:
        hours_at_install: Hours of the machine when it was installed.
    """

    code: str
    serial_number: str
    manufacture_class: str
    install_date: date
    hours_at_install: Decimal
    label_no: str


@dataclass(frozen=True, slots=True)
class Health:
    """What maintenance knows of a machine; None: not known.

    Attributes:
        hours: Of its life, as last accepted.
        compliance: Share of its maintenance plan that was kept.
    """

    hours: Decimal | None
    hours_at: datetime | None
    compliance: Decimal | None
    open_stop_faults: int


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a machine's latest inspection found: one of the five grades, by name, on a day."""

    inspection: str
    condition: str
    inspected_on: date


@dataclass(frozen=True, slots=True)
class MachineKnown:
    """What is known of a registered machine.

    Attributes:
        health: None: maintenance never heard of it.
        inspected: Up to the as-of date; None: never.
    """

    specification: Specification
    fitted: tuple[Fitted, ...]
    health: Health | None
    inspected: Inspected | None = None

    @property
    def best_specification(self) -> Specification:
        """The registered facts, with accepted hours in the place of the registry's."""
        if self.health is None or self.health.hours is None:
            return self.specification
        return replace(self.specification, hours_meter=self.health.hours)


def with_known(inputs: Inputs, known: MachineKnown, policy: PolicyTable) -> Inputs:
    """Add what is known of a machine to what a request states of it."""
    stated = inputs.adjustments
    health = known.health
    compliance, faults = stated.maintenance_compliance, stated.open_stop_faults
    if health is not None:
        compliance = health.compliance if compliance is None else compliance
        faults = health.open_stop_faults if faults is None else faults
    counted = _counted(inputs, known, policy)
    inspected = _inspected(inputs, known, policy)
    if inspected is not None:
        stated = replace(
            stated, condition=inspected.condition, condition_found_on=inspected.inspected_on
        )
    return replace(
        inputs,
        adjustments=replace(
            stated,
            maintenance_compliance=compliance,
            open_stop_faults=faults,
            components=(*stated.components, *counted.values()),
        ),
    )


def facts_used(stated: Inputs, known: MachineKnown, policy: PolicyTable) -> Json:
    """Return where the facts of a valuation came from, as its record keeps them.

    Args:
        stated: What the request states, before anything is added.
    """
    counted = _counted(stated, known, policy)
    adjustments, health = stated.adjustments, known.health
    is_accepted = health is not None and health.hours is not None
    hours_source = Source.MAINTENANCE if is_accepted else Source.REGISTRY
    if stated.specification.hours_meter is None:
        hours_source = Source.UNSPECIFIED
    if "hours_meter" in stated.overridden:
        hours_source = Source.REQUEST
    hours_at = health.hours_at if health and hours_source is Source.MAINTENANCE else None
    return {
        "hours_source": hours_source,
        "hours_time": None if hours_at is None else hours_at.isoformat(),
        "compliance_source": _source(
            adjustments.maintenance_compliance, None if health is None else health.compliance
        ),
        "stop_faults_source": _source(
            adjustments.open_stop_faults, None if health is None else health.open_stop_faults
        ),
        "condition_source": _condition_source(stated, known, policy),
        "inspection": _inspection(stated, known, policy),
        "components": [
            {
                "code": part.code,
                "serial_number": part.serial_number,
                "manufacture_class": part.manufacture_class,
                "install_date": part.install_date.isoformat(),
                "hours_at_install": f"{part.hours_at_install:f}",
                "label_no": part.label_no,
                "counted": part.code in counted and part.manufacture_class in COUNTED_CLASSES,
            }
            for part in known.fitted
            if part.install_date <= stated.as_of
        ],
    }


def _inspected(inputs: Inputs, known: MachineKnown, policy: PolicyTable) -> Inspected | None:
    """Return the inspection that says what condition the machine is in; None: nothing says so."""
    inspected, code = known.inspected, "INSPECTION.DAYS_MAX"
    if inspected is None or inputs.adjustments.condition or not policy.has(code):
        return None
    is_fresh = (inputs.as_of - inspected.inspected_on).days <= policy.number(code)
    return inspected if is_fresh else None


def _condition_source(stated: Inputs, known: MachineKnown, policy: PolicyTable) -> Source:
    if stated.adjustments.condition:
        return Source.REQUEST
    return Source.UNSPECIFIED if _inspected(stated, known, policy) is None else Source.INSPECTION


def _inspection(stated: Inputs, known: MachineKnown, policy: PolicyTable) -> Json | None:
    inspected = known.inspected
    if inspected is None:
        return None
    return {
        "inspection": inspected.inspection,
        "condition": inspected.condition,
        "inspect_date": inspected.inspected_on.isoformat(),
        "age_days": (stated.as_of - inspected.inspected_on).days,
        "counted": _inspected(stated, known, policy) is not None,
    }


def _counted(inputs: Inputs, known: MachineKnown, policy: PolicyTable) -> dict[str, Component]:
    """Return the components that are factors, by code; of several of a kind the most worn."""
    hours = inputs.specification.hours_meter
    if hours is None:
        return {}
    codes = set(policy.codes("COMPONENT.")) - {one.code for one in inputs.adjustments.components}
    counted: dict[str, Component] = {}
    for part in known.fitted:
        if (
            part.code not in codes
            or part.manufacture_class not in COUNTED_CLASSES
            or part.install_date > inputs.as_of
        ):
            continue
        since = max(Decimal(0), hours - part.hours_at_install)
        former = counted.get(part.code)
        if former is None or since > former.hours_since_reman:
            counted[part.code] = Component(part.code, since)
    return counted


def _source(stated: object | None, known: object | None) -> Source:
    if stated is not None:
        return Source.REQUEST
    return Source.UNSPECIFIED if known is None else Source.MAINTENANCE
