"""What the kit costs: a read and a write beside an empty echo, an event's way, memory at rest.

Ratios are taken within a round, in which each target is called for the same while right after the
others, so that what else the machine does weighs on all of them.
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg
import grpc
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2
from rich.progress import Progress

from infra.bench import echo
from infra.bench.lab import Lab, open_lab
from infra.bench.load import Metadata, at_rate, calls_per_second
from infra.bench.report import Figure
from infra.local.processes import Process
from infra.local.state import read_stack
from services.kit.ids import new_id
from services.parties.model import uscc_of

ROUNDS = 7
SECONDS = 2.0
IN_FLIGHT = 32
PARTIES = 500  # rows that the reads choose from
EVENT_ROUNDS = 3
EVENT_SECONDS = 10.0
EVENTS_PER_SECOND = 100.0
HEARD_WITHIN_S = 120.0  # what the writes have left is heard first
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

_SERVICE = "/ironloop.parties.v1.PartiesService"
Requests = Callable[[], bytes]
Owner: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class Round:
    """Calls per second of each target, called one after the other."""

    echo: float
    read: float
    write: float
    fast_echo: float


async def measure() -> list[Figure]:
    """Measure everything; takes about two minutes."""
    with Progress(transient=True) as progress:
        task = progress.add_task("kit: starting servers", total=1 + ROUNDS + EVENT_ROUNDS)
        async with open_lab() as lab:
            metadata = [("authorization", f"Bearer {lab.token}"), ("traceparent", TRACEPARENT)]
            rounds: list[Round] = []
            async with (
                lab.channel("echo") as nothing,
                lab.channel("fast_echo") as fast_nothing,
                lab.channel("parties") as parties,
            ):
                read = await _reads(parties, metadata)
                progress.update(task, advance=1, description="kit: reads and writes")
                for _ in range(ROUNDS):
                    rounds.append(
                        Round(
                            echo=await _rate(nothing, echo.PATH, bytes, ()),
                            read=await _rate(parties, f"{_SERVICE}/GetParty", read, metadata),
                            write=await _rate(
                                parties, f"{_SERVICE}/CreateParty", _new_party, metadata
                            ),
                            fast_echo=await _rate(fast_nothing, echo.PATH, bytes, ()),
                        )
                    )
                    progress.advance(task)
                progress.update(task, description="kit: events")
                await lab.start_listener()
                delays = []
                for _ in range(EVENT_ROUNDS):
                    delays.append(await _event_delay_p99_ms(lab, parties, metadata))
                    progress.advance(task)
    return [*_call_figures(rounds), _delay_figure(delays), *_memory_figures()]


async def measure_events(*, per_second: float) -> list[Figure]:
    """Measure events alone, at a rate; takes about a minute."""
    with Progress(transient=True) as progress:
        task = progress.add_task("events: starting servers", total=1 + EVENT_ROUNDS)
        async with open_lab() as lab:
            metadata = [("authorization", f"Bearer {lab.token}"), ("traceparent", TRACEPARENT)]
            async with lab.channel("parties") as parties:
                await lab.start_listener()
                progress.update(task, advance=1, description="events: on their way")
                delays = []
                for _ in range(EVENT_ROUNDS):
                    delays.append(
                        await _event_delay_p99_ms(lab, parties, metadata, per_second=per_second)
                    )
                    progress.advance(task)
    return [_delay_figure(delays)]


def _call_figures(rounds: Sequence[Round]) -> list[Figure]:
    reads = [one.read / one.echo for one in rounds]
    writes = [one.write / one.echo for one in rounds]
    return [
        Figure("read_over_echo", "ratio", reads, must=0.35, aim=0.48),
        Figure("write_over_echo", "ratio", writes, must=0.15, aim=0.30),
        Figure("read_over_uvloop_echo", "ratio", [one.read / one.fast_echo for one in rounds]),
        Figure("write_over_uvloop_echo", "ratio", [one.write / one.fast_echo for one in rounds]),
        Figure("echo", "calls/s", [one.echo for one in rounds]),
        Figure("uvloop_echo", "calls/s", [one.fast_echo for one in rounds]),
        Figure("read", "calls/s", [one.read for one in rounds]),
        Figure("write", "calls/s", [one.write for one in rounds]),
    ]


def _delay_figure(delays: list[float]) -> Figure:
    return Figure("event_delay_p99_ms", "ms", delays, must=250, aim=100, is_at_least=False)


async def _rate(
    channel: grpc.aio.Channel, path: str, requests: Requests, metadata: Metadata
) -> float:
    return await calls_per_second(
        channel,
        path,
        requests=requests,
        metadata=metadata,
        in_flight=IN_FLIGHT,
        seconds=SECONDS,
    )


async def _reads(parties: grpc.aio.Channel, metadata: Metadata) -> Requests:
    """Register parties, and return what makes requests to read them."""
    create: Any = parties.unary_unary(
        f"{_SERVICE}/CreateParty", response_deserializer=parties_pb2.Party.FromString
    )
    made = [await create(_new_party(), metadata=metadata) for _ in range(PARTIES)]
    asked = [parties_pb2.GetPartyRequest(name=one.name).SerializeToString() for one in made]
    return lambda: random.choice(asked)


def _new_party() -> bytes:
    body = f"91{secrets.randbelow(10**15):015}"
    return parties_pb2.CreatePartyRequest(
        request_id=str(new_id()),
        legal_name="A party of the bench",
        uscc=uscc_of(body),
        roles=[options_pb2.ROLE_BUYER],
    ).SerializeToString()


async def _event_delay_p99_ms(
    lab: Lab,
    parties: grpc.aio.Channel,
    metadata: Metadata,
    *,
    per_second: float = EVENTS_PER_SECOND,
) -> float:
    """Return the 99th percentile from a party's commit to the commit of the event's effect."""
    owner = await asyncpg.connect(lab.owner_dsn("parties"))
    hearer = await asyncpg.connect(lab.owner_dsn("listener"))
    try:
        await _until_all_heard(owner, hearer)
        before = set(await _commit_times(owner, _MADE))
        await at_rate(
            parties,
            f"{_SERVICE}/CreateParty",
            requests=_new_party,
            metadata=metadata,
            per_second=per_second,
            seconds=EVENT_SECONDS,
        )
        await _until_all_heard(owner, hearer)
        made, heard = await _commit_times(owner, _MADE), await _commit_times(hearer, _HEARD)
    finally:
        await owner.close()
        await hearer.close()
    delays = sorted(heard[party] - made[party] for party in made.keys() - before)
    return delays[int(len(delays) * 0.99)] * 1000


_MADE = "select 'parties/' || id as party, pg_xact_commit_timestamp(xmin) as at from party"
_HEARD = "select party, pg_xact_commit_timestamp(xmin) as at from heard"


async def _commit_times(connection: Owner, query: str) -> dict[str, float]:
    return {row["party"]: row["at"].timestamp() for row in await connection.fetch(query)}


async def _until_all_heard(owner: Owner, hearer: Owner) -> None:
    async with asyncio.timeout(HEARD_WITHIN_S):
        while True:
            made = await owner.fetchval("select count(*) from party")
            if await hearer.fetchval("select count(*) from heard") == made:
                return
            await asyncio.sleep(0.1)


def _memory_figures() -> list[Figure]:
    """Return the resident memory of a stack that is up and at rest, where there is one."""
    stack = read_stack()
    if stack is None or not stack.servers:
        return []
    services, servers = _resident_gib(stack.services), _resident_gib(stack.servers)
    return [
        Figure("services_memory", "GiB", [services], must=1.2, aim=0.8, is_at_least=False),
        Figure("stack_memory", "GiB", [services + servers], must=2.2, aim=1.6, is_at_least=False),
    ]


def _resident_gib(processes: Iterable[Process]) -> float:
    """Return the memory of processes and their children; pages they share count once each."""
    total = 0
    for process in processes:
        if (handle := process.handle()) is not None:
            family = [handle, *handle.children(recursive=True)]
            total += sum(one.memory_full_info().pss for one in family)
    return total / 2**30
