"""Transfers to post: made and serialised ahead, so that making them is not measured."""

import random
from collections.abc import Callable, Iterator, Sequence

from ironloop.settlement.v1 import settlement_pb2

from services.kit.ids import new_id
from services.settlement.transfer import Transfer
from services.settlement.wire import transfer_of

AMOUNT_FEN_MAX = 100
PURPOSE = "leases/0190b2c8-7a8f-7cc3-98c4-dc0c0c07398f"

Pair = tuple[int, int]  # the account that pays, the account that receives
Pairs = Callable[[], Pair]


def uniform(accounts: Sequence[int]) -> Pairs:
    """Draw both accounts from all."""

    def pair() -> Pair:
        debit, credit = random.sample(accounts, 2)
        return debit, credit

    return pair


def from_one(hot: int, accounts: Sequence[int]) -> Pairs:
    """Let one account pay all others."""
    return lambda: (hot, random.choice(accounts))


def batches(
    count: int, size: int, pairs: Pairs, *, amount_fen: int = AMOUNT_FEN_MAX
) -> list[bytes]:
    """Return requests of PostTransfers."""
    return [
        settlement_pb2.PostTransfersRequest(
            transfers=list(_rows(size, pairs, amount_fen))
        ).SerializeToString()
        for _ in range(count)
    ]


def singles(count: int, pairs: Pairs) -> list[bytes]:
    """Return requests of PostTransfer."""
    return [
        settlement_pb2.PostTransferRequest(transfer=row).SerializeToString()
        for row in _rows(count, pairs, AMOUNT_FEN_MAX)
    ]


def parsed_batches(count: int, size: int, pairs: Pairs) -> list[list[Transfer]]:
    """Return batches as the posting engine takes them."""
    return [[transfer_of(row) for row in _rows(size, pairs, AMOUNT_FEN_MAX)] for _ in range(count)]


def _rows(count: int, pairs: Pairs, amount_fen: int) -> Iterator[settlement_pb2.Transfer]:
    for _ in range(count):
        debit, credit = pairs()
        yield settlement_pb2.Transfer(
            id=str(new_id()),
            debit_account=debit,
            credit_account=credit,
            amount_fen=random.randint(1, amount_fen),
            kind=settlement_pb2.TRANSFER_KIND_POSTED,
            code=settlement_pb2.TRANSFER_CODE_LEASE_RENT,
            purpose=PURPOSE,
        )
