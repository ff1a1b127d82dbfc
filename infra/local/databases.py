"""One database and one role a service, and the migrations of the kit and of the service in it.

The role owns nothing: it reads and writes rows. Tables belong to the superuser who migrates, so
a migration can take rights away from the service (settlement's ledger is insert-only).
"""

import asyncio
import os
import subprocess
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from infra.local.paths import ROOT, VENV_BIN

KIT_MIGRATIONS = ROOT / "services" / "kit" / "migrations"
LOCK_TIMEOUT_MS = 5_000  # a migration that waits longer for a table holds up every call on it
STATEMENT_TIMEOUT_MS = 600_000


class MigrationFailed(Exception):
    """A migration was refused; the message holds what PostgreSQL said."""


def role_of(service: str) -> str:
    """Return the name of a service's role, the same in every database of a server."""
    return f"ironloop_{service}"


def dsn_of(server_dsn: str, *, database: str, user: str = "", password: str = "") -> str:
    """Return a server's DSN with another database, and with another user where one is named."""
    parts = urlsplit(server_dsn)
    location = parts.netloc
    if user:
        location = f"{quote(user)}:{quote(password)}@{location.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=location, path=f"/{database}"))


async def ensure_role(server_dsn: str, service: str, *, password: str) -> None:
    """Make a service's role, or give it this password.

    Raises:
        asyncpg.PostgresError: The server refused.
    """
    connection = await asyncpg.connect(server_dsn)
    try:
        role = role_of(service)
        exists = await connection.fetchval("select true from pg_roles where rolname = $1", role)
        verb = "alter" if exists else "create"
        literal = await connection.fetchval("select quote_literal($1::text)", password)
        await connection.execute(f"{verb} role {role} login password {literal}")
    finally:
        await connection.close()


async def ensure_database(server_dsn: str, service: str, *, database: str) -> None:
    """Make a service's database where there is none, and migrate it.

    Raises:
        MigrationFailed: A migration was refused.
    """
    connection = await asyncpg.connect(server_dsn)
    try:
        exists = await connection.fetchval(
            "select true from pg_database where datname = $1", database
        )
        if not exists:
            await connection.execute(f'create database "{database}"')
    finally:
        await connection.close()
    dsn = dsn_of(server_dsn, database=database)
    await _grant(dsn, role_of(service))
    await asyncio.to_thread(_migrate, dsn, service)


async def _grant(dsn: str, role: str) -> None:
    """Let the role read and write the rows of tables that are made from now on."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            f"""
            alter default privileges in schema public
                grant select, insert, update, delete on tables to {role};
            alter default privileges in schema public
                grant usage, select on sequences to {role};
            """
        )
    finally:
        await connection.close()


def _migrate(dsn: str, service: str) -> None:
    own = ROOT / "services" / service / "migrations"
    folders = [folder for folder in (KIT_MIGRATIONS, own) if Path(folder).is_dir()]
    done = subprocess.run(
        [
            str(VENV_BIN / "dbmate"),
            "--no-dump-schema",
            *(f"--migrations-dir={folder}" for folder in folders),
            "migrate",
        ],
        env=os.environ | {"DATABASE_URL": _for_migrations(dsn)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise MigrationFailed(f"{service}: {done.stdout}{done.stderr}")


def _for_migrations(dsn: str) -> str:
    """Add timeouts, and say that TLS is not asked for, as dbmate otherwise demands it."""
    asked = [f"lock_timeout={LOCK_TIMEOUT_MS}", f"statement_timeout={STATEMENT_TIMEOUT_MS}"]
    if "sslmode=" not in dsn:
        asked.append("sslmode=disable")
    return f"{dsn}{'&' if urlsplit(dsn).query else '?'}{'&'.join(asked)}"
