"""Purchase orders: what they hold, what they are settled for, and when their windows close."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from services.finmath.money import share_of, split
from services.kit.calendar import BusinessCalendar
from services.kit.clock import start_of
from services.kit.ids import name
from services.kit.lifecycle import Transition
from services.procurement.errors import NotYoursToDecide, PayoffsExceedPrice

ORDER_TOTAL_FEN_MAX = 10**13  # a hundred billion yuan: far above any order
_DAY = timedelta(days=1)


class OrderState(StrEnum):
    """Where an order stands (domain page §3.2)."""

    CREATED = "CREATED"
    CONFIRMED = "CONFIRMED"
    FUNDED = "FUNDED"
    DISPATCHED = "DISPATCHED"
    DELIVERED = "DELIVERED"
    DISPUTED = "DISPUTED"
    ACCEPTED = "ACCEPTED"
    SETTLEMENT_BLOCKED = "SETTLEMENT_BLOCKED"
    SETTLED = "SETTLED"
    RETURNED = "RETURNED"
    CANCELLED = "CANCELLED"


class DisputeOutcome(StrEnum):
    """What is claimed in a dispute, or how it ended."""

    ALLOWANCE = "ALLOWANCE"
    RETURN = "RETURN"


class CancelReason(StrEnum):
    """Why an order was cancelled."""

    BUYER = "BUYER"
    SELLER = "SELLER"
    UNPAID = "UNPAID"


@dataclass(frozen=True, slots=True)
class TradePolicy:
    """One version of the rules that orders follow.

    Attributes:
        platform_fee_rate: Part of what the buyer pays, scale 5.
        payment_days: Days after confirmation in which the order is to be funded.
        acceptance_business_days: Business days after delivery to accept or dispute.
    """

    version: int
    platform_fee_rate: Decimal
    payment_days: int
    acceptance_business_days: int
    publisher: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Address:
    """Where machines are to be delivered."""

    recipient: str
    street: str
    city: str
    region: str
    postal_code: str
    country_code: str


@dataclass(frozen=True, slots=True)
class Document:
    """A document kept elsewhere, pinned by its SHA-256."""

    uri: str
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One machine of an order; amounts in fen."""

    number: int
    machine: str
    listing: str | None
    price_fen: int
    transport_fen: int = 0
    other_fen: int = 0

    @property
    def total_fen(self) -> int:
        """What the buyer pays for it."""
        return self.price_fen + self.transport_fen + self.other_fen


@dataclass(frozen=True, slots=True)
class Origin:
    """What an order came of, where not of its buyer's choice of listings alone.

    Attributes:
        pool_id: The pool whose award made it.
        auction: The auction that its buyer won, "auctions/<uuid>", or "".
        disposal: The disposal that the sale is part of, "disposals/<uuid>", or "".
    """

    pool_id: UUID | None = None
    auction: str = ""
    disposal: str = ""


@dataclass(frozen=True, slots=True)
class Dispute:
    """What the buyer claims, and how it ended."""

    reason: str
    claim: DisputeOutcome
    claimed_allowance_fen: int
    documents: tuple[Document, ...]
    dispute_time: datetime
    outcome: DisputeOutcome | None = None
    resolver: str = ""

    def ended(self, outcome: DisputeOutcome, *, resolver: str) -> Self:
        """Return the dispute as somebody has ended it."""
        return replace(self, outcome=outcome, resolver=resolver)


@dataclass(frozen=True, slots=True)
class LienPayoff:
    """What frees a machine of a lien."""

    machine: str
    lien: str
    draw: str
    amount_fen: int
    account: str


@dataclass(frozen=True, slots=True)
class Payout:
    """How an escrow is paid out; its parts sum to the order's total.

    Attributes:
        distributed_fen: What leasing distributes by a disposal's claims, the platform's fee too.
    """

    platform_fee_fen: int
    allowance_fen: int
    payoffs: tuple[LienPayoff, ...]
    seller_proceeds_fen: int
    distributed_fen: int = 0


@dataclass(frozen=True, slots=True)
class OrderSettlement:
    """A payout that was made.

    Attributes:
        txn: What its transfers at settlement share.
    """

    payout: Payout
    txn: UUID
    settle_time: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """A purchase of machines of one seller by one buyer."""

    id: UUID
    version: int
    event_sequence: int
    state: OrderState
    buyer: str
    seller: str
    origin: Origin
    lines: tuple[OrderLine, ...]
    address: Address
    policy_version: int
    create_time: datetime
    update_time: datetime
    escrow_account: str = ""
    allowance_fen: int = 0
    dispatch_document: Document | None = None
    delivery_proof: Document | None = None
    payment_deadline_at: datetime | None = None
    acceptance_deadline_at: datetime | None = None
    accepted_automatically: bool = False
    dispute: Dispute | None = None
    block_reason: str = ""
    block_detail: str = ""
    settlement: OrderSettlement | None = None
    cancel_reason: CancelReason | None = None

    @property
    def name(self) -> str:
        """Return its resource name, "orders/<uuid>"."""
        return name("orders", self.id)

    @property
    def total_fen(self) -> int:
        """What the buyer pays into escrow."""
        return sum(line.total_fen for line in self.lines)

    @property
    def machines(self) -> list[str]:
        """The names of its machines."""
        return [line.machine for line in self.lines]

    def moved(self, step: Transition[OrderState], *, at: datetime, **changes: Any) -> Self:
        """Return the order after a step, with its next version and event sequence."""
        return replace(
            self,
            state=step.target,
            version=self.version + 1,
            event_sequence=self.event_sequence + (step.event is not None),
            update_time=at,
            **changes,
        )


def payment_deadline(confirmed_on: date, policy: TradePolicy) -> datetime:
    """Return when a confirmed order's time to pay is over: the end of its last day."""
    return start_of(confirmed_on + timedelta(days=policy.payment_days + 1))


def acceptance_deadline(
    delivered_on: date, policy: TradePolicy, calendar: BusinessCalendar
) -> datetime:
    """Return when a delivered order is accepted by itself: the end of the last business day.

    The day of delivery does not count, whether it is worked or not.
    """
    last = calendar.add_business_days(delivered_on + _DAY, policy.acceptance_business_days - 1)
    return start_of(last + _DAY)


def next_attempt_at(blocked_on: date, calendar: BusinessCalendar) -> datetime:
    """Return when a blocked settlement is tried again: the next business day."""
    return start_of(calendar.adjust_following(blocked_on + _DAY))


def pay_out(
    total_fen: int, *, fee_rate: Decimal, allowance_fen: int, payoffs: Sequence[LienPayoff]
) -> Payout:
    """Return how an escrow is paid out (journal J2, domain page §3.8).

    The platform's fee is taken of what the buyer pays in the end, the total less the allowance.

    Raises:
        PayoffsExceedPrice: The lien holders are owed more than is left after the fee.
    """
    kept_fen = total_fen - allowance_fen
    fee_fen = share_of(kept_fen, fee_rate)
    payoffs_fen = sum(payoff.amount_fen for payoff in payoffs)
    if payoffs_fen > kept_fen - fee_fen:
        raise PayoffsExceedPrice(payoffs_fen, kept_fen - fee_fen)
    return Payout(
        platform_fee_fen=fee_fen,
        allowance_fen=allowance_fen,
        payoffs=tuple(payoffs),
        seller_proceeds_fen=kept_fen - fee_fen - payoffs_fen,
    )


def pay_by_disposal(total_fen: int, *, allowance_fen: int) -> Payout:
    """Return how an escrow is paid out whose price leasing distributes (journal J9)."""
    return Payout(
        platform_fee_fen=0,
        allowance_fen=allowance_fen,
        payoffs=(),
        seller_proceeds_fen=0,
        distributed_fen=total_fen - allowance_fen,
    )


def sale_prices(lines: Sequence[OrderLine], *, allowance_fen: int) -> Mapping[str, int]:
    """Return what each machine was sold for: its price less its part of the allowance."""
    parts = split(allowance_fen, [line.price_fen for line in lines])
    return {
        line.machine: max(0, line.price_fen - part) for line, part in zip(lines, parts, strict=True)
    }


def check_resolution(
    dispute: Dispute, *, side: str, outcome: DisputeOutcome, allowance_fen: int
) -> None:
    """Check that a side of the order gives up no more than its own position.

    Args:
        side: "buyer", "seller", or "" for the operator, who decides freely.

    Raises:
        NotYoursToDecide: It would decide for the other side.
    """
    dropped = outcome is DisputeOutcome.ALLOWANCE and allowance_fen == 0
    granted = outcome is dispute.claim and allowance_fen >= dispute.claimed_allowance_fen
    if (side == "buyer" and not dropped) or (side == "seller" and not granted):
        raise NotYoursToDecide(side)
