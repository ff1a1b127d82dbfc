"""A wire carries everything unharmed, unless it is told otherwise; then it does what it says."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from infra.local.processes import free_port
from loadtests.faults.wire import LOOPBACK, Cut, Delay, Hang, Slice, Trouble, Wire

MESSAGE = bytes(range(256)) * 40
WITHIN_S = 60.0

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def wire_to_an_echo() -> AsyncIterator[Wire]:
    """Hold a wire open to a server that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65_536):
                writer.write(chunk)
        writer.close()

    server = await asyncio.start_server(echo, LOOPBACK, 0)
    async with server, Wire(server.sockets[0].getsockname()[1], free_port()).open() as wire:
        yield wire


async def said_back(line: Line) -> bytes:
    """Send the message and return as much of it as comes back."""
    reader, writer = line
    writer.write(MESSAGE)
    answer = b""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(WITHIN_S):
            while len(answer) < len(MESSAGE) and (chunk := await reader.read(65_536)):
                answer += chunk
    return answer


@pytest.mark.parametrize("trouble", [Delay(0.05), Slice(7)])
async def test_what_is_late_or_sliced_arrives_whole(trouble: Trouble) -> None:
    async with wire_to_an_echo() as wire:
        wire.begin(trouble)
        line = await asyncio.open_connection(LOOPBACK, wire.port)
        assert await said_back(line) == MESSAGE
        assert trouble.touched >= 2
        wire.end()
        touched = trouble.touched
        assert await said_back(line) == MESSAGE
        assert trouble.touched == touched


async def test_a_cut_ends_lines_in_the_middle_and_a_mended_wire_carries_again() -> None:
    async with wire_to_an_echo() as wire:
        line = await asyncio.open_connection(LOOPBACK, wire.port)
        assert await said_back(line) == MESSAGE
        trouble = Cut(random.Random(1))
        wire.begin(trouble)
        assert await said_back(line) != MESSAGE
        assert trouble.touched == 1
        for _ in range(20):
            await said_back(await asyncio.open_connection(LOOPBACK, wire.port))
        assert trouble.touched > 5
        wire.end()
        assert await said_back(await asyncio.open_connection(LOOPBACK, wire.port)) == MESSAGE


async def test_a_wire_that_hangs_swallows_what_it_gets_and_cuts_the_line_in_the_end() -> None:
    async with wire_to_an_echo() as wire:
        reader, writer = await asyncio.open_connection(LOOPBACK, wire.port)
        trouble = Hang()
        wire.begin(trouble)
        writer.write(MESSAGE)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        wire.end()
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(reader.readexactly(1), WITHIN_S)
        assert trouble.touched == 1


async def test_a_wire_refuses_while_nobody_listens_behind_it() -> None:
    port = free_port()
    async with Wire(port, free_port()).open() as wire:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(LOOPBACK, wire.port)
            writer.close()
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(ConnectionRefusedError):
                while True:
                    _, writer = await asyncio.open_connection(LOOPBACK, wire.port)
                    writer.close()
                    await asyncio.sleep(0.01)
        server = await asyncio.start_server(lambda _, writer: writer.close(), LOOPBACK, port)
        async with server, asyncio.timeout(WITHIN_S):
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    await asyncio.open_connection(LOOPBACK, wire.port)
                    break
                await asyncio.sleep(0.01)
