"""A stand-in for maintenance's meters, which accepts what a meter can show and holds back the rest.

It is used where a test needs a reading of a kind that takes the real service days to come by.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import grpc
from ironloop.maintenance.v1 import meters_pb2, meters_pb2_grpc

from services.kit import wire
from services.kit.ids import name, new_id
from tests.support.world import World


@dataclass(slots=True)
class Meters(meters_pb2_grpc.MeterServiceServicer):
    """Serves ReportMeterReading, each reading once a request id."""

    life: dict[str, Decimal] = field(default_factory=dict)
    made: dict[str, meters_pb2.MeterReading] = field(default_factory=dict)

    async def ReportMeterReading(  # noqa: N802
        self, request: meters_pb2.ReportMeterReadingRequest, context: Any
    ) -> meters_pb2.MeterReading:
        """Take a reading: accepted unless the meter would fall."""
        if request.request_id not in self.made:
            hours = wire.to_decimal(request.hours, field="hours")
            is_accepted = hours >= self.life.get(request.machine, Decimal(0))
            reading = meters_pb2.MeterReading(
                name=name("meterReadings", new_id()),
                machine=request.machine,
                state=meters_pb2.METER_READING_STATE_ACCEPTED
                if is_accepted
                else meters_pb2.METER_READING_STATE_QUARANTINED,
                hours=request.hours,
                reading_time=request.reading_time,
                reference=request.reference,
            )
            if is_accepted:
                self.life[request.machine] = hours
                reading.life_hours.CopyFrom(request.hours)
            self.made[request.request_id] = reading
        return self.made[request.request_id]


async def open_meters(world: World) -> tuple[Meters, grpc.aio.Server]:
    """Serve meters where the world's services look for maintenance."""
    meters = Meters()  # type: ignore[abstract]  # what leasing does not call is not served
    server = grpc.aio.server()
    meters_pb2_grpc.add_MeterServiceServicer_to_server(meters, server)
    server.add_insecure_port(f"127.0.0.1:{world.ports['maintenance']}")
    await server.start()
    return meters, server
