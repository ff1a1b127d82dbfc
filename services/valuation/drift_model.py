"""Whether the sales that arrive still fit the model: alarm 0, 1 or 2 by the policy table. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from ml.residual_value.drift import bin_shares, population_stability_index
from services.finmath.dates import add_months
from services.valuation.label_model import Label
from services.valuation.nowcast_model import SALES_MIN
from services.valuation.policy import PolicyTable

ALL = "ALL"  # the segment of all product groups

Bins = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Assessment:
    """An alarm and what raised it."""

    level: int
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SegmentFit:
    """How a model fits a segment's sales of a window.

    Attributes:
        bias, coverage, features: None and nothing where so few sales would tell single prices.
    """

    segment: str
    first: date
    last: date
    sales: int
    bias: float | None
    coverage: float | None
    features: Mapping[str, float]
    level: int


def bias_of(labels: Sequence[Label]) -> float:
    """Return the mean of ln(predicted ÷ paid) of at least one sale."""
    return math.fsum(label.log_error for label in labels) / len(labels)


def coverage_of(labels: Sequence[Label]) -> float:
    """Return the share of at least one sale whose price lies in the 90 % interval of its FMV."""
    covered = sum(label.fmv_fen[0] <= label.sale.price_fen <= label.fmv_fen[-1] for label in labels)
    return covered / len(labels)


def feature_indices(labels: Sequence[Label], bins: Bins) -> dict[str, float]:
    """Return the population stability index of each feature that any machine sold has."""
    indices = {}
    for feature, training in bins.items():
        values = np.array([label.features.get(feature, math.nan) for label in labels])
        if not np.isnan(values).all():
            shares = bin_shares(values, training["edges"])
            indices[feature] = population_stability_index(training["shares"], shares)
    return indices


def assess_errors(policy: PolicyTable, labels: Sequence[Label]) -> Assessment:
    """Return the alarm of bias and coverage over a window's sales of a segment."""
    if len(labels) < int(policy.number("DRIFT.SALES_MIN")):
        return Assessment(0, ())
    bias, covered = bias_of(labels), coverage_of(labels)
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
    return _assessment(
        [
            (int(index > limit), f"PSI of {feature} {index:.3f}, alarm beyond {limit}")
            for feature, index in feature_indices(labels, bins).items()
        ]
    )


def assess(policy: PolicyTable, segment: str, labels: Sequence[Label], bins: Bins) -> Assessment:
    """Return the alarm of a segment: a group's of its errors, that of ALL of its features."""
    if segment == ALL:
        return assess_features(policy, labels, bins)
    return assess_errors(policy, labels)


def window_start(policy: PolicyTable, last: date) -> date:
    """Return the first day of the rolling window that ends with a day."""
    return last - timedelta(days=int(policy.number("DRIFT.WINDOW_DAYS")))


def last_day(month: date) -> date:
    """Return the last day of the month that begins with a day."""
    return add_months(month, 1) - timedelta(days=1)


def fits_by_month(
    policy: PolicyTable,
    labels: Sequence[Label],
    bins: Bins,
    *,
    months: Sequence[date],
    today: date,
) -> list[tuple[date, list[SegmentFit]]]:
    """Return each month with the fit of ALL and of each group that has sales in its window.

    Args:
        labels: One model's, from the oldest window's start on.
        months: First days.
    """
    return [(month, _fits(policy, labels, bins, min(last_day(month), today))) for month in months]


def _fits(policy: PolicyTable, labels: Sequence[Label], bins: Bins, last: date) -> list[SegmentFit]:
    first = window_start(policy, last)
    inside = [label for label in labels if first <= label.sale.sold_on <= last]
    groups = sorted({label.product_group for label in inside} - {""})
    segments = [(ALL, inside)]
    for group in groups:
        segments.append((group, [label for label in inside if label.product_group == group]))
    return [
        _fit(policy, segment, own, bins, first=first, last=last) for segment, own in segments if own
    ]


def _fit(
    policy: PolicyTable,
    segment: str,
    labels: Sequence[Label],
    bins: Bins,
    *,
    first: date,
    last: date,
) -> SegmentFit:
    is_told = len(labels) >= SALES_MIN
    return SegmentFit(
        segment,
        first,
        last,
        len(labels),
        bias_of(labels) if is_told else None,
        coverage_of(labels) if is_told else None,
        feature_indices(labels, bins) if is_told else {},
        assess(policy, segment, labels, bins).level,
    )


def _level(figure: float, policy: PolicyTable, what: str, *, sign: int = 1) -> int:
    first, second = (sign * float(policy.number(f"DRIFT.{what}_{step}")) for step in (1, 2))
    return (figure > first) + (figure > second)


def _assessment(found: Sequence[tuple[int, str]]) -> Assessment:
    raised = tuple(sentence for level, sentence in found if level)
    return Assessment(max((level for level, _ in found), default=0), raised)
