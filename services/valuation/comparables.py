"""The sales that come nearest to a machine, and what makes each comparable to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

from ml.residual_value.comparable_sales import ComparableSale, ComparableSales
from ml.residual_value.contributions import GROUPS, MODEL
from ml.residual_value.features import PRODUCT_GROUPS, MachineFacts, age_years
from services.valuation.appraisal import CONTEXT, FEN_PER_YUAN, Basis, Valuer, whole_fen
from services.valuation.explanation import Explainer
from services.valuation.model import Inputs
from services.valuation.nowcast_model import CODE as NOWCAST
from services.valuation.policy import FACTOR_SCALE

NEAREST_MAX = 50  # more are not comparable in any sense of the word
HONEST_MIN = 5  # fewer are said to be few
DISTANCE_SCALE = Decimal("0.0001")

# What one unit of difference counts: a year of age, a thousand hours, a month since the sale.
YEAR_WEIGHT, HOURS_WEIGHT, MONTH_WEIGHT = 1.0, 0.5, 0.02
UNKNOWN_DISTANCE = 3.0  # an age or hours that either side does not know
MODEL_DISTANCES = (4.0, 2.0, 1.0, 0.0)  # another class, same class, same model family, same model
DAYS_PER_MONTH = 30.4375

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ComparableAdjustment:
    """One step from a sale's price to that of the machine valued."""

    code: str
    factor: Decimal


@dataclass(frozen=True, slots=True)
class Comparable:
    """A sale beside a valuation; amounts in fen, at auction."""

    sale: ComparableSale
    distance: Decimal
    price_fen: int
    adjustments: tuple[ComparableAdjustment, ...]
    adjusted_fen: int


class ComparableIndex:
    """Sales by product group, searched by distance."""

    def __init__(self, kept: ComparableSales) -> None:
        self.synthetic = kept.synthetic
        self._by_group = {
            group: _GroupOfSales(own)
            for group in PRODUCT_GROUPS
            if (own := [sale for sale in kept.sales if sale.facts.product_group == group])
        }

    def nearest(self, explainer: Explainer, valuer: Valuer, inputs: Inputs) -> list[Comparable]:
        """Return the sales nearest to a machine, at most NEAREST_MAX, none after its as-of date."""
        with localcontext(CONTEXT):
            basis = valuer.basis(inputs)
            group = self._by_group.get(basis.product_group)
            found = [] if group is None else group.nearest(basis.facts)
            if not found:
                return []
            own, *parts = explainer.contributions([basis.facts, *(sale.facts for sale, _ in found)])
            return [
                _comparable(
                    valuer,
                    inputs,
                    basis,
                    sale,
                    distance=distance,
                    logs={name: own[name] - of_sale[name] for name in GROUPS},
                )
                for (sale, distance), of_sale in zip(found, parts, strict=True)
            ]

    def note(self, count: int) -> str:
        """Return where the sales come from, and that they are few where they are."""
        source = (
            "sales of the seeded generator, none of them real"
            if self.synthetic
            else "sales of the operator's own file"
        )
        if count >= HONEST_MIN:
            return source
        return f"only {count} comparable sales of this product group up to the as-of date; {source}"


class _GroupOfSales:
    def __init__(self, sales: Sequence[ComparableSale]) -> None:
        self._sales = sales
        self._ordinals = np.array([sale.facts.on.toordinal() for sale in sales], dtype=np.float64)
        self._ages = np.array([age_years(sale.facts.build_year, sale.facts.on) for sale in sales])
        self._hours = np.array([_hours(sale.facts) for sale in sales])

    def nearest(self, facts: MachineFacts) -> list[tuple[ComparableSale, float]]:
        months = (facts.on.toordinal() - self._ordinals) / DAYS_PER_MONTH
        distances = (
            YEAR_WEIGHT * _apart(self._ages, age_years(facts.build_year, facts.on))
            + HOURS_WEIGHT * _apart(self._hours, _hours(facts))
            + MONTH_WEIGHT * months
            + np.array([MODEL_DISTANCES[_kinship(sale.facts, facts)] for sale in self._sales])
        )
        distances[months < 0] = np.inf
        order = np.argsort(distances, kind="stable")[:NEAREST_MAX]
        return [
            (self._sales[place], float(distances[place]))
            for place in order.tolist()
            if np.isfinite(distances[place])
        ]


def _comparable(
    valuer: Valuer,
    inputs: Inputs,
    basis: Basis,
    sale: ComparableSale,
    *,
    distance: float,
    logs: dict[str, Decimal],
) -> Comparable:
    policy, sold_on = valuer.policy, sale.facts.on
    price = Decimal(str(sale.price_usd)) * FEN_PER_YUAN * policy.usd_cny(sold_on).value
    steps = [
        *((name, log.exp()) for name, log in logs.items() if log or name == MODEL),
        *_market(valuer, sold_on, inputs.as_of),
        *_nowcast(inputs, basis, sold_on),
        *_of_machine(basis),
    ]
    adjustments = tuple(
        ComparableAdjustment(code, factor.quantize(FACTOR_SCALE)) for code, factor in steps
    )
    price_fen = whole_fen(price)
    adjusted = Decimal(price_fen)
    for adjustment in adjustments:
        adjusted *= adjustment.factor
    return Comparable(
        sale,
        Decimal(distance).quantize(DISTANCE_SCALE),
        price_fen,
        adjustments,
        whole_fen(adjusted),
    )


def _market(valuer: Valuer, sold_on: date, as_of: date) -> list[tuple[str, Decimal]]:
    policy, model = valuer.policy, valuer.model
    then, now = (policy.inflation(day, since=model.window_end).value for day in (sold_on, as_of))
    return [
        ("INDEX", (model.log_index(as_of) - model.log_index(sold_on)).exp()),
        ("INFLATION", now / then),
        ("CURRENCY", policy.usd_cny(as_of).value / policy.usd_cny(sold_on).value),
    ]


def _nowcast(inputs: Inputs, basis: Basis, sold_on: date) -> list[tuple[str, Decimal]]:
    """Return the nowcast, to whose level only a sale before its months has to be brought."""
    if inputs.nowcast is None or sold_on >= inputs.nowcast.first_month:
        return []
    return [(factor.code, factor.value) for factor in basis.factors if factor.code == NOWCAST]


def _of_machine(basis: Basis) -> list[tuple[str, Decimal]]:
    """Return what is stated of the machine valued; a sale is of a machine in good condition."""
    market = ("INDEX", "USD_CNY", "INFLATION", "NEW_AUCTION_SHARE", NOWCAST)
    return [
        (factor.code, factor.value)
        for factor in basis.factors
        if factor.code.partition(".")[0] not in market
    ]


def _hours(facts: MachineFacts) -> float:
    return float("nan") if not facts.hours_meter else float(facts.hours_meter) / 1_000


def _apart(values: Vector, own: float) -> Vector:
    return np.nan_to_num(np.abs(values - own), nan=UNKNOWN_DISTANCE)


def _kinship(one: MachineFacts, other: MachineFacts) -> int:
    same_class = bool(other.product_class) and one.product_class == other.product_class
    same_base = same_class and bool(other.base_model) and one.base_model == other.base_model
    return same_class + same_base + (same_base and one.variant == other.variant)
