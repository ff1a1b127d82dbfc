"""The explanation: lines that add up to the value to the fen, in the trade's words."""

from dataclasses import replace
from decimal import Decimal
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.valuation.explanation import Explainer, ValueBasis
from services.valuation.model import MEDIAN, Adjustments, Component, Specification
from tests.unit.valuation.machines import EXCAVATOR, KNOWN, inputs_of, read_valuer
from tests.unit.valuation.test_appraisal import specifications

STATED = Adjustments(
    condition="FAIR",
    maintenance_compliance=Decimal("0.95"),
    open_stop_faults=2,
    components=(Component("ENGINE", Decimal(500)),),
    region="EAST",
    channel="EXPORT",
)


@cache
def read_explainer() -> Explainer:
    return Explainer(read_valuer())


@settings(max_examples=60, deadline=None)
@given(
    specification=specifications,
    of=st.sampled_from(ValueBasis),
    stated=st.sampled_from([Adjustments(), STATED]),
    weight=st.decimals(0, 1, places=3),
)
def test_the_lines_add_up_to_the_value_to_the_fen(
    specification: Specification, of: ValueBasis, stated: Adjustments, weight: Decimal
) -> None:
    inputs = replace(inputs_of(specification, olv_weight=weight), adjustments=stated)
    explanation = read_explainer().explain(inputs, of)
    values = read_valuer().appraise(inputs)[0].values
    value_fen = getattr(values, of.lower())[MEDIAN]
    assert explanation.value_fen == value_fen
    assert explanation.start_fen + sum(line.amount_fen for line in explanation.lines) == value_fen


@pytest.mark.parametrize("machine", [EXCAVATOR, KNOWN], ids=["retained_share", "model_price"])
def test_the_percentages_multiply_to_the_value(machine: Specification) -> None:
    explanation = read_explainer().explain(inputs_of(machine), ValueBasis.FMV)
    product = 1.0
    for line in explanation.lines:
        product *= 1 + float(line.percent) / 100
    assert explanation.start_fen * product == pytest.approx(explanation.value_fen, rel=0.01)


def test_hours_age_and_every_factor_have_lines_of_their_own() -> None:
    inputs = replace(inputs_of(KNOWN), adjustments=STATED)
    explanation = read_explainer().explain(inputs, ValueBasis.OLV)
    lines = {line.code: line for line in explanation.lines}
    assert list(lines) == [
        "MODEL",
        "EQUIPMENT",
        "AGE",
        "HOURS",
        "INDEX",
        "USD_CNY.2024",
        "INFLATION",
        "CHANNEL.EXPORT",
        "CONDITION.FAIR",
        "MAINTENANCE",
        "STOP_FAULTS",
        "COMPONENT.ENGINE",
        "REGION.EAST",
        "OLV_WEIGHT",
    ]
    assert lines["HOURS"].description.startswith("6,000 h: ")
    assert lines["HOURS"].description.endswith(" %")
    assert lines["CONDITION.FAIR"].description == "condition fair: −12.0 %"
    assert lines["STOP_FAULTS"].percent == Decimal("-11.6")
    assert lines["REGION.EAST"].description == "region east: ±0.0 %"


def test_a_machine_of_more_hours_has_a_lower_hours_line() -> None:
    few, many = (
        read_explainer().explain(inputs_of(hours_meter=Decimal(hours)), ValueBasis.FLV)
        for hours in (2_000, 14_000)
    )
    of_few, of_many = (
        next(line.percent for line in one.lines if line.code == "HOURS") for one in (few, many)
    )
    assert of_many < of_few


def test_the_replacement_costs_cap_is_a_line() -> None:
    inputs = inputs_of(KNOWN, replacement_cost_fen=1_000_00)
    explanation = read_explainer().explain(inputs, ValueBasis.FMV)
    assert explanation.value_fen == 1_000_00
    assert explanation.lines[-1].code == "REPLACEMENT_COST_CAP"
    assert explanation.lines[-1].percent < 0
