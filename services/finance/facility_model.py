"""A funder's limit for one borrower, and what is left of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.finance.errors import FacilityNotActive, HeadroomExceeded
from services.finance.policy_model import Parameter
from services.finmath.day_count import DayCount
from services.kit.ids import name

NOMINAL_RATE_MAX = Decimal("0.36")  # above it no court enforces interest; configuration, not advice


class FacilityState(StrEnum):
    """Whether a facility may be drawn."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"


class Basis(StrEnum):
    """Which value is lent on."""

    FMV = "FMV"
    OLV = "OLV"
    FLV = "FLV"

    @property
    def ltv_cap(self) -> Parameter:
        """The policy value that caps what is lent on it."""
        return Parameter(f"LTV_CAP_{self.value}")


@dataclass(frozen=True, slots=True)
class Facility:
    """A facility; amounts in fen.

    Attributes:
        outstanding_fen: Principal of its draws that is not paid back.
        reserved_fen: Principal of draws on their way.
        overrides: Policy values of its own.
    """

    id: UUID
    version: int
    event_sequence: int
    state: FacilityState
    funder: str
    borrower: str
    limit_fen: int
    outstanding_fen: int
    reserved_fen: int
    nominal_rate: Decimal
    day_count: DayCount
    basis: Basis
    overrides: Mapping[Parameter, Decimal]
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "facilities/<uuid>"."""
        return name("facilities", self.id)

    @property
    def in_use_fen(self) -> int:
        """What is outstanding or on its way."""
        return self.outstanding_fen + self.reserved_fen

    @property
    def available_fen(self) -> int:
        """What may still be drawn."""
        return self.limit_fen - self.in_use_fen

    def require_active(self) -> None:
        """Check that offers and draws may be made.

        Raises:
            FacilityNotActive: They may not.
        """
        if self.state is not FacilityState.ACTIVE:
            raise FacilityNotActive(self.name, self.state)

    def require_headroom(self, amount_fen: int) -> None:
        """Check that an amount fits into what is left.

        Raises:
            HeadroomExceeded: It does not.
        """
        if amount_fen > self.available_fen:
            raise HeadroomExceeded(self.name, amount_fen, self.available_fen)

    def reserve(self, amount_fen: int) -> "Facility":
        """Take headroom for a draw on its way.

        Raises:
            FacilityNotActive, HeadroomExceeded: It cannot be had.
        """
        self.require_active()
        self.require_headroom(amount_fen)
        return replace(self, reserved_fen=self.reserved_fen + amount_fen)

    def give_back(self, amount_fen: int) -> "Facility":
        """Give back the headroom of a draw that came to nothing."""
        return replace(self, reserved_fen=self.reserved_fen - amount_fen)

    def pay_out(self, amount_fen: int) -> "Facility":
        """Turn the headroom of a draw on its way into principal outstanding."""
        return replace(
            self,
            reserved_fen=self.reserved_fen - amount_fen,
            outstanding_fen=self.outstanding_fen + amount_fen,
        )

    def take_back(self, principal_fen: int) -> "Facility":
        """Take principal that was paid back."""
        return replace(self, outstanding_fen=self.outstanding_fen - principal_fen)
