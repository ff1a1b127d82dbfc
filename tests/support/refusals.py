"""What a refused call says, and a call that is sent again while it is."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_status import rpc_status

from services.kit.errors import error_info

Answer = TypeVar("Answer", bound=Message)

WITHIN_S = 60.0


class Refusal:
    """A refusal that a block of `refused` met; filled once the block has ended.

    Attributes:
        code: The status code.
        status: The whole google.rpc.Status.
        metadata: The facts of its ErrorInfo.
    """

    code: grpc.StatusCode
    status: status_pb2.Status
    metadata: dict[str, str]


@contextmanager
def refused(reason: str) -> Iterator[Refusal]:
    """Expect the block's call to be refused for `reason` (the ErrorInfo's)."""
    refusal = Refusal()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield refusal
    refusal.code = caught.value.code()
    refusal.status = status_of(caught.value)
    info = error_info(refusal.status)
    refusal.metadata = dict(info.metadata)
    assert info.reason == reason, f"refused for {info.reason}: {caught.value.details()}"


def status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """Return the google.rpc.Status of a failed call."""
    status = rpc_status.from_call(error)
    if status is None:
        return status_pb2.Status(code=error.code().value[0], message=error.details() or "")
    return status


async def finished(call: Callable[..., Awaitable[Answer]], request: Message) -> Answer:
    """Send a request again, as its sender would, until its first call is no longer at work.

    Raises:
        TimeoutError: It still is after a minute.
    """
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                return await call(request, wait_for_ready=True)
            except grpc.aio.AioRpcError as error:
                if error_info(status_of(error)).reason != "REQUEST_RUNNING":
                    raise
            await asyncio.sleep(0.05)
