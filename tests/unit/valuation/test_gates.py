"""The gates: met by the shipped booster's values, missed where a figure is missed or missing."""

import json
from functools import cache
from typing import Any

import pytest

from services.valuation.gates import of_figures, of_served_values
from services.valuation.model_store import Gate
from tests.unit.valuation.machines import read_valuer

GOOD: dict[str, Any] = {
    "bias_log": 0.01,
    "coverage_90": 0.9,
    "groups": {"product_group": {"TEX": {"rows": 900, "coverage_90": 0.86}}},
    "windows": [
        {
            "bias_log": -0.02,
            "pinball": 0.04,
            "rival_pinball": {"class_median": 0.1, "lucko_regression": 0.06},
        }
    ],
}


def missed(**changed: Any) -> set[str]:
    return {gate.code for gate in of_figures(GOOD | changed) if not gate.passed}


def test_good_figures_meet_every_gate() -> None:
    assert missed() == set()


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"bias_log": -0.031}, "BIAS"),
        ({"coverage_90": 0.93}, "COVERAGE_90"),
        ({"coverage_90": None}, "COVERAGE_90"),
        (
            {"groups": {"month": {"2011-05": {"rows": 200, "coverage_90": 0.829}}}},
            "COVERAGE_90_GROUPS",
        ),
        ({"groups": {}}, "COVERAGE_90_GROUPS"),
    ],
)
def test_a_figure_that_is_missed_or_missing_is_a_gate_missed(
    changed: dict[str, Any], code: str
) -> None:
    assert missed(**changed) == {code}


def test_a_rival_that_comes_too_near_or_was_not_measured_is_a_gate_missed() -> None:
    (window,) = GOOD["windows"]
    near = window | {"rival_pinball": {"class_median": 0.1, "lucko_regression": 0.042}}
    assert missed(windows=[near]) == {"PINBALL_LUCKO_REGRESSION"}
    assert missed(windows=[window, {**window, "rival_pinball": {}}]) == {
        "PINBALL_CLASS_MEDIAN",
        "PINBALL_LUCKO_REGRESSION",
    }


def test_a_small_group_says_nothing() -> None:
    small = {"month": {"2011-05": {"rows": 199, "coverage_90": 0.5}}}
    assert missed(groups=GOOD["groups"] | small) == set()


def test_the_shipped_boosters_values_meet_their_gates() -> None:
    gates = served()
    assert [gate.code for gate in gates] == ["MONOTONE", "ORDER", "INDEX_SHOCK", "MISSING_FACTS"]
    assert all(gate.passed for gate in gates)
    assert "-0.300" in gates[2].description


@cache
def served() -> tuple[Gate, ...]:
    return tuple(of_served_values(read_valuer()))


def test_an_evaluation_is_jsonof_figures() -> None:
    assert "coverage_90" in json.loads(read_valuer().model.evaluation)
