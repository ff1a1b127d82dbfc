"""Why a value is another than an earlier one of the same machine: what each reason moved it by.

A value is a start times e^(sum of its reasons), so a move is the sum of their differences. Its
money is shared among them as an explanation's is; where one reason alone moved, its line is the
whole difference to the fen.

What the booster's facts moved is not the difference of their two explanations: TreeSHAP shares what
age and hours do together anew for every machine, so that the part of the hours may rise while the
hours do, once the date has moved too. Each fact that changed gets what its change does to the log
price, the mean over every order in which the facts could have changed (Shapley over changes): a
fact in which the booster is monotone moves the value its way, whatever else changed.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, localcontext
from itertools import combinations
from math import factorial

from ml.residual_value.contributions import AGE, EQUIPMENT, GROUPS, HOURS, MODEL
from ml.residual_value.features import MachineFacts
from services.valuation.appraisal import CONTEXT
from services.valuation.explanation import Explanation, Reason, Reasons, ValueBasis, lines_of
from services.valuation.model import MEDIAN

# Below the twelve decimals of a factor: rounding of logarithms, no move.
NOTHING = Decimal("1e-13")

# Which facts of a machine are which group of reasons.
_FIELDS = {
    MODEL: ("product_group", "product_class", "base_model", "variant", "region", "usage_band"),
    EQUIPMENT: ("options",),
    AGE: ("on", "build_year"),
    HOURS: ("hours_meter",),
}


def explain_move(former: Reasons, later: Reasons, of: ValueBasis) -> Explanation:
    """Return the lines that lead from an earlier value to a later one."""
    with localcontext(CONTEXT):
        moved = [
            reason
            for reason in (_start_moved(former, later), *_moved(former, later))
            if abs(reason.log) > NOTHING
        ]
        lines = lines_of(moved, Decimal(former.value_fen), later.value_fen) if moved else ()
        return Explanation(of, later.value_fen, former.value_fen, "the earlier value", lines)


def _start_moved(former: Reasons, later: Reasons) -> Reason:
    """Return what is no fact of the machine: another amount to start from, or another model."""
    log = later.log_level - former.log_level
    words = f"another start: {former.start_words} → {later.start_words}"
    if former.model.sha256 != later.model.sha256:
        log += _log_price(later, former.facts) - _log_price(former, former.facts)
        words += f"; another model: {former.model.version} → {later.model.version}"
    return Reason("START", words, log)


def _moved(former: Reasons, later: Reasons) -> list[Reason]:
    """Return how each reason of either value differs, in the order of the later one."""
    before = {reason.code: reason for reason in former.reasons}
    after = {reason.code: reason for reason in later.reasons}
    facts = _facts_moved(former, later)
    moved = []
    for code in [*after, *(code for code in before if code not in after)]:
        old, new = before.get(code), after.get(code)
        log = (new.log if new else Decimal(0)) - (old.log if old else Decimal(0))
        moved.append(Reason(code, _words(old, new), facts.get(code, log)))
    return moved


def _facts_moved(former: Reasons, later: Reasons) -> Mapping[str, Decimal]:
    """Return what each group of facts moved the later model's log price by.

    They add up to what all of them together do.
    """
    changed = [group for group in GROUPS if _differs(former.facts, later.facts, group)]
    coalitions = [
        frozenset(chosen)
        for size in range(len(changed) + 1)
        for chosen in combinations(changed, size)
    ]
    predicted = later.model.predict_many(
        [_with_facts(former.facts, later.facts, chosen) for chosen in coalitions]
    )
    prices = {
        chosen: prediction.log_price[MEDIAN]
        for chosen, prediction in zip(coalitions, predicted, strict=True)
    }
    orders = factorial(len(changed))
    moved = dict.fromkeys(GROUPS, Decimal(0))
    for group in changed:
        for chosen in coalitions:
            if group not in chosen:
                before, after = len(chosen), len(changed) - len(chosen) - 1
                weight = factorial(before) * factorial(after)
                moved[group] += (prices[chosen | {group}] - prices[chosen]) * weight / orders
    return moved


def _differs(former: MachineFacts, later: MachineFacts, group: str) -> bool:
    return any(getattr(former, name) != getattr(later, name) for name in _FIELDS[group])


def _with_facts(former: MachineFacts, later: MachineFacts, groups: frozenset[str]) -> MachineFacts:
    """Return the earlier machine with the later facts of some groups."""
    return replace(
        former,
        **{name: getattr(later, name) for group in groups for name in _FIELDS[group]},
    )


def _log_price(priced: Reasons, facts: MachineFacts) -> Decimal:
    return priced.model.predict(facts).log_price[MEDIAN]


def _words(old: Reason | None, new: Reason | None) -> str:
    if old is None or new is None:
        return new.words if new else f"no longer {old.words}" if old else ""
    return new.words if old.words == new.words else f"{old.words} → {new.words}"
