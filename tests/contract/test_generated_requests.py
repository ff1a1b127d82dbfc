"""Whatever a caller sends to any rpc, no answer is INTERNAL or UNKNOWN.

200 requests go to each rpc; `make fuzz` sends 10,000 (IRONLOOP_FUZZ).
"""

import asyncio
import os
import re
import secrets
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from buf.validate import validate_pb2
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
pytestmark = pytest.mark.timeout(600 + EACH * 3)  # all requests are sent before the first test
AT_ONCE = 16
ROUND = 20  # requests to one rpc before the next one's turn, so that rows exist to name
TIMEOUT_S = 5.0
FAILURES_SHOWN = 12
NAMES_LOOKED_AT = 20
# The platform's own roles, which look at every party's rows; a validator at every valuation.
SEEING_ALL = {"SERVICE", "AUDITOR", "ADMIN", "OPERATOR", "MODEL_VALIDATOR", "CLEARING_OPERATOR"}
# What is everybody's to see: identities, published terms and texts, models, open pools.
PUBLIC = {
    "GetParty",
    "GetPolicy",
    "GetConsentText",
    "GetLeaseProgramme",
    "GetModelCard",
    "GetPool",
    "GetPartFamily",
    "GetPlanTemplate",
    "GetAuction",
    "GetIncrementPolicy",
}
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

    def names_for(self, rpc: Rpc) -> list[str]:
        """Return a few names of rows that the rpc's request can ask for."""
        field = rpc.method.input_type.fields_by_name["name"]
        pattern = field.GetOptions().Extensions[validate_pb2.field].string.pattern
        known = (name for names in self.generator.names.values() for name in names)
        fitting = [name for name in known if pattern and re.fullmatch(pattern, name)]
        return fitting[:NAMES_LOOKED_AT]

    async def code_of(
        self, rpc: Rpc, name: str, metadata: list[tuple[str, str]]
    ) -> grpc.StatusCode:
        """Ask for a row by its name."""
        request = rpc.request_type(name=name)
        channel = self.everything.world.channel(rpc.service)
        try:
            await rpc.call(
                channel, request.SerializeToString(), metadata=metadata, timeout=TIMEOUT_S
            )
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK

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


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sent(everything: Everything) -> Sender:
    """Return who has sent every request."""
    world = everything.world
    roles = [role for role in ROLES if role != "SERVICE"]
    several = [await world.party(*roles, legal_name=f"Fuzz {secrets.token_hex(4)}") for _ in "ab"]
    actors = dict.fromkeys(roles, several)
    actors["SERVICE"] = [world.service("finance"), world.service("procurement")]
    sender = Sender(everything, actors)
    sender.generator.names["parties"] += [actor.party for actor in several]
    for count in range(0, EACH, ROUND):
        for rpc in everything.rpcs:
            await sender.send(rpc, min(ROUND, EACH - count))
    _write_report(sender.tally)
    return sender


async def test_no_generated_request_is_answered_internal(sent: Sender) -> None:
    failures = sent.tally.failures
    assert not failures, f"{len(failures)} failures:\n" + "\n".join(failures[:FAILURES_SHOWN])
    total = sent.tally.total()
    assert total.total() == EACH * len(sent.everything.rpcs)
    assert total["OK"] > total.total() * 0.1, f"hardly a request got through: {total}"
    assert total["INVALID_ARGUMENT"] > total.total() * 0.1, f"hardly one was refused: {total}"
    assert total["DEADLINE_EXCEEDED"] < total.total() * 0.01, f"too many hang: {total}"


async def test_another_partys_row_is_not_found(sent: Sender) -> None:
    """Whatever rows exist by now, a party that has made none of them sees those that are public."""
    world = sent.everything.world
    roles = [role for role in ROLES if role not in SEEING_ALL]
    stranger = await world.party(*roles, legal_name="Stranger")
    bearer = [("authorization", f"Bearer {stranger.token}")]
    seen, found = [], 0
    for rpc in sent.everything.rpcs:
        fields = rpc.method.input_type.fields_by_name
        may = {options_pb2.Role.Value(f"ROLE_{role}") for role in roles} & set(rpc.access.roles)
        if not rpc.method.name.startswith("Get") or "name" not in fields or not may:
            continue
        for name in sent.names_for(rpc):
            found += 1
            code = await sent.code_of(rpc, name, bearer)
            if code is grpc.StatusCode.OK and rpc.method.name not in PUBLIC:
                seen.append(f"{rpc} shows {name} to a stranger")
            elif code not in (grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND):
                seen.append(f"{rpc} answers {code.name} for {name}")
    assert not seen, "\n".join(seen)
    assert found > 10, "no rows were there to be looked at"


def _write_report(tally: Tally) -> None:
    """Keep what each rpc answered, for whoever wants to know how deep the requests got."""
    lines = [
        f"{rpc:60} " + " ".join(f"{code}={count}" for code, count in sorted(codes.items()))
        for rpc, codes in sorted(tally.codes.items())
    ]
    folder = Path("build") / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "codes.txt").write_text("\n".join(lines) + "\n")
