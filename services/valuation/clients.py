"""What valuation asks of the registry and of maintenance, at the moment of valuation."""

from datetime import UTC, date
from decimal import Decimal

import grpc
from ironloop.maintenance.v1 import health_pb2, health_pb2_grpc
from ironloop.marketplace.v1 import (
    components_pb2,
    inspections_pb2,
    machines_pb2,
    machines_pb2_grpc,
)

from services.kit import wire
from services.kit.clients import PeerRefused
from services.kit.runtime import Runtime
from services.valuation.machine_facts import Fitted, Health, Inspected
from services.valuation.model import Specification


async def get_machine(
    runtime: Runtime, machine: str, *, as_of: date | None = None
) -> machines_pb2.Machine:
    """Return a machine as registered.

    Args:
        as_of: The day up to which inspections count for its condition; None: all of them.

    Raises:
        PeerRefused: There is no such machine.
        PeerUnavailable: Marketplace does not answer.
    """
    stub = runtime.peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    request = machines_pb2.GetMachineRequest(name=machine)
    if as_of is not None:
        request.condition_as_of.CopyFrom(wire.date(as_of))
    return await runtime.peers.call(stub.GetMachine, request)


async def find_health(runtime: Runtime, machine: str, *, as_of: date | None) -> Health | None:
    """Return what maintenance knows of a machine; None where it never heard of it.

    Args:
        as_of: The end of an earlier day; None: now.

    Raises:
        PeerUnavailable: Maintenance does not answer: whether a fault stops the machine is then
            unknown, and nothing is valued.
    """
    stub = runtime.peers.stub("maintenance", health_pb2_grpc.HealthServiceStub)
    request = health_pb2.GetMachineHealthRequest(machine=machine)
    if as_of is not None:
        request.as_of.CopyFrom(wire.date(as_of))
    try:
        found = await runtime.peers.call(stub.GetMachineHealth, request)
    except PeerRefused as refusal:
        if refusal.code is not grpc.StatusCode.NOT_FOUND:
            raise
        return None
    return Health(
        hours=_decimal(found, "hours"),
        hours_at=(
            found.hours_time.ToDatetime(tzinfo=UTC) if found.HasField("hours_time") else None
        ),
        compliance=_decimal(found, "maintenance_compliance"),
        open_stop_faults=found.open_stop_faults,
    )


def fitted_in(machine: machines_pb2.Machine) -> tuple[Fitted, ...]:
    """Return a machine's components as registered."""
    return tuple(
        Fitted(
            code=part.kind,
            serial_number=part.serial_number,
            manufacture_class=wire.enum_name(
                components_pb2.ManufactureClass,
                part.manufacture_class,
                prefix="MANUFACTURE_CLASS_",
            ),
            install_date=wire.to_date(part.install_date, field="install_date"),
            hours_at_install=wire.to_decimal(part.hours_at_install, field="hours_at_install"),
            label_no=part.label_no,
        )
        for part in machine.components
    )


def inspected_in(machine: machines_pb2.Machine) -> Inspected | None:
    """Return what a machine's latest inspection found of its condition; None: there was none."""
    if not machine.HasField("condition"):
        return None
    found = machine.condition
    return Inspected(
        inspection=found.inspection,
        condition=wire.enum_name(
            inspections_pb2.ConditionGrade, found.grade, prefix="CONDITION_GRADE_"
        ),
        inspected_on=wire.to_date(found.inspect_date, field="inspect_date"),
    )


def parties_to(machine: machines_pb2.Machine) -> frozenset[str]:
    """Return the parties that have to do with a machine: owner, holder, reserver, lien holders."""
    return frozenset(
        {
            machine.title_holder,
            machine.custodian,
            machine.reservation.party,
            *(lien.holder for lien in machine.liens),
        }
        - {""}
    )


def specification_of(machine: machines_pb2.Machine) -> Specification:
    """Return a machine's facts as far as its value needs them."""
    return Specification(
        make=machine.make,
        model=machine.model,
        equipment_class=wire.enum_name(
            machines_pb2.EquipmentClass, machine.equipment_class, prefix="EQUIPMENT_CLASS_"
        ),
        build_year=machine.build_year or None,
        hours_meter=(
            wire.to_decimal(machine.hours_meter, field="hours_meter")
            if machine.HasField("hours_meter")
            else None
        ),
        replacement_cost_fen=(
            wire.fen(machine.replacement_cost, field="replacement_cost")
            if machine.HasField("replacement_cost")
            else None
        ),
    )


def _decimal(found: health_pb2.MachineHealth, field: str) -> Decimal | None:
    if not found.HasField(field):  # type: ignore[arg-type]  # a field of the message
        return None
    return wire.to_decimal(getattr(found, field), field=field)
