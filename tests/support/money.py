"""Money that tests move at settlement, as the operator does."""

from uuid import UUID

from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc

from services.kit.ids import new_id
from tests.support.world import World


def ledger(world: World) -> "settlement_pb2_grpc.SettlementServiceAsyncStub":
    """Return the operator's stub of settlement."""
    return world.operator.stub(settlement_pb2_grpc.SettlementServiceStub)


async def wallet_of(world: World, party: str) -> int:
    """Return the account number of a party's wallet, opened where it had none."""
    kind = settlement_pb2.ACCOUNT_KIND_WALLET
    return await _account(world, settlement_pb2.NewAccount(kind=kind, owner=party))


async def fund(world: World, party: str, amount_fen: int) -> None:
    """Put money from the bank into a party's wallet."""
    bank = await _account(world, settlement_pb2.NewAccount(kind=settlement_pb2.ACCOUNT_KIND_BANK))
    await transfer(world, bank, await wallet_of(world, party), amount_fen)


async def transfer(
    world: World,
    debit: int,
    credit: int,
    amount_fen: int,
    *,
    code: settlement_pb2.TransferCode.ValueType = settlement_pb2.TRANSFER_CODE_FUND_WALLET,
    purpose: str = "",
    transfer_id: UUID | None = None,
) -> str:
    """Post a transfer and return its id."""
    posted = settlement_pb2.Transfer(
        id=str(transfer_id or new_id()),
        debit_account=debit,
        credit_account=credit,
        amount_fen=amount_fen,
        kind=settlement_pb2.TRANSFER_KIND_POSTED,
        code=code,
        purpose=purpose,
    )
    answer = await ledger(world).PostTransfers(
        settlement_pb2.PostTransfersRequest(transfers=[posted])
    )
    assert answer.results[0].code == settlement_pb2.RESULT_CODE_CREATED
    return posted.id


async def is_balanced(world: World) -> bool:
    """Whether the ledger's debits equal its credits."""
    balance = await ledger(world).GetTrialBalance(
        settlement_pb2.GetTrialBalanceRequest(ledger="ledgers/1")
    )
    return balance.is_balanced


async def _account(world: World, new: settlement_pb2.NewAccount) -> int:
    answer = await ledger(world).CreateAccounts(
        settlement_pb2.CreateAccountsRequest(accounts=[new])
    )
    return answer.accounts[0].number
