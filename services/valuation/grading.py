"""The confidence grade: each rule that applied, with its figures, and who must decide."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from ml.residual_value.model import ResidualValueModel
from services.valuation.model import MEDIAN, Grade, GradeRule, Inputs, Method, Values
from services.valuation.policy import PolicyTable

FEN_PER_YUAN = 100
HOURS_IN_A_YEAR = 8_784  # of a leap year: no meter can run faster


@dataclass(frozen=True, slots=True)
class Findings:
    """What the computation found of a machine, beside its inputs."""

    product_group: str
    method: Method
    age_years: Decimal | None
    hours_known: bool
    values: Values


def grade_rules(
    policy: PolicyTable, model: ResidualValueModel, inputs: Inputs, findings: Findings
) -> tuple[GradeRule, ...]:
    """Return the rules that apply, the worst first."""
    rules = [
        policy.rule(code, description)
        for check in (_of_model, _of_date, _of_facts, _of_use, _of_values)
        for code, description in check(policy, model, inputs, findings)
    ]
    return tuple(sorted(rules, key=lambda rule: rule.grade, reverse=True))


def review_reasons(
    policy: PolicyTable, rules: tuple[GradeRule, ...], values: Values
) -> tuple[str, ...]:
    """Return why a validator must decide before a valuation is issued; empty: nobody need."""
    reasons = [f"{rule.code}: {rule.description}" for rule in rules if rule.grade is Grade.D]
    limit = int(policy.number("AUTO_ISSUE_CNY_MAX")) * FEN_PER_YUAN
    if (median := values.fmv[MEDIAN]) > limit:
        reasons.append(
            f"AMOUNT: FMV {median // FEN_PER_YUAN:,} CNY is above the {limit // FEN_PER_YUAN:,} "
            "that are issued automatically"
        )
    return tuple(reasons)


_Found = Iterator[tuple[str, str]]


def _of_model(
    policy: PolicyTable, model: ResidualValueModel, inputs: Inputs, findings: Findings
) -> _Found:
    specification = inputs.specification
    if model.calibration.synthetic:
        yield "SYNTHETIC_MODEL", f"the model {model.version} was trained on synthetic sales"
    if not findings.product_group:
        yield (
            "CLASS_NOT_COVERED",
            f"no machine of class {specification.equipment_class} is in the training data; "
            "valued from the mean of all classes",
        )
    elif findings.method is Method.RETAINED_SHARE:
        yield "MODEL_UNKNOWN", _unknown_model(policy, inputs)
    yield (
        "EQUIPMENT_ASSUMED",
        "the machine's attachments are not stated; those most frequent in its class are assumed",
    )
    if policy.has("GRADE.CONDITION_ASSUMED") and not inputs.adjustments.condition:
        yield "CONDITION_ASSUMED", "the machine's condition is not stated; a good one is assumed"


def _of_date(
    policy: PolicyTable,  # noqa: ARG001  (every check takes the same)
    model: ResidualValueModel,
    inputs: Inputs,
    findings: Findings,  # noqa: ARG001
) -> _Found:
    if inputs.as_of > model.window_end:
        yield (
            "AS_OF_AFTER_WINDOW",
            f"as of {inputs.as_of}, after the training window's end {model.window_end}",
        )
    if inputs.as_of < model.window_start:
        yield (
            "AS_OF_BEFORE_WINDOW",
            f"as of {inputs.as_of}, before the training window's start {model.window_start}",
        )


def _of_facts(
    policy: PolicyTable,
    model: ResidualValueModel,  # noqa: ARG001
    inputs: Inputs,
    findings: Findings,
) -> _Found:
    age = findings.age_years
    if age is None and not findings.hours_known:
        yield "AGE_AND_USE_UNKNOWN", "neither build year nor hours are known"
    elif age is None:
        yield "BUILD_YEAR_UNKNOWN", "the build year is not known"
    elif not findings.hours_known:
        yield "HOURS_UNKNOWN", "the hours are not known, or the meter stands at zero"
    if age is not None and age > (limit := policy.number("AGE_YEARS_MAX")):
        yield "AGE_BEYOND_DATA", f"{age} years old, more than {limit}"
    if inputs.specification.replacement_cost_fen is None:
        yield "REPLACEMENT_COST_UNKNOWN", "no replacement cost is stated"
    if inputs.overridden:
        yield "OVERRIDDEN", f"the caller stated {', '.join(inputs.overridden)}"


def _of_use(
    policy: PolicyTable,
    model: ResidualValueModel,  # noqa: ARG001
    inputs: Inputs,
    findings: Findings,
) -> _Found:
    hours = inputs.specification.hours_meter
    if hours is None:
        return
    limit = policy.number(f"HOURS_LIMIT.{findings.product_group}")
    multiple = policy.number("HOURS_ABSURD_MULTIPLE")
    age = findings.age_years
    possible = None if age is None else HOURS_IN_A_YEAR * (age + 1)
    if hours >= limit * multiple:
        yield "HOURS_ABSURD", f"{hours:,f} h are {multiple} times the class's limit of {limit:,} h"
    elif possible is not None and hours > possible:
        yield "HOURS_ABSURD", f"{hours:,f} h cannot have passed in {age} years"
    elif hours > limit:
        yield "HOURS_ABOVE_CLASS_LIMIT", f"{hours:,f} h, above the class's limit of {limit:,} h"


def _of_values(
    policy: PolicyTable,
    model: ResidualValueModel,  # noqa: ARG001
    inputs: Inputs,
    findings: Findings,
) -> _Found:
    values, ceiling = findings.values, inputs.specification.replacement_cost_fen
    # A machine within its first year may well be worth what a new one costs.
    used = findings.age_years is None or findings.age_years > 1
    if ceiling is not None and used and values.fmv[MEDIAN] >= ceiling:
        yield (
            "CAPPED_BY_REPLACEMENT_COST",
            f"the model's FMV is not below the replacement cost of {ceiling // FEN_PER_YUAN:,} CNY",
        )
    ratio = policy.number("WIDTH_RATIO_MAX")
    if values.flv[-1] > ratio * values.flv[0]:
        yield "INTERVAL_WIDE", f"q95 of FLV is more than {ratio} times its q05"


def _unknown_model(policy: PolicyTable, inputs: Inputs) -> str:
    specification = inputs.specification
    called = " ".join(part for part in (specification.make, specification.model) if part)
    if not specification.model:
        why = "no model is stated"
    elif not policy.knows_make(specification.make):
        why = f'the training data have no machines of the make "{specification.make}"'
    else:
        why = f'the training data have too few sales of "{called}"'
    return f"{why}; valued by class, age and hours from its replacement cost"
