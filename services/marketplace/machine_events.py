"""What marketplace tells of machines, as events of the contract."""

from typing import Any

from ironloop.marketplace.v1 import marketplace_events_pb2 as events

from services.kit import wire
from services.marketplace.component_model import Component
from services.marketplace.component_wire import component_to_wire
from services.marketplace.hours_wire import hours_to_wire
from services.marketplace.machine_model import Lien, Machine
from services.marketplace.machine_wire import (
    class_number,
    custody_number,
    lifecycle_number,
    money_to_wire,
    scheme_number,
)

PRODUCES = (
    events.MachineRegistered,
    events.MachineUpdated,
    events.TitleTransferred,
    events.CustodyChanged,
    events.ComponentRecorded,
    events.MachineLifecycleChanged,
    events.LienRegistered,
    events.LienReleased,
)


def registered(machine: Machine) -> events.MachineRegistered:
    """Tell that a machine was registered."""
    return events.MachineRegistered(
        **_key(machine), **_identity(machine), **_facts(machine), title_holder=machine.title_holder
    )


def updated(machine: Machine) -> events.MachineUpdated:
    """Tell a machine's facts after a correction."""
    return events.MachineUpdated(
        **_key(machine), **_facts(machine), title_holder=machine.title_holder
    )


def title_transferred(
    machine: Machine, *, from_party: str, reference: str
) -> events.TitleTransferred:
    """Tell that a title moved to its present holder."""
    return events.TitleTransferred(
        **_key(machine),
        **_identity(machine),
        **_facts(machine),
        from_party=from_party,
        to_party=machine.title_holder,
        reference=reference,
    )


def custody_changed(machine: Machine, *, before: Machine, reference: str) -> events.CustodyChanged:
    """Tell how a machine is held from now on."""
    return events.CustodyChanged(
        **_key(machine),
        from_custody=custody_number(before.custody),
        custody=custody_number(machine.custody),
        custodian=machine.custodian,
        reference=reference,
        lifecycle=lifecycle_number(machine.lifecycle),
        title_holder=machine.title_holder,
        lease=machine.lease_reference or "",
    )


def component_recorded(
    machine: Machine, component: Component, *, reference: str, replaced: Component | None
) -> events.ComponentRecorded:
    """Tell that a component was installed, and in whose place."""
    return events.ComponentRecorded(
        **_key(machine),
        component=component_to_wire(component),
        reference=reference,
        replaced_serial_number=replaced.serial_number if replaced else "",
        title_holder=machine.title_holder,
    )


def lifecycle_changed(machine: Machine) -> events.MachineLifecycleChanged:
    """Tell where a machine stands in its life."""
    return events.MachineLifecycleChanged(
        **_key(machine),
        lifecycle=lifecycle_number(machine.lifecycle),
        title_holder=machine.title_holder,
    )


def lien_registered(machine: Machine, lien: Lien) -> events.LienRegistered:
    """Tell of a new lien, with its rank."""
    return events.LienRegistered(
        **_key(machine),
        lien=lien.name,
        holder=lien.holder,
        priority=lien.priority,
        registry_no=lien.registry_no,
        reference=lien.reference,
        secured_amount=wire.money(lien.secured_amount_fen),
        purchase_money=lien.purchase_money,
    )


def lien_released(machine: Machine, lien: Lien) -> events.LienReleased:
    """Tell that a lien no longer binds."""
    return events.LienReleased(
        **_key(machine),
        lien=lien.name,
        holder=lien.holder,
        registry_no=lien.registry_no,
        reference=lien.reference,
    )


def _key(machine: Machine) -> dict[str, Any]:
    return {"machine": machine.name, "sequence": machine.event_sequence}


def _identity(machine: Machine) -> dict[str, Any]:
    return {
        "id_scheme": scheme_number(machine.identity.scheme),
        "pin": machine.identity.pin or "",
        "serial_number": machine.identity.serial_number or "",
    }


def _facts(machine: Machine) -> dict[str, Any]:
    facts = machine.facts
    return {
        "make": facts.make,
        "model": facts.model,
        "equipment_class": class_number(facts.equipment_class),
        "build_year": facts.build_year or 0,
        "hours_meter": hours_to_wire(facts.hours_meter),
        "replacement_cost": money_to_wire(facts.replacement_cost_fen),
    }
