"""Users of the ledger itself: batches, streams of batches, single transfers, each also resent."""

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

import gevent  # type: ignore[import-untyped]
import grpc
from ironloop.settlement.v1 import settlement_pb2

from loadtests.grpc_user import CALL_WITHIN_S, GrpcUser, Refused, Unknown
from loadtests.journal import UNKNOWN, JournalledTransfer
from services.kit.ids import new_id

BATCH_SIZE = 1_000
STREAM_BATCHES = 8
AMOUNT_FEN_MAX = 500_00
COPIES = 3
_PENDING, _POSTED = settlement_pb2.TRANSFER_KIND_PENDING, settlement_pb2.TRANSFER_KIND_POSTED
_SUCCESSES = (settlement_pb2.RESULT_CODE_CREATED, settlement_pb2.RESULT_CODE_EXISTS)

Results = Sequence[settlement_pb2.TransferResult]


class LedgerUser(GrpcUser):
    """What the users of the ledger share: a mix of transfers, and what they were told."""

    abstract = True

    def on_start(self) -> None:
        """Take the accounts that the plan names."""
        super().on_start()
        self._wallets: list[int] = self.plan.facts["wallets"]
        self._fees: int = self.plan.facts["fees"]
        self._token: str = self.plan.facts["operator"]
        self._post = self.rpc(
            "settlement",
            "SettlementService/PostTransfers",
            settlement_pb2.PostTransfersResponse,
        )
        self._post_one = self.rpc(
            "settlement", "SettlementService/PostTransfer", settlement_pb2.TransferResult
        )

    def new_transfers(self, count: int) -> list[settlement_pb2.Transfer]:
        """Return transfers as the trade makes them.

        Most are alone; of ten, one is a chain of two with its fee on the hot account of the
        platform, and one asks for more than any wallet holds, and is refused.
        """
        made: list[settlement_pb2.Transfer] = []
        while len(made) < count:
            debit, credit = random.sample(self._wallets, 2)
            drawn = random.random()
            amount_fen = random.randint(1, AMOUNT_FEN_MAX)
            if drawn < 0.1 and len(made) < count - 1:
                first = self._transfer(debit, credit, amount_fen, linked=True)
                fee = self._transfer(debit, self._fees, 1 + amount_fen // 100, txn=first.id)
                made += [first, fee]
            elif drawn < 0.2 and count > 1:
                made.append(self._transfer(debit, credit, 10**14))
            else:
                made.append(self._transfer(debit, credit, amount_fen))
        return made

    def post(self, transfers: Sequence[settlement_pb2.Transfer]) -> Results:
        """Return the results of a batch.

        Raises:
            Refused, Unknown.
        """
        request = settlement_pb2.PostTransfersRequest(transfers=transfers)
        results: Results = self.call(self._post, request, token=self._token).results
        return results

    def post_one(self, transfer: settlement_pb2.Transfer) -> settlement_pb2.TransferResult:
        """Return the result of a single transfer.

        Raises:
            Refused, Unknown.
        """
        request = settlement_pb2.PostTransferRequest(transfer=transfer)
        answer: settlement_pb2.TransferResult
        answer = self.call(self._post_one, request, token=self._token)
        return answer

    def note(self, transfers: Sequence[settlement_pb2.Transfer], results: Results | None) -> None:
        """Journal what was told of transfers; None where nothing was."""
        codes: Iterable[int]
        codes = [UNKNOWN] * len(transfers) if results is None else [one.code for one in results]
        for row, code in zip(transfers, codes, strict=True):
            self.journal.transfer(
                JournalledTransfer(
                    UUID(row.id), row.debit_account, row.credit_account, row.amount_fen, code
                )
            )
            if code not in (*_SUCCESSES, UNKNOWN):
                name = settlement_pb2.ResultCode.Name(code)  # type: ignore[arg-type]
                self.recorder.failed(f"refused: {name.removeprefix('RESULT_CODE_')}")

    def _transfer(
        self, debit: int, credit: int, amount_fen: int, *, linked: bool = False, txn: str = ""
    ) -> settlement_pb2.Transfer:
        return settlement_pb2.Transfer(
            id=str(new_id()),
            txn=txn,
            debit_account=debit,
            credit_account=credit,
            amount_fen=amount_fen,
            kind=_POSTED,
            linked=linked,
            code=settlement_pb2.TRANSFER_CODE_LEASE_RENT,
            purpose="ledgers/1",
            memo="load",
        )


class Batches(LedgerUser):
    """PostTransfers of a thousand."""

    items = BATCH_SIZE

    def make(self) -> list[settlement_pb2.Transfer]:
        """Return a batch."""
        return self.new_transfers(BATCH_SIZE)

    def operation(self, made: Any, /) -> None:
        """Post one batch."""
        transfers: list[settlement_pb2.Transfer] = made
        try:
            results = self.post(transfers)
        except Unknown:
            self.note(transfers, None)
            raise
        self.note(transfers, results)


class Unary(LedgerUser):
    """PostTransfer, one transfer a call, which the service coalesces."""

    def operation(self, _: Any, /) -> None:
        """Post one transfer."""
        [transfer] = self.new_transfers(1)
        try:
            result = self.post_one(transfer)
        except Unknown:
            self.note([transfer], None)
            raise
        self.note([transfer], [result])


class Stream(LedgerUser):
    """StreamTransfers: several batches of a stream are under way at once."""

    items = STREAM_BATCHES * BATCH_SIZE

    def on_start(self) -> None:
        """Open the method."""
        super().on_start()
        self._stream: Any = self._channels["settlement"].stream_stream(
            "/ironloop.settlement.v1.SettlementService/StreamTransfers",
            request_serializer=settlement_pb2.PostTransfersRequest.SerializeToString,
            response_deserializer=settlement_pb2.PostTransfersResponse.FromString,
        )

    def make(self) -> list[list[settlement_pb2.Transfer]]:
        """Return the batches of a stream."""
        return [self.new_transfers(BATCH_SIZE) for _ in range(STREAM_BATCHES)]

    def operation(self, made: Any, /) -> None:
        """Post a stream of batches; what it leaves open is asked for again, batch by batch."""
        sent: list[list[settlement_pb2.Transfer]] = made
        answered = 0
        try:
            for answer in self._answers(sent):
                self.note(sent[answered], answer.results)
                answered += 1
        except grpc.RpcError as error:
            code = error.code().name
            self.recorder.failed(f"{code} stream (sent again)")
        for place, transfers in enumerate(sent[answered:], answered):
            try:
                self.note(transfers, self.post(transfers))
            except (Unknown, Refused):
                for rest in sent[place:]:
                    self.note(rest, None)
                raise

    def _answers(
        self, sent: Sequence[Sequence[settlement_pb2.Transfer]]
    ) -> Iterator[settlement_pb2.PostTransfersResponse]:
        requests = (settlement_pb2.PostTransfersRequest(transfers=batch) for batch in sent)
        metadata = [("authorization", f"Bearer {self._token}")]
        answers: Iterator[settlement_pb2.PostTransfersResponse]
        answers = self._stream(requests, metadata=metadata, timeout=CALL_WITHIN_S)
        return answers


class _Resending(LedgerUser):
    """Sends each command three times at once with the same ids; one effect must come of it."""

    abstract = True

    def _three_times(self, transfers: Sequence[settlement_pb2.Transfer]) -> None:
        sent = [gevent.spawn(self._try_post, transfers) for _ in range(COPIES)]
        gevent.joinall(sent)
        for one in sent:
            self.note(transfers, one.value)
        if any(one.value is None for one in sent):
            raise Unknown

    def _try_post(self, transfers: Sequence[settlement_pb2.Transfer]) -> Results | None:
        try:
            return self.post(transfers) if len(transfers) > 1 else [self.post_one(transfers[0])]
        except (Unknown, Refused):
            return None


class RetriedBatches(_Resending):
    """PostTransfers of a hundred, three times each."""

    items = 100

    def operation(self, _: Any, /) -> None:
        """Post one batch three times."""
        self._three_times(self.new_transfers(self.items))


class RetriedUnary(_Resending):
    """PostTransfer, three times each."""

    def operation(self, _: Any, /) -> None:
        """Post one transfer three times."""
        self._three_times(self.new_transfers(1))
