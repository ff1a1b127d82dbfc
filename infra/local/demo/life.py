"""The life of a machine, gathered from those who keep its parts: registry and maintenance."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from ironloop.maintenance.v1 import (
    faults_pb2,
    faults_pb2_grpc,
    work_orders_pb2,
    work_orders_pb2_grpc,
)
from ironloop.marketplace.v1 import components_pb2, machines_pb2, machines_pb2_grpc

from infra.local.demo.scene import Scene
from services.kit import wire

PAGE_SIZE = 200


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to a machine.

    Attributes:
        what: In words.
        reference: What it came of, for example "orders/…".
    """

    at: datetime
    what: str
    reference: str


async def life_of(scene: Scene, machine: str) -> list[Moment]:
    """Return what happened to a machine, the oldest first."""
    operator = scene.cast.operator
    registry = operator.stub(machines_pb2_grpc.MachineServiceStub)
    faults = operator.stub(faults_pb2_grpc.FaultServiceStub)
    orders = operator.stub(work_orders_pb2_grpc.WorkOrderServiceStub)
    named: dict[str, Any] = {"machine": machine, "page_size": PAGE_SIZE}
    titles = (
        await registry.ListTitleHistory(machines_pb2.ListTitleHistoryRequest(**named))
    ).intervals
    custodies = (
        await registry.ListCustodyHistory(machines_pb2.ListCustodyHistoryRequest(**named))
    ).intervals
    components = (
        await registry.ListComponentHistory(components_pb2.ListComponentHistoryRequest(**named))
    ).intervals
    moments = [
        _moment(one.start_time, f"title: {scene.cast.name_of(one.holder)}", one.reference)
        for one in titles
    ]
    moments += [
        _moment(
            one.start_time,
            f"{_custody(one.custody)}: {scene.cast.name_of(one.custodian)}",
            one.reference,
        )
        for one in custodies
    ]
    moments += [
        _moment(
            one.start_time,
            f"{one.component.kind.lower()} {_made(one.component)} at "
            f"{one.component.hours_at_install.value} h",
            one.reference,
        )
        for one in components
    ]
    for fault in (await faults.ListFaults(faults_pb2.ListFaultsRequest(**named))).faults:
        code = f"SPN {fault.code.spn} FMI {fault.code.fmi}"
        moments.append(_moment(fault.raise_time, f"STOP fault {code}", fault.name))
        if fault.HasField("clear_time"):
            moments.append(_moment(fault.clear_time, f"fault {code} cleared", fault.work_order))
    listed = await orders.ListWorkOrders(work_orders_pb2.ListWorkOrdersRequest(**named))
    moments += [
        _moment(order.complete_time, f"work: {order.title} at {order.hours.value} h", order.name)
        for order in listed.work_orders
        if order.HasField("complete_time")
    ]
    return sorted(moments, key=lambda moment: moment.at)


def follow_on(starts_and_ends: list[tuple[int, int | None]]) -> bool:
    """Whether each interval begins where the one before ended, and only the last is open."""
    starts = [start for start, _ in starts_and_ends]
    ends = [end for _, end in starts_and_ends]
    return bool(starts) and ends[:-1] == starts[1:] and ends[-1] is None


async def histories_hold(scene: Scene) -> bool:
    """Whether every machine has one title holder and one custodian at each instant."""
    registry = scene.cast.operator.stub(machines_pb2_grpc.MachineServiceStub)
    for machine in scene.machines.values():
        named: dict[str, Any] = {"machine": machine, "page_size": PAGE_SIZE}
        titles = await registry.ListTitleHistory(machines_pb2.ListTitleHistoryRequest(**named))
        custodies = await registry.ListCustodyHistory(
            machines_pb2.ListCustodyHistoryRequest(**named)
        )
        for intervals in (titles.intervals, custodies.intervals):
            if not follow_on([_span(one) for one in intervals]):
                return False
    return bool(scene.machines)


def _span(
    interval: machines_pb2.TitleInterval | machines_pb2.CustodyInterval,
) -> tuple[int, int | None]:
    end = interval.end_time.ToNanoseconds() if interval.HasField("end_time") else None
    return interval.start_time.ToNanoseconds(), end


def _moment(at: Timestamp, what: str, reference: str) -> Moment:
    return Moment(wire.to_instant(at, field="time"), what, reference)


def _custody(custody: machines_pb2.Custody.ValueType) -> str:
    name = wire.enum_name(machines_pb2.Custody, custody, prefix="CUSTODY_")
    return name.lower().replace("_", " ")


def _made(component: components_pb2.Component) -> str:
    name = wire.enum_name(
        components_pb2.ManufactureClass,
        component.manufacture_class,
        prefix="MANUFACTURE_CLASS_",
    )
    label = f", label {component.label_no}" if component.label_no else ""
    return f"{component.serial_number}, {name.lower()}{label}, installed"
