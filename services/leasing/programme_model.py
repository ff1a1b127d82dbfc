"""Lease programmes: what a lessor offers, and whether a wish keeps within it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.finmath.day_count import DayCount
from services.finmath.money import share_of
from services.kit.amounts import yuan
from services.kit.errors import InvalidArgument
from services.kit.ids import name

# A typing error above it; so capped, the charge of a million hours still is an amount.
EXCESS_HOUR_RATE_FEN_MAX = 10_000_000


class ProgrammeState(StrEnum):
    """Whether quotes are made from a programme."""

    PUBLISHED = "PUBLISHED"
    RETIRED = "RETIRED"


@dataclass(frozen=True, slots=True)
class ProgrammeTerms:
    """What is offered; amounts in fen, rates as fractions of one.

    Attributes:
        fee_rate, deposit_rate, residual_rate_min, residual_rate_max: Shares of the financed amount.
        buyout_fee_rate: Share of the principal outstanding.
        penalty_daily_rate: Share of what is overdue; `penalty_cap_rate` of the instalment.
        economic_life_months: From the build year; 0 where not known.
    """

    title: str
    nominal_rate: Decimal
    fee_rate: Decimal
    deposit_rate: Decimal
    in_advance: bool
    day_count: DayCount
    term_months_min: int
    term_months_max: int
    residual_rate_min: Decimal
    residual_rate_max: Decimal
    amount_min_fen: int
    amount_max_fen: int
    hours_per_year: int
    excess_hour_rate_fen: int
    buyout_fee_rate: Decimal
    penalty_daily_rate: Decimal
    penalty_cap_rate: Decimal
    extension_months_max: int
    extension_residual_rate: Decimal
    initial_direct_cost_fen: int
    economic_life_months: int

    def check(self) -> None:
        """Check that each lower limit keeps below its upper one, and the hour's rate below its own.

        Raises:
            InvalidArgument: It does not; names the field.
        """
        if self.excess_hour_rate_fen > EXCESS_HOUR_RATE_FEN_MAX:
            limit = yuan(EXCESS_HOUR_RATE_FEN_MAX)
            raise InvalidArgument("terms.excess_hour_rate", f"must not exceed {limit} CNY")
        pairs = (
            ("term_months", self.term_months_min, self.term_months_max),
            ("residual_rate", self.residual_rate_min, self.residual_rate_max),
            ("amount", self.amount_min_fen, self.amount_max_fen),
        )
        for field, low, high in pairs:
            if low > high:
                raise InvalidArgument(f"terms.{field}_max", f"must not lie below {field}_min")

    def check_wish(self, wish: "Wish") -> None:
        """Check what somebody wants to lease against the programme's limits.

        Raises:
            InvalidArgument: It lies outside them; names the field and the limit.
        """
        if not self.amount_min_fen <= wish.financed_fen <= self.amount_max_fen:
            limits = f"{yuan(self.amount_min_fen)} to {yuan(self.amount_max_fen)}"
            raise InvalidArgument("financed_amount", f"must lie in {limits} CNY")
        if not self.term_months_min <= wish.term_months <= self.term_months_max:
            limits = f"{self.term_months_min} to {self.term_months_max}"
            raise InvalidArgument("term_months", f"must lie in {limits}")
        residual_min_fen = share_of(wish.financed_fen, self.residual_rate_min)
        residual_max_fen = share_of(wish.financed_fen, self.residual_rate_max)
        if not residual_min_fen <= wish.residual_fen <= residual_max_fen:
            limits = f"{yuan(residual_min_fen)} to {yuan(residual_max_fen)}"
            raise InvalidArgument("residual", f"must lie in {limits} CNY")
        if wish.guaranteed_fen > wish.residual_fen:
            raise InvalidArgument("guaranteed_residual", "must not exceed the residual")


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to lease: the price, the residual, of which how much is guaranteed."""

    financed_fen: int
    residual_fen: int
    guaranteed_fen: int
    term_months: int


@dataclass(frozen=True, slots=True)
class Programme:
    """A lessor's programme at one revision."""

    id: UUID
    version: int
    event_sequence: int
    state: ProgrammeState
    lessor: str
    revision: int
    terms: ProgrammeTerms
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "leaseProgrammes/<uuid>"."""
        return name("leaseProgrammes", self.id)
