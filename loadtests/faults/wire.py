"""A TCP proxy between two parts, which can delay, slice, cut and hang what passes."""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

CHUNK_BYTES_MAX = 65_536
SLICES_MAX = 256  # of one chunk; the rest of it passes whole, or a large batch would take minutes
CUT_BYTES_MAX = 20_000
_RESET = struct.pack("ii", 1, 0)  # linger on, for no time: what is closed so sends an RST
LOOK_EVERY_S = 0.05
LOOPBACK = "127.0.0.1"


class LineCut(Exception):
    """A connection was ended in the middle of what it carried."""


@dataclass(eq=False, slots=True)
class Line:
    """One connection through a wire.

    Attributes:
        far_port: The port from which the proxy calls the far part: how that part knows the line.
        carried: Bytes that have passed, both ways.
    """

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    far_port: int
    carried: int = 0

    def cut(self) -> None:
        """Reset it, both ways."""
        for writer in (self.near, self.far):
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _RESET
                )
            writer.transport.abort()


class Trouble(Protocol):
    """What is wrong with a wire for a while; `touched` counts what it has harmed."""

    touched: int

    def begin(self, lines: set[Line]) -> None:
        """Take hold of a wire that has these lines."""
        ...

    async def carry(self, chunk: bytes, line: Line, writer: asyncio.StreamWriter) -> None:
        """Pass a chunk on, or some of it.

        Raises:
            LineCut: The line is to be ended.
        """
        ...

    def end(self) -> None:
        """Let go."""
        ...


@dataclass(slots=True)
class Delay:
    """Every chunk comes late."""

    seconds: float
    touched: int = 0

    def begin(self, lines: set[Line]) -> None:
        """Nothing to do."""

    async def carry(self, chunk: bytes, _line: Line, writer: asyncio.StreamWriter) -> None:
        """Wait, then pass it on."""
        self.touched += 1
        await asyncio.sleep(self.seconds)
        writer.write(chunk)

    def end(self) -> None:
        """Nothing to do."""


@dataclass(slots=True)
class Slice:
    """Every chunk comes in small pieces."""

    size: int
    touched: int = 0

    def begin(self, lines: set[Line]) -> None:
        """Nothing to do."""

    async def carry(self, chunk: bytes, _line: Line, writer: asyncio.StreamWriter) -> None:
        """Pass it on piece by piece, each a segment of its own."""
        end = min(len(chunk), self.size * SLICES_MAX)
        for start in range(0, end, self.size):
            writer.write(chunk[start : min(end, start + self.size)])
            self.touched += 1
            await asyncio.sleep(0)
        writer.write(chunk[end:])

    def end(self) -> None:
        """Nothing to do."""


@dataclass(slots=True)
class Cut:
    """Every line is cut, and each new one after some bytes more, in the middle of a chunk."""

    rng: random.Random
    touched: int = 0
    bytes_max: int = CUT_BYTES_MAX
    _left: dict[Line, int] = field(default_factory=dict)

    def begin(self, lines: set[Line]) -> None:
        """Cut what is there."""
        for line in list(lines):
            self.touched += line.carried > 0
            line.cut()

    async def carry(self, chunk: bytes, line: Line, writer: asyncio.StreamWriter) -> None:
        """Pass on what the line may still carry."""
        left = self._left.setdefault(line, self.rng.randrange(self.bytes_max))
        if len(chunk) > left:
            writer.write(chunk[:left])
            self.touched += 1
            raise LineCut
        self._left[line] = left - len(chunk)
        writer.write(chunk)

    def end(self) -> None:
        """Forget the lines."""
        self._left.clear()


@dataclass(slots=True)
class Hang:
    """Nothing passes, and nobody is told; in the end the lines that waited are cut."""

    touched: int = 0
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, lines: set[Line]) -> None:
        """Nothing to do."""

    async def carry(self, _chunk: bytes, _line: Line, _writer: asyncio.StreamWriter) -> None:
        """Swallow it."""
        self.touched += 1
        await self._over.wait()
        raise LineCut

    def end(self) -> None:
        """Cut the lines that have waited."""
        self._over.set()


@dataclass(eq=False, slots=True)
class Wire:
    """A proxy on a port of its own in front of another port.

    While nobody listens on the other port, nobody does on this one: a client is refused, as it
    would be without the proxy, not accepted and dropped.
    """

    target: int
    port: int
    _server: asyncio.Server | None = None
    _lines: set[Line] = field(default_factory=set)
    _trouble: Trouble | None = None
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Wire"]:
        """Carry connections for the length of the block."""
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)
        try:
            yield self
        finally:
            for task in self._tasks:
                task.cancel()
            if self._server is not None:
                self._server.close()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def begin(self, trouble: Trouble) -> None:
        """Break the wire."""
        self._trouble = trouble
        trouble.begin(self._lines)

    def end(self) -> None:
        """Mend it."""
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            trouble.end()

    def has_line(self, far_port: int) -> bool:
        """Whether the far part sees one of this wire's lines come from a port."""
        return any(line.far_port == far_port for line in self._lines)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self.target)
        except OSError:
            writer.transport.abort()
            await self._refuse()
            return
        line = Line(writer, far_writer, far_writer.get_extra_info("sockname")[1])
        self._lines.add(line)
        pumps = [
            asyncio.ensure_future(self._pump(line, reader, far_writer)),
            asyncio.ensure_future(self._pump(line, far_reader, writer)),
        ]
        try:
            # Either end's error ends both ways; an orderly end of one way leaves the other open.
            await asyncio.gather(*pumps)
        except (LineCut, OSError):
            line.cut()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._lines.discard(line)
            writer.close()
            far_writer.close()

    async def _refuse(self) -> None:
        """Listen no more, until somebody listens behind this wire."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            with contextlib.suppress(OSError):
                _, probe = await asyncio.open_connection(LOOPBACK, self.target)
                probe.transport.abort()
                self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)
                return

    async def _pump(
        self, line: Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while chunk := await reader.read(CHUNK_BYTES_MAX):
            line.carried += len(chunk)
            if self._trouble is None:
                writer.write(chunk)
            else:
                await self._trouble.carry(chunk, line, writer)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()
