"""Auctions: the lot's course, and how a bid is decided."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from uuid import UUID

from services.finmath.money import share_of
from services.kit.ids import name, new_id
from services.kit.principals import Principal
from services.marketplace.auction_errors import (
    AuctionNotOpen,
    AuctionOver,
    BidderIsSeller,
    BidTooLarge,
    BidTooLow,
    InvalidDeposit,
    InvalidSteps,
)
from services.marketplace.errors import InstantOutOfRange

SOFT_CLOSE = timedelta(seconds=120)  # a bid this near the close moves it by as much
OPENS_WITHIN_MAX = timedelta(days=60)  # a publication lasts 90 days
LENGTH_MIN = SOFT_CLOSE  # a shorter one would be all last minutes
LENGTH_MAX = timedelta(days=30)
DEPOSIT_RATE_MAX = Decimal("0.5")
BID_FEN_MAX = 10**13  # what an order may come to: a higher bid could not be paid
BIDDERS_MAX = 2_000  # their deposits are released in one call to settlement, which takes 4,096


class AuctionState(StrEnum):
    """Where an auction stands."""

    SCHEDULED = "SCHEDULED"
    OPEN = "OPEN"
    EXTENDED = "EXTENDED"
    CLOSED_SOLD = "CLOSED_SOLD"
    CLOSED_UNSOLD = "CLOSED_UNSOLD"
    CANCELLED = "CANCELLED"


TAKES_BIDS = frozenset({AuctionState.OPEN, AuctionState.EXTENDED})
LIVE = TAKES_BIDS | {AuctionState.SCHEDULED}


class BidState(StrEnum):
    """What became of a bid."""

    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"


class CancelReason(StrEnum):
    """Why an auction did not open."""

    SELLER = "SELLER"
    LISTING_CLOSED = "LISTING_CLOSED"
    MACHINE_NOT_AVAILABLE = "MACHINE_NOT_AVAILABLE"


@dataclass(frozen=True, slots=True)
class IncrementStep:
    """One line of the table: for highest bids below a bound, or any where it is None."""

    below_fen: int | None
    increment_fen: int


@dataclass(frozen=True, slots=True)
class IncrementPolicy:
    """One version of the table of increments."""

    version: int
    steps: tuple[IncrementStep, ...]
    publisher: str
    create_time: datetime

    def increment_fen(self, high_fen: int) -> int:
        """Return by how much the bid after this highest one must be higher."""
        return next(
            step.increment_fen
            for step in self.steps
            if step.below_fen is None or high_fen < step.below_fen
        )


@dataclass(frozen=True, slots=True)
class Auction:
    """An auction of one listing.

    Attributes:
        close_time: When it closes, extensions included.
        reserve_fen: The least amount at which it sells; None where it sells at any.
        deposit_fen: What a bidder's wallet must hold; 0 where nothing.
        bid_sequence: The place of the last decided bid.
        order: The winner's order once it holds the listing, or "".
        is_settled: Whether what the win held has been let go of.
        unsold_count: How many of the same disposal, or listing, had closed unsold with this one.
    """

    id: UUID
    version: int
    event_sequence: int
    state: AuctionState
    listing_id: UUID
    machine_id: UUID
    seller: str
    disposal: str
    open_time: datetime
    close_time: datetime
    scheduled_close_time: datetime
    reserve_fen: int | None
    deposit_fen: int
    policy_version: int
    create_time: datetime
    update_time: datetime
    bid_sequence: int = 0
    accepted_bids: int = 0
    high_fen: int = 0
    high_bidder: str = ""
    extensions: int = 0
    order: str = ""
    is_settled: bool = False
    unsold_count: int = 0

    @property
    def name(self) -> str:
        """Return its resource name, "auctions/<uuid>"."""
        return name("auctions", self.id)

    @property
    def reserve_met(self) -> bool:
        """Whether the highest bid sells it."""
        return self.accepted_bids > 0 and self.high_fen >= (self.reserve_fen or 0)

    @property
    def winner(self) -> str:
        """Who won it, or "" unless it is sold."""
        return self.high_bidder if self.state is AuctionState.CLOSED_SOLD else ""

    def told(self) -> "Auction":
        """Return it with the next event sequence."""
        return replace(self, event_sequence=self.event_sequence + 1)

    def is_whole_to(self, viewer: Principal) -> bool:
        """Whether a viewer sees reserve, winner and bidders."""
        return viewer.sees_all or viewer.party == self.seller

    def minimum_fen(self, policy: IncrementPolicy) -> int:
        """Return the least amount of the next bid."""
        return self.high_fen + policy.increment_fen(self.high_fen)


@dataclass(frozen=True, slots=True)
class Bid:
    """A decided bid.

    Attributes:
        sequence: Its place among the lot's decided bids, from 1 without gaps.
        minimum_fen: The least amount when it was decided.
        place_time: When it was decided.
        close_time: When the auction closes after it.
    """

    id: UUID
    auction_id: UUID
    sequence: int
    bidder: str
    amount_fen: int
    state: BidState
    minimum_fen: int
    place_time: datetime
    close_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "bids/<uuid>"."""
        return name("bids", self.id)


def check_amount(amount_fen: int) -> None:
    """Check that an order can be made at a bid.

    Raises:
        BidTooLarge: It cannot.
    """
    if amount_fen > BID_FEN_MAX:
        raise BidTooLarge(amount_fen, BID_FEN_MAX)


def check_takes_bids(auction: Auction, *, bidder: str, at: datetime) -> None:
    """Check that somebody may bid in an auction now.

    A bid counts at the instant at which it is decided, so none is taken from the close on, whether
    or not the timer that closes the auction has fired.

    Raises:
        AuctionNotOpen: It has not opened.
        AuctionOver: It has closed, or its close has come.
        BidderIsSeller: It is the bidder's own.
    """
    if auction.state is AuctionState.SCHEDULED:
        raise AuctionNotOpen(auction.name, auction.open_time)
    if auction.state not in TAKES_BIDS or at >= auction.close_time:
        raise AuctionOver(auction.name, auction.close_time)
    if bidder == auction.seller:
        raise BidderIsSeller(auction.name)


def decide(
    auction: Auction, policy: IncrementPolicy, *, bidder: str, amount_fen: int, at: datetime
) -> tuple[Auction, Bid]:
    """Decide one bid in an auction that takes it, and return both as they are after it.

    Accepted is what is at least the highest bid and the increment above it; so of two alike the
    one that is decided first wins. A bid in the last 120 seconds moves the close by 120 seconds.
    An accepted bid is one event of the auction, the close that it moves another.
    """
    minimum_fen = auction.minimum_fen(policy)
    accepted = amount_fen >= minimum_fen
    sequence = auction.bid_sequence + 1
    if not accepted:
        after = replace(auction, bid_sequence=sequence)
    else:
        is_late = at >= auction.close_time - SOFT_CLOSE
        after = replace(
            auction,
            event_sequence=auction.event_sequence + 1 + is_late,
            bid_sequence=sequence,
            state=AuctionState.EXTENDED if is_late else auction.state,
            accepted_bids=auction.accepted_bids + 1,
            high_fen=amount_fen,
            high_bidder=bidder,
            close_time=auction.close_time + SOFT_CLOSE if is_late else auction.close_time,
            extensions=auction.extensions + is_late,
        )
    bid = Bid(
        id=new_id(),
        auction_id=auction.id,
        sequence=sequence,
        bidder=bidder,
        amount_fen=amount_fen,
        state=BidState.ACCEPTED if accepted else BidState.REFUSED,
        minimum_fen=minimum_fen,
        place_time=at,
        close_time=after.close_time,
    )
    return after, bid


def refusal_of(bid: Bid) -> BidTooLow:
    """Return what the bidder of a refused bid is told."""
    return BidTooLow(
        name("auctions", bid.auction_id),
        bid.amount_fen,
        minimum_fen=bid.minimum_fen,
        sequence=bid.sequence,
    )


def bid_seen_by(bid: Bid, auction: Auction, viewer: Principal) -> Bid:
    """Return what a viewer sees of a bid: the seller its bidder, another bidder none."""
    if auction.is_whole_to(viewer) or viewer.party == bid.bidder:
        return bid
    return replace(bid, bidder="")


def check_times(
    open_time: datetime, close_time: datetime, *, now: datetime, listing_ends: datetime
) -> None:
    """Check when an auction is to open and close.

    Raises:
        InstantOutOfRange: Names the field and its limits.
    """
    if open_time > now + OPENS_WITHIN_MAX:
        raise InstantOutOfRange("open_time", after=now, until=now + OPENS_WITHIN_MAX)
    latest = min(open_time + LENGTH_MAX, listing_ends)
    if not open_time + LENGTH_MIN <= close_time <= latest:
        raise InstantOutOfRange("close_time", after=open_time + LENGTH_MIN, until=latest)


def deposit_of_ask(ask_fen: int, rate: Decimal) -> int:
    """Return a deposit that is a part of the ask.

    Raises:
        InvalidDeposit: The rate is not above 0 and at most 0.5.
    """
    if not 0 < rate <= DEPOSIT_RATE_MAX:
        raise InvalidDeposit(rate, DEPOSIT_RATE_MAX)
    return share_of(ask_fen, rate)


def check_steps(steps: Sequence[IncrementStep]) -> None:
    """Check a table of increments: bounds rise, and only the last line has none.

    Raises:
        InvalidSteps: They do not.
    """
    bounds = [step.below_fen for step in steps]
    stated = [bound for bound in bounds[:-1] if bound is not None]
    rises = all(low < high for low, high in pairwise(stated))
    if len(stated) != len(bounds) - 1 or bounds[-1] is not None or not rises:
        raise InvalidSteps
