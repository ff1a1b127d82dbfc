"""One PostgreSQL and one Kafka for a whole test run, shared by its workers, started when needed.

The first worker that asks starts a server and writes its address down; the run's main process
stops whatever was started. `IRONLOOP_POSTGRES_DSN` and `IRONLOOP_KAFKA_BOOTSTRAP` name servers
that exist and are used instead.
"""

import asyncio
import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from infra.local.databases import ensure_database, ensure_role
from infra.local.kafka import start_kafka
from infra.local.postgres import new_password, start_postgres
from infra.local.processes import Process, stop

RUN_VARIABLE = "IRONLOOP_TEST_RUN"
ROLE_PASSWORD = "test"

# A test run need not outlive a power cut; kill -9 of a server loses nothing either way.
POSTGRES_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "400"}


def begin_run() -> None:
    """Make the run's folder; its workers inherit the path."""
    folder = Path(tempfile.mkdtemp(prefix="ironloop-tests-"))
    folder.chmod(0o755)  # PostgreSQL's own user must reach its data where root runs the tests
    os.environ[RUN_VARIABLE] = str(folder)


def end_run() -> None:
    """Stop what the run started and remove its folder."""
    folder = run_folder()
    for file in folder.glob("*.server.json"):
        stop(Process(**json.loads(file.read_text())["process"]))
    shutil.rmtree(folder, ignore_errors=True)


def run_folder() -> Path:
    """Return the folder of this run."""
    return Path(os.environ[RUN_VARIABLE])


def postgres_dsn() -> str:
    """Return the superuser's DSN of the run's PostgreSQL, started at the first call."""
    if given := os.environ.get("IRONLOOP_POSTGRES_DSN"):
        return given

    def launch(folder: Path) -> tuple[Process, str]:
        server = start_postgres(
            folder, log=folder / "log", password=new_password(), settings=POSTGRES_SETTINGS
        )
        return server.process, server.dsn

    return _shared("postgres", launch)


def kafka_bootstrap() -> str:
    """Return host:port of the run's Kafka, started at the first call."""
    if given := os.environ.get("IRONLOOP_KAFKA_BOOTSTRAP"):
        return given

    def launch(folder: Path) -> tuple[Process, str]:
        server = start_kafka(folder, log=folder / "log")
        return server.process, server.bootstrap

    return _shared("kafka", launch)


async def new_database(service: str) -> str:
    """Return the name of a new, migrated, empty database of a service."""
    server = await asyncio.to_thread(postgres_dsn)
    template = await asyncio.to_thread(_template_of, service)
    database = f"t_{secrets.token_hex(6)}_{service}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(
            f'create database "{database}" template "{template}" strategy wal_log'
        )
    finally:
        await connection.close()
    return database


async def drop_database(database: str) -> None:
    """Remove a database, whoever is connected."""
    connection = await asyncpg.connect(postgres_dsn())
    try:
        await connection.execute(f'drop database if exists "{database}" with (force)')
    finally:
        await connection.close()


def _template_of(service: str) -> str:
    """Return the name of a service's migrated template, made at the first call of the run."""
    template = f"template_{run_folder().name[-8:]}_{service}".lower()
    with _lock(f"template_{service}"):
        made = run_folder() / f"{template}.template"
        if not made.exists():
            asyncio.run(_make_template(service, template))
            made.touch()
    return template


async def _make_template(service: str, template: str) -> None:
    await ensure_role(postgres_dsn(), service, password=ROLE_PASSWORD)
    await ensure_database(postgres_dsn(), service, database=template)


def _shared(name: str, launch: Any) -> str:
    """Return the address of a server of the run, launched by whoever comes first."""
    state = run_folder() / f"{name}.server.json"
    with _lock(name):
        if not state.exists():
            folder = run_folder() / name
            folder.mkdir()
            process, address = launch(folder)
            state.write_text(json.dumps({"process": process.to_json(), "address": address}))
    address_of: str = json.loads(state.read_text())["address"]
    return address_of


@contextmanager
def _lock(name: str) -> Iterator[None]:
    with (run_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
