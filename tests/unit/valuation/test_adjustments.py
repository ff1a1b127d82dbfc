"""Adjustments: each in its direction, published, and none of them hidden."""

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest

from services.valuation.adjustments import (
    CONDITION_GRADES,
    Outlook,
    adjustment_factors,
    compliance_at,
    hours_adjustment,
)
from services.valuation.appraisal import Valuer, whole_fen
from services.valuation.model import MEDIAN, Adjustments, Component
from services.valuation.record import inputs_from_json, inputs_to_json
from tests.unit.valuation.machines import KNOWN, inputs_of


def flv_of(valuer: Valuer, stated: Adjustments) -> int:
    inputs = replace(inputs_of(), adjustments=stated)
    return valuer.appraise(inputs)[0].values.flv[MEDIAN]


@pytest.mark.parametrize(
    "from_low_to_high",
    [
        [Adjustments(condition=grade) for grade in reversed(CONDITION_GRADES)],
        [Adjustments(maintenance_compliance=Decimal(part) / 10) for part in range(11)],
        [Adjustments(open_stop_faults=count) for count in (5, 4, 3, 2, 1, 0)],
        [Adjustments(components=(Component("ENGINE", Decimal(h)),)) for h in (12_000, 6_000, 0)],
    ],
    ids=["condition", "maintenance", "stop_faults", "component"],
)
def test_a_value_moves_in_the_right_direction(
    valuer: Valuer, from_low_to_high: list[Adjustments]
) -> None:
    values = [flv_of(valuer, stated) for stated in from_low_to_high]
    for lower, higher in itertools.pairwise(values):
        assert lower < higher


def test_more_stop_faults_than_the_policy_counts_take_no_more(valuer: Valuer) -> None:
    assert flv_of(valuer, Adjustments(open_stop_faults=5)) == flv_of(
        valuer, Adjustments(open_stop_faults=900)
    )


def test_what_is_neutral_changes_nothing(valuer: Valuer) -> None:
    plain = flv_of(valuer, Adjustments())
    for stated in (
        Adjustments(condition="GOOD"),
        Adjustments(maintenance_compliance=Decimal("0.8")),
        Adjustments(open_stop_faults=0),
        Adjustments(components=(Component("ENGINE", Decimal(50_000)),)),
        Adjustments(region="EAST"),
    ):
        assert flv_of(valuer, stated) == plain


def test_the_hours_adjustment_of_the_worked_example(valuer: Valuer) -> None:
    """WE-19: 1.2 thousand hours above the norm at 0.02 leave 781,028.57 of 800,000."""
    norm = valuer.policy.number("HOURS_ADJUSTMENT.NORM")
    factor = hours_adjustment(valuer.policy, norm + 1_200)
    assert whole_fen(800_000_00 * factor) == 781_028_57
    assert hours_adjustment(valuer.policy, norm) == 1


def test_hours_beyond_what_the_booster_sees_still_take_value(valuer: Valuer) -> None:
    at_norm, above = (
        valuer.appraise(inputs_of(hours_meter=Decimal(hours)))[0] for hours in (40_000, 60_000)
    )
    assert above.values.flv[MEDIAN] < at_norm.values.flv[MEDIAN]
    assert "HOURS_BEYOND_DATA" in [factor.code for factor in above.factors]
    assert "HOURS_BEYOND_DATA" not in [factor.code for factor in at_norm.factors]


def test_a_curve_shows_another_compliance_within_the_policys_months(valuer: Valuer) -> None:
    kept = Decimal("0.9")
    at = [
        compliance_at(valuer.policy, kept, Outlook(month, compliance=Decimal("0.3")))
        for month in (0, 6, 12, 24)
    ]
    assert at == [Decimal("0.9"), Decimal("0.6"), Decimal("0.3"), Decimal("0.3")]
    good, bad = (
        valuer.curve(
            inputs_of(),
            hours_per_year=Decimal(1_500),
            months=[0, 12, 36],
            compliance=Decimal(compliance),
        )
        for compliance in ("1", "0")
    )
    assert good[0] == bad[0]
    assert good[-1].values.flv[MEDIAN] > bad[-1].values.flv[MEDIAN]


def test_a_component_ages_along_the_curve(valuer: Valuer) -> None:
    stated = Adjustments(components=(Component("ENGINE", Decimal(0)),))
    now, later = (
        adjustment_factors(
            valuer.policy, stated, hours=None, outlook=Outlook(months, Decimal(6_000))
        )[0].value
        for months in (0, 12)
    )
    assert (now, later) == (Decimal("1.08"), Decimal("1.04"))


def test_an_earlier_policy_table_knows_no_adjustment_and_refuses_none(valuer: Valuer) -> None:
    codes = [line.code for line in valuer.policy.lines]
    assert all(f"CONDITION.{grade}" in codes for grade in CONDITION_GRADES)
    assert inputs_from_json(inputs_to_json(inputs_of(KNOWN))) == inputs_of(KNOWN)
    assert "adjustments" not in inputs_to_json(inputs_of(KNOWN))


def test_what_is_stated_survives_the_record() -> None:
    stated = Adjustments("FAIR", Decimal("0.5"), 0, (Component("ENGINE", Decimal("1.5")),), "EAST")
    inputs = replace(inputs_of(), adjustments=stated)
    assert inputs_from_json(inputs_to_json(inputs)) == inputs
