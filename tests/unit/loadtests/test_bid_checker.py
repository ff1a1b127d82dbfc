"""The proof of a storm of bids believes a fair lot, and finds what is not."""

from dataclasses import replace

import pytest

from loadtests.bid_checker import BIDS, KeptBid, KeptLot, check_lot, check_told
from loadtests.checker import Verdict
from loadtests.journal import JournalledCommand

YUAN = 100
AUCTION = "auctions/a"
BIDS_KEPT = [
    KeptBid(1, "p", 1_000 * YUAN, accepted=True),
    KeptBid(2, "q", 1_500 * YUAN, accepted=False),
    KeptBid(3, "q", 2_000 * YUAN, accepted=True),
]
LOT = KeptLot(AUCTION, 2_000 * YUAN, "q", 2, 3, [(None, 1_000 * YUAN)], BIDS_KEPT)


def told(sequence: int, yuan: int, user: int, *, outcome: str = "OK") -> JournalledCommand:
    return JournalledCommand("id", BIDS, AUCTION, outcome, [[sequence, yuan * YUAN, user]])


TOLD = [
    told(1, 1_000, 0),
    told(2, 1_500, 1, outcome="FAILED_PRECONDITION BID_TOO_LOW"),
    told(3, 2_000, 1),
]


def test_a_fair_lot_and_what_its_bidders_were_told_hold() -> None:
    verdict = Verdict("fair")
    check_lot(verdict, LOT)
    check_told(verdict, {AUCTION: LOT}, TOLD)
    assert (verdict.problems, verdict.counted) == ([], "3 bids told, 3 kept in 1 lots")


@pytest.mark.parametrize(
    "lot",
    [
        replace(LOT, bids=[BIDS_KEPT[0], BIDS_KEPT[2]], bid_sequence=2),
        replace(LOT, bids=[BIDS_KEPT[0], replace(BIDS_KEPT[1], accepted=True), BIDS_KEPT[2]]),
        replace(LOT, bids=[BIDS_KEPT[0], BIDS_KEPT[1], replace(BIDS_KEPT[2], accepted=False)]),
        replace(LOT, high_bidder="p"),
        replace(LOT, accepted_bids=3),
    ],
    ids=["lost", "low accepted", "high refused", "wrong winner", "miscounted"],
)
def test_a_lot_that_is_not_what_its_bids_make_is_found(lot: KeptLot) -> None:
    verdict = Verdict("fair")
    check_lot(verdict, lot)
    assert verdict.problems


@pytest.mark.parametrize(
    "commands",
    [
        [*TOLD, told(4, 9_000, 2)],
        [*TOLD[:2], told(3, 2_500, 1)],
        [TOLD[0], told(2, 1_500, 1), TOLD[2]],
        [*TOLD, told(3, 2_000, 2)],
        [TOLD[0], TOLD[2], TOLD[1]],
        TOLD[:2],
    ],
    ids=["told and lost", "altered", "refused yet told", "doubled", "reordered", "from nobody"],
)
def test_what_bidders_were_told_and_is_not_is_found(commands: list[JournalledCommand]) -> None:
    verdict = Verdict("fair")
    check_told(verdict, {AUCTION: LOT}, commands)
    assert verdict.problems


def test_a_bid_whose_answer_was_lost_may_be_kept_or_not() -> None:
    lost = JournalledCommand("id", BIDS, AUCTION, "", [])
    for commands in ([*TOLD[:2], lost], [*TOLD, lost]):
        verdict = Verdict("fair")
        check_told(verdict, {AUCTION: LOT}, commands)
        assert not verdict.problems
