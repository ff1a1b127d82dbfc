"""What passports learn of machines from marketplace and maintenance; events move nothing else."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from ironloop.maintenance.v1 import faults_pb2, maintenance_events_pb2, work_orders_pb2
from ironloop.marketplace.v1 import components_pb2, machines_pb2, marketplace_events_pb2

from services.kit import wire
from services.kit.consumer import EventHandler
from services.kit.transaction import Transaction
from services.remanufacturing import passport_handlers
from services.remanufacturing.machine_facts import identity_of

market = marketplace_events_pb2
upkeep = maintenance_events_pb2


async def note_registration(tx: Transaction, event: market.MachineRegistered) -> None:
    """Begin a machine's passport."""
    identity = identity_of(event)
    await passport_handlers.identify(
        tx, event.machine, "REGISTERED", identity=identity, holder=event.title_holder
    )


async def note_update(tx: Transaction, event: market.MachineUpdated) -> None:
    """Follow a machine's corrected facts; hours that went on are no news of its identity."""
    identity = identity_of(event)
    await passport_handlers.identify(
        tx, event.machine, "CORRECTED", identity=identity, holder=event.title_holder
    )


async def note_title(tx: Transaction, event: market.TitleTransferred) -> None:
    """Follow a machine's title."""
    identity = identity_of(event)
    await passport_handlers.identify(
        tx, event.machine, "IDENTIFIED", identity=identity, holder=event.to_party
    )
    await passport_handlers.append(
        tx,
        event.machine,
        "TITLE_TRANSFERRED",
        public={},
        private={
            "fromParty": event.from_party,
            "toParty": event.to_party,
            "reference": event.reference,
        },
    )


async def note_lifecycle(tx: Transaction, event: market.MachineLifecycleChanged) -> None:
    """Follow where a machine stands in its life."""
    lifecycle = wire.enum_name(
        machines_pb2.MachineLifecycle, event.lifecycle, prefix="MACHINE_LIFECYCLE_"
    )
    await passport_handlers.append(
        tx, event.machine, "LIFECYCLE_CHANGED", public={"lifecycle": lifecycle}
    )


async def note_component(tx: Transaction, event: market.ComponentRecorded) -> None:
    """Follow a component that is none of our units; of those their own installation tells."""
    component = event.component
    if component.unit.startswith("units/"):
        return
    await passport_handlers.append(
        tx,
        event.machine,
        "COMPONENT_RECORDED",
        public={
            "component": {
                "kind": component.kind,
                "position": component.position,
                "remanClass": wire.enum_name(
                    components_pb2.ManufactureClass,
                    component.manufacture_class,
                    prefix="MANUFACTURE_CLASS_",
                ),
                "labelNo": component.label_no,
                "serialNumber": component.serial_number,
                "hours": component.hours_at_install.value,
                "installDate": wire.to_date(
                    component.install_date, field="install_date"
                ).isoformat(),
            }
        },
        private={
            "reference": event.reference,
            "replacedSerialNumber": event.replaced_serial_number,
        },
    )


async def note_fault(tx: Transaction, event: upkeep.FaultRaised) -> None:
    """Note a fault that stops a machine; lesser ones are no part of its life's record."""
    if event.severity == faults_pb2.FAULT_SEVERITY_STOP:
        await passport_handlers.append(
            tx, event.machine, "STOP_FAULT_RAISED", public=_fault(event), private={}
        )


async def note_fault_cleared(tx: Transaction, event: upkeep.FaultCleared) -> None:
    """Note that a fault that had stopped a machine is gone."""
    if event.severity == faults_pb2.FAULT_SEVERITY_STOP:
        await passport_handlers.append(
            tx,
            event.machine,
            "STOP_FAULT_CLEARED",
            public={"fault": event.fault},
            private={"clearedBy": event.cleared_by},
        )


async def note_work(tx: Transaction, event: upkeep.WorkOrderCompleted) -> None:
    """Note finished work: what was done and what went in; who paid how much is the owner's."""
    public: dict[str, Any] = {
        "workClass": wire.enum_name(
            work_orders_pb2.WorkClass, event.work_class, prefix="WORK_CLASS_"
        ),
        "downtimeHours": event.downtime_hours.value,
        "parts": [
            {"partNumber": part.part_number, "quantity": part.quantity.value}
            for part in event.parts
        ],
        "units": [fitted.unit for fitted in event.components],
        "faults": list(event.faults),
        "planItems": list(event.plan_items),
    }
    if event.HasField("hours"):
        public["hours"] = event.hours.value
    await passport_handlers.append(
        tx,
        event.machine,
        "WORK_COMPLETED",
        public=public,
        private={
            "workOrder": event.work_order,
            "labourHours": event.labour_hours.value,
            "totalFen": wire.fen(event.cost.total, field="cost.total"),
        },
    )


def _fault(event: upkeep.FaultRaised) -> dict[str, Any]:
    code: dict[str, Any] = {"fault": event.fault}
    if event.oem_code:
        code["oemCode"] = event.oem_code
    if event.HasField("spn"):
        code |= {"spn": event.spn, "fmi": event.fmi}
    return code


CONSUMES: Mapping[type[Message], EventHandler] = {
    market.MachineRegistered: note_registration,
    market.MachineUpdated: note_update,
    market.TitleTransferred: note_title,
    market.MachineLifecycleChanged: note_lifecycle,
    market.ComponentRecorded: note_component,
    upkeep.FaultRaised: note_fault,
    upkeep.FaultCleared: note_fault_cleared,
    upkeep.WorkOrderCompleted: note_work,
}
