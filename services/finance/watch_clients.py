"""What the registry and maintenance say of machines that are lent on, at the moment."""

import asyncio
from collections.abc import Iterable
from datetime import date

import grpc
from ironloop.maintenance.v1 import (
    health_pb2,
    health_pb2_grpc,
    telemetry_pb2,
    telemetry_pb2_grpc,
)
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc

from services.finance.borrowing_base import Condition
from services.kit import wire
from services.kit.clients import PeerRefused
from services.kit.clock import business_date
from services.kit.runtime import Runtime

AT_ONCE = 16  # machines asked about at the same time: peers serve others too


async def read_conditions(runtime: Runtime, machines: Iterable[str]) -> dict[str, Condition]:
    """Return how each machine is, by its name.

    Raises:
        PeerUnavailable: A peer does not answer: a base without its facts would be another one.
    """
    gate = asyncio.Semaphore(AT_ONCE)

    async def read(machine: str) -> Condition:
        async with gate:
            return await _read(runtime, machine)

    names = list(dict.fromkeys(machines))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(read(machine)) for machine in names]
    return {machine: task.result() for machine, task in zip(names, tasks, strict=True)}


async def _read(runtime: Runtime, machine: str) -> Condition:
    registry = runtime.peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    registered = await runtime.peers.call(
        registry.GetMachine, machines_pb2.GetMachineRequest(name=machine)
    )
    health = await _find_health(runtime, machine)
    has_reading = health is not None and health.HasField("days_since_reading")
    return Condition(
        title_holder=registered.title_holder,
        custodian=registered.custodian,
        custody=wire.enum_name(machines_pb2.Custody, registered.custody, prefix="CUSTODY_"),
        lifecycle=wire.enum_name(
            machines_pb2.MachineLifecycle, registered.lifecycle, prefix="MACHINE_LIFECYCLE_"
        ),
        liens=[lien.name for lien in registered.liens],
        open_stop_faults=0 if health is None else health.open_stop_faults,
        days_since_reading=health.days_since_reading if health and has_reading else None,
        days_since_location=_days(await _located_on(runtime, machine), today=runtime.clock.today()),
    )


async def _find_health(runtime: Runtime, machine: str) -> health_pb2.MachineHealth | None:
    stub = runtime.peers.stub("maintenance", health_pb2_grpc.HealthServiceStub)
    try:
        return await runtime.peers.call(
            stub.GetMachineHealth, health_pb2.GetMachineHealthRequest(machine=machine)
        )
    except PeerRefused as refusal:
        if refusal.code is not grpc.StatusCode.NOT_FOUND:
            raise
        return None


async def _located_on(runtime: Runtime, machine: str) -> date | None:
    """Return the business date on which a machine was last located, or None."""
    stub = runtime.peers.stub("maintenance", telemetry_pb2_grpc.TelemetryServiceStub)
    try:
        latest = await runtime.peers.call(
            stub.GetTelemetry, telemetry_pb2.GetTelemetryRequest(machine=machine)
        )
    except PeerRefused as refusal:
        if refusal.code is not grpc.StatusCode.NOT_FOUND:
            raise
        return None
    located = [
        reading.read_time.ToDatetime(tzinfo=runtime.clock.now().tzinfo)
        for reading in latest.readings
        if reading.element == telemetry_pb2.TELEMETRY_ELEMENT_LOCATION
    ]
    return business_date(max(located)) if located else None


def _days(since: date | None, *, today: date) -> int | None:
    return None if since is None else max(0, (today - since).days)
