"""Machines, liens and intervals as the contract shows them, and back."""

from collections.abc import Sequence
from typing import Any

from google.type import money_pb2
from ironloop.marketplace.v1 import machines_pb2

from services.kit import wire
from services.kit.etags import etag
from services.kit.ids import name
from services.marketplace.component_model import Component
from services.marketplace.component_wire import component_to_wire
from services.marketplace.hours_wire import hours_from_wire, hours_to_wire
from services.marketplace.identity import CheckStatus, IdScheme
from services.marketplace.machine_model import (
    Custody,
    EquipmentClass,
    Facts,
    Interval,
    Lien,
    Machine,
    MachineLifecycle,
)


def machine_to_wire(
    machine: Machine, liens: Sequence[Lien], components: Sequence[Component]
) -> machines_pb2.Machine:
    """Return a machine with its ranked liens and what is installed in it."""
    identity, facts = machine.identity, machine.facts
    message = machines_pb2.Machine(
        name=machine.name,
        uid=str(machine.id),
        etag=etag(machine.version),
        event_sequence=machine.event_sequence,
        id_scheme=scheme_number(identity.scheme),
        check_status=check_number(identity.check_status),
        pin=identity.pin or "",
        serial_number=identity.serial_number or "",
        make=facts.make,
        model=facts.model,
        equipment_class=class_number(facts.equipment_class),
        build_year=facts.build_year or 0,
        hours_meter=hours_to_wire(facts.hours_meter),
        replacement_cost=money_to_wire(facts.replacement_cost_fen),
        title_holder=machine.title_holder,
        lifecycle=lifecycle_number(machine.lifecycle),
        custody=custody_number(machine.custody),
        custodian=machine.custodian,
        liens=[lien_to_wire(lien) for lien in liens],
        components=[component_to_wire(component) for component in components],
        lease=machine.lease_reference or "",
        create_time=wire.instant(machine.create_time),
        update_time=wire.instant(machine.update_time),
    )
    if machine.hours_time is not None:
        message.hours_time.CopyFrom(wire.instant(machine.hours_time))
    if machine.reservation is not None:
        message.reservation.reference = machine.reservation.reference
        message.reservation.party = machine.reservation.party
        if machine.reservation.expire_time is not None:
            message.reservation.expire_time.CopyFrom(wire.instant(machine.reservation.expire_time))
    return message


def lien_to_wire(lien: Lien) -> machines_pb2.Lien:
    """Return a lien."""
    message = machines_pb2.Lien(
        name=lien.name,
        uid=str(lien.id),
        etag=etag(lien.version),
        state=wire.enum_number(machines_pb2.LienState, lien.state, prefix="LIEN_STATE_"),
        machine=name("machines", lien.machine_id),
        holder=lien.holder,
        priority=lien.priority,
        reference=lien.reference,
        registry_no=lien.registry_no,
        secured_amount=wire.money(lien.secured_amount_fen),
        purchase_money=lien.purchase_money,
        has_super_priority=lien.super_priority,
        register_time=wire.instant(lien.register_time),
        create_time=wire.instant(lien.create_time),
        update_time=wire.instant(lien.update_time),
        event_sequence=lien.machine_sequence,
    )
    if lien.release_time is not None:
        message.release_time.CopyFrom(wire.instant(lien.release_time))
    return message


def title_to_wire(interval: Interval) -> machines_pb2.TitleInterval:
    """Return one holding of a title."""
    message = machines_pb2.TitleInterval(
        number=interval.number,
        holder=interval.holder,
        reference=interval.reference,
        start_time=wire.instant(interval.start_time),
    )
    if interval.end_time is not None:
        message.end_time.CopyFrom(wire.instant(interval.end_time))
    return message


def custody_to_wire(interval: Interval) -> machines_pb2.CustodyInterval:
    """Return one custody."""
    assert interval.custody is not None
    message = machines_pb2.CustodyInterval(
        number=interval.number,
        custody=custody_number(interval.custody),
        custodian=interval.holder,
        reference=interval.reference,
        start_time=wire.instant(interval.start_time),
    )
    if interval.end_time is not None:
        message.end_time.CopyFrom(wire.instant(interval.end_time))
    return message


def facts_from_wire(message: machines_pb2.MachineFacts, *, field: str = "") -> Facts:
    """Return what is stated of a machine; `field` is the path that refusals begin with.

    Raises:
        InvalidArgument: Hours or replacement cost are outside their limits.
    """
    hours = cost_fen = None
    if message.HasField("hours_meter"):
        hours = hours_from_wire(message.hours_meter, field=f"{field}hours_meter")
    if message.HasField("replacement_cost"):
        cost_fen = wire.fen(
            message.replacement_cost, field=f"{field}replacement_cost", positive=True
        )
    return Facts(
        make=message.make,
        model=message.model,
        equipment_class=class_of(message.equipment_class),
        build_year=message.build_year or None,
        hours_meter=hours,
        replacement_cost_fen=cost_fen,
    )


def money_to_wire(amount_fen: int | None) -> money_pb2.Money | None:
    """Return an amount, or None where unknown."""
    return None if amount_fen is None else wire.money(amount_fen)


def class_of(number: machines_pb2.EquipmentClass.ValueType) -> EquipmentClass:
    """Return the equipment class with this number."""
    return EquipmentClass(
        wire.enum_name(machines_pb2.EquipmentClass, number, prefix="EQUIPMENT_CLASS_")
    )


def class_number(equipment_class: str) -> Any:
    """Return an equipment class's number."""
    return wire.enum_number(machines_pb2.EquipmentClass, equipment_class, prefix="EQUIPMENT_CLASS_")


def scheme_of(number: machines_pb2.IdScheme.ValueType) -> IdScheme | None:
    """Return the scheme with this number, None for 0."""
    if not number:
        return None
    return IdScheme(wire.enum_name(machines_pb2.IdScheme, number, prefix="ID_SCHEME_"))


def scheme_number(scheme: IdScheme) -> Any:
    """Return a scheme's number."""
    return wire.enum_number(machines_pb2.IdScheme, scheme, prefix="ID_SCHEME_")


def check_number(status: CheckStatus) -> Any:
    """Return a check status's number."""
    return wire.enum_number(machines_pb2.CheckStatus, status, prefix="CHECK_STATUS_")


def custody_of(number: machines_pb2.Custody.ValueType) -> Custody:
    """Return the custody with this number."""
    return Custody(wire.enum_name(machines_pb2.Custody, number, prefix="CUSTODY_"))


def custody_number(custody: Custody) -> Any:
    """Return a custody's number."""
    return wire.enum_number(machines_pb2.Custody, custody, prefix="CUSTODY_")


def lifecycle_number(lifecycle: MachineLifecycle) -> Any:
    """Return a lifecycle state's number."""
    return wire.enum_number(machines_pb2.MachineLifecycle, lifecycle, prefix="MACHINE_LIFECYCLE_")
