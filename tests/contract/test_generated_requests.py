"""Whatever a caller sends to any rpc, no answer is INTERNAL or UNKNOWN.

200 requests go to each rpc; `make fuzz` sends 10,000 (IRONLOOP_FUZZ).
"""

import asyncio
import os
import secrets
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.protobuf import text_format
from google.protobuf.message import Message
from ironloop.options.v1 import options_pb2

from infra.local.client import Actor
from services.kit.errors import error_info
from tests.contract.conftest import Everything
from tests.contract.generator import Generator
from tests.contract.rpcs import Rpc
from tests.support.refusals import status_of

EACH = int(os.environ.get("IRONLOOP_FUZZ", "200"))
SEED = int(os.environ.get("IRONLOOP_FUZZ_SEED", "20261124"))
AT_ONCE = 16
ROUND = 20  # requests to one rpc before the next one's turn, so that rows exist to name
TIMEOUT_S = 5.0
FAILURES_SHOWN = 12
ROLES = sorted(name.removeprefix("ROLE_") for name, number in options_pb2.Role.items() if number)

# A retriable refusal is an answer too, but only where the service says why.
REFUSALS_OF_THE_MOMENT = {
    "PEER_UNAVAILABLE",
    "REQUEST_RUNNING",
    "SAGA_RUNNING",
    "CONTENTION",
    "BROKER_UNAVAILABLE",
}
NEVER = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.DATA_LOSS,
}


@dataclass(slots=True)
class Tally:
    """What came of the requests.

    Attributes:
        codes: How often each rpc answered with each code.
        failures: What must never happen, with the request that did it.
    """

    codes: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def note(self, rpc: Rpc, code: grpc.StatusCode) -> None:
        """Count an answer."""
        self.codes.setdefault(str(rpc), Counter())[code.name] += 1

    def total(self) -> Counter[str]:
        """Return the answers of all rpcs by code."""
        return sum(self.codes.values(), Counter())


class Sender:
    """Sends generated requests as somebody who may."""

    def __init__(self, everything: Everything, actors: dict[str, list[Actor]]) -> None:
        self.everything = everything
        self.actors = actors
        self.generator = Generator(SEED)
        self.tally = Tally()

    async def send(self, rpc: Rpc, count: int) -> None:
        """Send some requests to an rpc, a few at a time."""
        waiting = [self.generator.request(rpc.request_type) for _ in range(count)]
        for start in range(0, count, AT_ONCE):
            batch = waiting[start : start + AT_ONCE]
            await asyncio.gather(*(self._send_one(rpc, request) for request in batch))

    async def _send_one(self, rpc: Rpc, request: Message) -> None:
        metadata = []
        if not rpc.access.public:
            role = self.generator.dice.choice(list(rpc.access.roles))
            name = options_pb2.Role.Name(role).removeprefix("ROLE_")
            token = self.generator.dice.choice(self.actors[name]).token
            metadata = [("authorization", f"Bearer {token}")]
        channel = self.everything.world.channel(rpc.service)
        try:
            answers = await rpc.call(
                channel, request.SerializeToString(), metadata=metadata, timeout=TIMEOUT_S
            )
        except grpc.aio.AioRpcError as error:
            self.tally.note(rpc, error.code())
            self._judge(rpc, request, error)
            return
        self.tally.note(rpc, grpc.StatusCode.OK)
        for answer in answers:
            self.generator.learn(answer)

    def _judge(self, rpc: Rpc, request: Message, error: grpc.aio.AioRpcError) -> None:
        reason = error_info(status_of(error)).reason
        is_unexplained = (
            error.code() is grpc.StatusCode.UNAVAILABLE and reason not in REFUSALS_OF_THE_MOMENT
        )
        if error.code() in NEVER or is_unexplained:
            text = text_format.MessageToString(request, as_one_line=True, as_utf8=True)
            self.tally.failures.append(
                f"{rpc}: {error.code().name} {reason} {error.details()}\n    {text[:600]}"
            )


async def test_no_generated_request_is_answered_internal(everything: Everything) -> None:
    world = everything.world
    roles = [role for role in ROLES if role != "SERVICE"]
    several = [await world.party(*roles, legal_name=f"Fuzz {secrets.token_hex(4)}") for _ in "ab"]
    actors = dict.fromkeys(roles, several)
    actors["SERVICE"] = [world.service("finance"), world.service("procurement")]
    sender = Sender(everything, actors)
    sender.generator.names["parties"] += [actor.party for actor in several]
    for sent in range(0, EACH, ROUND):
        for rpc in everything.rpcs:
            await sender.send(rpc, min(ROUND, EACH - sent))
    _write_report(sender.tally)
    failures = sender.tally.failures
    assert not failures, f"{len(failures)} failures:\n" + "\n".join(failures[:FAILURES_SHOWN])
    total = sender.tally.total()
    assert total.total() == EACH * len(everything.rpcs)
    assert total["OK"] > total.total() * 0.1, f"hardly a request got through: {total}"
    assert total["INVALID_ARGUMENT"] > total.total() * 0.1, f"hardly one was refused: {total}"
    assert total["DEADLINE_EXCEEDED"] < total.total() * 0.01, f"too many hang: {total}"


def _write_report(tally: Tally) -> None:
    """Keep what each rpc answered, for whoever wants to know how deep the requests got."""
    lines = [
        f"{rpc:60} " + " ".join(f"{code}={count}" for code, count in sorted(codes.items()))
        for rpc, codes in sorted(tally.codes.items())
    ]
    folder = Path("build") / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "codes.txt").write_text("\n".join(lines) + "\n")
