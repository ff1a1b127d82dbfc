"""The maintenance service as data."""

import grpc

from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition
from services.maintenance import machine_consumers
from services.maintenance.settings import MaintenanceSettings


async def assemble(runtime: Runtime) -> Room:
    """Build the service."""

    def register(server: grpc.aio.Server) -> None:
        """Add the servicers."""

    return Room(register)


DEFINITION = ServiceDefinition(
    name="maintenance",
    settings=MaintenanceSettings,
    proto_services=[],
    assemble=assemble,
    consumes=machine_consumers.CONSUMES,
)
