"""How a machine's values are computed: pure, the same bytes for the same inputs, always.

The booster gives quantiles of the log auction price. A make and model that the training data know
are priced by it directly, and brought to today's market by the factors of the policy table. For
any other the booster gives the share of value that is left at this age and use, against a nearly
new machine of the class, and the replacement cost carries it. FLV is that auction price (the
booster's label); FMV = FLV ÷ 0.75; OLV lies between; none exceeds the replacement cost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

from ml.residual_value.features import PRODUCT_GROUPS, MachineFacts, age_years
from ml.residual_value.model import Prediction, ResidualValueModel
from services.finmath.dates import add_months
from services.valuation.adjustments import NOW, Outlook, adjustment_factors
from services.valuation.errors import ClassUnknown, ReplacementCostNeeded
from services.valuation.grading import Findings, grade_rules, review_reasons
from services.valuation.model import (
    MEDIAN,
    Appraisal,
    Factor,
    Inputs,
    Method,
    QuantilesFen,
    Values,
    worst,
)
from services.valuation.nowcast_model import nowcast_factor
from services.valuation.policy import FACTOR_SCALE, PolicyTable

FEN_PER_YUAN = Decimal(100)
MONTHS_PER_YEAR = 12
AUCTION_CHANNEL = "CN_AUCTION"
# Arithmetic of its own, so that no setting of the process changes a value.
CONTEXT = Context(prec=34, rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Basis:
    """What carries the booster's output to an amount, the same for every point of a curve.

    Attributes:
        product_group: Of the training data; "" for a class outside them.
        facts: The machine as the booster sees it on the as-of date.
        amount_fen: What a log price of `log_reference` stands for, before the factors.
        widening: What each tail gives way, in log price.
    """

    product_group: str
    method: Method
    facts: MachineFacts
    amount_fen: Decimal
    log_reference: Decimal
    factors: tuple[Factor, ...]
    widening: Decimal
    ceiling_fen: int | None
    olv_weight: Decimal
    fmv_ratio: Decimal


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The values `month` months after the as-of date."""

    month: int
    values: Values


@dataclass(frozen=True, slots=True)
class Valuer:
    """A model and a policy table, and what they make of a machine.

    Attributes:
        references: Log price of a machine of the policy's reference age and hours, by product
            group ("" is the mean of all); see `read_references`.
    """

    model: ResidualValueModel
    policy: PolicyTable
    references: Mapping[str, Decimal]

    @classmethod
    def of(cls, model: ResidualValueModel, policy: PolicyTable) -> "Valuer":
        """Return the valuer of a model and a policy table."""
        return cls(model, policy, read_references(model, policy))

    def appraise(self, inputs: Inputs) -> tuple[Appraisal, Prediction]:
        """Return what a machine is worth, and the prediction beneath it.

        Raises:
            ClassUnknown: The policy table does not list its class.
            ReplacementCostNeeded: Its make or model is unknown and no replacement cost is stated.
        """
        with localcontext(CONTEXT):
            basis = self.basis(inputs)
            prediction = self.model.predict(basis.facts)
            values = values_of(prediction.log_price, basis)
            rules = grade_rules(
                self.policy,
                self.model,
                inputs,
                Findings(
                    product_group=basis.product_group,
                    method=basis.method,
                    age_years=age_of(inputs),
                    hours_known=basis.facts.hours_meter is not None,
                    values=values,
                ),
            )
        appraisal = Appraisal(
            method=basis.method,
            factors=basis.factors,
            values=values,
            grade=worst(rules),
            grade_rules=rules,
            review_reasons=review_reasons(self.policy, rules, values),
        )
        return appraisal, prediction

    def curve(
        self,
        inputs: Inputs,
        *,
        hours_per_year: Decimal,
        months: Sequence[int],
        compliance: Decimal | None = None,
    ) -> list[CurvePoint]:
        """Return the values at months after the as-of date, at the as-of date's index.

        Each value is the lowest up to its month (a conformal step or a leaf's border must not
        lift a machine that gets older); `months` rises from 0.

        Args:
            compliance: Maintenance compliance from the as-of date on; None: as it was.
        """
        with localcontext(CONTEXT):
            outlooks = [Outlook(month, hours_per_year, compliance) for month in months]
            bases = [self.basis(inputs, outlook) for outlook in outlooks]
            predictions = self.model.predict_many([basis.facts for basis in bases])
            points: list[CurvePoint] = []
            for month, basis, prediction in zip(months, bases, predictions, strict=True):
                values = values_of(prediction.log_price, basis)
                if points:
                    values = values.at_most(points[-1].values)
                points.append(CurvePoint(month, values))
        return points

    def hours_per_year(self, inputs: Inputs) -> Decimal:
        """Return the use that is assumed where none is stated."""
        group = self.policy.product_group(inputs.specification.equipment_class)
        return self.policy.number(f"HOURS_PER_YEAR.{group}")

    def basis(self, inputs: Inputs, outlook: Outlook = NOW) -> Basis:
        """Return what carries the booster's output to an amount (see `appraise`)."""
        specification, policy = inputs.specification, self.policy
        if specification.equipment_class not in policy.classes:
            raise ClassUnknown(specification.equipment_class, known=policy.classes)
        group = policy.product_group(specification.equipment_class)
        facts = MachineFacts(
            on=inputs.as_of,
            product_group=group,
            build_year=specification.build_year,
            hours_meter=known_hours(inputs),
        )
        known = None
        if group and policy.knows_make(specification.make):
            known = self.model.encodings.find_model(group, specification.model)
        widening = Decimal(0)
        if inputs.as_of > self.model.window_end:
            widening += policy.number("WIDEN.AS_OF_AFTER_WINDOW")
        if known is not None:
            method, amount_fen, log_reference = Method.MODEL_PRICE, FEN_PER_YUAN, Decimal(0)
            factors = self._market(inputs)
            facts = replace(
                facts,
                product_class=known.product_class,
                base_model=known.base_model,
                variant=known.variant,
            )
        elif specification.replacement_cost_fen is not None:
            method = Method.RETAINED_SHARE
            amount_fen = Decimal(specification.replacement_cost_fen)
            log_reference = self.references[group]
            factors = (policy.factor("NEW_AUCTION_SHARE"), *self._channel(inputs, default=""))
            widening += policy.number("WIDEN.MODEL_UNKNOWN" if group else "WIDEN.CLASS_NOT_COVERED")
        else:
            raise ReplacementCostNeeded(specification.model, specification.equipment_class)
        if inputs.nowcast is not None:
            factors += (nowcast_factor(policy, inputs.nowcast),)
        if outlook.months:
            facts = aged(facts, outlook.months, hours_per_year=outlook.hours_per_year)
        hours = None if facts.hours_meter is None else Decimal(facts.hours_meter)
        factors += adjustment_factors(policy, inputs.adjustments, hours=hours, outlook=outlook)
        return Basis(
            product_group=group,
            method=method,
            facts=facts,
            amount_fen=amount_fen,
            log_reference=log_reference,
            factors=factors,
            widening=widening,
            ceiling_fen=specification.replacement_cost_fen,
            olv_weight=inputs.olv_weight,
            fmv_ratio=policy.number("FMV_RATIO"),
        )

    def _market(self, inputs: Inputs) -> tuple[Factor, ...]:
        """Return the factors from USD at the window's end to CNY on a day."""
        as_of = inputs.as_of
        index = self.model.log_index(as_of).exp().quantize(FACTOR_SCALE)
        return (
            Factor("INDEX", index, f"monthly index of {self.model.version}, 1 at the window's end"),
            self.policy.usd_cny(as_of),
            self.policy.inflation(as_of, since=self.model.window_end),
            *self._channel(inputs, default=AUCTION_CHANNEL),
        )

    def _channel(self, inputs: Inputs, *, default: str) -> tuple[Factor, ...]:
        """Return the factor of the channel that is stated, or of the default one."""
        channel = inputs.adjustments.channel or default
        return (self.policy.factor(f"CHANNEL.{channel}"),) if channel else ()


def read_references(model: ResidualValueModel, policy: PolicyTable) -> dict[str, Decimal]:
    """Return the log price of a machine of the reference age and hours, by product group."""
    return {
        group: model.predict(reference_machine(model, policy, group)).log_price[MEDIAN]
        for group in ("", *PRODUCT_GROUPS)
    }


def reference_machine(model: ResidualValueModel, policy: PolicyTable, group: str) -> MachineFacts:
    """Return a group's nearly new machine, against which the share of value left is taken."""
    new_year = date(model.window_end.year, 1, 1)
    return MachineFacts(
        on=new_year,
        product_group=group,
        build_year=new_year.year - int(policy.number("REFERENCE_AGE_YEARS")),
        hours_meter=policy.number("REFERENCE_HOURS"),
    )


def age_of(inputs: Inputs) -> Decimal | None:
    """Return a machine's age in years with two decimals, or None."""
    if inputs.specification.build_year is None:
        return None
    age = age_years(inputs.specification.build_year, inputs.as_of)
    return Decimal(f"{age:.2f}")


def known_hours(inputs: Inputs) -> Decimal | None:
    """Return the hours as far as they say something.

    A meter at zero says nothing of a machine older than a year; a new one has run for an hour.
    """
    hours, age = inputs.specification.hours_meter, age_of(inputs)
    if hours is None or hours > 0:
        return hours
    return Decimal(1) if age is not None and age <= 1 else None


def aged(facts: MachineFacts, months: int, *, hours_per_year: Decimal) -> MachineFacts:
    """Return a machine some months later; unknown hours stay unknown."""
    hours = facts.hours_meter
    if hours is not None:
        hours = Decimal(hours) + hours_per_year * months / MONTHS_PER_YEAR
    return replace(facts, on=add_months(facts.on, months), hours_meter=hours)


def values_of(log_price: Sequence[Decimal], basis: Basis) -> Values:
    """Return the values that log-price quantiles stand for, in fen, half up."""
    level = basis.amount_fen
    for factor in basis.factors:
        level *= factor.value
    flv: list[int] = []
    olv: list[int] = []
    fmv: list[int] = []
    for place, quantile in enumerate(log_price):
        side = (place > MEDIAN) - (place < MEDIAN)
        exact = level * (quantile - basis.log_reference + side * basis.widening).exp()
        market = whole_fen(exact / basis.fmv_ratio)
        if basis.ceiling_fen is not None:
            market = min(market, basis.ceiling_fen)
        forced = min(whole_fen(exact), market)
        fmv.append(market)
        flv.append(forced)
        olv.append(forced + whole_fen(basis.olv_weight * (market - forced)))
    return Values(_five(fmv), _five(olv), _five(flv))


def whole_fen(amount: Decimal) -> int:
    """Return an amount of fen, half up."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def points_of_curve(months: int, step_months: int) -> list[int]:
    """Return 0, step, 2·step … and the last month."""
    return sorted({*range(0, months + 1, step_months), months})


def _five(amounts: Sequence[int]) -> QuantilesFen:
    q05, q10, q50, q90, q95 = amounts
    return q05, q10, q50, q90, q95
