"""Deposits of bidders: held in the bidder's wallet, then released or paid to the seller."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.kit.ids import name


class DepositState(StrEnum):
    """What became of a deposit."""

    HELD = "HELD"
    RELEASED = "RELEASED"
    FORFEITED = "FORFEITED"


class WinOutcome(StrEnum):
    """How a win ended."""

    FUNDED = "FUNDED"
    DEFAULTED = "DEFAULTED"
    VOID = "VOID"


@dataclass(frozen=True, slots=True)
class BidDeposit:
    """A bidder's deposit in an auction.

    Attributes:
        account: Where it goes before it is the seller's, "accounts/<number>".
        transfer_id: The hold at settlement, a pending transfer.
    """

    id: UUID
    version: int
    auction_id: UUID
    bidder: str
    amount_fen: int
    state: DepositState
    account: str
    transfer_id: UUID
    auction_sequence: int
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "bidDeposits/<uuid>"."""
        return name("bidDeposits", self.id)
