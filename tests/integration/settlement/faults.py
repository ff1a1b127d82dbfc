"""Settlement as a process of its own, and a wire in front of it that can lose answers."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.local.paths import ROOT
from infra.local.processes import Process, start, stop
from tests.support import servers
from tests.support.world import World

SERVES_WITHIN_S = 120.0


def environment_of(settings: dict[str, Any]) -> dict[str, str]:
    """Return a world's settings of settlement as the process takes them."""
    named = {
        f"IRONLOOP_SETTLEMENT_{name.upper()}": (
            json.dumps(value) if isinstance(value, dict) else str(value)
        )
        for name, value in settings.items()
    }
    return os.environ | {"PYTHONPATH": str(ROOT)} | named


async def start_process(world: World) -> Process:
    """Start settlement as a process on the world's port and database, and wait for its port."""
    process = await asyncio.to_thread(
        start,
        "settlement",
        [sys.executable, "-m", "services.settlement"],
        log=Path(servers.run_folder()) / "settlement.log",
        environment=environment_of(world.settings_of("settlement")),
        folder=ROOT,
        ends_with_parent=True,
    )
    async with asyncio.timeout(SERVES_WITHIN_S):
        await world.channel("settlement").channel_ready()
    return process


async def kill(process: Process) -> None:
    """Kill a process as a power cut would."""
    await asyncio.to_thread(stop, process, number=signal.SIGKILL)


@dataclass(slots=True)
class Wire:
    """A TCP proxy; once `loses_answers` is set, nothing of the server's reaches the client."""

    target: int
    port: int = 0
    loses_answers: bool = False
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Wire"]:
        """Carry connections for the length of the block."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()

    async def _carry(
        self, client_reader: asyncio.StreamReader, client_writer: asyncio.StreamWriter
    ) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            client_writer.close()
            return
        self._tasks += [
            asyncio.create_task(self._pump(client_reader, writer, is_answer=False)),
            asyncio.create_task(self._pump(reader, client_writer, is_answer=True)),
        ]

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        while content := await reader.read(65_536):
            if is_answer and self.loses_answers:
                continue
            writer.write(content)
            await writer.drain()
        writer.close()
