"""Components as the contract shows them, and back."""

from typing import Any

from ironloop.marketplace.v1 import components_pb2

from services.kit import wire
from services.marketplace.component_model import Component, ComponentInterval, ManufactureClass
from services.marketplace.hours_wire import hours_from_wire


def component_to_wire(component: Component) -> components_pb2.Component:
    """Return a component."""
    return components_pb2.Component(
        kind=component.kind,
        position=component.position,
        serial_number=component.serial_number,
        manufacture_class=_class_number(component.manufacture_class),
        install_date=wire.date(component.installed_on),
        hours_at_install=wire.decimal(component.hours_at_install),
        label_no=component.label_no,
        unit=component.unit,
    )


def component_from_wire(message: components_pb2.Component) -> Component:
    """Return a component.

    Raises:
        InvalidArgument: Its day is none of the calendar, or its hours are outside their limits.
    """
    name = wire.enum_name(
        components_pb2.ManufactureClass, message.manufacture_class, prefix="MANUFACTURE_CLASS_"
    )
    return Component(
        kind=message.kind,
        position=message.position,
        serial_number=message.serial_number,
        manufacture_class=ManufactureClass(name),
        installed_on=wire.to_date(message.install_date, field="component.install_date"),
        hours_at_install=hours_from_wire(
            message.hours_at_install, field="component.hours_at_install"
        ),
        label_no=message.label_no,
        unit=message.unit,
    )


def interval_to_wire(interval: ComponentInterval) -> components_pb2.ComponentInterval:
    """Return one component in its place."""
    message = components_pb2.ComponentInterval(
        number=interval.number,
        component=component_to_wire(interval.component),
        reference=interval.reference,
        start_time=wire.instant(interval.start_time),
    )
    if interval.end_time is not None:
        message.end_time.CopyFrom(wire.instant(interval.end_time))
    return message


def _class_number(manufacture_class: ManufactureClass) -> Any:
    return wire.enum_number(
        components_pb2.ManufactureClass, manufacture_class, prefix="MANUFACTURE_CLASS_"
    )
