"""Policy values, their bounds, and a facility's headroom."""

from dataclasses import replace
from decimal import Decimal

import pytest

from services.finance.errors import FacilityNotActive, HeadroomExceeded, OverrideOutOfBounds
from services.finance.facility_model import Basis, Facility, FacilityState
from services.finance.policy_model import Parameter, Policy, Value, value_problem
from services.finmath.day_count import DayCount
from tests.unit.finance.examples import ID, NOW, TERMS, TODAY

POLICY = Policy(
    id=ID,
    version="2026.1",
    effective_on=TODAY,
    values={parameter: Value(value) for parameter, value in TERMS.values.items()}
    | {
        Parameter.HAIRCUT_B: Value(Decimal("0.15"), Decimal("0.05"), Decimal("0.60")),
        Parameter.LTV_CAP_OLV: Value(Decimal("0.85"), Decimal("0.30"), Decimal("0.90")),
        Parameter.WATCH_LINE: Value(Decimal("0.87"), Decimal("0.40"), Decimal("0.95")),
    },
    hours_limits=TERMS.hours_limits,
    create_time=NOW,
)

FACILITY = Facility(
    id=ID,
    version=1,
    event_sequence=1,
    state=FacilityState.ACTIVE,
    funder="parties/f",
    borrower="parties/b",
    limit_fen=1_000_00,
    outstanding_fen=300_00,
    reserved_fen=200_00,
    nominal_rate=Decimal("0.066"),
    day_count=DayCount.ACT_365F,
    basis=Basis.OLV,
    overrides={},
    create_time=NOW,
    update_time=NOW,
)


def test_a_funder_may_be_stricter_or_bolder_within_bounds() -> None:
    own = {Parameter.HAIRCUT_B: Decimal("0.20")}
    POLICY.check_overrides(own)
    assert POLICY.terms(own)[Parameter.HAIRCUT_B] == Decimal("0.20")
    assert POLICY.terms({})[Parameter.HAIRCUT_B] == Decimal("0.15")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Parameter.HAIRCUT_B, "0.04"),
        (Parameter.HAIRCUT_B, "0.61"),
        (Parameter.DEFAULT_PROBABILITY, "0.01"),
    ],
)
def test_an_override_outside_its_bounds_is_refused(parameter: Parameter, value: str) -> None:
    with pytest.raises(OverrideOutOfBounds):
        POLICY.check_overrides({parameter: Decimal(value)})


def test_a_maximum_draw_must_start_below_the_watch_line() -> None:
    with pytest.raises(OverrideOutOfBounds, match="must not fall in this order"):
        POLICY.check_overrides({Parameter.LTV_CAP_OLV: Decimal("0.88")})
    with pytest.raises(OverrideOutOfBounds, match="must not fall in this order"):
        POLICY.check_overrides({Parameter.WATCH_LINE: Decimal("0.91")})


@pytest.mark.parametrize(
    ("parameter", "value", "is_fine"),
    [
        (Parameter.HAIRCUT_A, "0", True),
        (Parameter.HAIRCUT_A, "1.01", False),
        (Parameter.HAIRCUT_A, "0.1234567", False),
        (Parameter.COVER_MAX, "0", False),
        (Parameter.TERM_MONTHS_MAX, "84", True),
        (Parameter.TERM_MONTHS_MAX, "85", False),
    ],
)
def test_a_policy_value_has_a_range(parameter: Parameter, value: str, is_fine: bool) -> None:
    assert (value_problem(parameter, Decimal(value)) is None) == is_fine


def test_headroom_is_what_is_neither_outstanding_nor_on_its_way() -> None:
    assert FACILITY.available_fen == 500_00
    full = FACILITY.reserve(500_00)
    assert full.available_fen == 0
    with pytest.raises(HeadroomExceeded):
        full.reserve(1)


def test_headroom_moves_from_reserved_to_outstanding_and_back() -> None:
    drawn = FACILITY.reserve(500_00).pay_out(500_00)
    assert (drawn.outstanding_fen, drawn.reserved_fen) == (800_00, 200_00)
    assert drawn.take_back(800_00).available_fen == 800_00
    assert FACILITY.reserve(100_00).give_back(100_00) == FACILITY


@pytest.mark.parametrize("state", [FacilityState.SUSPENDED, FacilityState.CLOSED])
def test_a_facility_that_is_not_active_is_not_drawn(state: FacilityState) -> None:
    with pytest.raises(FacilityNotActive):
        replace(FACILITY, state=state).reserve(1)
