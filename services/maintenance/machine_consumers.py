"""What maintenance learns of machines from marketplace; each event moves the copy only."""

from collections.abc import Mapping
from uuid import UUID

from google.protobuf.message import Message
from ironloop.marketplace.v1 import machines_pb2, marketplace_events_pb2

from services.kit import wire
from services.kit.consumer import EventHandler
from services.kit.ids import parse_name
from services.kit.transaction import Transaction
from services.maintenance import machine_store
from services.maintenance.machine_model import MonitoredMachine

events = marketplace_events_pb2

LEASES = "leases/"
_OUT_ON_LEASE = frozenset({"ON_LEASE", "IN_TRANSIT"})
_UNDER_LEASE = _OUT_ON_LEASE | {"IN_SHOP"}


async def note_registration(tx: Transaction, event: events.MachineRegistered) -> None:
    """Begin to know a machine; its first custodian is its owner."""
    await machine_store.save_copy(
        tx.connection,
        MonitoredMachine(
            id=_id(event.machine),
            event_sequence=0,
            registry_sequence=event.sequence,
            pin=event.pin,
            serial_number=event.serial_number,
            make=event.make,
            model=event.model,
            equipment_class=wire.enum_name(
                machines_pb2.EquipmentClass, event.equipment_class, prefix="EQUIPMENT_CLASS_"
            ),
            title_holder=event.title_holder,
            custodian=event.title_holder,
            custody="AVAILABLE",
            lease="",
            create_time=tx.now,
            update_time=tx.now,
        ),
    )


async def note_update(tx: Transaction, event: events.MachineUpdated) -> None:
    """Follow a machine's corrected facts."""
    await machine_store.note_facts(
        tx.connection,
        _id(event.machine),
        make=event.make,
        model=event.model,
        sequence=event.sequence,
        at=tx.now,
    )


async def note_title(tx: Transaction, event: events.TitleTransferred) -> None:
    """Follow a machine's title."""
    await machine_store.note_title(
        tx.connection,
        _id(event.machine),
        holder=event.to_party,
        sequence=event.sequence,
        at=tx.now,
    )


async def note_custody(tx: Transaction, event: events.CustodyChanged) -> None:
    """Follow how a machine is held; in the shop it stays under the lease it was out on."""
    custody = wire.enum_name(machines_pb2.Custody, event.custody, prefix="CUSTODY_")
    lease: str | None = ""
    if custody in _OUT_ON_LEASE and event.reference.startswith(LEASES):
        lease = event.reference
    elif custody in _UNDER_LEASE:
        lease = None  # back under the lease, or into the shop from it
    await machine_store.note_custody(
        tx.connection,
        _id(event.machine),
        custody=custody,
        custodian=event.custodian,
        lease=lease,
        sequence=event.sequence,
        at=tx.now,
    )


CONSUMES: Mapping[type[Message], EventHandler] = {
    events.MachineRegistered: note_registration,
    events.MachineUpdated: note_update,
    events.TitleTransferred: note_title,
    events.CustodyChanged: note_custody,
}


def _id(machine: str) -> UUID:
    return parse_name(machine, "machines", field="machine")
