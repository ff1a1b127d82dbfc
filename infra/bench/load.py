"""Callers: so many at a time for a while, or so many a second."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc

Metadata = Sequence[tuple[str, str]]


async def calls_per_second(
    channel: grpc.aio.Channel,
    path: str,
    *,
    requests: Callable[[], bytes],
    metadata: Metadata,
    in_flight: int,
    seconds: float,
) -> float:
    """Call with `in_flight` callers, each at once again when it is answered."""
    call: Any = channel.unary_unary(path)
    started_s = time.perf_counter()
    ends_s = started_s + seconds

    async def caller() -> int:
        count = 0
        while time.perf_counter() < ends_s:
            await call(requests(), metadata=metadata)
            count += 1
        return count

    counts = await asyncio.gather(*(caller() for _ in range(in_flight)))
    return sum(counts) / (time.perf_counter() - started_s)


async def at_rate(
    channel: grpc.aio.Channel,
    path: str,
    *,
    requests: Callable[[], bytes],
    metadata: Metadata,
    per_second: float,
    seconds: float,
) -> None:
    """Call at a steady rate, whether or not earlier calls are answered."""
    call: Any = channel.unary_unary(path)
    started_s = time.perf_counter()
    under_way = []
    for number in range(int(per_second * seconds)):
        await asyncio.sleep(started_s + number / per_second - time.perf_counter())
        under_way.append(asyncio.ensure_future(call(requests(), metadata=metadata)))
    await asyncio.gather(*under_way)
