"""What a passport says of a machine's identity."""

from typing import Any

from ironloop.marketplace.v1 import machines_pb2

from services.kit import wire


def identity_of(told: Any) -> dict[str, Any]:
    """Return a machine's identity as a record or an event of marketplace tells it.

    Args:
        told: A Machine, MachineRegistered, TitleTransferred or MachineUpdated; the last one has
            neither PIN nor serial number, which never change.
    """
    identity: dict[str, Any] = {
        "make": told.make,
        "model": told.model,
        "equipmentClass": wire.enum_name(
            machines_pb2.EquipmentClass, told.equipment_class, prefix="EQUIPMENT_CLASS_"
        ),
        "buildYear": told.build_year or None,
    }
    for field, key in (("pin", "pin"), ("serial_number", "serialNumber")):
        if getattr(told, field, ""):
            identity[key] = getattr(told, field)
    return identity
