"""Faults as the contract shows them, and back."""

from datetime import datetime
from uuid import UUID

from ironloop.maintenance.v1 import faults_pb2

from services.kit import wire
from services.kit.etags import etag
from services.kit.ids import name, parse_name
from services.maintenance.fault_model import (
    Fault,
    FaultCode,
    FaultReport,
    FaultState,
    Lamp,
    Severity,
    severity_of,
)
from services.maintenance.fault_store import Wanted

_SEVERITY = "FAULT_SEVERITY_"
_STATE = "FAULT_STATE_"
_LAMP = "FAULT_LAMP_"

pb = faults_pb2


def fault_to_wire(fault: Fault) -> pb.Fault:
    """Return a fault."""
    message = pb.Fault(
        name=fault.name,
        uid=str(fault.id),
        etag=etag(fault.version),
        state=wire.enum_number(pb.FaultState, fault.state.value, prefix=_STATE),
        event_sequence=fault.event_sequence,
        machine=name("machines", fault.machine_id),
        code=pb.FaultCode(
            spn=fault.code.spn,
            fmi=fault.code.fmi,
            source_address=fault.code.source_address,
            oem_code=fault.code.oem_code,
        ),
        severity=wire.enum_number(pb.FaultSeverity, fault.severity.value, prefix=_SEVERITY),
        lamps=[wire.enum_number(pb.FaultLamp, lamp.value, prefix=_LAMP) for lamp in fault.lamps],
        count=fault.count,
        description=fault.description,
        raise_time=wire.instant(fault.raise_time),
        last_report_time=wire.instant(fault.last_report_time),
        cleared_by=fault.cleared_by,
        acknowledged_by=fault.acknowledged_by,
        work_order=fault.work_order,
        create_time=wire.instant(fault.create_time),
        update_time=wire.instant(fault.update_time),
    )
    if fault.clear_time is not None:
        message.clear_time.CopyFrom(wire.instant(fault.clear_time))
    return message


def wanted_of(request: pb.ListFaultsRequest) -> Wanted:
    """Return which faults a listing asks for."""
    return Wanted(
        machine_id=_machine_of(request.machine) if request.machine else None,
        state=(
            FaultState(wire.enum_name(pb.FaultState, request.state, prefix=_STATE))
            if request.state
            else None
        ),
        open_only=request.open_only,
        severity=_severity_of(request.severity),
        spn=request.spn if request.HasField("spn") else None,
        fmi=request.fmi if request.HasField("fmi") else None,
        source_address=request.source_address if request.HasField("source_address") else None,
    )


def simulated(request: pb.SimulateFaultRequest, *, at: datetime) -> FaultReport:
    """Return what a machine is made to report."""
    code = request.code
    lamps = tuple(Lamp(wire.enum_name(pb.FaultLamp, lamp, prefix=_LAMP)) for lamp in request.lamps)
    return FaultReport(
        machine_id=_machine_of(request.machine),
        code=FaultCode(
            spn=code.spn if code.HasField("spn") and code.HasField("fmi") else None,
            fmi=code.fmi if code.HasField("spn") and code.HasField("fmi") else None,
            source_address=code.source_address if code.HasField("source_address") else None,
            oem_code=code.oem_code,
        ),
        severity=_severity_of(request.severity) or severity_of(None, lamps),
        at=at,
        lamps=lamps,
        description=request.description,
    )


def _severity_of(number: pb.FaultSeverity.ValueType) -> Severity | None:
    if not number:
        return None
    return Severity(wire.enum_name(pb.FaultSeverity, number, prefix=_SEVERITY))


def _machine_of(machine: str) -> UUID:
    return parse_name(machine, "machines", field="machine")
