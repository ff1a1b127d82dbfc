"""The yardstick of databases: PostgreSQL's own pgbench, TPC-B, prepared, on the bench's server."""

import asyncio
import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg

from infra.local.databases import dsn_of
from infra.local.postgres import binary

CLIENTS, THREADS = 16, 2
_TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


class PgbenchFailed(Exception):
    """pgbench ended with an error, or its figure is not what the tables hold."""


@dataclass(frozen=True, slots=True)
class Tpcb:
    """A pgbench database of one scale: 100,000 accounts a unit, ten tellers, one branch row."""

    server_dsn: str
    scale: int

    @property
    def database(self) -> str:
        """Return the name of its database."""
        return f"tpcb_{self.scale}"

    async def prepare(self) -> None:
        """Make the database and fill it.

        Raises:
            PgbenchFailed: pgbench refused.
        """
        owner = await asyncpg.connect(self.server_dsn)
        await owner.execute(f"create database {self.database}")
        await owner.close()
        await self._pgbench("-i", "-q", "-s", str(self.scale))

    async def per_second(self, seconds: int) -> float:
        """Return transactions a second; pgbench's own count must be that of the history table.

        Raises:
            PgbenchFailed: It is not, or pgbench refused.
        """
        before = await self._count()
        clients = ["-c", str(CLIENTS), "-j", str(THREADS)]
        # -n: the tables are vacuumed by the server itself; a vacuum empties the history.
        output = await self._pgbench("-n", "-M", "prepared", *clients, "-T", str(seconds))
        counted = await self._count() - before
        tps = _TPS.search(output)
        done = re.search(r"actually processed: (\d+)", output)
        if tps is None or done is None or int(done[1]) != counted:
            raise PgbenchFailed(f"pgbench says otherwise than {counted} new rows:\n{output}")
        return float(tps[1])

    async def _count(self) -> int:
        owner = await asyncpg.connect(dsn_of(self.server_dsn, database=self.database))
        try:
            count: int = await owner.fetchval("select count(*) from pgbench_history")
            return count
        finally:
            await owner.close()

    async def _pgbench(self, *arguments: str) -> str:
        server = urlsplit(self.server_dsn)
        environment = os.environ | {
            "PGHOST": str(server.hostname),
            "PGPORT": str(server.port),
            "PGUSER": str(server.username),
            "PGPASSWORD": str(server.password),
        }
        pgbench = await asyncio.create_subprocess_exec(
            binary("pgbench"),
            *arguments,
            self.database,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, complaint = await pgbench.communicate()
        if pgbench.returncode != 0:
            raise PgbenchFailed(complaint.decode(errors="replace"))
        return output.decode()
