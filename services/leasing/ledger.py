"""Money of leases at settlement: accounts by owner, and chains of transfers that move as one."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc

from services.kit import wire
from services.kit.clients import Peers
from services.leasing.errors import InsufficientFunds, TransferRefused

_PREFIX = "RESULT_CODE_"
_MOVED = frozenset({settlement_pb2.RESULT_CODE_CREATED, settlement_pb2.RESULT_CODE_EXISTS})


@dataclass(frozen=True, slots=True)
class Leg:
    """One transfer of a chain.

    Attributes:
        code: Why it moves, a TransferCode without its prefix.
        purpose: The resource that it pays for.
        payer: Who pays, for the refusal.
    """

    id: UUID
    debit: int
    credit: int
    amount_fen: int
    code: str
    purpose: str
    payer: str
    memo: str = ""


async def ensure_wallets(peers: Peers, parties: Sequence[str]) -> dict[str, int]:
    """Return the wallet of each party, opened where there was none."""
    accounts = await _ensure(
        peers,
        [
            settlement_pb2.NewAccount(kind=settlement_pb2.ACCOUNT_KIND_WALLET, owner=party)
            for party in parties
        ],
    )
    return dict(zip(parties, accounts, strict=True))


async def ensure_deposit(peers: Peers, *, lease: str, lessee: str) -> int:
    """Return a lease's deposit account, opened where there was none."""
    deposit = settlement_pb2.NewAccount(
        kind=settlement_pb2.ACCOUNT_KIND_LEASE_DEPOSIT, owner=lessee, reference=lease
    )
    return (await _ensure(peers, [deposit]))[0]


async def post_chain(peers: Peers, legs: Sequence[Leg], *, txn: UUID) -> None:
    """Post legs that all move or none; legs of nothing are left out.

    Raises:
        InsufficientFunds: A payer does not hold its amount.
        TransferRefused: Settlement refused for another reason.
    """
    chain = [leg for leg in legs if leg.amount_fen]
    if not chain:
        return
    stub = peers.stub("settlement", settlement_pb2_grpc.SettlementServiceStub)
    answer = await peers.call(
        stub.PostTransfers,
        settlement_pb2.PostTransfersRequest(
            transfers=[
                settlement_pb2.Transfer(
                    id=str(leg.id),
                    txn=str(txn),
                    debit_account=leg.debit,
                    credit_account=leg.credit,
                    amount_fen=leg.amount_fen,
                    kind=settlement_pb2.TRANSFER_KIND_POSTED,
                    linked=place < len(chain) - 1,
                    code=wire.enum_number(
                        settlement_pb2.TransferCode, leg.code, prefix="TRANSFER_CODE_"
                    ),
                    purpose=leg.purpose,
                    memo=leg.memo,
                )
                for place, leg in enumerate(chain)
            ]
        ),
    )
    for leg, result in zip(chain, answer.results, strict=True):
        if result.code in _MOVED or result.code == settlement_pb2.RESULT_CODE_LINKED_EVENT_FAILED:
            continue
        if result.code == settlement_pb2.RESULT_CODE_EXCEEDS_CREDITS:
            raise InsufficientFunds(leg.payer, leg.amount_fen)
        code = wire.enum_name(settlement_pb2.ResultCode, result.code, prefix=_PREFIX)
        raise TransferRefused(leg.payer, code)


async def _ensure(peers: Peers, accounts: list[settlement_pb2.NewAccount]) -> list[int]:
    stub = peers.stub("settlement", settlement_pb2_grpc.SettlementServiceStub)
    answer = await peers.call(
        stub.CreateAccounts, settlement_pb2.CreateAccountsRequest(accounts=accounts)
    )
    return [account.number for account in answer.accounts]
