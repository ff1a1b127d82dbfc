"""What the acts of the demo share: the cast, the clock, and what came about so far."""

import hashlib
from dataclasses import dataclass, field
from uuid import uuid4

from google.type import money_pb2
from ironloop.common.v1 import common_pb2
from ironloop.finance.v1 import watch_pb2
from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc
from ironloop.valuation.v1 import explanations_pb2, valuation_pb2

from infra.local.business_time import BusinessTime
from infra.local.client import Actor
from infra.local.demo.cast import Cast
from infra.local.demo.fleet import FleetMachine
from infra.local.demo.narrator import Narrator
from services.kit import wire

MAIN_LEDGER = "ledgers/1"


@dataclass(slots=True)
class Scene:
    """The state of the demo.

    Attributes:
        page: The fleet page as it was read.
        fleet: What the page said, completed by the attribute table.
        machines: Resource name by EquipmentID.
        valuations: Every valuation that was asked for, with who may replay it.
        values: The machine's values of the story, by what they show.
        moves: Why a value moved, line by line, by what moved it.
        covers: How the collateral watch saw the financier's draw, by when.
        waterfall: How the price of the machine's last sale was distributed: claimant, whose, fen.
        sale_order: The order of that sale.
        paid_in_fen: By party, what the operator paid into its wallet.
        checks: What was proven on the way, by name.
    """

    cast: Cast
    time: BusinessTime
    narrator: Narrator
    page: bytes
    fleet: list[FleetMachine]
    machines: dict[str, str] = field(default_factory=dict)
    valuations: dict[str, Actor] = field(default_factory=dict)
    values: dict[str, valuation_pb2.Valuation] = field(default_factory=dict)
    moves: dict[str, list[explanations_pb2.ExplanationLine]] = field(default_factory=dict)
    covers: dict[str, watch_pb2.Cover] = field(default_factory=dict)
    waterfall: list[tuple[str, str, int]] = field(default_factory=list)
    sale_order: str = ""
    paid_in_fen: dict[str, int] = field(default_factory=dict)
    checks: dict[str, bool] = field(default_factory=dict)

    async def wallet_fen(self, actor: Actor) -> int:
        """Return what an actor's wallet holds."""
        ledger = actor.stub(settlement_pb2_grpc.SettlementServiceStub)
        answer = await ledger.ListAccounts(
            settlement_pb2.ListAccountsRequest(
                owner=actor.party, kind=settlement_pb2.ACCOUNT_KIND_WALLET
            )
        )
        return sum(fen(account.balance) for account in answer.accounts)


def fen(amount: money_pb2.Money) -> int:
    """Return an amount that a service answered, in fen; it may be negative."""
    amount_fen: int = amount.units * wire.FEN_PER_UNIT + amount.nanos // wire.NANOS_PER_FEN
    return amount_fen


def request_id() -> str:
    """Return a new request id."""
    return str(uuid4())


def document(kind: str, subject: str, media_type: str) -> common_pb2.Document:
    """Return an invented document of the demo, pinned by the hash of its invented content."""
    uri = f"https://documents.example/{kind}/{subject}"
    return common_pb2.Document(
        uri=uri, sha256=hashlib.sha256(uri.encode()).hexdigest(), media_type=media_type
    )
