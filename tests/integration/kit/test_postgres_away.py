"""PostgreSQL killed under a running service: what callers hear, and that it recovers by itself."""

import asyncio
import contextlib
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from infra.local.databases import dsn_of, ensure_database, ensure_role, role_of
from infra.local.postgres import PostgresServer, new_password, start_postgres
from infra.local.processes import stop
from services.kit.service import RunningService, serving
from services.parties.definition import DEFINITION
from services.parties.handlers import sign_in_user
from services.parties.issuer import Issuer
from services.parties.settings import PartiesSettings
from tests.integration.kit.probe import until
from tests.support.refusals import status_of

PASSWORD = "a long password of the operator"
ABSENT = parties_pb2.GetPartyRequest(name="parties/0190a0a0-0000-7000-8000-000000000000")


class Road:
    """A port that leads to PostgreSQL, wherever it listens just now."""

    def __init__(self) -> None:
        self.target = 0
        self.port = 0

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Hold the port open."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(_pump(reader, back), _pump(there, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


class OwnPostgres:
    """A PostgreSQL that can be killed and started again on its data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password = new_password()
        self.server: PostgresServer = self.start()

    def start(self) -> PostgresServer:
        """Start the server."""
        self.server = start_postgres(
            self.folder / "postgres", log=self.folder / "log", password=self.password
        )
        return self.server

    def kill(self) -> None:
        """End it as a power cut would."""
        stop(self.server.process, number=signal.SIGKILL)


@pytest.fixture(scope="module")
def postgres() -> Iterator[OwnPostgres]:
    folder = Path(tempfile.mkdtemp(prefix="ironloop-away-"))
    folder.chmod(0o755)
    own = OwnPostgres(folder)
    yield own
    stop(own.server.process, number=signal.SIGINT)  # does not wait for who is connected
    shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(postgres: OwnPostgres) -> AsyncIterator[tuple[RunningService, Road, str]]:
    """Return a running parties service, the road to its PostgreSQL, and a token."""
    await ensure_role(postgres.server.dsn, "parties", password="test")
    await ensure_database(postgres.server.dsn, "parties", database="parties")
    road = Road()
    road.target = postgres.server.port
    async with road.opened():
        there = dsn_of(
            postgres.server.dsn, database="parties", user=role_of("parties"), password="test"
        )
        settings = PartiesSettings(
            environment="local",
            postgres_dsn=there.replace(f":{postgres.server.port}/", f":{road.port}/"),
            page_token_key="k" * 32,
            operator_password=PASSWORD,
            drain_s=0.5,
        )
        async with serving(DEFINITION, settings) as running:
            issuer = Issuer(
                issuer=settings.issuer,
                audience=settings.audience,
                lifetime=settings.token_lifetime,
            )
            database = running.runtime.database
            await issuer.load(database)
            token = await sign_in_user(database, issuer, login="operator", password=PASSWORD)
            yield running, road, token


async def test_killed_postgres_is_unavailable_with_a_time_to_come_back_and_then_recovers(
    service: tuple[RunningService, Road, str], postgres: OwnPostgres
) -> None:
    running, road, token = service
    metadata = [("authorization", f"Bearer {token}")]
    async with grpc.aio.insecure_channel(running.address) as channel:
        stub = parties_pb2_grpc.PartiesServiceStub(channel)
        health = health_pb2_grpc.HealthStub(channel)

        errors: list[grpc.aio.AioRpcError] = []

        async def code() -> grpc.StatusCode:
            try:
                await stub.GetParty(ABSENT, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                errors.append(error)
                return error.code()
            return grpc.StatusCode.OK

        async def is_serving() -> bool:
            answer = await health.Check(health_pb2.HealthCheckRequest())
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

        assert await code() is grpc.StatusCode.NOT_FOUND
        assert await is_serving()

        await asyncio.to_thread(postgres.kill)
        for _ in range(5):
            assert await code() is grpc.StatusCode.UNAVAILABLE
        retry = error_details_pb2.RetryInfo()
        assert any(detail.Unpack(retry) for detail in status_of(errors[-1]).details)
        assert retry.retry_delay.ToMilliseconds() > 0

        async def is_not_serving() -> bool:
            return not await is_serving()

        await until(is_not_serving, what="NOT_SERVING")

        await asyncio.to_thread(postgres.start)
        road.target = postgres.server.port
        await until(is_serving, what="SERVING")
        assert await code() is grpc.StatusCode.NOT_FOUND
