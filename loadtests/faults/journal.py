"""What was asked of settlement and what it answered: the oracle of the campaign.

Every answer is held against those before it: an id is created once, a refusal stays one, and
whoever asks again is told the same number and balances.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ironloop.settlement.v1 import settlement_pb2 as pb

PROBLEMS_MAX = 20  # the first ones show what happened
CREATED, EXISTS = pb.RESULT_CODE_CREATED, pb.RESULT_CODE_EXISTS
SUCCESSES = frozenset({CREATED, EXISTS})
CHANGED = pb.RESULT_CODE_EXISTS_WITH_DIFFERENT_AMOUNT


@dataclass(slots=True)
class Entry:
    """One transfer as it was sent, and what is known of it.

    Attributes:
        sends: How often it was sent so far, answered or not.
        result: The first definite answer.
        is_created: Whether an answer said CREATED.
    """

    row: pb.Transfer
    sends: int = 0
    result: pb.TransferResult | None = None
    is_created: bool = False

    @property
    def is_posted(self) -> bool:
        """Whether it was acknowledged as posted."""
        return self.result is not None and self.result.code in SUCCESSES


@dataclass(slots=True)
class Tally:
    """What the load did in a round.

    Attributes:
        calls: Calls that were begun.
        answered: Calls that got an answer.
        unanswered: Calls that failed in a way that says nothing of their transfers.
        posted: Transfers acknowledged as posted for the first time.
        refused: Transfers refused for the first time.
        repeated: Transfers answered again, by the same.
    """

    calls: int = 0
    answered: int = 0
    unanswered: int = 0
    posted: int = 0
    refused: int = 0
    repeated: int = 0


@dataclass(slots=True)
class Journal:
    """The transfers of a round, and of some requests before it that are sent again."""

    entries: dict[str, Entry] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    problems: list[str] = field(default_factory=list)

    def sending(self, rows: Iterable[pb.Transfer]) -> None:
        """Note transfers before they are sent."""
        self.tally.calls += 1
        for row in rows:
            entry = self.entries.get(row.id)
            if entry is None:
                entry = self.entries[row.id] = Entry(row)
            entry.sends += 1

    def answered(self, rows: Sequence[pb.Transfer], results: Sequence[pb.TransferResult]) -> None:
        """Hold an answer against what is known."""
        self.tally.answered += 1
        if [row.id for row in rows] != [result.id for result in results]:
            self.find("an answer holds other ids than its request, or another order")
            return
        for row, result in zip(rows, results, strict=True):
            self._take(self.entries[row.id], row, result)

    def unanswered(self) -> None:
        """Note that a call failed, its transfers' fate unknown."""
        self.tally.unanswered += 1

    def find(self, problem: str) -> None:
        """Note something that is wrong."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)

    def open_rows(self) -> list[pb.Transfer]:
        """Return the transfers whose fate is unknown, in the order in which they were sent."""
        return [entry.row for entry in self.entries.values() if entry.result is None]

    def begin_round(self, kept: Iterable[pb.Transfer]) -> None:
        """Forget all transfers but those that are to be sent again."""
        self.entries = {row.id: self.entries[row.id] for row in kept}
        self.tally = Tally()
        self.problems = []

    def _take(self, entry: Entry, row: pb.Transfer, result: pb.TransferResult) -> None:
        code = pb.ResultCode.Name(result.code).removeprefix("RESULT_CODE_")
        if row != entry.row:
            if entry.result is not None and result.code != CHANGED:
                self.find(f"transfers/{row.id} with another amount was answered {code}")
            return
        known = entry.result
        if known is None:
            self._take_first(entry, result)
            return
        self.tally.repeated += 1
        was = pb.ResultCode.Name(known.code).removeprefix("RESULT_CODE_")
        if result.code == CREATED and entry.is_created:
            self.find(f"transfers/{row.id} was created twice")
        entry.is_created |= result.code == CREATED
        # Of two calls at once, the one that found it may be answered before the one that made it.
        same = result.code == known.code or {result.code, known.code} == SUCCESSES
        if not same:
            self.find(f"transfers/{row.id} was answered {was}, then {code}")
        elif _facts(result) != _facts(known):
            self.find(f"transfers/{row.id} was answered {_facts(known)}, then {_facts(result)}")

    def _take_first(self, entry: Entry, result: pb.TransferResult) -> None:
        entry.result = result
        entry.is_created = result.code == CREATED
        if result.code in SUCCESSES:
            self.tally.posted += 1
        else:
            self.tally.refused += 1
        if result.code == EXISTS and entry.sends == 1:
            self.find(f"transfers/{entry.row.id} existed before it was sent")


def _facts(result: pb.TransferResult) -> tuple[int, ...]:
    return (
        result.number,
        result.debit_balance_fen,
        result.debit_available_fen,
        result.credit_balance_fen,
        result.credit_available_fen,
    )
