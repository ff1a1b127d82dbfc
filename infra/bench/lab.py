"""A PostgreSQL, a broker and a few processes of the bench's own."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import grpc
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from infra.bench import listener
from infra.local.databases import dsn_of, ensure_database, ensure_role, role_of
from infra.local.kafka import create_topics, start_kafka
from infra.local.postgres import new_password, start_postgres
from infra.local.processes import free_port, start, stop
from services.kit.contract import dead_letter_topic

PASSWORD = "the password of the bench"
READY_WITHIN_S = 60.0
TOPIC = "parties.party.v1"


@dataclass(slots=True)
class Lab:
    """What the bench measures, running.

    Attributes:
        token: An operator's token.
    """

    folder: Path
    server_dsn: str
    bootstrap: str
    stack: ExitStack
    ports: dict[str, int] = field(
        default_factory=lambda: {
            name: free_port() for name in ("echo", "fast_echo", "parties", "listener")
        }
    )
    http_port: int = field(default_factory=free_port)
    token: str = ""

    def channel(self, name: str) -> grpc.aio.Channel:
        """Return a new channel to a server."""
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.ports[name]}")

    def dsn(self, service: str) -> str:
        """Return a service's own DSN."""
        return dsn_of(self.server_dsn, database=service, user=role_of(service), password=PASSWORD)

    def owner_dsn(self, service: str) -> str:
        """Return the superuser's DSN of a service's database."""
        return dsn_of(self.server_dsn, database=service)

    def run(self, name: str, *command: str, **settings: str) -> None:
        """Start a process that ends with the lab."""
        environment = os.environ | {
            f"IRONLOOP_{name.upper()}_{key.upper()}": text for key, text in settings.items()
        }
        process = start(
            name,
            [sys.executable, "-m", *command],
            log=self.folder / f"{name}.log",
            environment=environment,
            ends_with_parent=True,
        )
        self.stack.callback(stop, process)

    async def start_services(self) -> None:
        """Start the echo and parties, traced, and sign the operator in."""
        self.run(
            "parties",
            "services.parties",
            **self._common(),
            listen=f"127.0.0.1:{self.ports['parties']}",
            metrics_listen=f"127.0.0.1:{self.http_port}",
            postgres_dsn=self.dsn("parties"),
            operator_password=PASSWORD,
            traces=str(self.folder / "parties.spans"),
        )
        self.run("echo", "infra.bench.echo", str(self.ports["echo"]))
        self.run("fast_echo", "infra.bench.echo", str(self.ports["fast_echo"]), "uvloop")
        for name in ("parties", "echo", "fast_echo"):
            await self._until_ready(name)
        async with self.channel("parties") as channel:
            answer = await parties_pb2_grpc.PartiesServiceStub(channel).IssueToken(
                parties_pb2.IssueTokenRequest(
                    user=parties_pb2.UserCredentials(login="operator", password=PASSWORD)
                )
            )
            self.token = answer.token

    async def start_listener(self) -> None:
        """Start who hears parties' events; it is not there while calls are measured."""
        self.run(
            listener.NAME,
            "infra.bench.listener",
            **self._common(),
            listen=f"127.0.0.1:{self.ports[listener.NAME]}",
            postgres_dsn=self.dsn(listener.NAME),
            jwks_url=f"http://127.0.0.1:{self.http_port}/.well-known/jwks.json",
            traces=str(self.folder / "listener.spans"),
        )
        await self._until_ready(listener.NAME)

    def _common(self) -> dict[str, str]:
        return {
            "environment": "local",
            "page_token_key": "k" * 32,
            "kafka_bootstrap": self.bootstrap,
            "drain_s": "1",
        }

    async def _until_ready(self, name: str) -> None:
        async with self.channel(name) as channel, asyncio.timeout(READY_WITHIN_S):
            await channel.channel_ready()


@asynccontextmanager
async def open_lab() -> AsyncIterator[Lab]:
    """Hold a lab open: servers, databases, topics and processes of its own."""
    folder = _new_folder()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = start_postgres(
            folder / "postgres",
            log=folder / "postgres.log",
            password=new_password(),
            settings={"track_commit_timestamp": "on"},
            ends_with_parent=True,
        )
        stack.callback(stop, postgres.process, number=signal.SIGINT)
        kafka = start_kafka(folder / "kafka", log=folder / "kafka.log", ends_with_parent=True)
        stack.callback(stop, kafka.process)
        create_topics(kafka.bootstrap, [TOPIC, dead_letter_topic(TOPIC)])
        lab = Lab(folder, postgres.dsn, kafka.bootstrap, stack)
        for service in ("parties", listener.NAME):
            await ensure_role(postgres.dsn, service, password=PASSWORD)
            await ensure_database(postgres.dsn, service, database=service)
        owner = await asyncpg.connect(lab.owner_dsn(listener.NAME))
        await owner.execute(listener.TABLE)
        await owner.close()
        await lab.start_services()
        yield lab


def _new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ironloop-bench-"))
    folder.chmod(0o755)  # PostgreSQL's own user must reach its data where root runs the bench
    return folder
