"""A service that keeps a row of each of parties' events: `python -m infra.bench.listener`."""

import grpc
from ironloop.parties.v1 import parties_events_pb2
from pydantic_settings import SettingsConfigDict

from services.kit.process import run
from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition
from services.kit.settings import ServiceSettings
from services.kit.transaction import Transaction

NAME = "listener"
TABLE = "create table heard (party text primary key)"


class ListenerSettings(ServiceSettings):
    """The kit's settings."""

    model_config = SettingsConfigDict(env_prefix="IRONLOOP_LISTENER_")


async def assemble(_: Runtime) -> Room:
    """Serve nothing but what the kit serves."""

    def register(_: grpc.aio.Server) -> None: ...

    return Room(register)


async def hear(tx: Transaction, event: parties_events_pb2.PartyRegistered) -> None:
    """Keep that it was heard; the row's commit time is the effect's."""
    await tx.connection.execute("insert into heard (party) values ($1)", event.party)


DEFINITION = ServiceDefinition(
    name=NAME,
    settings=ListenerSettings,
    proto_services=[],
    assemble=assemble,
    consumes={parties_events_pb2.PartyRegistered: hear},
)

if __name__ == "__main__":
    run(DEFINITION)
