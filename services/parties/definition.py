"""The parties service as data."""

import grpc
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition
from services.kit.tokens import FixedKeys
from services.parties import handlers
from services.parties.issuer import Issuer
from services.parties.rpc import PartiesRpc
from services.parties.settings import PartiesSettings


async def assemble(runtime: Runtime) -> Room:
    """Build the service; locally it is the issuer too, and makes the platform's first user."""
    settings = runtime.settings
    assert isinstance(settings, PartiesSettings)
    issuer = Issuer(
        issuer=settings.issuer, audience=settings.audience, lifetime=settings.token_lifetime
    )
    if password := settings.operator_password.get_secret_value():
        await handlers.ensure_operator(
            runtime.database, login=settings.operator_login, password=password
        )

    def register(server: grpc.aio.Server) -> None:
        parties_pb2_grpc.add_PartiesServiceServicer_to_server(
            PartiesRpc(runtime, issuer, settings), server
        )

    if not settings.issues_tokens:
        return Room(register)
    await issuer.load(runtime.database)
    return Room(
        register,
        keys=FixedKeys(issuer.jwks),
        documents={"/.well-known/jwks.json": issuer.document},
    )


DEFINITION = ServiceDefinition(
    name="parties",
    settings=PartiesSettings,
    proto_services=[parties_pb2.DESCRIPTOR.services_by_name["PartiesService"]],
    assemble=assemble,
    produces=handlers.PRODUCES,
)
