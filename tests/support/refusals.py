"""What a refused call says."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest
from google.rpc import status_pb2
from grpc_status import rpc_status

from services.kit.errors import error_info


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
