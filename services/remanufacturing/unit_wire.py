"""Units as the contract shows them, in answers and in events."""

from ironloop.remanufacturing.v1 import reman_pb2
from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as events

from services.kit import wire
from services.kit.etags import etag
from services.remanufacturing.order_wire import class_number
from services.remanufacturing.unit_model import Installation, Unit


def unit_to_wire(unit: Unit) -> reman_pb2.Unit:
    """Return a unit as the contract shows it."""
    shown = reman_pb2.Unit(
        name=unit.name,
        uid=str(unit.id),
        etag=etag(unit.version),
        event_sequence=unit.event_sequence,
        state=wire.enum_number(reman_pb2.UnitState, unit.state, prefix="UNIT_STATE_"),
        remanufacturer=unit.remanufacturer,
        reman_order=unit.reman_order,
        part_family=unit.part_family,
        component=unit.component,
        reman_class=class_number(unit.reman_class),
        label_no=unit.label_no,
        serial_number=unit.serial_number,
        prior_serial_number=unit.prior_serial_number,
        warranty_months=unit.warranty_months,
        warranty_hours=unit.warranty_hours,
        price=wire.money(unit.price_fen),
        location=unit.location,
        reference=unit.reference,
        buyer=unit.buyer,
        create_time=wire.instant(unit.create_time),
        update_time=wire.instant(unit.update_time),
    )
    if unit.warranty_end is not None:
        shown.warranty_end.CopyFrom(wire.date(unit.warranty_end))
    if (installed := unit.installation) is not None:
        shown.machine = installed.machine
        shown.work_order = installed.work_order
        shown.removed_serial_number = installed.removed_serial_number
        shown.install_date.CopyFrom(wire.date(installed.installed_on))
        shown.hours_at_install.CopyFrom(wire.decimal(installed.hours))
    return shown


def stocked_event(unit: Unit) -> events.UnitStocked:
    """Return the event of a unit that is free in stock."""
    return events.UnitStocked(
        reman_order=unit.reman_order,
        sequence=unit.event_sequence,
        unit=unit.name,
        remanufacturer=unit.remanufacturer,
        part_family=unit.part_family,
        component=unit.component,
        reman_class=class_number(unit.reman_class),
        price=wire.money(unit.price_fen),
    )


def reserved_event(unit: Unit) -> events.UnitReserved:
    """Return the event of a unit that is held."""
    return events.UnitReserved(
        reman_order=unit.reman_order,
        sequence=unit.event_sequence,
        unit=unit.name,
        remanufacturer=unit.remanufacturer,
        part_family=unit.part_family,
        reference=unit.reference,
    )


def installed_event(unit: Unit, installation: Installation) -> events.UnitInstalled:
    """Return the event of a unit that is in a machine."""
    return events.UnitInstalled(
        reman_order=unit.reman_order,
        sequence=unit.event_sequence,
        unit=unit.name,
        remanufacturer=unit.remanufacturer,
        machine=installation.machine,
        work_order=installation.work_order,
    )


def sold_event(unit: Unit) -> events.UnitSold:
    """Return the event of a unit that is sold."""
    return events.UnitSold(
        reman_order=unit.reman_order,
        sequence=unit.event_sequence,
        unit=unit.name,
        remanufacturer=unit.remanufacturer,
        buyer=unit.buyer,
        price=wire.money(unit.price_fen),
    )


def component_event(
    unit: Unit, installation: Installation, *, sequence: int
) -> events.ComponentInstalled:
    """Return what a machine's followers are told of a new component.

    Args:
        sequence: The next one of what we tell of this machine.
    """
    assert unit.warranty_end is not None, "an installed unit's warranty runs"
    return events.ComponentInstalled(
        machine=installation.machine,
        sequence=sequence,
        component=unit.component,
        position=installation.position,
        reman_class=class_number(unit.reman_class),
        label_no=unit.label_no,
        serial_number=unit.serial_number,
        hours=wire.decimal(installation.hours),
        install_date=wire.date(installation.installed_on),
        warranty_end=wire.date(unit.warranty_end),
        unit=unit.name,
        work_order=installation.work_order,
        removed_serial_number=installation.removed_serial_number,
        remanufacturer=unit.remanufacturer,
    )
