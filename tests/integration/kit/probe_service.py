"""A small service of its own: `python -m tests.integration.kit.probe_service`.

It hears parties' events, has a timer that takes its time, and a saga whose first step has an
effect in another database and then waits at a gate, so that a test can end it just there.
"""

import asyncio
from pathlib import Path
from uuid import UUID

import grpc
from ironloop.parties.v1 import parties_events_pb2, parties_pb2
from pydantic_settings import SettingsConfigDict

from services.kit.clock import BusinessClock
from services.kit.database import Database
from services.kit.principals import enter, service_principal
from services.kit.process import run
from services.kit.requests import Commands
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.service import Room, ServiceDefinition
from services.kit.settings import ServiceSettings
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from tests.integration.kit.probe import SERVICE, until

PEER_METHOD = "/ironloop.parties.v1.PartiesService/CreateParty"


class ProbeSettings(ServiceSettings):
    """The kit's settings."""

    model_config = SettingsConfigDict(env_prefix="IRONLOOP_PROBE_")


async def assemble(_: Runtime) -> Room:
    """Serve nothing but what the kit serves."""

    def register(_: grpc.aio.Server) -> None: ...

    return Room(register)


async def hear(tx: Transaction, event: parties_events_pb2.PartyRegistered) -> None:
    """Count what was heard."""
    await tx.connection.execute(
        "insert into seen (key, sequence) values ($1, $2)", event.party, event.sequence
    )


async def take_time(_: Transaction, timer: Timer) -> None:
    """Take as many seconds as the timer says, after leaving a sign of having begun."""
    _touch(timer.payload["sign"])
    await asyncio.sleep(timer.payload["seconds"])


async def pay(_: Runtime, saga: Saga) -> Facts:
    """Have an effect elsewhere under the saga's id, then wait at the gate."""
    async with Database.open(
        saga.facts["peer_dsn"],
        service="peer",
        clock=BusinessClock(),
        size_max=1,
        statement_timeout_ms=5_000,
    ) as peer:
        commands = Commands(peer, drive=lambda _: asyncio.create_task(asyncio.sleep(0)))

        async def effect(tx: Transaction) -> parties_pb2.Party:
            paid = await tx.connection.fetchval(
                """
                insert into counter (key, effects) values ($1, 1)
                on conflict (key) do update set effects = counter.effects + 1 returning effects
                """,
                saga.subject,
            )
            return parties_pb2.Party(event_sequence=paid)

        enter(service_principal(SERVICE), PEER_METHOD)
        answer = await commands.run(
            parties_pb2.CreatePartyRequest(request_id=saga.request_id("pay")), effect
        )
    await until(lambda: _exists(saga.facts["gate"]), what="an open gate")
    return {"paid": answer.event_sequence}


async def note(tx: Transaction, saga: Saga) -> None:
    """Write down that it was paid."""
    await tx.connection.execute(
        "insert into seen (key, sequence) values ($1, $2)", saga.subject, saga.facts["paid"]
    )


async def start(database: Database, *, peer_dsn: str, gate: Path) -> UUID:
    """Begin a saga as a command of the service does."""
    enter(service_principal(SERVICE), "test")
    saga = await database.run(
        lambda tx: tx.start_saga(
            "payment", "orders/1", facts={"peer_dsn": peer_dsn, "gate": str(gate)}
        )
    )
    return saga.id


DEFINITION = ServiceDefinition(
    name=SERVICE,
    settings=ProbeSettings,
    proto_services=[],
    assemble=assemble,
    consumes={parties_events_pb2.PartyRegistered: hear},
    sagas=[SagaKind("payment", (Step("pay", call=pay), Step("note", apply=note)))],
    timers={"slow": take_time},
)


def _touch(path: str) -> None:
    Path(path).touch()


async def _exists(path: str) -> bool:
    return await asyncio.to_thread(Path(path).exists)


if __name__ == "__main__":
    run(DEFINITION)
