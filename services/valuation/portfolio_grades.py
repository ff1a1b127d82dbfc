"""The rules of the grade by column: a bit for each row and rule (see `grading`)."""

from datetime import date

import numpy as np

from services.valuation.appraisal import Valuer
from services.valuation.grading import HOURS_IN_A_YEAR
from services.valuation.model import MEDIAN
from services.valuation.portfolio_rows import Flags, Floats, Integers, Kept

QUANTILE_COUNT = 5
RULES = (
    "SYNTHETIC_MODEL",
    "CLASS_NOT_COVERED",
    "MODEL_UNKNOWN",
    "EQUIPMENT_ASSUMED",
    "CONDITION_ASSUMED",
    "AS_OF_AFTER_WINDOW",
    "AS_OF_BEFORE_WINDOW",
    "AGE_AND_USE_UNKNOWN",
    "BUILD_YEAR_UNKNOWN",
    "HOURS_UNKNOWN",
    "AGE_BEYOND_DATA",
    "REPLACEMENT_COST_UNKNOWN",
    "HOURS_ABSURD",
    "HOURS_ABOVE_CLASS_LIMIT",
    "CAPPED_BY_REPLACEMENT_COST",
    "INTERVAL_WIDE",
)


def rule_bits(
    valuer: Valuer,
    as_of: date,
    kept: Kept,
    values: Integers,
    *,
    covered: Flags,
    is_share: Flags,
    limits: Floats,
) -> Integers:
    """Return the rules of the grade that apply, a bit for each (see `grading`)."""
    policy, age, unknown_age = valuer.policy, kept.age_shown, np.isnan(kept.age)
    unknown_hours = np.isnan(kept.hours)
    meter = np.nan_to_num(kept.meter)
    possible = np.where(unknown_age, np.inf, HOURS_IN_A_YEAR * (age + 1))
    absurd = (meter >= limits * float(policy.number("HOURS_ABSURD_MULTIPLE"))) | (meter > possible)
    used = unknown_age | ~(age <= 1)
    flv = values[:, 2 * QUANTILE_COUNT :]
    always = np.ones(len(age), dtype=bool)
    flags = {
        "SYNTHETIC_MODEL": always & valuer.model.calibration.synthetic,
        "CLASS_NOT_COVERED": ~covered,
        "MODEL_UNKNOWN": covered & is_share,
        "EQUIPMENT_ASSUMED": always,
        "CONDITION_ASSUMED": np.array([not one for one in kept.condition]),
        "AS_OF_AFTER_WINDOW": always & (as_of > valuer.model.window_end),
        "AS_OF_BEFORE_WINDOW": always & (as_of < valuer.model.window_start),
        "AGE_AND_USE_UNKNOWN": unknown_age & unknown_hours,
        "BUILD_YEAR_UNKNOWN": unknown_age & ~unknown_hours,
        "HOURS_UNKNOWN": ~unknown_age & unknown_hours,
        "AGE_BEYOND_DATA": np.nan_to_num(age) > float(policy.number("AGE_YEARS_MAX")),
        "REPLACEMENT_COST_UNKNOWN": kept.cost <= 0,
        "HOURS_ABSURD": absurd,
        "HOURS_ABOVE_CLASS_LIMIT": ~absurd & (meter > limits),
        "CAPPED_BY_REPLACEMENT_COST": (kept.cost > 0) & used & (values[:, MEDIAN] >= kept.cost),
        "INTERVAL_WIDE": flv[:, -1] > float(policy.number("WIDTH_RATIO_MAX")) * flv[:, 0],
    }
    assert tuple(flags) == RULES
    bits = np.zeros(len(age), dtype=np.int64)
    for place, flag in enumerate(flags.values()):
        bits |= flag.astype(np.int64) << place
    return bits
