"""The proof that a storm of bids was fair: no bid lost, doubled or reordered."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.journal import JournalledCommand

if TYPE_CHECKING:
    from loadtests.checker import Verdict

BIDS = "PlaceBid"


@dataclass(frozen=True, slots=True)
class KeptBid:
    """A bid as the lot keeps it."""

    sequence: int
    bidder: str
    amount_fen: int
    accepted: bool


@dataclass(frozen=True, slots=True)
class KeptLot:
    """An auction as the service keeps it, with its bids by sequence.

    Attributes:
        steps: Its table of increments: (bound or None, increment), fen.
    """

    auction: str
    high_fen: int
    high_bidder: str
    accepted_bids: int
    bid_sequence: int
    steps: Sequence[tuple[int | None, int]]
    bids: Sequence[KeptBid]


def check_lot(verdict: "Verdict", lot: KeptLot) -> None:
    """Decide every bid of a lot anew, in its order: the outcomes and the highest must be as kept.

    Sequences run from 1 without gaps, so none is lost and none is there twice.
    """
    high_fen, high_bidder, accepted = 0, "", 0
    for place, bid in enumerate(lot.bids, start=1):
        if bid.sequence != place:
            verdict.find(f"{lot.auction}: bid {place} is missing; next is {bid.sequence}")
            return
        least_fen = high_fen + next(
            step for bound, step in lot.steps if bound is None or high_fen < bound
        )
        if bid.accepted != (bid.amount_fen >= least_fen):
            verdict.find(f"{lot.auction}: bid {place} of {bid.amount_fen} against {least_fen}")
        if bid.accepted:
            high_fen, high_bidder, accepted = bid.amount_fen, bid.bidder, accepted + 1
    kept = (lot.high_fen, lot.high_bidder, lot.accepted_bids, lot.bid_sequence)
    if kept != (high_fen, high_bidder, accepted, len(lot.bids)):
        verdict.find(f"{lot.auction} keeps {kept}, its bids make {high_fen} of {high_bidder}")


def check_told(
    verdict: "Verdict", lots: Mapping[str, KeptLot], commands: Iterable[JournalledCommand]
) -> None:
    """Hold what bidders were told against the lots, bid by bid.

    A bid that was accepted, or refused as too low, is at the sequence that its bidder was told,
    with the same amount and outcome; two requests never share a sequence; a user's bids, sent one
    after the other, have rising sequences; and a lot has no bid that nobody sent.
    """
    told: defaultdict[str, set[int]] = defaultdict(set)
    unknown: defaultdict[str, int] = defaultdict(int)
    last: dict[tuple[str, int], int] = {}
    count = 0
    for command in commands:
        if command.method != BIDS:
            continue
        count += 1
        lot = lots.get(command.subject)
        if lot is None:
            verdict.find(f"{command.subject} is not there")
        elif not command.outcome:
            unknown[command.subject] += 1
        elif command.effects and command.effects[0][0]:
            sequence, amount_fen, user = command.effects[0]
            _check_one(verdict, lot, sequence, amount_fen, accepted=command.outcome == "OK")
            if sequence in told[command.subject]:
                verdict.find(f"{command.subject}: two requests were told bid {sequence}")
            told[command.subject].add(sequence)
            if sequence <= last.get((command.subject, user), 0):
                verdict.find(f"{command.subject}: user {user} was told bid {sequence} too late")
            last[command.subject, user] = sequence
    for auction, sequences in told.items():
        extra = lots[auction].bid_sequence - len(sequences) - unknown[auction]
        if extra > 0:
            verdict.find(f"{auction} has {extra} bids that nobody sent")
    kept = sum(len(lot.bids) for lot in lots.values())
    verdict.counted = f"{count:,} bids told, {kept:,} kept in {len(lots)} lots"


def _check_one(
    verdict: "Verdict", lot: KeptLot, sequence: int, amount_fen: int, *, accepted: bool
) -> None:
    kept = lot.bids[sequence - 1] if 0 < sequence <= len(lot.bids) else None
    if kept is None or (kept.amount_fen, kept.accepted) != (amount_fen, accepted):
        verdict.find(f"{lot.auction}: bid {sequence} of {amount_fen} was told, {kept} is kept")
