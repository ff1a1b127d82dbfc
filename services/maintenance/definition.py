"""The maintenance service as data."""

from collections.abc import Callable, Coroutine
from typing import Any

import grpc
from ironloop.maintenance.v1 import (
    exchanges_pb2,
    exchanges_pb2_grpc,
    faults_pb2,
    faults_pb2_grpc,
    health_pb2,
    health_pb2_grpc,
    meters_pb2,
    meters_pb2_grpc,
    plans_pb2,
    plans_pb2_grpc,
    telemetry_pb2,
    telemetry_pb2_grpc,
    work_orders_pb2,
    work_orders_pb2_grpc,
)
from ironloop.maintenance.v1 import maintenance_events_pb2 as events

from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition
from services.kit.tokens import Authenticator, PublishedKeys
from services.maintenance import (
    announcer,
    machine_consumers,
    plan_handlers,
    telemetry_months,
    work_consumers,
)
from services.maintenance.asgi_server import AsgiServer
from services.maintenance.exchange_rpc import ExchangeRpc
from services.maintenance.exchange_sagas import EXCHANGE_SAGAS
from services.maintenance.fault_rpc import FaultRpc
from services.maintenance.fleet_app import FleetApp
from services.maintenance.fleet_desk import FleetDesk
from services.maintenance.fleet_poller import FleetPoller
from services.maintenance.health_rpc import HealthRpc
from services.maintenance.lease_sagas import LEASE_SAGAS
from services.maintenance.meter_rpc import MeterRpc
from services.maintenance.plan_rpc import PlanRpc
from services.maintenance.settings import MaintenanceSettings
from services.maintenance.telemetry_intake import Intake
from services.maintenance.telemetry_rpc import TelemetryRpc
from services.maintenance.work_order_rpc import WorkOrderRpc
from services.maintenance.work_order_sagas import WORK_ORDER_SAGAS


async def assemble(runtime: Runtime) -> Room:
    """Build the service: the way in for readings, and the partitions of the next months."""
    settings = runtime.settings
    assert isinstance(settings, MaintenanceSettings)
    await runtime.database.run(telemetry_months.make_ahead)
    intake = Intake(runtime.database)
    desk = FleetDesk(runtime, intake)

    def register(server: grpc.aio.Server) -> None:
        telemetry_pb2_grpc.add_TelemetryServiceServicer_to_server(
            TelemetryRpc(runtime, settings, intake, desk), server
        )
        meters_pb2_grpc.add_MeterServiceServicer_to_server(MeterRpc(runtime), server)
        faults_pb2_grpc.add_FaultServiceServicer_to_server(FaultRpc(runtime), server)
        plans_pb2_grpc.add_PlanServiceServicer_to_server(PlanRpc(runtime), server)
        work_orders_pb2_grpc.add_WorkOrderServiceServicer_to_server(WorkOrderRpc(runtime), server)
        exchanges_pb2_grpc.add_ExchangeServiceServicer_to_server(ExchangeRpc(runtime), server)
        health_pb2_grpc.add_HealthServiceServicer_to_server(HealthRpc(runtime), server)

    pollers = [FleetPoller(runtime, desk, source) for source in settings.sources]
    background = [poller.run for poller in pollers]
    if settings.fleet_listen:
        background.append(await _serve_fleets(runtime, settings))
    return Room(register, background=background)


async def _serve_fleets(
    runtime: Runtime, settings: MaintenanceSettings
) -> Callable[[], Coroutine[Any, Any, None]]:
    """Bind the address of fleet pages, and return the work that serves them."""
    authenticator = Authenticator(
        PublishedKeys(settings.jwks_url), issuer=settings.issuer, audience=settings.audience
    )
    server = AsgiServer(FleetApp(runtime, authenticator, url=settings.fleet_url))
    await server.listen(settings.fleet_listen)
    return server.run


DEFINITION = ServiceDefinition(
    name="maintenance",
    settings=MaintenanceSettings,
    proto_services=[
        telemetry_pb2.DESCRIPTOR.services_by_name["TelemetryService"],
        meters_pb2.DESCRIPTOR.services_by_name["MeterService"],
        faults_pb2.DESCRIPTOR.services_by_name["FaultService"],
        plans_pb2.DESCRIPTOR.services_by_name["PlanService"],
        work_orders_pb2.DESCRIPTOR.services_by_name["WorkOrderService"],
        exchanges_pb2.DESCRIPTOR.services_by_name["ExchangeService"],
        health_pb2.DESCRIPTOR.services_by_name["HealthService"],
    ],
    assemble=assemble,
    produces=(
        *announcer.PRODUCES,
        events.ComplianceChanged,
        events.PlanOverdue,
        events.WorkOrderCompleted,
        events.WorkOrderStateChanged,
        events.ExchangeStateChanged,
    ),
    consumes={**machine_consumers.CONSUMES, **work_consumers.CONSUMES},
    sagas=(*LEASE_SAGAS, *WORK_ORDER_SAGAS, *EXCHANGE_SAGAS),
    timers={
        plan_handlers.CALENDAR_TIMER: plan_handlers.check_when_due,
        telemetry_months.TIMER: telemetry_months.on_timer,
    },
)
