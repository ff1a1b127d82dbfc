"""What goes over the links to parties: fresh tokens, and keys for tokens that nobody issued."""

import asyncio
import time
from dataclasses import dataclass, field
from uuid import uuid4

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ironloop.settlement.v1 import settlement_pb2 as pb

from loadtests.faults.stack import CALLER, REPLICAS, Stack
from loadtests.faults.traffic import DEADLINE_S, Client, describe

KNOCKS_EVERY_S = 0.2
FORGED_FOR_S = 60
# A forged token is refused, or, where the issuer's keys cannot be read, left open.
_REFUSALS = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
    }
)


@dataclass(slots=True)
class Knocking:
    """Renews the load's token all the time, and knocks with tokens of a key that is not published.

    Each of those makes a replica ask parties for its keys; none may ever be let in.

    Attributes:
        token: The load's, in a list of one.
    """

    stack: Stack
    client: Client
    token: list[str]
    _key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    async def run(self, stopping: asyncio.Event) -> None:
        """Go on until told to stop."""
        await asyncio.gather(
            self._renew(stopping), *(self._knock(replica, stopping) for replica in (0, 1))
        )

    async def _renew(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            self.token[0] = await self.stack.token()
            await asyncio.sleep(KNOCKS_EVERY_S)

    async def _knock(self, replica: int, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            stub = self.client.stub(replica, token=self._forged())
            try:
                await stub.PostTransfer(pb.PostTransferRequest(), timeout=DEADLINE_S)
                self.client.journal.find(f"{REPLICAS[replica]} let a forged token in")
            except grpc.aio.AioRpcError as error:
                if error.code() not in _REFUSALS:
                    self.client.journal.find(f"a forged token was answered {describe(error)}")
            await asyncio.sleep(KNOCKS_EVERY_S)

    def _forged(self) -> str:
        """Return a token that lacks nothing but the issuer's signature."""
        claims = {
            "iss": "ironloop-local",
            "aud": "ironloop",
            "sub": f"services/{CALLER}",
            "roles": ["SERVICE"],
            "exp": int(time.time()) + FORGED_FOR_S,
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": str(uuid4())})
