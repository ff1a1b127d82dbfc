"""Whether the sales that arrive still fit the model: alarm 0, 1 or 2 by the policy table. Pure."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ml.residual_value.drift import bin_shares, population_stability_index
from services.valuation.label_model import Label
from services.valuation.policy import PolicyTable

ALL = "ALL"  # the segment of all product groups
NOWCAST_SALES_MIN = 5  # a month of fewer sales has no level of its own

Bins = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Assessment:
    """An alarm and what raised it."""

    level: int
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MonthLevel:
    """How a month's sales stand to what the model said of them, in log price."""

    month: date
    log_level: float
    standard_error: float


def assess_errors(policy: PolicyTable, labels: Sequence[Label]) -> Assessment:
    """Return the alarm of bias and coverage over a window's sales of a segment."""
    if len(labels) < int(policy.number("DRIFT.SALES_MIN")):
        return Assessment(0, ())
    bias = math.fsum(label.log_error for label in labels) / len(labels)
    covered = sum(
        label.fmv_fen[0] <= label.sale.price_fen <= label.fmv_fen[-1] for label in labels
    ) / len(labels)
    found = [
        (
            _level(abs(bias), policy, "BIAS"),
            f"bias {bias:+.3f} over {len(labels)} sales, alarm beyond "
            f"{policy.number('DRIFT.BIAS_1')}",
        ),
        (
            _level(-covered, policy, "COVERAGE", sign=-1),
            f"coverage of the 90 % interval {covered:.3f} over {len(labels)} sales, alarm below "
            f"{policy.number('DRIFT.COVERAGE_1')}",
        ),
    ]
    return _assessment(found)


def assess_features(policy: PolicyTable, labels: Sequence[Label], bins: Bins) -> Assessment:
    """Return the alarm of the machines sold against those of the training; 1 at most."""
    if len(labels) < int(policy.number("DRIFT.SALES_MIN")):
        return Assessment(0, ())
    limit = float(policy.number("DRIFT.PSI_1"))
    found = []
    for feature, training in bins.items():
        values = np.array([label.features.get(feature, math.nan) for label in labels])
        if np.isnan(values).all():
            continue
        index = population_stability_index(
            training["shares"], bin_shares(values, training["edges"])
        )
        found.append((int(index > limit), f"PSI of {feature} {index:.3f}, alarm beyond {limit}"))
    return _assessment(found)


def month_levels(labels: Sequence[Label]) -> list[MonthLevel]:
    """Return the nowcast: each month's mean of ln(paid ÷ predicted), and its standard error."""
    levels = []
    by_month = itertools.groupby(labels, key=lambda label: label.sale.sold_on.replace(day=1))
    for month, group in by_month:
        errors = np.array([-label.log_error for label in group])
        if len(errors) >= NOWCAST_SALES_MIN:
            spread = float(errors.std(ddof=1)) / math.sqrt(len(errors))
            levels.append(MonthLevel(month, float(errors.mean()), spread))
    return levels


def _level(figure: float, policy: PolicyTable, what: str, *, sign: int = 1) -> int:
    first, second = (sign * float(policy.number(f"DRIFT.{what}_{step}")) for step in (1, 2))
    return (figure > first) + (figure > second)


def _assessment(found: Sequence[tuple[int, str]]) -> Assessment:
    raised = tuple(sentence for level, sentence in found if level)
    return Assessment(max((level for level, _ in found), default=0), raised)
