"""Short words for the calls that settlement's tests make."""

from dataclasses import dataclass
from typing import Any

from ironloop.settlement.v1 import settlement_pb2 as pb
from ironloop.settlement.v1 import settlement_pb2_grpc as rpc

from infra.local.client import Actor
from services.kit.ids import new_id
from tests.support.world import World

POSTED = pb.TRANSFER_KIND_POSTED
PENDING = pb.TRANSFER_KIND_PENDING
POST_PENDING = pb.TRANSFER_KIND_POST_PENDING
VOID_PENDING = pb.TRANSFER_KIND_VOID_PENDING


def transfer(debit: int, credit: int, amount_fen: int, **fields: Any) -> pb.Transfer:
    """Return a new transfer between two accounts."""
    values: dict[str, Any] = {
        "id": str(new_id()),
        "kind": POSTED,
        "code": pb.TRANSFER_CODE_LEASE_RENT,
        "purpose": "leases/0190d5b1-0000-7000-8000-000000000001",
    }
    return pb.Transfer(
        debit_account=debit, credit_account=credit, amount_fen=amount_fen, **(values | fields)
    )


def codes(response: pb.PostTransfersResponse) -> list[str]:
    """Return the results' codes by name."""
    return [
        pb.ResultCode.Name(result.code).removeprefix("RESULT_CODE_") for result in response.results
    ]


@dataclass(slots=True)
class LedgerClient:
    """Calls settlement for one actor."""

    world: World
    actor: Actor

    @property
    def stub(self) -> "rpc.SettlementServiceAsyncStub":
        """Return the stub that carries the actor's token."""
        return self.actor.stub(rpc.SettlementServiceStub)

    async def open_bank(self, ledger: str = "") -> int:
        """Return a new bank account's number."""
        return await self._open(pb.ACCOUNT_KIND_BANK, "", f"bank/{new_id()}", ledger)

    async def open_wallet(self, owner: str = "", *, ledger: str = "") -> int:
        """Return the number of a party's wallet, by default of an invented party."""
        return await self._open(pb.ACCOUNT_KIND_WALLET, owner or f"parties/{new_id()}", "", ledger)

    async def _open(
        self, kind: pb.AccountKind.ValueType, owner: str, reference: str, ledger: str
    ) -> int:
        account = pb.NewAccount(kind=kind, owner=owner, reference=reference, ledger=ledger)
        answer = await self.stub.CreateAccounts(pb.CreateAccountsRequest(accounts=[account]))
        return answer.accounts[0].number

    async def funded_wallets(self, count: int, amount_fen: int, *, ledger: str = "") -> list[int]:
        """Return the numbers of new wallets that hold an amount each."""
        bank = await self.open_bank(ledger)
        wallets = [await self.open_wallet(ledger=ledger) for _ in range(count)]
        answer = await self.post(
            *(
                transfer(bank, wallet, amount_fen, code=pb.TRANSFER_CODE_FUND_WALLET)
                for wallet in wallets
            )
        )
        assert codes(answer) == ["CREATED"] * count
        return wallets

    async def post(self, *transfers: pb.Transfer) -> pb.PostTransfersResponse:
        """Post one batch."""
        return await self.stub.PostTransfers(pb.PostTransfersRequest(transfers=transfers))

    async def account(self, number: int) -> pb.Account:
        """Return an account."""
        return await self.stub.GetAccount(pb.GetAccountRequest(name=f"accounts/{number}"))

    async def balance_fen(self, number: int) -> int:
        """Return an account's balance in fen."""
        balance = (await self.account(number)).balance
        amount_fen: int = balance.units * 100 + balance.nanos // 10_000_000
        return amount_fen

    async def trial_balance(self, ledger: str = "ledgers/1") -> pb.TrialBalance:
        """Return a ledger's trial balance."""
        return await self.stub.GetTrialBalance(pb.GetTrialBalanceRequest(ledger=ledger))
