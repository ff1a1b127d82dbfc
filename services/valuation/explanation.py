"""Why a value is what it is: lines that add up to it, in percent and in money to the fen.

A line is a contribution c to the log value: it moves the value by e^c − 1. Their money is shared by
contribution × (value − start) ÷ Σ contributions, and the last line takes what rounding leaves.
A machine priced as its very model starts from the mean of the training sales; one carried by its
replacement cost starts from that, its age and hours counted from those of a nearly new machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from enum import StrEnum

from ml.residual_value.contributions import AGE, EQUIPMENT, GROUPS, HOURS, MODEL, Contributor
from ml.residual_value.features import MachineFacts
from ml.residual_value.model import ResidualValueModel
from services.valuation.appraisal import (
    CONTEXT,
    Basis,
    Valuer,
    age_of,
    reference_machine,
    values_of,
    whole_fen,
)
from services.valuation.model import MEDIAN, Inputs, Method, Values
from services.valuation.nowcast_model import CODE as NOWCAST

PERCENT_PLACES = Decimal("0.1")


class ValueBasis(StrEnum):
    """Which of the three values is explained."""

    FMV = "FMV"
    OLV = "OLV"
    FLV = "FLV"


@dataclass(frozen=True, slots=True)
class Line:
    """One reason.

    Attributes:
        code: AGE, HOURS, MODEL, EQUIPMENT, the code of a factor, or of a step to the value.
        description: In the trade's words, with its percentage.
        percent: What it moves the value by, one decimal.
        amount_fen: Its share of the way from the start to the value.
    """

    code: str
    description: str
    percent: Decimal
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """A value's start and the lines that lead from it to the value."""

    basis: ValueBasis
    value_fen: int
    start_fen: int
    start: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason before it is put into money.

    Attributes:
        log: What it adds to the log value.
    """

    code: str
    words: str
    log: Decimal


@dataclass(frozen=True, slots=True)
class Reasons:
    """All reasons of a value: start × e^(sum of logs) is the value, before it is rounded.

    Attributes:
        model: What priced it.
        facts: The machine as the booster saw it.
        log_level: What stands beside the booster's log price, before the factors.
    """

    start: Decimal
    start_words: str
    reasons: tuple[Reason, ...]
    value_fen: int
    model: ResidualValueModel
    facts: MachineFacts
    log_level: Decimal


class Explainer:
    """Explains the values of one model and policy table, and how they moved."""

    def __init__(self, valuer: Valuer) -> None:
        self._valuer = valuer
        self._contributor = Contributor(valuer.model)

    def explain(self, inputs: Inputs, of: ValueBasis) -> Explanation:
        """Return the lines that lead to the median of a machine's value."""
        with localcontext(CONTEXT):
            found = self.reasons(inputs, of)
            return Explanation(
                of,
                found.value_fen,
                whole_fen(found.start),
                found.start_words,
                lines_of(found.reasons, found.start, found.value_fen),
            )

    def reasons(self, inputs: Inputs, of: ValueBasis) -> Reasons:
        """Return the reasons for the median of a machine's value, not yet in money."""
        with localcontext(CONTEXT):
            valuer = self._valuer
            basis = valuer.basis(inputs)
            log_price = valuer.model.predict(basis.facts).log_price
            start, start_words, contributions = self._start(basis, log_price[MEDIAN])
            return Reasons(
                start,
                start_words,
                (
                    *_of_booster(inputs, basis, contributions),
                    *_of_factors(inputs, basis),
                    *_of_basis(basis, log_price[MEDIAN], of),
                ),
                _value(values_of(log_price, basis), of),
                valuer.model,
                basis.facts,
                basis.amount_fen.ln() - basis.log_reference,
            )

    def contributions(self, facts: Sequence[MachineFacts]) -> list[Mapping[str, Decimal]]:
        """Return each machine's parts of the log price, by group."""
        return list(self._contributor.contributions(facts))

    def _start(
        self, basis: Basis, log_price: Decimal
    ) -> tuple[Decimal, str, Mapping[str, Decimal]]:
        """Return the amount that the lines start from, in words too, and the booster's part."""
        if basis.method is Method.MODEL_PRICE:
            (parts,) = self._contributor.contributions([basis.facts])
            start = basis.amount_fen * (log_price - sum(parts.values())).exp()
            words = "the mean of the training sales, in USD; its exchange rate is a line below"
            return start, words, parts
        reference = reference_machine(self._valuer.model, self._valuer.policy, basis.product_group)
        own, new = self._contributor.contributions([basis.facts, reference])
        parts = {group: own[group] - new[group] for group in GROUPS}
        # What is left is rounding in the ninth decimal; it joins the model's line.
        parts[MODEL] += log_price - basis.log_reference - sum(parts.values())
        return basis.amount_fen, "the replacement cost", parts


def _of_booster(inputs: Inputs, basis: Basis, parts: Mapping[str, Decimal]) -> list[Reason]:
    specification = inputs.specification
    called = " ".join(part for part in (specification.make, specification.model) if part)
    age = age_of(inputs)
    hours = basis.facts.hours_meter
    words = {
        MODEL: called if basis.method is Method.MODEL_PRICE else "class alone, model not known",
        EQUIPMENT: "equipment as usual in its class",
        AGE: "age unknown" if age is None else f"built {specification.build_year}, {age} years old",
        HOURS: "hours unknown" if hours is None else f"{hours:,.0f} h",
    }
    return [Reason(group, words[group], parts[group]) for group in GROUPS]


def _of_factors(inputs: Inputs, basis: Basis) -> list[Reason]:
    return [
        Reason(factor.code, _factor_words(factor.code, inputs), factor.value.ln())
        for factor in basis.factors
    ]


def _of_basis(basis: Basis, log_price: Decimal, of: ValueBasis) -> list[Reason]:
    """Return the steps from the auction price to a value: ratio, cap, and OLV's place between."""
    level = basis.amount_fen
    for factor in basis.factors:
        level *= factor.value
    exact = level * (log_price - basis.log_reference).exp()
    retail = exact / basis.fmv_ratio
    ceiling = None if basis.ceiling_fen is None else Decimal(basis.ceiling_fen)
    market = retail if ceiling is None else min(retail, ceiling)
    forced = min(exact, market)
    orderly = forced + basis.olv_weight * (market - forced)
    reasons: list[Reason] = []
    if of is ValueBasis.FMV:
        reasons.append(Reason("FMV_RATIO", "retail instead of auction", (retail / exact).ln()))
        capped, uncapped = market, retail
    else:
        capped, uncapped = forced, exact
    if capped < uncapped:
        words = "no more than the replacement cost"
        reasons.append(Reason("REPLACEMENT_COST_CAP", words, (capped / uncapped).ln()))
    if of is ValueBasis.OLV:
        words = f"sold in good order, {_percent(basis.olv_weight)} of the way from FLV to FMV"
        reasons.append(Reason("OLV_WEIGHT", words, (orderly / forced).ln()))
    return reasons


def lines_of(reasons: Sequence[Reason], start: Decimal, value_fen: int) -> tuple[Line, ...]:
    """Share the way from a start to a value among at least one reason, to the fen."""
    total = sum((reason.log for reason in reasons), Decimal(0))
    way = value_fen - whole_fen(start)
    # Where the contributions cancel out, a line's money is its contribution to the start.
    per_log = start if abs(total) < Decimal("1e-12") else way / total
    amounts = [whole_fen(reason.log * per_log) for reason in reasons]
    amounts[-1] += way - sum(amounts)
    return tuple(
        _line(reason, amount_fen) for reason, amount_fen in zip(reasons, amounts, strict=True)
    )


def _line(reason: Reason, amount_fen: int) -> Line:
    moved = reason.log.exp() - 1
    percent = (moved * 100).quantize(PERCENT_PLACES)
    shown = f"{percent:+f}".replace("-", "−") if percent else "±0.0"
    return Line(reason.code, f"{reason.words}: {shown} %", percent, amount_fen)


def _value(values: Values, of: ValueBasis) -> int:
    quantiles = {
        ValueBasis.FMV: values.fmv,
        ValueBasis.OLV: values.olv,
        ValueBasis.FLV: values.flv,
    }
    return quantiles[of][MEDIAN]


_WORDS = {
    "INDEX": "market index of the day against the end of the training window",
    "INFLATION": "rise of prices since the training window",
    "NEW_AUCTION_SHARE": "nearly new at auction instead of new from the dealer",
    "HOURS_BEYOND_DATA": "hours beyond what the training sales hold",
}


def _factor_words(code: str, inputs: Inputs) -> str:
    known = inputs.adjustments
    kind, _, which = code.partition(".")
    named = which.replace("_", " ").lower()
    if code == "MAINTENANCE" and known.maintenance_compliance is not None:
        return f"maintenance compliance {_percent(known.maintenance_compliance)}"
    if code == "STOP_FAULTS":
        count = known.open_stop_faults
        return f"{count or 'no'} open STOP fault{'' if count == 1 else 's'}"
    if kind == "COMPONENT":
        hours = next(one.hours_since_reman for one in known.components if one.code == which)
        return f"remanufactured {named}, {hours:,.0f} h since"
    if code == NOWCAST and (nowcast := inputs.nowcast) is not None:
        return (
            f"nowcast beside the model: {nowcast.sales} sales of {nowcast.first_month:%Y-%m} to "
            f"{nowcast.last_month:%Y-%m}"
        )
    if kind == "CONDITION" and known.condition_found_on is not None:
        age_days = (inputs.as_of - known.condition_found_on).days
        return f"condition {named}, as inspected on {known.condition_found_on}, {age_days} days ago"
    return _WORDS.get(code) or {
        "USD_CNY": f"exchange rate USD to CNY of {which}",
        "CHANNEL": f"channel {which}",
        "REGION": f"region {named}",
        "CONDITION": f"condition {named}",
    }.get(kind, code)


def _percent(share: Decimal) -> str:
    return f"{share * 100:f}".rstrip("0").rstrip(".") + " %" if share else "0 %"
