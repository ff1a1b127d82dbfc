"""A server that lets a forged token in is found out; one that refuses it, or is away, is not."""

import asyncio
from itertools import count
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from ironloop.settlement.v1 import settlement_pb2 as pb

from infra.local.processes import free_port
from loadtests.faults.journal import Journal
from loadtests.faults.knocking import Knocking
from loadtests.faults.traffic import Client

SERVICE = "ironloop.settlement.v1.SettlementService"
KNOCKS = 3


def door(code: grpc.StatusCode, enough: asyncio.Event) -> grpc.GenericRpcHandler:
    """Return what answers each posting with a code; OK: it lets whoever knocks in."""
    knocks = count(1)

    async def post(_: pb.PostTransferRequest, context: Any) -> pb.TransferResult:
        if next(knocks) >= KNOCKS:
            enough.set()
        if code is not grpc.StatusCode.OK:
            await context.abort(code, "no")
        return pb.TransferResult()

    method = grpc.unary_unary_rpc_method_handler(
        post, pb.PostTransferRequest.FromString, pb.TransferResult.SerializeToString
    )
    return grpc.method_handlers_generic_handler(SERVICE, {"PostTransfer": method})


async def token() -> str:
    return "a token of the issuer"


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (grpc.StatusCode.OK, "let a forged token in"),
        (grpc.StatusCode.INVALID_ARGUMENT, "a forged token was answered INVALID_ARGUMENT: no"),
        (grpc.StatusCode.UNAUTHENTICATED, ""),
        (grpc.StatusCode.UNAVAILABLE, ""),
    ],
)
async def test_a_forged_token_may_be_refused_and_nothing_else(
    code: grpc.StatusCode, problem: str
) -> None:
    enough = asyncio.Event()
    server, port = grpc.aio.server(), free_port()
    server.add_generic_rpc_handlers([door(code, enough)])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    held = ["an old token"]
    stack: Any = SimpleNamespace(token=token)
    async with Client(Journal(), [f"127.0.0.1:{port}"] * 2, lambda: held[0]) as client:
        await Knocking(stack, client, held).run(enough)
        problems = client.journal.problems
    await server.stop(None)
    assert held == ["a token of the issuer"]
    assert all(problem in each for each in problems)
    assert bool(problems) == bool(problem)
