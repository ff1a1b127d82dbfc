"""The load: writers that retry until they know, and repeat and alter what they sent before.

This is Jepsen's idempotence workload on a ledger: the same ids come again, at once through both
replicas, much later, and with another amount.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import grpc
from ironloop.settlement.v1 import settlement_pb2 as pb
from ironloop.settlement.v1 import settlement_pb2_grpc as rpc

from infra.local.client import AuthorisedChannel
from loadtests.faults.journal import Journal
from services.kit.clients import CHANNEL_OPTIONS
from services.kit.ids import new_id

WRITERS = 4
CALLS_MAX = 2_000  # of a round, all writers together
PAUSE_S = 0.05
DEADLINE_S = 2.0
RETRY_S = 0.1
BATCH_MAX = 12
STREAM_BATCHES_MAX = 4
KEPT_REQUESTS = 40  # of earlier rounds, sent again in later ones
WALLETS = 12
FUNDED_FEN = 100_000
HOLD_TIMEOUT_S = 2

# What a call that fails leaves open; every other code is a defect here.
_OPEN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
    }
)

# What grpc.aio says by itself where a stream's line breaks as it is opened; no server sent it.
OF_THE_CLIENT = "Internal error from Core"

Request = tuple[pb.Transfer, ...]


@dataclass(slots=True)
class Client:
    """Calls the replicas, through their wires, and notes everything in the journal."""

    journal: Journal
    addresses: Sequence[str]
    token: Callable[[], str]
    _channels: list[grpc.aio.Channel] = field(default_factory=list)

    async def __aenter__(self) -> "Client":
        self._channels = [
            grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
            for address in self.addresses
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels:
            await channel.close()

    def stub(self, replica: int, *, token: str = "") -> "rpc.SettlementServiceAsyncStub":
        """Return the stub of a replica, with the present token or another."""
        channel: Any = AuthorisedChannel(self._channels[replica], token or self.token())
        stub: rpc.SettlementServiceAsyncStub = rpc.SettlementServiceStub(channel)
        return stub

    async def post(self, rows: Request, *, replica: int, is_unary: bool = False) -> bool:
        """Post once; return whether an answer came."""
        self.journal.sending(rows)
        stub = self.stub(replica)
        results: Sequence[pb.TransferResult]
        try:
            if is_unary:
                call = stub.PostTransfer(
                    pb.PostTransferRequest(transfer=rows[0]), timeout=DEADLINE_S
                )
                results = [await call]
            else:
                answer = await stub.PostTransfers(
                    pb.PostTransfersRequest(transfers=rows), timeout=DEADLINE_S
                )
                results = answer.results
        except grpc.aio.AioRpcError as error:
            self.journal.unanswered()
            if not leaves_open(error):
                self.journal.find(f"a posting was answered {describe(error)}")
            return False
        self.journal.answered(rows, results)
        return True

    async def stream(self, requests: Sequence[Request], *, replica: int) -> int:
        """Post batches in one stream; return how many of them, from the first, were answered."""
        for rows in requests:
            self.journal.sending(rows)
        call = self.stub(replica).StreamTransfers(
            iter([pb.PostTransfersRequest(transfers=rows) for rows in requests]),
            timeout=DEADLINE_S,
        )
        answered = 0
        try:
            async for answer in call:
                self.journal.answered(requests[answered], answer.results)
                answered += 1
        except grpc.aio.AioRpcError as error:
            if not leaves_open(error):
                self.journal.find(f"a stream was answered {describe(error)}")
        for _ in requests[answered:]:
            self.journal.unanswered()
        return answered


def leaves_open(error: grpc.aio.AioRpcError) -> bool:
    """Whether a failed call says nothing of its transfers, as a line that broke does."""
    return error.code() in _OPEN or (
        error.code() is grpc.StatusCode.INTERNAL and error.details() == OF_THE_CLIENT
    )


def describe(error: grpc.aio.AioRpcError) -> str:
    """Return a failed call's code and sentence."""
    return f"{error.code().name}: {error.details()}"


@dataclass(slots=True)
class Traffic:
    """The writers of a round.

    Attributes:
        kept: Requests of earlier rounds whose answers are known.
    """

    client: Client
    wallets: Sequence[int]
    kept: deque[Request] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    _done: list[Request] = field(default_factory=list)
    _holds: list[pb.Transfer] = field(default_factory=list)
    _unknown: list[Request] = field(default_factory=list)
    _calls_left: int = 0

    async def run(self, seed: int, stopping: asyncio.Event) -> None:
        """Write until told to stop, or until the round's calls are used up."""
        self._calls_left = CALLS_MAX
        self._done, self._holds = [], []
        await asyncio.gather(
            *(self._write(random.Random(f"{seed}/{n}"), stopping) for n in range(WRITERS))
        )
        self.kept.extend(self._done[-(KEPT_REQUESTS // 4) :])

    def kept_rows(self) -> list[pb.Transfer]:
        """Return the transfers that later rounds send again."""
        return [row for request in self.kept for row in request]

    async def settle(self, *, replica: int) -> bool:
        """Ask again for every transfer whose fate is unknown; return whether all are known."""
        for request in list(self._unknown):
            if not await self.client.post(request, replica=replica):
                return False
            self._unknown.remove(request)
        return not self.client.journal.open_rows()

    async def _write(self, rng: random.Random, stopping: asyncio.Event) -> None:
        acts = {
            self._batch: 4,
            self._unary: 4,
            self._stream: 2,
            self._chain: 3,
            self._hold: 3,
            self._resolve: 3,
            self._again: 3,
            self._altered: 2,
        }
        while not stopping.is_set() and self._calls_left > 0:
            self._calls_left -= 1
            act = rng.choices(list(acts), weights=list(acts.values()))[0]
            await act(rng, stopping)
            await asyncio.sleep(rng.uniform(0, 2 * PAUSE_S))

    async def _batch(self, rng: random.Random, stopping: asyncio.Event) -> None:
        rows = [self._transfer(rng) for _ in range(rng.randint(2, BATCH_MAX))]
        await self._until_known(tuple(rows), rng, stopping)

    async def _unary(self, rng: random.Random, stopping: asyncio.Event) -> None:
        await self._until_known((self._transfer(rng),), rng, stopping, is_unary=True)

    async def _stream(self, rng: random.Random, stopping: asyncio.Event) -> None:
        """Send batches in one stream; what a broken stream leaves open is asked for by itself."""
        requests: list[Request] = [
            tuple(self._transfer(rng) for _ in range(rng.randint(1, BATCH_MAX)))
            for _ in range(rng.randint(2, STREAM_BATCHES_MAX))
        ]
        self._unknown += requests
        answered = await self.client.stream(requests, replica=rng.randrange(2))
        for request in requests:
            self._unknown.remove(request)
        self._done += requests[:answered]
        for request in requests[answered:]:
            await self._until_known(request, rng, stopping)

    async def _chain(self, rng: random.Random, stopping: asyncio.Event) -> None:
        """Post a chain between single transfers; one in three has a leg that must fail."""
        rows = [self._transfer(rng) for _ in range(rng.randint(2, 4))]
        txn = str(new_id())
        for row in rows:
            row.txn = txn
            row.linked = row is not rows[-1]
        if rng.random() < 1 / 3:
            rng.choice(rows).amount_fen = WALLETS * FUNDED_FEN + 1
        await self._until_known((self._transfer(rng), *rows, self._transfer(rng)), rng, stopping)

    async def _hold(self, rng: random.Random, stopping: asyncio.Event) -> None:
        row = self._transfer(rng)
        row.kind = pb.TRANSFER_KIND_PENDING
        row.timeout_s = HOLD_TIMEOUT_S if rng.random() < 0.2 else 0
        await self._until_known((row,), rng, stopping)
        self._holds.append(row)

    async def _resolve(self, rng: random.Random, stopping: asyncio.Event) -> None:
        """Post or void a hold, whole or in part; sometimes one that another has resolved."""
        if not self._holds:
            return
        hold = rng.choice(self._holds)
        if rng.random() < 0.8:
            self._holds.remove(hold)
        is_post = rng.random() < 0.6
        part = rng.choice([0, hold.amount_fen, 1]) if is_post else 0
        row = pb.Transfer(
            id=str(new_id()),
            kind=pb.TRANSFER_KIND_POST_PENDING if is_post else pb.TRANSFER_KIND_VOID_PENDING,
            pending_id=hold.id,
            amount_fen=part,
            code=hold.code,
            purpose=hold.purpose,
        )
        await self._until_known((row,), rng, stopping)

    async def _again(self, rng: random.Random, _stopping: asyncio.Event) -> None:
        """Send a request again as it was, through one replica or through both at once."""
        known = [*self.kept, *self._done]
        if known:
            request = rng.choice(known)
            replicas = rng.choice([(0,), (1,), (0, 1)])
            await asyncio.gather(*(self.client.post(request, replica=to) for to in replicas))

    async def _altered(self, rng: random.Random, _stopping: asyncio.Event) -> None:
        """Send a transfer under an id that is known, with another amount."""
        singles = [request[0] for request in [*self.kept, *self._done] if len(request) == 1]
        if singles:
            row = pb.Transfer()
            row.CopyFrom(rng.choice(singles))
            row.amount_fen += 1
            await self.client.post((row,), replica=rng.randrange(2))

    async def _until_known(
        self,
        request: Request,
        rng: random.Random,
        stopping: asyncio.Event,
        *,
        is_unary: bool = False,
    ) -> None:
        """Post until the fate of the transfers is known, or leave them to the end of the round.

        One in eight is sent through both replicas at the same time.
        """
        self._unknown.append(request)
        replica = rng.randrange(2)
        is_twin = rng.random() < 1 / 8
        while True:
            replicas = (0, 1) if is_twin else (replica,)
            answers = await asyncio.gather(
                *(self.client.post(request, replica=to, is_unary=is_unary) for to in replicas)
            )
            if any(answers):
                self._unknown.remove(request)
                self._done.append(request)
                return
            if stopping.is_set() or self._calls_left <= 0:
                return
            self._calls_left -= 1
            replica = 1 - replica
            await asyncio.sleep(RETRY_S)

    def _transfer(self, rng: random.Random) -> pb.Transfer:
        """Return a new transfer between two wallets; one in twelve is more than either holds."""
        debit, credit = rng.sample(self.wallets, 2)
        too_much = rng.random() < 1 / 12
        return pb.Transfer(
            id=str(new_id()),
            kind=pb.TRANSFER_KIND_POSTED,
            debit_account=debit,
            credit_account=credit,
            amount_fen=WALLETS * FUNDED_FEN + 1 if too_much else rng.randint(2, 500),
            code=pb.TRANSFER_CODE_LEASE_RENT,
            purpose=f"leases/{UUID(int=rng.getrandbits(128), version=4)}",
            memo="fault campaign",
        )


async def fund(client: Client) -> tuple[int, list[int]]:
    """Open a bank account and wallets, and fund the wallets; return their numbers."""
    stub = client.stub(0)
    accounts = [
        pb.NewAccount(kind=pb.ACCOUNT_KIND_BANK, reference="campaign"),
        *(
            pb.NewAccount(kind=pb.ACCOUNT_KIND_WALLET, owner=f"parties/{new_id()}")
            for _ in range(WALLETS)
        ),
    ]
    opened = await stub.CreateAccounts(pb.CreateAccountsRequest(accounts=accounts))
    bank, *wallets = [account.number for account in opened.accounts]
    rows = tuple(
        pb.Transfer(
            id=str(new_id()),
            kind=pb.TRANSFER_KIND_POSTED,
            debit_account=bank,
            credit_account=wallet,
            amount_fen=FUNDED_FEN,
            code=pb.TRANSFER_CODE_FUND_WALLET,
            purpose="campaign",
        )
        for wallet in wallets
    )
    if not await client.post(rows, replica=0):
        raise TimeoutError("the wallets could not be funded")
    return bank, wallets
