"""What the campaign's stack stands on: databases, topics, and services as processes."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import asyncpg
import grpc
from kafka.errors import KafkaError

from infra.local.databases import ensure_database, ensure_role
from infra.local.kafka import create_topics
from infra.local.paths import ROOT
from infra.local.processes import POLL_S, Process, StartFailed, start, tail
from loadtests.faults import consumer
from services.kit.contract import dead_letter_topic, event_topics

PASSWORD = "the password of the campaign"
SERVICES = ("parties", "settlement")
LOOK_EVERY_S = 0.5
SERVES_WITHIN_S = 240.0  # ten on two idle cores

_SETTINGS = {
    "environment": "local",
    "pool_size_max": "6",
    "page_token_key": "k" * 32,
    "client_secret": PASSWORD,
    "drain_s": "1",
}


async def make_databases(owner_dsn: Callable[[str], str]) -> None:
    """Make every database and the consumer's tables, once PostgreSQL answers.

    Args:
        owner_dsn: The superuser's DSN of a database.

    Raises:
        TimeoutError: It does not.
    """
    server = owner_dsn("postgres")
    async with asyncio.timeout(SERVES_WITHIN_S):
        while True:
            try:
                connection = await asyncpg.connect(server)
                await connection.close()
                break
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(POLL_S)
    for service in (*SERVICES, consumer.NAME):
        await ensure_role(server, service, password=PASSWORD)
        await ensure_database(server, service, database=service)
    owner = await asyncpg.connect(owner_dsn(consumer.NAME))
    await owner.execute(consumer.TABLES)
    await owner.close()


async def make_topics(bootstrap: str) -> None:
    """Make the topics of the services that run here, once the broker answers.

    The contract's other topics would only make a killed broker's start longer.

    Raises:
        TimeoutError: It does not.
    """
    used = [topic for topic in event_topics() if topic.partition(".")[0] in SERVICES]
    topics = [each for topic in used for each in (topic, dead_letter_topic(topic))]
    async with asyncio.timeout(SERVES_WITHIN_S):
        while True:
            try:
                await asyncio.to_thread(create_topics, bootstrap, topics, partitions=1)
                return
            except (KafkaError, OSError):
                await asyncio.sleep(POLL_S)


def start_service(
    name: str, module: str, *, prefix: str, log: Path, settings: Mapping[str, str]
) -> Process:
    """Start a service with nothing of this process's own settings; it ends with this process.

    Args:
        prefix: Of its settings, "SETTLEMENT" for example.
    """
    inherited = {key: text for key, text in os.environ.items() if "IRONLOOP_" not in key}
    named = {
        f"IRONLOOP_{prefix}_{key.upper()}": text for key, text in {**_SETTINGS, **settings}.items()
    }
    return start(
        name,
        [sys.executable, "-m", module],
        log=log,
        environment=inherited | {"PYTHONPATH": str(ROOT)} | named,
        folder=ROOT,
        ends_with_parent=True,
    )


async def until_listening(process: Process, address: str) -> None:
    """Return once a service listens.

    Raises:
        StartFailed: It has ended.
        TimeoutError: It does not listen in time.
    """
    async with (
        grpc.aio.insecure_channel(address) as channel,
        asyncio.timeout(SERVES_WITHIN_S),
    ):
        ready = asyncio.ensure_future(channel.channel_ready())
        try:
            while not (await asyncio.wait([ready], timeout=LOOK_EVERY_S))[0]:
                if process.handle() is None:
                    raise StartFailed(f"{process.name} ended:\n{tail(process.log)}")
        finally:
            ready.cancel()
