"""Calls to marketplace; never inside a transaction."""

from typing import Any

from ironloop.marketplace.v1 import components_pb2, machines_pb2, machines_pb2_grpc

from services.kit import wire
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.remanufacturing.machine_facts import identity_of
from services.remanufacturing.unit_model import Installation

_CLASS = "MANUFACTURE_CLASS_"


async def record_component(
    runtime: Runtime,
    saga: Saga,
    installation: Installation,
    *,
    component: str,
    reman_class: str,
    label_no: str,
    serial_number: str,
) -> tuple[dict[str, Any], str]:
    """Take a unit into a machine's record; return the machine's identity and title holder.

    Raises:
        PeerRefused: There is no such machine, it is scrapped, or holds no more components.
    """
    stub = runtime.peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    machine: machines_pb2.Machine = await runtime.peers.call(
        stub.RecordComponent,
        components_pb2.RecordComponentRequest(
            request_id=saga.request_id("record_component"),
            machine=installation.machine,
            component=components_pb2.Component(
                kind=component,
                position=installation.position,
                serial_number=serial_number,
                manufacture_class=wire.enum_number(
                    components_pb2.ManufactureClass, reman_class, prefix=_CLASS
                ),
                install_date=wire.date(installation.installed_on),
                hours_at_install=wire.decimal(installation.hours),
                label_no=label_no,
                unit=saga.subject,
            ),
            reference=installation.work_order,
        ),
    )
    return identity_of(machine), machine.title_holder
