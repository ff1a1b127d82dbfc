"""The nowcast: where the sales that arrived after a model's window stand to what it said. Pure.

A valuation takes the sales of the whole months before its as-of date, of its product group. Their
mean of ln(paid ÷ predicted) is drawn towards zero by its standard error and is a factor of its own,
beside the model: neither the booster nor the labels it is watched by ever see it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from services.finmath.dates import add_months
from services.valuation.model import Factor, Nowcast
from services.valuation.policy import FACTOR_SCALE, PolicyTable

SALES_MIN = 5  # a month of fewer sales has no level of its own, and would tell single prices
CODE = "NOWCAST"


@dataclass(frozen=True, slots=True)
class MonthSums:
    """A month's sales of a product group under a model.

    Attributes:
        total, squares: Sums of ln(paid ÷ predicted) of FMV, and of its square.
    """

    product_group: str
    month: date
    sales: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """The mean of ln(paid ÷ predicted)."""
        return self.total / self.sales

    def spread(self, least: float = 0.0) -> float:
        """Return the standard error of the mean, a sale scattering by no less than `least`."""
        variance = (self.squares - self.total * self.mean) / max(1, self.sales - 1)
        return max(math.sqrt(max(0.0, variance)), least) / math.sqrt(self.sales)

    def joined(self, other: "MonthSums") -> "MonthSums":
        """Return the sales of both, under the earlier month."""
        return replace(
            self,
            month=min(self.month, other.month),
            sales=self.sales + other.sales,
            total=self.total + other.total,
            squares=self.squares + other.squares,
        )


def month_levels(sums: Iterable[MonthSums]) -> list[MonthSums]:
    """Return the months whose sales suffice for a level of their own, groups joined, in order."""
    months: dict[date, MonthSums] = {}
    for one in sums:
        months[one.month] = months[one.month].joined(one) if one.month in months else one
    return [months[month] for month in sorted(months) if months[month].sales >= SALES_MIN]


def nowcast_of(
    policy: PolicyTable, sums: Iterable[MonthSums], *, group: str, as_of: date
) -> Nowcast | None:
    """Return the nowcast of a group as of a date; None where too few sales say anything.

    Args:
        sums: Of one model, after its window.
    """
    if not group or not policy.has("NOWCAST.SALES_MIN"):
        return None
    this_month = as_of.replace(day=1)
    before = [one for one in sums if one.product_group == group and one.month < this_month]
    if not before:  # nor has the calendar's first month any before it
        return None
    first = add_months(this_month, -int(policy.number("NOWCAST.MONTHS")))
    inside = [one for one in before if one.month >= first]
    if sum(one.sales for one in inside) < int(policy.number("NOWCAST.SALES_MIN")):
        return None
    months = sorted(one.month for one in inside)
    joined = inside[0]
    for one in inside[1:]:
        joined = joined.joined(one)
    return Nowcast(
        log_level=Decimal(joined.mean).quantize(FACTOR_SCALE),
        standard_error=Decimal(
            joined.spread(float(policy.number("NOWCAST.SALE_LOG_SD_MIN")))
        ).quantize(FACTOR_SCALE),
        first_month=months[0],
        last_month=months[-1],
        sales=joined.sales,
    )


def nowcasts_of(
    policy: PolicyTable, sums: Sequence[MonthSums], *, as_of: date
) -> Mapping[str, Nowcast]:
    """Return the nowcast of each group that has one as of a date."""
    groups = sorted({one.product_group for one in sums})
    found = {group: nowcast_of(policy, sums, group=group, as_of=as_of) for group in groups}
    return {group: nowcast for group, nowcast in found.items() if nowcast is not None}


def nowcast_factor(policy: PolicyTable, nowcast: Nowcast) -> Factor:
    """Return what a nowcast multiplies a value by: its level shrunk by its error, and bounded.

    The weight is that of a normal prior of mean zero: τ² ÷ (τ² + standard error²).
    """
    prior = policy.number("NOWCAST.LOG_SD") ** 2
    weight = prior / (prior + nowcast.standard_error**2)
    bound = policy.number("NOWCAST.LOG_MAX")
    moved = min(bound, max(-bound, weight * nowcast.log_level))
    return Factor(
        CODE,
        moved.exp().quantize(FACTOR_SCALE),
        f"{nowcast.sales} sales of {nowcast.first_month:%Y-%m} to {nowcast.last_month:%Y-%m}: ln "
        f"paid ÷ predicted {nowcast.log_level:+f}, standard error {nowcast.standard_error:f}, "
        f"weight {weight.quantize(FACTOR_SCALE):f}; {policy.source('NOWCAST.LOG_SD')}",
    )
