"""Why a value is another than an earlier one of the same machine: what each reason moved it by.

A value is a start times e^(sum of its reasons), so a move is the sum of their differences. Its
money is shared among them as an explanation's is; where one reason alone moved, its line is the
whole difference to the fen. The booster's parts depend on one another: what a part moves whose own
fact is the same goes to the part whose fact changed, hours before age.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, localcontext

from ml.residual_value.contributions import AGE, EQUIPMENT, HOURS, MODEL
from services.valuation.appraisal import CONTEXT
from services.valuation.explanation import Explanation, Reason, Reasons, ValueBasis, lines_of

# Below the twelve decimals of a factor: rounding of logarithms, no move.
NOTHING = Decimal("1e-13")


def explain_move(former: Reasons, later: Reasons, of: ValueBasis) -> Explanation:
    """Return the lines that lead from an earlier value to a later one."""
    with localcontext(CONTEXT):
        moved = [
            reason
            for reason in (_start_moved(former, later), *_joined(_moved(former, later), former))
            if abs(reason.log) > NOTHING
        ]
        lines = lines_of(moved, Decimal(former.value_fen), later.value_fen) if moved else ()
        return Explanation(of, later.value_fen, former.value_fen, "the earlier value", lines)


def _start_moved(former: Reasons, later: Reasons) -> Reason:
    words = f"another start: {former.start_words} → {later.start_words}"
    return Reason("START", words, later.start.ln() - former.start.ln())


def _moved(former: Reasons, later: Reasons) -> list[Reason]:
    """Return how each reason of either value differs, in the order of the later one."""
    before = {reason.code: reason for reason in former.reasons}
    after = {reason.code: reason for reason in later.reasons}
    moved = []
    for code in [*after, *(code for code in before if code not in after)]:
        old, new = before.get(code), after.get(code)
        log = (new.log if new else Decimal(0)) - (old.log if old else Decimal(0))
        moved.append(Reason(code, _words(old, new), log))
    return moved


def _joined(moved: Sequence[Reason], former: Reasons) -> list[Reason]:
    """Give what parts of the booster moved without a changed fact to the part whose fact did."""
    unmoved = {reason.words for reason in former.reasons}
    parts = [reason for reason in moved if reason.code in (MODEL, EQUIPMENT, AGE, HOURS)]
    changed = {reason.code for reason in parts if reason.words not in unmoved}
    taker = next((code for code in (HOURS, AGE, MODEL, EQUIPMENT) if code in changed), None)
    if taker is None:
        return list(moved)
    given = sum((one.log for one in parts if one.code not in changed), Decimal(0))
    return [
        replace(reason, log=reason.log + given) if reason.code == taker else reason
        for reason in moved
        if reason not in parts or reason.code in changed
    ]


def _words(old: Reason | None, new: Reason | None) -> str:
    if old is None or new is None:
        return new.words if new else f"no longer {old.words}" if old else ""
    return new.words if old.words == new.words else f"{old.words} → {new.words}"
