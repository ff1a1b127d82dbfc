"""Demand pools (集采): pools, memberships, quotes, and the award, pure and deterministic."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import islice, pairwise
from typing import Any, Self
from uuid import UUID

from services.finmath.money import share_of
from services.kit.errors import InvalidArgument
from services.kit.ids import name
from services.kit.lifecycle import Transition
from services.procurement.errors import DatesOutOfOrder, NoValidQuote
from services.procurement.order_model import Address, OrderLine

POOLED_QUANTITY_MAX = (
    200  # machines: each is reserved by a call of its own when the pool is awarded
)
DAYS_AHEAD_MAX = 366  # a pool or a quote that stands longer than a year is a slip of the keyboard
QUOTING_DAYS = 30  # for how long after the lock quotes are taken where the pool names no last day
UNIT_PRICE_FEN_MAX = 10**11  # a billion yuan: above any machine
DISCOUNT_MAX = Decimal("0.9")
DISCOUNT_PLACES = 4


class PoolState(StrEnum):
    """Where a pool stands (domain page §3.2)."""

    OPEN = "OPEN"
    LOCKED = "LOCKED"
    QUOTED = "QUOTED"
    AWARDED = "AWARDED"
    ORDERED = "ORDERED"
    FAILED = "FAILED"


class PoolFailure(StrEnum):
    """Why a pool failed."""

    BELOW_MINIMUM = "BELOW_MINIMUM"
    NO_VALID_QUOTE = "NO_VALID_QUOTE"


class MembershipState(StrEnum):
    """Whether a membership counts."""

    JOINED = "JOINED"
    LEFT = "LEFT"


class QuoteState(StrEnum):
    """Where a quote stands."""

    OFFERED = "OFFERED"
    AWARDED = "AWARDED"
    LOST = "LOST"
    WITHDRAWN = "WITHDRAWN"
    LAPSED = "LAPSED"


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What the machine registry says of a machine that is offered."""

    name: str
    make: str
    model: str
    equipment_class: str
    build_year: int
    title_holder: str
    is_available: bool


@dataclass(frozen=True, slots=True)
class Specification:
    """What a pool is for; an empty text or a year of 0 fits every machine."""

    make: str
    model: str
    equipment_class: str
    build_year_min: int
    build_year_max: int

    def misfit(self, machine: MachineFacts) -> str:
        """Return what about a machine does not fit, or ""."""
        for stated, actual, part in (
            (self.make, machine.make, "make"),
            (self.model, machine.model, "model"),
            (self.equipment_class, machine.equipment_class, "equipment class"),
        ):
            if stated and stated.casefold() != actual.casefold():
                return f'is of {part} "{actual}", not "{stated}"'
        if machine.build_year < self.build_year_min or (
            self.build_year_max and machine.build_year > self.build_year_max
        ):
            return f"was built in {machine.build_year}, outside the pool's years"
        return ""


@dataclass(frozen=True, slots=True)
class Pool:
    """A demand pool; `pooled_quantity` is final once it is locked."""

    id: UUID
    version: int
    event_sequence: int
    state: PoolState
    organiser: str
    specification: Specification
    region: str
    minimum_quantity: int
    target_quantity: int
    pooled_quantity: int
    member_count: int
    join_until: date
    quote_until: date | None
    create_time: datetime
    update_time: datetime
    awarded_quote_id: UUID | None = None
    awarded_unit_price_fen: int = 0
    awarded_landed_cost_fen: int = 0
    failure: PoolFailure | None = None

    @property
    def name(self) -> str:
        """Return its resource name, "demandPools/<uuid>"."""
        return name("demandPools", self.id)

    def moved(self, step: Transition[PoolState], *, at: datetime, **changes: Any) -> Self:
        """Return the pool after a step, with its next version and event sequence."""
        return replace(
            self,
            state=step.target,
            version=self.version + 1,
            event_sequence=self.event_sequence + (step.event is not None),
            update_time=at,
            **changes,
        )


@dataclass(frozen=True, slots=True)
class Membership:
    """A buyer's part in a pool."""

    id: UUID
    pool_id: UUID
    member: str
    quantity: int
    address: Address
    state: MembershipState
    order_id: UUID | None
    join_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "memberships/<uuid>"."""
        return name("memberships", self.id)


@dataclass(frozen=True, slots=True)
class PriceTier:
    """From a pooled quantity on, a part is taken off the unit price."""

    from_quantity: int
    discount_rate: Decimal


@dataclass(frozen=True, slots=True)
class QuoteTerms:
    """What a seller offers; amounts in fen, each for one machine."""

    unit_price_fen: int
    tiers: tuple[PriceTier, ...]
    transport_fen: int
    other_fen: int
    machines: tuple[str, ...]
    valid_until: date


@dataclass(frozen=True, slots=True)
class Quote:
    """A seller's offer of machines to a pool, at the pool's final quantity; amounts in fen."""

    id: UUID
    version: int
    pool_id: UUID
    seller: str
    state: QuoteState
    unit_price_fen: int
    tiers: tuple[PriceTier, ...]
    transport_fen: int
    other_fen: int
    pooled_unit_price_fen: int
    landed_cost_fen: int
    machines: tuple[str, ...]
    valid_until: date
    lapse_reason: str
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "quotes/<uuid>"."""
        return name("quotes", self.id)

    def lines_of(self, machines: Sequence[str]) -> tuple[OrderLine, ...]:
        """Return the lines of an order for some of its machines: the same price for all members."""
        return tuple(
            OrderLine(
                number=number,
                machine=machine,
                listing=None,
                price_fen=self.pooled_unit_price_fen,
                transport_fen=self.transport_fen,
                other_fen=self.other_fen,
            )
            for number, machine in enumerate(machines, start=1)
        )


def pooled_unit_price(unit_price_fen: int, tiers: Sequence[PriceTier], *, quantity: int) -> int:
    """Return the price of one machine at the pooled quantity, HALF_UP to the fen.

    The highest tier that the quantity reaches holds for all members (WE-19: 450,000 less 6 %).
    """
    discount = max(
        (tier.discount_rate for tier in tiers if quantity >= tier.from_quantity),
        default=Decimal(0),
    )
    return share_of(unit_price_fen, 1 - discount)


def landed_cost(
    pooled_unit_price_fen: int, *, transport_fen: int, other_fen: int, quantity: int
) -> int:
    """Return what all machines of a pool cost where they are needed."""
    return quantity * (pooled_unit_price_fen + transport_fen + other_fen)


def choose(quotes: Iterable[Quote], *, quantity: int, on: date, pool: str) -> Quote:
    """Return the quote that wins: the lowest landed cost, of equal ones the earlier.

    Raises:
        NoValidQuote: None is offered, valid on the day and large enough.
    """
    valid = [
        quote
        for quote in quotes
        if quote.state is QuoteState.OFFERED
        and quote.valid_until >= on
        and len(quote.machines) >= quantity
    ]
    if not valid:
        raise NoValidQuote(pool, on)
    return min(valid, key=lambda quote: (quote.landed_cost_fen, quote.create_time, quote.id))


def allot(
    machines: Iterable[str], memberships: Iterable[Membership]
) -> Iterator[tuple[Membership, tuple[str, ...]]]:
    """Yield each membership with the machines that it gets.

    Who joined earlier gets the machines that the quote names earlier.
    """
    left = iter(machines)
    for membership in sorted(memberships, key=lambda one: (one.join_time, one.id)):
        yield membership, tuple(islice(left, membership.quantity))


def check_dates(join_until: date, quote_until: date | None, *, today: date) -> None:
    """Check a new pool's dates.

    Raises:
        DatesOutOfOrder: Names the field and its limits.
    """
    ahead = timedelta(days=DAYS_AHEAD_MAX)
    if not today <= join_until <= today + ahead:
        raise DatesOutOfOrder("join_until", first=today, last=today + ahead)
    if quote_until is not None and not join_until <= quote_until <= join_until + ahead:
        raise DatesOutOfOrder("quote_until", first=join_until, last=join_until + ahead)


def check_validity(valid_until: date, *, today: date) -> None:
    """Check a new quote's last day.

    Raises:
        DatesOutOfOrder: It lies in the past or too far ahead.
    """
    ahead = timedelta(days=DAYS_AHEAD_MAX)
    if not today <= valid_until <= today + ahead:
        raise DatesOutOfOrder("valid_until", first=today, last=today + ahead)


def check_tiers(tiers: Sequence[PriceTier], *, unit_price_fen: int) -> None:
    """Check that tiers rise in quantity and discount, stay within limits, and leave a price.

    Raises:
        InvalidArgument: Names the tier.
    """
    for index, tier in enumerate(tiers):
        exponent = tier.discount_rate.normalize().as_tuple().exponent
        assert isinstance(exponent, int)  # the number is finite
        if not 0 <= tier.discount_rate <= DISCOUNT_MAX or exponent < -DISCOUNT_PLACES:
            raise InvalidArgument(
                f"tiers[{index}].discount_rate",
                f"must lie in 0 to {DISCOUNT_MAX} with at most {DISCOUNT_PLACES} decimals",
            )
        if share_of(unit_price_fen, 1 - tier.discount_rate) < 1:
            raise InvalidArgument(f"tiers[{index}].discount_rate", "leaves a price below one fen")
    for index, (lower, upper) in enumerate(pairwise(tiers), start=1):
        if upper.from_quantity <= lower.from_quantity or upper.discount_rate <= lower.discount_rate:
            raise InvalidArgument(
                f"tiers[{index}]",
                "must rise in from_quantity and discount_rate over the one before",
            )
