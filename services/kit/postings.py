"""Money at settlement, as every room moves it: accounts by owner, and linked chains of transfers.

It knows settlement's contract and no service's code. Accounts go by their names, "accounts/7".
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc

from services.kit import wire
from services.kit.amounts import yuan
from services.kit.clients import Peers
from services.kit.errors import PreconditionFailed
from services.kit.ids import name

_MOVED = frozenset({settlement_pb2.RESULT_CODE_CREATED, settlement_pb2.RESULT_CODE_EXISTS})


class InsufficientFunds(PreconditionFailed):
    """An account does not hold what a leg takes from it; nothing moved."""

    reason = "INSUFFICIENT_FUNDS"

    def __init__(self, payer: str, amount_fen: int) -> None:
        super().__init__(
            f"the account of {payer} does not hold {yuan(amount_fen)} CNY",
            subject=payer,
            amount_fen=str(amount_fen),
        )


class TransferRefused(PreconditionFailed):
    """Settlement refused a leg for another reason than missing funds; nothing moved."""

    reason = "TRANSFER_REFUSED"

    def __init__(self, leg: str, code: str, *, subject: str) -> None:
        super().__init__(
            f"settlement refused {leg} of {subject}: {code}", subject=subject, leg=leg, code=code
        )


@dataclass(frozen=True, slots=True)
class Leg:
    """One transfer of a chain.

    Attributes:
        debit: The account that pays.
        credit: The account that receives.
        purpose: The resource that it pays for.
        payer: Whose account pays, for the refusal where it does not hold the amount.
        kind: Whether it moves the amount, holds it, or resolves a hold.
        pending_id: The hold that it resolves.
    """

    id: UUID
    debit: str
    credit: str
    amount_fen: int
    code: settlement_pb2.TransferCode.ValueType
    purpose: str
    payer: str
    memo: str = ""
    kind: settlement_pb2.TransferKind.ValueType = settlement_pb2.TRANSFER_KIND_POSTED
    pending_id: UUID | None = None


async def open_account(
    peers: Peers,
    kind: settlement_pb2.AccountKind.ValueType,
    *,
    owner: str = "",
    reference: str = "",
) -> str:
    """Return the one account of its kind, owner and reference, opened where there was none."""
    new = settlement_pb2.NewAccount(kind=kind, owner=owner, reference=reference)
    return (await _open(peers, [new]))[0]


async def open_wallets(peers: Peers, parties: Iterable[str]) -> dict[str, str]:
    """Return the wallet of each party, opened where there was none."""
    owners = list(dict.fromkeys(parties))
    if not owners:
        return {}
    wallets = [
        settlement_pb2.NewAccount(kind=settlement_pb2.ACCOUNT_KIND_WALLET, owner=owner)
        for owner in owners
    ]
    return dict(zip(owners, await _open(peers, wallets), strict=True))


async def post(peers: Peers, legs: Iterable[Leg], *, txn: UUID, on_behalf_of: str = "") -> None:
    """Post legs as one linked chain, all of them or none; posted again they change nothing.

    Args:
        legs: Those of nothing are left out.
        txn: What the transfers of the chain share.

    Raises:
        InsufficientFunds: An account does not hold its leg's amount.
        TransferRefused: Settlement refused a leg for another reason.
    """
    chain = [leg for leg in legs if leg.amount_fen]
    if not chain:
        return
    answer = await peers.call(
        _stub(peers).PostTransfers,
        settlement_pb2.PostTransfersRequest(
            transfers=[_transfer(leg, txn, linked=leg is not chain[-1]) for leg in chain]
        ),
        on_behalf_of=on_behalf_of,
    )
    _check(chain, [result.code for result in answer.results])


async def post_each(peers: Peers, legs: Sequence[Leg], *, on_behalf_of: str = "") -> None:
    """Post legs each for itself, at most 4,096; posted again they change nothing.

    Raises:
        InsufficientFunds, TransferRefused: Of the first leg that was refused; others moved.
    """
    if not legs:
        return
    answer = await peers.call(
        _stub(peers).PostTransfers,
        settlement_pb2.PostTransfersRequest(
            transfers=[_transfer(leg, leg.id, linked=False) for leg in legs]
        ),
        on_behalf_of=on_behalf_of,
    )
    _check(legs, [result.code for result in answer.results])


async def first_unrefused(peers: Peers, ids_of: Callable[[int], Sequence[UUID]]) -> int:
    """Return the first attempt, from 1, none of whose transfers settlement has refused.

    Settlement keeps a refusal under the transfer's id, so what must be paid in the end is tried
    anew under other ids, and only after a refusal: an attempt whose answer was lost is repeated.

    Args:
        ids_of: Returns the ids of the transfers of an attempt.
    """
    refused, attempt = 0, 1
    while await _is_refused(peers, ids_of(attempt)):
        refused, attempt = attempt, 2 * attempt
    while attempt - refused > 1:
        middle = (refused + attempt) // 2
        if await _is_refused(peers, ids_of(middle)):
            refused = middle
        else:
            attempt = middle
    return attempt


def account_name(number: int) -> str:
    """Return the name of an account that a transfer has by its number."""
    return name("accounts", number)


async def _is_refused(peers: Peers, ids: Sequence[UUID]) -> bool:
    known = await peers.call(
        _stub(peers).LookupTransfers,
        settlement_pb2.LookupTransfersRequest(ids=[str(each) for each in ids]),
    )
    return bool(known.refusals)


async def _open(peers: Peers, accounts: Sequence[settlement_pb2.NewAccount]) -> list[str]:
    answer = await peers.call(
        _stub(peers).CreateAccounts, settlement_pb2.CreateAccountsRequest(accounts=accounts)
    )
    return [account.name for account in answer.accounts]


def _transfer(leg: Leg, txn: UUID, *, linked: bool) -> settlement_pb2.Transfer:
    return settlement_pb2.Transfer(
        id=str(leg.id),
        txn=str(txn),
        debit_account=_number(leg.debit),
        credit_account=_number(leg.credit),
        amount_fen=leg.amount_fen,
        kind=leg.kind,
        pending_id=str(leg.pending_id) if leg.pending_id else "",
        linked=linked,
        code=leg.code,
        purpose=leg.purpose,
        memo=leg.memo,
    )


def _check(chain: Sequence[Leg], codes: Sequence[settlement_pb2.ResultCode.ValueType]) -> None:
    refused = [(leg, code) for leg, code in zip(chain, codes, strict=True) if code not in _MOVED]
    if not refused:
        return
    # Of a chain only the leg that broke it says why; the others say that the chain was broken.
    leg, code = next(
        (pair for pair in refused if pair[1] != settlement_pb2.RESULT_CODE_LINKED_EVENT_FAILED),
        refused[0],
    )
    if code == settlement_pb2.RESULT_CODE_EXCEEDS_CREDITS:
        raise InsufficientFunds(leg.payer, leg.amount_fen)
    raise TransferRefused(
        wire.enum_name(settlement_pb2.TransferCode, leg.code, prefix="TRANSFER_CODE_"),
        wire.enum_name(settlement_pb2.ResultCode, code, prefix="RESULT_CODE_"),
        subject=leg.purpose,
    )


def _number(account: str) -> int:
    return int(account.removeprefix("accounts/"))


def _stub(peers: Peers) -> "settlement_pb2_grpc.SettlementServiceAsyncStub":
    return peers.stub("settlement", settlement_pb2_grpc.SettlementServiceStub)
