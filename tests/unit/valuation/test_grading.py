"""The grade says how far a value may be trusted, and names the rule."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ml.residual_value import synthetic
from ml.residual_value.__main__ import main
from ml.residual_value.model import ResidualValueModel
from services.valuation.appraisal import Valuer
from services.valuation.model import Grade, Specification
from tests.unit.valuation.machines import EXCAVATOR, KNOWN, inputs_of

IN_WINDOW = date(2012, 2, 1)


def grade_of(valuer: Valuer, specification: Specification, **changes: Any) -> tuple[Grade, str]:
    appraisal, _ = valuer.appraise(inputs_of(specification, **changes))
    assert appraisal.grade is appraisal.grade_rules[0].grade
    return appraisal.grade, appraisal.grade_rules[0].code


@pytest.mark.parametrize(
    ("machine", "changes", "grade", "rule"),
    [
        (EXCAVATOR, {}, Grade.C, "MODEL_UNKNOWN"),
        (KNOWN, {}, Grade.C, "AS_OF_AFTER_WINDOW"),
        (KNOWN, {"as_of": IN_WINDOW, "build_year": 2005}, Grade.B, "EQUIPMENT_ASSUMED"),
        (KNOWN, {"as_of": date(2003, 1, 1), "build_year": 2001}, Grade.D, "AS_OF_BEFORE_WINDOW"),
        (EXCAVATOR, {"equipment_class": "OTHER"}, Grade.D, "CLASS_NOT_COVERED"),
        (EXCAVATOR, {"build_year": None, "hours_meter": None}, Grade.D, "AGE_AND_USE_UNKNOWN"),
        (EXCAVATOR, {"hours_meter": Decimal(150_000)}, Grade.D, "HOURS_ABSURD"),
        (EXCAVATOR, {"hours_meter": Decimal(60_000)}, Grade.D, "HOURS_ABSURD"),
        (EXCAVATOR, {"build_year": 1980}, Grade.D, "AGE_BEYOND_DATA"),
        (KNOWN, {"replacement_cost_fen": 300_000_00}, Grade.D, "CAPPED_BY_REPLACEMENT_COST"),
    ],
)
def test_the_worst_rule_gives_the_grade(
    valuer: Valuer, machine: Specification, changes: dict[str, Any], grade: Grade, rule: str
) -> None:
    assert grade_of(valuer, machine, **changes) == (grade, rule)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"build_year": None}, "BUILD_YEAR_UNKNOWN"),
        ({"hours_meter": None}, "HOURS_UNKNOWN"),
        ({"hours_meter": Decimal(0)}, "HOURS_UNKNOWN"),
        ({"hours_meter": Decimal(20_000), "build_year": 2010}, "HOURS_ABOVE_CLASS_LIMIT"),
    ],
)
def test_a_missing_or_odd_fact_is_a_rule_and_never_fails(
    valuer: Valuer, changes: dict[str, Any], rule: str
) -> None:
    appraisal, _ = valuer.appraise(inputs_of(**changes))
    assert rule in {applied.code for applied in appraisal.grade_rules}
    assert appraisal.grade >= Grade.C


def test_each_rule_says_its_figures(valuer: Valuer) -> None:
    appraisal, _ = valuer.appraise(inputs_of(hours_meter=Decimal(150_000)))
    (rule,) = (rule for rule in appraisal.grade_rules if rule.code == "HOURS_ABSURD")
    assert rule.description == "150,000 h are 10 times the class's limit of 15,000 h"


def test_overrides_are_named(valuer: Valuer) -> None:
    inputs = replace(inputs_of(), overridden=("hours_meter",))
    rules = {rule.code: rule for rule in valuer.appraise(inputs)[0].grade_rules}
    assert rules["OVERRIDDEN"].description == "the caller stated hours_meter"


def test_a_wide_interval_and_a_large_amount_go_to_review(valuer: Valuer) -> None:
    wide, _ = valuer.appraise(inputs_of(build_year=None, hours_meter=None))
    assert any(reason.startswith("INTERVAL_WIDE") for reason in wide.review_reasons)
    large, _ = valuer.appraise(inputs_of(replacement_cost_fen=20_000_000_00))
    assert large.grade is Grade.C
    assert [reason.split(":")[0] for reason in large.review_reasons] == ["AMOUNT"]
    assert valuer.appraise(inputs_of())[0].review_reasons == ()


def test_a_new_machine_may_be_worth_what_a_new_one_costs(valuer: Valuer) -> None:
    appraisal, _ = valuer.appraise(
        inputs_of(build_year=2026, hours_meter=Decimal(0), as_of=date(2026, 1, 2))
    )
    assert appraisal.grade is Grade.C
    assert "HOURS_UNKNOWN" not in {rule.code for rule in appraisal.grade_rules}


def test_a_model_trained_on_synthetic_sales_gives_grade_d(valuer: Valuer, tmp_path: Path) -> None:
    sales, folder = tmp_path / "s.parquet", tmp_path / "synthetic-1"
    synthetic.write(sales, 1_500, seed=1)
    assert main(["train", "--sales", str(sales), "--out", str(folder), "--no-origins"]) == 0
    made_up = Valuer.of(ResidualValueModel(folder), valuer.policy)
    assert grade_of(made_up, EXCAVATOR, as_of=date(2022, 1, 1)) == (Grade.D, "SYNTHETIC_MODEL")
