"""A service as a process: killed in a saga, drained at SIGTERM, told what it lacks."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ironloop.kit.v1 import operator_pb2, operator_pb2_grpc
from ironloop.parties.v1 import parties_events_pb2

from infra.local.processes import free_port
from services.kit import wire
from tests.integration.kit import probe_service
from tests.integration.kit.probe import Probe, open_probe, until
from tests.support.world import World

MODULE = "tests.integration.kit.probe_service"


class Child:
    """The probe service in a process of its own."""

    def __init__(self, world: World, probe: Probe, folder: Path) -> None:
        self.world = world
        self.probe = probe
        self.port = free_port()
        self.log = folder / "log"
        self.process: asyncio.subprocess.Process | None = None

    def environment(self) -> dict[str, str]:
        """Return the settings of the service."""
        address = self.world.running["parties"].http_address
        settings = {
            "ENVIRONMENT": "local",
            "LISTEN": f"127.0.0.1:{self.port}",
            "POSTGRES_DSN": self.probe.dsn,
            "PAGE_TOKEN_KEY": "k" * 32,
            "JWKS_URL": f"http://{address}/.well-known/jwks.json",
            "PEERS": json.dumps({}),
            "DRAIN_S": "10",
        }
        return os.environ | {f"IRONLOOP_PROBE_{name}": text for name, text in settings.items()}

    async def start(self) -> None:
        """Start it and wait until it serves."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", MODULE, env=self.environment(), stdout=log, stderr=log
            )
        await until(self.is_serving, what=f"a serving process; see {self.log}")

    async def is_serving(self) -> bool:
        """Ask its health."""
        assert self.process is not None and self.process.returncode is None, self.log.read_text()
        async with self.channel() as channel:
            try:
                answer = await health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest(), timeout=1
                )
            except grpc.aio.AioRpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def channel(self) -> grpc.aio.Channel:
        """Return a new channel to it."""
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.port}")

    async def end(self, number: int) -> int:
        """Send it a signal, and return its exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()

    def logged(self) -> list[str]:
        """Return the names of the events it logged."""
        return [json.loads(line)["event"] for line in self.log.read_text().splitlines()]


@pytest_asyncio.fixture(loop_scope="session")
async def child(world: World, probe: Probe, tmp_path: Path) -> AsyncIterator[Child]:
    made = Child(world, probe, tmp_path)
    yield made
    if made.process is not None:
        await made.end(signal.SIGKILL)


async def test_a_service_killed_in_a_saga_finishes_it_after_its_restart_and_pays_once(
    child: Child, tmp_path: Path
) -> None:
    async with open_probe() as peer:
        gate = tmp_path / "gate"
        await probe_service.start(child.probe.database, peer_dsn=peer.dsn, gate=gate)
        await child.start()

        async def is_paid() -> bool:
            return bool(await peer.ask("select count(*) from counter"))

        await until(is_paid, what="the payment")
        assert await child.end(signal.SIGKILL) == -signal.SIGKILL
        assert await child.probe.ask("select state || step from saga") == "RUNNING0"
        gate.touch()
        await child.start()

        async def is_done() -> bool:
            return bool(await child.probe.ask("select state from saga") == "DONE")

        await until(is_done, what="the end of the saga")
        assert await peer.ask("select effects from counter") == 1
        assert await child.probe.ask("select array_agg(sequence) from seen") == [1]


async def test_at_sigterm_running_calls_end_well_and_new_ones_are_refused(
    child: Child, world: World, tmp_path: Path
) -> None:
    await child.start()
    sign = tmp_path / "begun"
    due_at = child.probe.clock.now() + timedelta(hours=12)
    await child.probe.database.run(
        lambda tx: tx.set_timer(
            "slow", "x", due_at=due_at, payload={"sign": str(sign), "seconds": 2}
        )
    )
    metadata = [("authorization", f"Bearer {world.operator.token}")]
    async with child.channel() as channel, child.channel() as other:
        tomorrow = wire.date(child.probe.clock.today() + timedelta(days=1))
        call = operator_pb2_grpc.OperatorServiceStub(channel).AdvanceBusinessDate(
            operator_pb2.AdvanceBusinessDateRequest(business_date=tomorrow), metadata=metadata
        )

        async def is_under_way() -> bool:
            return sign.exists()

        await until(is_under_way, what="the call under way")
        assert child.process is not None
        child.process.send_signal(signal.SIGTERM)

        async def is_refused() -> bool:
            try:
                await operator_pb2_grpc.OperatorServiceStub(other).GetQuiescence(
                    operator_pb2.GetQuiescenceRequest(), metadata=metadata, timeout=1
                )
            except grpc.aio.AioRpcError as error:
                return bool(error.code() is grpc.StatusCode.UNAVAILABLE)
            return False

        await until(is_refused, what="a refusal of new calls")
        assert not call.done(), "the call had ended before new ones were refused"
        assert (await call).timers_fired == 1
    assert await child.process.wait() == 0
    assert child.logged()[-1] == "service_draining"


async def test_a_missing_setting_is_named(child: Child) -> None:
    environment = child.environment()
    del environment["IRONLOOP_PROBE_POSTGRES_DSN"]
    environment["IRONLOOP_PROBE_PAGE_TOKEN_KEY"] = "short"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", MODULE, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert b"IRONLOOP_PROBE_POSTGRES_DSN: Field required" in said
    assert b"IRONLOOP_PROBE_PAGE_TOKEN_KEY" in said


@pytest.mark.parametrize("broken", ["POSTGRES_DSN", "LISTEN"])
async def test_what_cannot_be_had_ends_the_process_with_one_line(child: Child, broken: str) -> None:
    taken = child.world.running["parties"].address
    environment = child.environment() | {
        "IRONLOOP_PROBE_" + broken: {
            "POSTGRES_DSN": f"postgresql://nobody@127.0.0.1:{free_port()}/none",
            "LISTEN": taken,
        }[broken]
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        MODULE,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said, _ = await process.communicate()
    assert process.returncode == 1
    assert json.loads(said.decode().splitlines()[-1])["event"] == "service_cannot_start"


async def test_the_replay_command_releases_parked_events(child: Child) -> None:
    await child.probe.database.run(
        lambda tx: tx.connection.execute(
            """
            insert into parked_event
                (consumer, topic, key, sequence, event_id, event_type, headers, payload, error)
            values ('probe', 'parties.party.v1', 'parties/1', 1, uuidv7(),
                    'ironloop.parties.v1.PartyRegistered',
                    '{"ce_time": "2026-01-05T01:00:00+00:00"}', $1, 'a defect since mended')
            """,
            parties_events_pb2.PartyRegistered(party="parties/1", sequence=1).SerializeToString(),
        )
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        MODULE,
        "replay",
        env=child.environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    assert b"1 parked events applied, 0 still parked" in said
    assert await child.probe.ask("select array_agg(key) from seen") == ["parties/1"]
