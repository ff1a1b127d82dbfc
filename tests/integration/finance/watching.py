"""What the collateral watch's tests do: let finance hear of machines, and look at what it made."""

from collections.abc import Awaitable, Callable
from typing import Any

from ironloop.finance.v1 import finance_pb2, watch_pb2, watch_pb2_grpc
from ironloop.maintenance.v1 import faults_pb2, maintenance_events_pb2

from infra.local.client import Actor
from services.finance import watch_consumers
from services.kit import wire
from services.kit.principals import enter, service_principal
from services.kit.transaction import Transaction
from tests.integration.finance.lending import Lending, eventually

DONE = watch_pb2.REVALUATION_STATE_DONE


def watch(actor: Actor) -> "watch_pb2_grpc.WatchServiceAsyncStub":
    """Return the collateral watch as an actor calls it."""
    return actor.stub(watch_pb2_grpc.WatchServiceStub)


async def hear(
    lending: Lending, handler: Callable[[Transaction, Any], Awaitable[None]], event: Any
) -> None:
    """Let finance apply an event of another service."""
    runtime = lending.world.running["finance"].runtime
    enter(service_principal("finance"), "events")
    await runtime.database.run(lambda tx: handler(tx, event))


async def stop_fault(lending: Lending, machine: str, *, spn: int = 110) -> None:
    """Let finance hear of a STOP fault."""
    event = maintenance_events_pb2.FaultRaised(
        machine=machine, spn=spn, fmi=0, severity=faults_pb2.FAULT_SEVERITY_STOP
    )
    await hear(lending, watch_consumers.note_fault, event)


async def read_hours(lending: Lending, machine: str, hours: str) -> None:
    """Let finance hear of accepted hours."""
    event = maintenance_events_pb2.MeterReadingAccepted(machine=machine)
    event.hours.value = hours
    await hear(lending, watch_consumers.note_reading, event)


async def revaluations(lending: Lending, machine: str) -> list[watch_pb2.Revaluation]:
    """Return the revaluations of a machine, the oldest first."""
    seen = await watch(lending.world.operator).ListRevaluations(
        watch_pb2.ListRevaluationsRequest(machine=machine)
    )
    return list(reversed(seen.revaluations))


async def revalued(lending: Lending, machine: str, times: int) -> None:
    """Return once a machine was valued again so many times and nothing of it is under way."""

    async def states() -> list[bool]:
        return [one.state == DONE for one in await revaluations(lending, machine)]

    await eventually(states, [True] * times)


async def watched_draw(
    lending: Lending, funder: Actor, dealer: Actor, **changes: Any
) -> finance_pb2.Draw:
    """Bring a draw of WE-7 as far as its first curve."""
    draw = await lending.drawn(funder, dealer, **changes)
    await revalued(lending, draw.machine, 1)
    return await lending.see(funder, draw.name)


async def cover_of(actor: Actor, draw: str) -> watch_pb2.Cover:
    """Return how a draw is covered."""
    return await watch(actor).GetCover(watch_pb2.GetCoverRequest(draw=draw))


async def shortfalls(actor: Actor, draw: str) -> list[watch_pb2.Shortfall]:
    """Return the shortfalls of a draw, the newest first."""
    seen = await watch(actor).ListShortfalls(watch_pb2.ListShortfallsRequest(draw=draw))
    return list(seen.shortfalls)


def day(lending: Lending) -> Any:
    """Return today as the contract has it."""
    return wire.date(lending.world.today())
