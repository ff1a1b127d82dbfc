"""How bids are decided, whatever comes in which order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.ids import new_id
from services.marketplace.auction_errors import (
    AuctionNotOpen,
    AuctionOver,
    BidderIsSeller,
    InvalidDeposit,
    InvalidSteps,
)
from services.marketplace.auction_model import (
    LENGTH_MAX,
    LENGTH_MIN,
    SOFT_CLOSE,
    Auction,
    AuctionState,
    Bid,
    BidState,
    IncrementPolicy,
    IncrementStep,
    check_steps,
    check_takes_bids,
    check_times,
    decide,
    deposit_of_ask,
)
from services.marketplace.errors import InstantOutOfRange

YUAN = 100
OPENS = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CLOSES = OPENS + timedelta(hours=1)
EARLY = OPENS + timedelta(minutes=1)
TABLE = IncrementPolicy(
    1,
    (
        IncrementStep(100_000 * YUAN, 1_000 * YUAN),
        IncrementStep(500_000 * YUAN, 2_500 * YUAN),
        IncrementStep(2_000_000 * YUAN, 5_000 * YUAN),
        IncrementStep(None, 10_000 * YUAN),
    ),
    "",
    OPENS,
)


def auction(**changes: object) -> Auction:
    """Return an auction that is open."""
    made = Auction(
        id=new_id(),
        version=1,
        event_sequence=1,
        state=AuctionState.OPEN,
        listing_id=new_id(),
        machine_id=new_id(),
        seller="parties/s",
        disposal="",
        open_time=OPENS,
        close_time=CLOSES,
        scheduled_close_time=CLOSES,
        reserve_fen=None,
        deposit_fen=0,
        policy_version=1,
        create_time=OPENS,
        update_time=OPENS,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # its own fields


def decided(lot: Auction, offers: Sequence[tuple[str, int, datetime]]) -> tuple[Auction, list[Bid]]:
    """Decide bids one after the other."""
    bids = []
    for bidder, amount_fen, at in offers:
        lot, bid = decide(lot, TABLE, bidder=bidder, amount_fen=amount_fen, at=at)
        bids.append(bid)
    return lot, bids


@pytest.mark.parametrize(
    ("high_yuan", "increment_yuan"),
    [
        (0, 1_000),
        (99_999, 1_000),
        (100_000, 2_500),
        (499_999, 2_500),
        (500_000, 5_000),
        (1_999_999, 5_000),
        (2_000_000, 10_000),
        (90_000_000, 10_000),
    ],
)
def test_the_increment_is_the_one_of_the_domains_table(high_yuan: int, increment_yuan: int) -> None:
    assert TABLE.increment_fen(high_yuan * YUAN) == increment_yuan * YUAN


def test_of_two_bids_alike_the_earlier_sequence_wins() -> None:
    lot, (first, second) = decided(
        auction(), [("a", 50_000 * YUAN, EARLY), ("b", 50_000 * YUAN, EARLY)]
    )
    assert (first.sequence, first.state) == (1, BidState.ACCEPTED)
    assert (second.sequence, second.state) == (2, BidState.REFUSED)
    assert second.minimum_fen == 51_000 * YUAN
    assert (lot.high_bidder, lot.high_fen, lot.accepted_bids) == ("a", 50_000 * YUAN, 1)


def test_a_bid_in_the_last_120_seconds_adds_120_seconds_again_and_again() -> None:
    just_before = CLOSES - SOFT_CLOSE - timedelta(microseconds=1)
    lot, _ = decided(auction(), [("a", 10_000 * YUAN, just_before)])
    assert (lot.state, lot.close_time, lot.extensions) == (AuctionState.OPEN, CLOSES, 0)
    lot, _ = decided(lot, [("b", 20_000 * YUAN, CLOSES - SOFT_CLOSE)])
    assert (lot.state, lot.close_time) == (AuctionState.EXTENDED, CLOSES + SOFT_CLOSE)
    lot, _ = decided(lot, [("a", 20_500 * YUAN, CLOSES + timedelta(seconds=119))])
    assert lot.extensions == 1  # one that is refused moves nothing
    lot, _ = decided(lot, [("a", 30_000 * YUAN, CLOSES + timedelta(seconds=119))])
    assert (lot.close_time, lot.extensions) == (CLOSES + 2 * SOFT_CLOSE, 2)
    assert lot.scheduled_close_time == CLOSES


def test_nobody_bids_before_the_opening_from_the_close_on_or_for_their_own() -> None:
    with pytest.raises(AuctionNotOpen):
        check_takes_bids(auction(state=AuctionState.SCHEDULED), bidder="a", at=EARLY)
    for state in (AuctionState.OPEN, AuctionState.EXTENDED):
        with pytest.raises(AuctionOver):
            check_takes_bids(auction(state=state), bidder="a", at=CLOSES)
    for state in (AuctionState.CLOSED_SOLD, AuctionState.CLOSED_UNSOLD, AuctionState.CANCELLED):
        with pytest.raises(AuctionOver):
            check_takes_bids(auction(state=state), bidder="a", at=EARLY)
    with pytest.raises(BidderIsSeller):
        check_takes_bids(auction(), bidder="parties/s", at=EARLY)


def test_a_reserve_is_met_by_a_bid_that_reaches_it() -> None:
    assert not auction().reserve_met
    lot, _ = decided(auction(), [("a", 1_000 * YUAN, EARLY)])
    assert lot.reserve_met
    lot, _ = decided(auction(reserve_fen=60_000 * YUAN), [("a", 59_999 * YUAN, EARLY)])
    assert not lot.reserve_met
    lot, _ = decided(lot, [("b", 60_999 * YUAN, EARLY)])
    assert lot.reserve_met


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"),
            st.integers(1, 4_000_000 * YUAN),
            st.timedeltas(timedelta(), timedelta(minutes=59, seconds=59)),
        ),
        max_size=60,
    )
)
def test_the_accepted_rise_by_the_increment_and_no_bid_is_lost_or_doubled(
    offers: list[tuple[str, int, timedelta]],
) -> None:
    timed = [(bidder, fen, OPENS + after) for bidder, fen, after in offers]
    lot, bids = decided(auction(), timed)
    assert [bid.sequence for bid in bids] == list(range(1, len(offers) + 1))
    assert lot.bid_sequence == len(offers)
    high_fen = 0
    for bid, (bidder, amount_fen, _) in zip(bids, timed, strict=True):
        assert (bid.bidder, bid.amount_fen) == (bidder, amount_fen)
        is_enough = amount_fen >= high_fen + TABLE.increment_fen(high_fen)
        assert (bid.state is BidState.ACCEPTED) == is_enough
        high_fen = amount_fen if is_enough else high_fen
    assert lot.high_fen == high_fen
    assert lot.close_time == CLOSES + lot.extensions * SOFT_CLOSE


def test_an_auctions_times_have_their_limits() -> None:
    ends = OPENS + timedelta(days=90)
    check_times(OPENS, OPENS + LENGTH_MIN, now=OPENS, listing_ends=ends)
    check_times(OPENS, OPENS + LENGTH_MAX, now=OPENS, listing_ends=ends)
    for open_time, close_time in (
        (OPENS, OPENS + LENGTH_MIN - timedelta(seconds=1)),
        (OPENS, OPENS + LENGTH_MAX + timedelta(seconds=1)),
        (OPENS + timedelta(days=61), OPENS + timedelta(days=62)),
    ):
        with pytest.raises(InstantOutOfRange):
            check_times(open_time, close_time, now=OPENS, listing_ends=ends)
    with pytest.raises(InstantOutOfRange):
        check_times(OPENS, OPENS + timedelta(days=3), now=OPENS, listing_ends=OPENS + LENGTH_MIN)


def test_a_deposit_is_at_most_half_of_the_ask() -> None:
    assert deposit_of_ask(333_333, Decimal("0.05")) == 16_667
    for rate in ("0", "-0.1", "0.51"):
        with pytest.raises(InvalidDeposit):
            deposit_of_ask(100, Decimal(rate))


def test_a_table_of_increments_rises_and_ends_without_a_bound() -> None:
    check_steps(TABLE.steps)
    check_steps([IncrementStep(None, 1)])
    for steps in (
        [IncrementStep(10, 1)],
        [IncrementStep(None, 1), IncrementStep(None, 2)],
        [IncrementStep(20, 1), IncrementStep(10, 2), IncrementStep(None, 3)],
        [IncrementStep(10, 1), IncrementStep(10, 2), IncrementStep(None, 3)],
    ):
        with pytest.raises(InvalidSteps):
            check_steps(steps)
