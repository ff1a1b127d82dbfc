"""Callers of settlement that count what was answered, and callers that keep a steady pace."""

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
from ironloop.settlement.v1 import settlement_pb2

from infra.bench.load import Metadata

SERVICE = "/ironloop.settlement.v1.SettlementService"
ANSWERED_WITHIN_S = 60.0
RETRY_S = 0.05
# A server with as many calls as it takes ends further ones with CANCELLED.
_TURNED_AWAY = frozenset({grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED})


class Answers:
    """What became of transfers, counted by result code."""

    def __init__(self) -> None:
        self.codes: Counter[int] = Counter()

    def batch(self, raw: bytes) -> None:
        """Count the results of a PostTransfers."""
        answer = settlement_pb2.PostTransfersResponse.FromString(raw)
        self.codes.update(result.code for result in answer.results)

    def single(self, raw: bytes) -> None:
        """Count the result of a PostTransfer."""
        self.codes[settlement_pb2.TransferResult.FromString(raw).code] += 1

    @property
    def created(self) -> int:
        """Return how many transfers are in the ledger by their answers.

        EXISTS is the answer to one that was sent again; no id is ever used twice here.
        """
        exists = self.codes[settlement_pb2.RESULT_CODE_EXISTS]
        return self.codes[settlement_pb2.RESULT_CODE_CREATED] + exists

    @property
    def refused(self) -> int:
        """Return how many were refused."""
        return self.codes.total() - self.created


async def all_at_once(
    channel: grpc.aio.Channel,
    method: str,
    requests: Sequence[bytes],
    *,
    metadata: Metadata,
    in_flight: int,
) -> tuple[float, list[bytes]]:
    """Send every request, `in_flight` at a time; return the seconds it took, and the answers."""
    call: Any = channel.unary_unary(method)
    waiting = iter(requests)
    answers: list[bytes] = []

    async def caller() -> None:
        for request in waiting:
            answers.append(await call(request, metadata=metadata, timeout=ANSWERED_WITHIN_S))

    with _no_collector():
        started_s = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(in_flight)))
        return time.perf_counter() - started_s, answers


async def at_pace(
    channel: grpc.aio.Channel,
    method: str,
    requests: Sequence[bytes],
    *,
    metadata: Metadata,
    per_second: float,
) -> tuple[list[float], list[bytes]]:
    """Send requests at a steady pace, whether or not earlier ones are answered.

    A request that the server turns away, because too much waits, is sent again as it is.

    Returns the milliseconds from the instant at which each should have been sent to its answer,
    and the answers.
    """
    call: Any = channel.unary_unary(method)
    took_ms: list[float] = []
    answers: list[bytes] = []

    async def one(request: bytes, intended_s: float) -> None:
        while True:
            try:
                answer = await call(request, metadata=metadata, timeout=ANSWERED_WITHIN_S)
                break
            except grpc.aio.AioRpcError as error:
                if error.code() not in _TURNED_AWAY:
                    raise
                await asyncio.sleep(RETRY_S)
        answers.append(answer)
        took_ms.append((time.perf_counter() - intended_s) * 1000)

    under_way = []
    with _no_collector():
        started_s = time.perf_counter()
        for number, request in enumerate(requests):
            intended_s = started_s + number / per_second
            await asyncio.sleep(max(0.0, intended_s - time.perf_counter()))
            under_way.append(asyncio.ensure_future(one(request, intended_s)))
        await asyncio.gather(*under_way)
    return took_ms, answers


@contextmanager
def _no_collector() -> Iterator[None]:
    """Keep the callers' garbage collector away for a while: its pauses are no server's delay."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def p99(values: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return sorted(values)[int(len(values) * 0.99)]
