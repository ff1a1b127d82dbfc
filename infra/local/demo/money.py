"""Where the money is at the end: by party, what others hold, and that all of it is zero."""

from collections import Counter
from dataclasses import dataclass

from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc

from infra.local.demo.act_register import PAID_IN_FEN
from infra.local.demo.scene import Scene, fen
from services.kit import wire


@dataclass(frozen=True, slots=True)
class Holding:
    """What one party, or the platform under one head, holds.

    Attributes:
        paid_in_fen: What the operator paid into its wallet.
        holds_fen: What its accounts hold now; the bank's mirror owes what was paid in.
    """

    who: str
    paid_in_fen: int
    holds_fen: int

    @property
    def moved_fen(self) -> int:
        """What came to it beyond what was paid in."""
        return self.holds_fen - self.paid_in_fen


async def holdings(scene: Scene) -> list[Holding]:
    """Return every holding of the main ledger; they sum to zero."""
    ledger = scene.cast.operator.stub(settlement_pb2_grpc.SettlementServiceStub)
    held: Counter[str] = Counter(dict.fromkeys(scene.cast.parties(), 0))
    token = ""
    while True:
        page = await ledger.ListAccounts(
            settlement_pb2.ListAccountsRequest(page_size=200, page_token=token)
        )
        for account in page.accounts:
            held[_whose(scene, account)] += fen(account.balance)
        token = page.next_page_token
        if not token:
            break
    return [Holding(who, PAID_IN_FEN.get(who, 0), amount) for who, amount in held.items()]


def _whose(scene: Scene, account: settlement_pb2.Account) -> str:
    if account.owner and account.kind in (
        settlement_pb2.ACCOUNT_KIND_WALLET,
        settlement_pb2.ACCOUNT_KIND_REMAN_INCOME,
    ):
        return scene.cast.name_of(account.owner)
    kind = wire.enum_name(settlement_pb2.AccountKind, account.kind, prefix="ACCOUNT_KIND_")
    return f"({kind.lower().replace('_', ' ')})"
