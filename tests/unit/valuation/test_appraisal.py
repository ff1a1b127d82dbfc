"""What a machine is worth: order, monotonicity, method and factors."""

import itertools
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.valuation.appraisal import Valuer, points_of_curve, values_of
from services.valuation.errors import ClassUnknown, ReplacementCostNeeded
from services.valuation.model import MEDIAN, Method, Specification, Values
from tests.unit.valuation.machines import AS_OF, EXCAVATOR, KNOWN, inputs_of, read_valuer

CLASSES = (
    "HYDRAULIC_EXCAVATOR",
    "TRACK_TYPE_TRACTOR",
    "BACKHOE_LOADER",
    "WHEEL_LOADER",
    "SKID_STEER_LOADER",
    "MOTOR_GRADER",
    "OTHER",
)
hours = st.none() | st.decimals(0, 1_000_000, places=2, allow_nan=False)
specifications = st.builds(
    Specification,
    make=st.sampled_from(["SANY", "CAT", "Komatsu", "", "小松"]),
    model=st.sampled_from(["330CL", "SY215C", "PC200", "", "\u2603"]),
    equipment_class=st.sampled_from(CLASSES),
    build_year=st.none() | st.integers(1920, 2026),
    hours_meter=hours,
    replacement_cost_fen=st.integers(1, 10**15),
)


def assert_ordered(values: Values, ceiling_fen: int | None) -> None:
    for quantiles in (values.fmv, values.olv, values.flv):
        assert list(quantiles) == sorted(quantiles)
    for fmv, olv, flv in zip(values.fmv, values.olv, values.flv, strict=True):
        assert 0 <= flv <= olv <= fmv
        assert ceiling_fen is None or fmv <= ceiling_fen


@settings(max_examples=150, deadline=None)
@given(specification=specifications, weight=st.decimals(0, 1, places=3))
def test_no_quantile_crosses_and_no_value_exceeds_the_next(
    specification: Specification, weight: Decimal
) -> None:
    appraisal, _ = read_valuer().appraise(inputs_of(specification, olv_weight=weight))
    assert_ordered(appraisal.values, specification.replacement_cost_fen)


@settings(max_examples=40, deadline=None)
@given(
    specification=specifications.filter(lambda machine: machine.build_year is not None),
    per_year=st.decimals(0, 8_784, places=1),
)
def test_a_curve_starts_at_the_valuation_and_never_rises(
    specification: Specification, per_year: Decimal
) -> None:
    valuer, inputs = read_valuer(), inputs_of(specification)
    points = valuer.curve(inputs, hours_per_year=per_year, months=points_of_curve(84, 3))
    appraisal, _ = valuer.appraise(inputs)
    assert points[0].values == appraisal.values
    assert [point.month for point in points] == [*range(0, 85, 3)]
    for earlier, later in itertools.pairwise(points):
        assert_ordered(later.values, specification.replacement_cost_fen)
        assert later.values.at_most(earlier.values) == later.values


@pytest.mark.parametrize("machine", [EXCAVATOR, KNOWN], ids=["retained_share", "model_price"])
def test_a_machine_is_worth_less_the_more_hours_it_has(
    valuer: Valuer, machine: Specification
) -> None:
    values = [
        valuer.appraise(inputs_of(machine, hours_meter=Decimal(reading)))[0].values
        for reading in range(100, 30_000, 650)
    ]
    for fewer, more in itertools.pairwise(values):
        assert more.at_most(fewer) == more


@pytest.mark.parametrize("machine", [EXCAVATOR, KNOWN], ids=["retained_share", "model_price"])
def test_a_machine_is_worth_less_the_older_it_is(valuer: Valuer, machine: Specification) -> None:
    values = [
        valuer.appraise(inputs_of(machine, build_year=year))[0].values
        for year in range(2026, 1985, -1)
    ]
    for newer, older in itertools.pairwise(values):
        assert older.at_most(newer) == older


def test_fmv_is_flv_over_three_quarters_and_olv_the_midpoint(valuer: Valuer) -> None:
    values = valuer.appraise(inputs_of())[0].values
    for fmv, olv, flv in zip(values.fmv, values.olv, values.flv, strict=True):
        assert fmv == pytest.approx(flv / 0.75, abs=1)
        assert olv == pytest.approx((fmv + flv) / 2, abs=1)


def test_the_values_of_the_worked_example(valuer: Valuer) -> None:
    """WE-7: FLV 600,000 gives OLV 700,000 and FMV 800,000, to the fen."""
    basis = replace(
        valuer.basis(inputs_of(KNOWN, replacement_cost_fen=None)),
        factors=(),
        amount_fen=Decimal(600_000_00),
        widening=Decimal(0),
    )
    values = values_of([Decimal(0)] * 5, basis)
    assert values.flv[MEDIAN] == 600_000_00
    assert values.olv[MEDIAN] == 700_000_00
    assert values.fmv[MEDIAN] == 800_000_00


def test_a_known_model_is_priced_by_the_booster_and_brought_to_the_market(valuer: Valuer) -> None:
    appraisal, prediction = valuer.appraise(inputs_of(KNOWN))
    assert appraisal.method is Method.MODEL_PRICE
    assert [factor.code for factor in appraisal.factors] == [
        "INDEX",
        "USD_CNY.2024",
        "INFLATION",
        "CHANNEL.CN_AUCTION",
    ]
    level = Decimal(100)
    for factor in appraisal.factors:
        assert factor.source
        level *= factor.value
    expected = level * prediction.log_price[MEDIAN].exp()
    assert appraisal.values.flv[MEDIAN] == pytest.approx(float(expected), abs=1)


def test_a_model_price_takes_the_exchange_rate_and_index_of_its_day(valuer: Valuer) -> None:
    machine = replace(KNOWN, build_year=2005, replacement_cost_fen=None)
    factors = {
        factor.code: factor.value
        for factor in valuer.appraise(inputs_of(machine, as_of=date(2008, 3, 1)))[0].factors
    }
    assert factors["USD_CNY.2008"] == Decimal("6.9451")
    assert factors["INFLATION"] == 1
    assert factors["INDEX"] == valuer.model.log_index(date(2008, 3, 1)).exp().quantize(
        Decimal("0.000001")
    )


def test_an_unknown_model_is_carried_by_its_replacement_cost(valuer: Valuer) -> None:
    one = valuer.appraise(inputs_of())[0]
    double = valuer.appraise(inputs_of(replacement_cost_fen=2_000_000_00))[0]
    assert one.method is Method.RETAINED_SHARE
    assert double.values.flv[MEDIAN] == pytest.approx(2 * one.values.flv[MEDIAN], abs=2)


def test_a_nearly_new_machine_brings_the_policys_share_at_auction(valuer: Valuer) -> None:
    values = valuer.appraise(
        inputs_of(as_of=date(2026, 1, 1), build_year=2025, hours_meter=Decimal(1_000))
    )[0].values
    assert values.flv[MEDIAN] == 600_000_00


def test_a_known_model_name_of_another_make_is_not_looked_up(valuer: Valuer) -> None:
    appraisal, _ = valuer.appraise(inputs_of(KNOWN, make="XCMG"))
    assert appraisal.method is Method.RETAINED_SHARE


def test_what_nothing_can_carry_is_refused(valuer: Valuer) -> None:
    with pytest.raises(ReplacementCostNeeded, match="SY215C"):
        valuer.appraise(inputs_of(replacement_cost_fen=None))
    with pytest.raises(ClassUnknown, match="SUBMARINE is none of BACKHOE_LOADER"):
        valuer.appraise(inputs_of(equipment_class="SUBMARINE"))


def test_unknown_hours_widen_the_interval_less_than_they_hide(valuer: Valuer) -> None:
    known = valuer.appraise(inputs_of())[0].values.flv
    unknown = valuer.appraise(inputs_of(hours_meter=None))[0].values.flv
    assert unknown[-1] / unknown[0] > known[-1] / known[0]


def test_after_the_window_and_without_a_model_the_tails_give_way(valuer: Valuer) -> None:
    inside = replace(KNOWN, build_year=2005, replacement_cost_fen=None)
    assert valuer.basis(inputs_of(inside, as_of=date(2012, 2, 1))).widening == 0
    assert valuer.basis(inputs_of(KNOWN)).widening == Decimal("0.08")
    assert valuer.basis(inputs_of()).widening == Decimal("0.16")
    assert valuer.basis(inputs_of(equipment_class="OTHER")).widening == Decimal("0.33")


def test_the_points_of_a_curve_end_with_the_last_month() -> None:
    assert points_of_curve(0, 3) == [0]
    assert points_of_curve(7, 3) == [0, 3, 6, 7]
    assert points_of_curve(3, 1) == [0, 1, 2, 3]


def test_more_hours_a_year_take_more_value(valuer: Valuer) -> None:
    idle, busy = (
        valuer.curve(inputs_of(), hours_per_year=Decimal(use), months=[0, 36])[-1].values
        for use in (0, 3_000)
    )
    assert busy.flv[MEDIAN] < idle.flv[MEDIAN]
    assert valuer.model.window_end < AS_OF
