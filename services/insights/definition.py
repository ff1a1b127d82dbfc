"""The insights service as data."""

import grpc
from ironloop.insights.v1 import insights_pb2, insights_pb2_grpc

from services.insights import consumers
from services.insights.rpc import InsightsRpc
from services.insights.settings import InsightsSettings
from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition


async def assemble(runtime: Runtime) -> Room:
    """Build the service."""

    def register(server: grpc.aio.Server) -> None:
        insights_pb2_grpc.add_InsightsServiceServicer_to_server(InsightsRpc(runtime), server)

    return Room(register)


DEFINITION = ServiceDefinition(
    name="insights",
    settings=InsightsSettings,
    proto_services=[insights_pb2.DESCRIPTOR.services_by_name["InsightsService"]],
    assemble=assemble,
    consumes=consumers.CONSUMES,
)
