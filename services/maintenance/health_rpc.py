"""The contract of machines' health: protobuf to arguments and back, nothing else."""

from decimal import Decimal
from typing import Any

from ironloop.maintenance.v1 import health_pb2 as pb
from ironloop.maintenance.v1 import health_pb2_grpc

from services.kit import wire
from services.kit.ids import name, parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.maintenance import health_handlers
from services.maintenance.health_handlers import MachineHealth
from services.maintenance.measures import shown_hours

PER_CENT = Decimal("0.01")


class HealthRpc(health_pb2_grpc.HealthServiceServicer):
    """Serves ironloop.maintenance.v1.HealthService."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def GetMachineHealth(
        self, request: pb.GetMachineHealthRequest, context: Any
    ) -> pb.MachineHealth:
        """Return a machine's health as of a day."""
        async with self._runtime.database.read() as connection:
            health = await health_handlers.get_health(
                connection,
                parse_name(request.machine, "machines", field="machine"),
                as_of=(
                    wire.to_date(request.as_of, field="as_of")
                    if request.HasField("as_of")
                    else None
                ),
                now=self._runtime.clock.now(),
                viewer=principal(),
            )
        return _health_to_wire(health)


def _health_to_wire(health: MachineHealth) -> pb.MachineHealth:
    reliability, hours_at = health.reliability, health.hours_at
    compliance = None if health.compliance is None else health.compliance * PER_CENT
    return pb.MachineHealth(
        machine=name("machines", health.machine_id),
        as_of=wire.date(health.as_of),
        hours=shown_hours(hours_at.hours) if hours_at else None,
        hours_time=wire.instant(hours_at.read_at) if hours_at else None,
        maintenance_compliance=wire.optional_decimal(compliance),
        open_stop_faults=health.open_stop_faults,
        days_since_reading=health.reading_age_days,
        mtbf=wire.optional_decimal(reliability.mtbf_hours),
        mttr=wire.optional_decimal(reliability.mttr_hours),
        availability=wire.optional_decimal(reliability.availability),
        failures=reliability.failures,
        hours_run=shown_hours(reliability.hours_run),
    )
