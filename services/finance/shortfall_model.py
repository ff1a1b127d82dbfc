"""One time that a draw was short of collateral."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.kit.ids import name


class ShortfallState(StrEnum):
    """Where a shortfall stands."""

    OPEN = "OPEN"
    CURED = "CURED"
    ENFORCED = "ENFORCED"


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A shortfall's row.

    Attributes:
        month: The first month whose balance exceeds FLV q10; None where none does.
        paydown_fen: What would have brought it back to the maintenance cap.
    """

    id: UUID
    draw_id: UUID
    machine: str
    funder: str
    borrower: str
    state: ShortfallState
    cause: str
    month: int | None
    loan_to_value: Decimal
    paydown_fen: int
    valuation: str
    cure_by: date
    create_time: datetime
    end_time: datetime | None

    @property
    def name(self) -> str:
        """Return its resource name, "shortfalls/<uuid>"."""
        return name("shortfalls", self.id)
