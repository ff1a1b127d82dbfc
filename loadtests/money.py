"""Accounts of a load: opened by their natural keys, paid into once."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc

from infra.local.client import Actor
from services.kit.ids import fact_id

IN_CALL_MAX = 1_000  # of the contract
_PAID = (settlement_pb2.RESULT_CODE_CREATED, settlement_pb2.RESULT_CODE_EXISTS)

Progress = Callable[[int], None]


def bank() -> settlement_pb2.NewAccount:
    """Return the mirror of the bank's account, from which loads are paid in."""
    return settlement_pb2.NewAccount(
        kind=settlement_pb2.ACCOUNT_KIND_BANK, reference="ironloop/load"
    )


def wallet(owner: str, reference: str = "") -> settlement_pb2.NewAccount:
    """Return a party's wallet; one party may have many, told apart by reference."""
    return settlement_pb2.NewAccount(
        kind=settlement_pb2.ACCOUNT_KIND_WALLET, owner=owner, reference=reference
    )


async def open_accounts(
    operator: Actor,
    accounts: Sequence[settlement_pb2.NewAccount],
    *,
    progress: Progress = lambda _: None,
) -> list[settlement_pb2.Account]:
    """Open accounts, or find those that exist, in the order asked for."""
    ledger = operator.stub(settlement_pb2_grpc.SettlementServiceStub)
    opened: list[settlement_pb2.Account] = []
    for start in range(0, len(accounts), IN_CALL_MAX):
        part = accounts[start : start + IN_CALL_MAX]
        answer = await ledger.CreateAccounts(settlement_pb2.CreateAccountsRequest(accounts=part))
        opened += answer.accounts
        progress(len(part))
    return opened


async def pay_in(
    operator: Actor, wallets: Sequence[settlement_pb2.Account], *, amount_fen: int
) -> None:
    """Pay an amount into each wallet, once in its life: the transfer's id is made of the wallet.

    Raises:
        ValueError: Settlement refused one.
    """
    [source] = await open_accounts(operator, [bank()])
    ledger = operator.stub(settlement_pb2_grpc.SettlementServiceStub)
    for start in range(0, len(wallets), IN_CALL_MAX):
        rows = [
            settlement_pb2.Transfer(
                id=str(fact_id(_opened_at(account), account.name, f"load {amount_fen}")),
                debit_account=source.number,
                credit_account=account.number,
                amount_fen=amount_fen,
                kind=settlement_pb2.TRANSFER_KIND_POSTED,
                code=settlement_pb2.TRANSFER_CODE_FUND_WALLET,
                purpose="ledgers/1",
                memo="paid in for a load",
            )
            for account in wallets[start : start + IN_CALL_MAX]
        ]
        answer = await ledger.PostTransfers(settlement_pb2.PostTransfersRequest(transfers=rows))
        for row, result in zip(rows, answer.results, strict=True):
            if result.code not in _PAID:
                code = settlement_pb2.ResultCode.Name(result.code)
                raise ValueError(f"accounts/{row.credit_account} was not paid into: {code}")


def _opened_at(account: settlement_pb2.Account) -> datetime:
    return account.create_time.ToDatetime(tzinfo=UTC)
