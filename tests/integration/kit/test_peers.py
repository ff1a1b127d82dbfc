"""Calls to peers: what is tried again, what is final, and whose token they carry."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import grpc
import pytest
import pytest_asyncio
from google.protobuf import duration_pb2
from grpc_status import rpc_status
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from services.kit import telemetry
from services.kit.clients import PeerRefused, Peers, PeerUnavailable
from services.kit.errors import Aborted, DomainError, NotFound, Unauthenticated, Unavailable
from services.kit.etags import EtagMismatch

NAME = "parties/0190a0a0-0000-7000-8000-000000000000"


class ScriptedPeer(parties_pb2_grpc.PartiesServiceServicer):
    """A peer and issuer that answers what it is told to, and keeps what it was asked.

    Attributes:
        refusals: What the next calls of GetParty are refused with.
    """

    def __init__(self) -> None:
        self.refusals: list[DomainError] = []
        self.calls: list[dict[str, Any]] = []
        self.asked_for: list[str] = []
        self.issue_refusals: list[DomainError] = []
        self.answer_after_s = 0.0

    async def IssueToken(  # noqa: N802
        self, request: parties_pb2.IssueTokenRequest, context: Any
    ) -> parties_pb2.IssueTokenResponse:
        """Issue a token that says whose it is and which one."""
        self.asked_for.append(request.client.on_behalf_of)
        await asyncio.sleep(0.05)
        if self.issue_refusals:
            await self._refuse(self.issue_refusals.pop(0), context)
        return parties_pb2.IssueTokenResponse(
            token=f"{request.client.on_behalf_of}#{len(self.asked_for)}",
            lifetime=duration_pb2.Duration(seconds=3_600),
        )

    async def GetParty(  # noqa: N802
        self, request: parties_pb2.GetPartyRequest, context: Any
    ) -> parties_pb2.Party:
        """Answer, or refuse as scripted."""
        self.calls.append(dict(context.invocation_metadata()))
        await asyncio.sleep(self.answer_after_s)
        if self.refusals:
            await self._refuse(self.refusals.pop(0), context)
        return parties_pb2.Party(name=request.name)

    async def _refuse(self, refusal: DomainError, context: Any) -> None:
        await context.abort_with_status(rpc_status.to_status(refusal.to_status()))

    def tokens(self) -> list[str]:
        """Return the tokens of the calls."""
        return [call["authorization"].removeprefix("Bearer ") for call in self.calls]


class Caller:
    """A service that calls the scripted peer."""

    def __init__(self, address: str) -> None:
        self.peers = Peers({"parties": address}, service="probe", secret="s")

    async def get(self, **options: Any) -> parties_pb2.Party:
        """Ask for a party."""
        stub = self.peers.stub("parties", parties_pb2_grpc.PartiesServiceStub)
        return await self.peers.call(
            stub.GetParty, parties_pb2.GetPartyRequest(name=NAME), **options
        )


@pytest_asyncio.fixture(loop_scope="session")
async def peer() -> AsyncIterator[tuple[ScriptedPeer, Caller]]:
    scripted = ScriptedPeer()  # type: ignore[abstract]  # it answers two rpcs only
    server = grpc.aio.server()
    parties_pb2_grpc.add_PartiesServiceServicer_to_server(scripted, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    caller = Caller(f"127.0.0.1:{port}")
    yield scripted, caller
    await caller.peers.close()
    await server.stop(0)


Both = tuple[ScriptedPeer, Caller]


async def test_a_token_is_asked_for_once_and_shared(peer: Both) -> None:
    scripted, caller = peer
    await asyncio.gather(*(caller.get() for _ in range(20)))
    assert scripted.asked_for == [""]
    assert set(scripted.tokens()) == {"#1"}


async def test_a_call_for_a_user_carries_the_users_own_token(peer: Both) -> None:
    scripted, caller = peer
    await caller.get(on_behalf_of="users/1")
    await caller.get(on_behalf_of="services/other")  # a service speaks for itself
    assert scripted.tokens() == ["users/1#1", "#2"]


async def test_a_token_that_is_not_accepted_any_more_is_renewed(peer: Both) -> None:
    scripted, caller = peer
    await caller.get()
    scripted.refusals = [Unauthenticated("the token's key is not one of the issuer's")]
    await caller.get()
    assert scripted.tokens() == ["#1", "#1", "#2"]
    scripted.refusals = [Unauthenticated("no"), Unauthenticated("no")]
    with pytest.raises(PeerUnavailable):
        await caller.get()


async def test_a_peer_that_does_not_answer_is_tried_three_times(peer: Both) -> None:
    scripted, caller = peer
    scripted.refusals = [Unavailable("away"), Unavailable("away")]
    assert (await caller.get()).name == NAME
    scripted.refusals = [Unavailable("away")] * 5
    with pytest.raises(PeerUnavailable):
        await caller.get()
    assert len(scripted.calls) == 6


async def test_a_peer_that_says_when_is_asked_again_then(peer: Both) -> None:
    scripted, caller = peer
    scripted.refusals = [Aborted("still running", retry_after_s=0.05) for _ in range(6)]
    started_s = asyncio.get_running_loop().time()
    assert (await caller.get()).name == NAME
    assert asyncio.get_running_loop().time() - started_s >= 0.3
    assert len(scripted.calls) == 7


async def test_no_wait_goes_beyond_the_deadline(peer: Both) -> None:
    scripted, caller = peer
    scripted.refusals = [Aborted("still running", retry_after_s=0.2) for _ in range(50)]
    started_s = asyncio.get_running_loop().time()
    with pytest.raises(PeerUnavailable):
        await caller.get(deadline_s=0.5)
    assert asyncio.get_running_loop().time() - started_s < 1.0


async def test_a_slow_peer_is_cut_at_the_deadline(peer: Both) -> None:
    scripted, caller = peer
    scripted.answer_after_s = 5
    with pytest.raises(PeerUnavailable, match="DEADLINE_EXCEEDED"):
        await caller.get(deadline_s=0.3)


@pytest.mark.parametrize("make", [lambda: NotFound(NAME), lambda: EtagMismatch('"1"', '"2"')])
async def test_a_definite_refusal_is_final_and_carries_its_reason(
    peer: Both, make: Callable[[], DomainError]
) -> None:
    scripted, caller = peer
    scripted.refusals = [make()]
    with pytest.raises(PeerRefused) as caught:
        await caller.get()
    assert caught.value.reason == make().reason
    assert caught.value.is_definite
    assert len(scripted.calls) == 1


async def test_what_the_issuer_refuses_is_never_the_peers_refusal(peer: Both) -> None:
    scripted, caller = peer
    scripted.issue_refusals = [NotFound("users/1")]
    with pytest.raises(PeerUnavailable):
        await caller.get()
    assert not scripted.calls
    assert (await caller.get()).name == NAME


async def test_an_outside_issuer_gives_the_tokens_where_one_is_set(peer: Both) -> None:
    scripted, caller = peer
    asked: list[dict[str, list[str]]] = []

    class Issuer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked.append(parse_qs(body))
            answer = {"access_token": f"outside {len(asked)}", "expires_in": 600}
            self.send_response(200 if len(asked) < 3 else 401)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    caller.peers = Peers(
        caller.peers._addresses,
        service="probe",
        secret="s",
        token_url=f"http://127.0.0.1:{server.server_port}/token",
    )
    await caller.get()
    await caller.get(on_behalf_of="users/1")
    with pytest.raises(PeerUnavailable):
        await caller.get(on_behalf_of="users/2")
    server.shutdown()
    server.server_close()
    assert scripted.tokens() == ["outside 1", "outside 2"]
    assert not scripted.asked_for
    assert asked[0]["client_id"] == ["services/probe"] and "on_behalf_of" not in asked[0]
    assert asked[1]["on_behalf_of"] == ["users/1"]


async def test_a_call_goes_on_with_the_present_trace(peer: Both) -> None:
    scripted, caller = peer
    with telemetry.span("outer"):
        expected = telemetry.traceparent()
        await caller.get()
    assert scripted.calls[0]["traceparent"] == expected


async def test_nobody_listening_is_unavailable() -> None:
    caller = Caller("127.0.0.1:1")
    with pytest.raises(PeerUnavailable):
        await caller.get(deadline_s=2)
    await caller.peers.close()
