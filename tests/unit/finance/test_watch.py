"""The collateral watch in figures: cover along a curve, when to value again, what still counts."""

import csv
import hashlib
import io
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pyarrow import parquet

from services.finance.borrowing_base import Condition, Ineligible, make_base
from services.finance.borrowing_base_files import COLUMNS, to_csv, to_parquet
from services.finance.cover_model import ValueCurve, cover_of, months_to
from services.finance.draw_model import CollateralState, Draw, DrawState
from services.finance.facility_model import Basis, Facility, FacilityState
from services.finance.policy_model import Parameter, Terms
from services.finance.revaluation_model import (
    REASONS_MAX,
    Cause,
    Reason,
    compliance_reason,
    hours_reason,
    with_reason,
)
from services.finmath.day_count import DayCount
from tests.unit.finance.examples import ID, NOW, TODAY, draw, falling_curve

TERMS = Terms(
    "2026.1",
    {
        Parameter.REVALUATION_HOURS: Decimal(250),
        Parameter.REVALUATION_COMPLIANCE_BAND: Decimal("0.10"),
        Parameter.BASE_LOCATION_DAYS_MAX: Decimal(30),
        Parameter.BASE_HOURS_DAYS_MAX: Decimal(45),
        Parameter.DEBTOR_CONCENTRATION_MAX: Decimal("0.25"),
        Parameter.LTV_CAP_OLV: Decimal("0.85"),
    },
    {"*": 12_000},
)


def curve(months: int, *, flv: list[int] | None = None) -> ValueCurve:
    values = flv or falling_curve(months)
    return ValueCurve(ID, "valuations/v", TODAY, [value * 4 // 3 for value in values], values)


def we_8(balloon_fen: int) -> tuple[int | None, int, Decimal]:
    """Return breach, worst month and ratio of WE-8's loan with a balloon."""
    made, lines = draw(balloon_fen=balloon_fen)
    forced = cover_of(made, lines, curve(36)).forced
    return forced.breach_month, forced.worst_month, round(forced.worst_ratio, 4)


def test_the_month_of_a_breach_is_that_of_we_8() -> None:
    assert we_8(0) == (None, 0, Decimal("0.9633"))
    assert we_8(250_000_00) == (None, 14, Decimal("0.9904"))
    assert we_8(300_000_00) == (7, 32, Decimal("1.0802"))


def test_each_month_holds_the_balance_to_olv_after_the_haircut_and_to_flv() -> None:
    made, lines = draw(balloon_fen=300_000_00)
    cover = cover_of(made, lines, curve(36))
    assert [point.month for point in cover.points] == list(range(37))
    assert cover.points[0].balance_fen == made.outstanding_fen
    assert cover.points[0].collateral_fen == 544_000_00
    assert cover.points[0].loan_to_value == Decimal("0.8500")
    assert cover.points[12].balance_fen == lines[11].balance_fen
    assert cover.points[36].balance_fen == 0
    above = [point.month for point in cover.points if point.loan_to_value > made.maintenance_cap]
    assert cover.cap_month == above[0] > 0


def test_what_is_overdue_counts_today_and_is_taken_as_paid_later() -> None:
    made, lines = draw()
    late = replace(curve(34), as_of=lines[1].contract_on)
    cover = cover_of(made, lines, late)
    assert cover.points[0].balance_fen == made.outstanding_fen
    assert cover.points[1].balance_fen == lines[2].balance_fen


@pytest.mark.parametrize(
    ("as_of", "maturity", "months"),
    [
        (date(2026, 1, 31), date(2026, 2, 28), 1),
        (date(2026, 1, 15), date(2026, 3, 16), 3),
        (date(2026, 1, 15), date(2026, 1, 10), 0),
        (date(2026, 1, 15), date(2036, 1, 15), 84),
    ],
)
def test_a_curve_reaches_maturity_as_far_as_there_is_one(
    as_of: date, maturity: date, months: int
) -> None:
    assert months_to(as_of, maturity) == months


@pytest.mark.parametrize(
    ("valued", "hours", "is_due"),
    [("4000", "4249.9", False), ("4000", "4250", True), (None, "1", True), ("4000", "3000", False)],
)
def test_hours_are_a_reason_from_250_on(valued: str | None, hours: str, is_due: bool) -> None:
    known = None if valued is None else Decimal(valued)
    reason = hours_reason(TERMS, valued=known, hours=Decimal(hours))
    assert (reason is not None) is is_due


@pytest.mark.parametrize(
    ("valued", "now", "is_due"),
    [
        ("0.85", "0.81", False),
        ("0.85", "0.79", True),
        ("0.95", "1", False),
        (None, "0.9", True),
        ("0.9", None, True),
        (None, None, False),
    ],
)
def test_compliance_is_a_reason_where_it_changes_its_band(
    valued: str | None, now: str | None, is_due: bool
) -> None:
    pair = [None if text is None else Decimal(text) for text in (valued, now)]
    reason = compliance_reason(TERMS, valued=pair[0], compliance=pair[1])
    assert (reason is not None) is is_due


def test_no_switch_set_no_reason() -> None:
    off = Terms(
        "2026.1",
        {
            Parameter.REVALUATION_HOURS: Decimal(0),
            Parameter.REVALUATION_COMPLIANCE_BAND: Decimal(0),
        },
        {},
    )
    assert hours_reason(off, valued=None, hours=Decimal(9_000)) is None
    assert compliance_reason(off, valued=None, compliance=Decimal(1)) is None


def test_reasons_that_wait_are_kept_once_and_of_figures_the_newest() -> None:
    kept: list[Reason] = []
    for hours in range(3):
        kept = with_reason(kept, Reason(Cause.HOURS, f"hours: {hours}"))
        kept = with_reason(kept, Reason(Cause.STOP_FAULT, "STOP fault: SPN 110 FMI 0"))
    assert kept == [
        Reason(Cause.HOURS, "hours: 2"),
        Reason(Cause.STOP_FAULT, "STOP fault: SPN 110 FMI 0"),
    ]
    for code in range(200):
        kept = with_reason(kept, Reason(Cause.STOP_FAULT, f"STOP fault: {code}"))
    assert len(kept) == REASONS_MAX
    assert kept[-1].description == "STOP fault: 199"


FINE = Condition(
    title_holder="parties/b",
    custodian="parties/lessee",
    custody="ON_LEASE",
    lifecycle="IN_SERVICE",
    liens=["liens/l"],
    open_stop_faults=0,
    days_since_reading=45,
    days_since_location=30,
)
FACILITY = Facility(
    id=ID,
    version=1,
    event_sequence=1,
    state=FacilityState.ACTIVE,
    funder="parties/f",
    borrower="parties/b",
    limit_fen=4_000_000_00,
    outstanding_fen=0,
    reserved_fen=0,
    nominal_rate=Decimal("0.066"),
    day_count=DayCount.ACT_365F,
    basis=Basis.OLV,
    overrides={},
    create_time=NOW,
    update_time=NOW,
)


def base_of(*draws: Draw, conditions: dict[str, Condition] | None = None) -> Any:
    known = {one.machine: FINE for one in draws} | (conditions or {})
    return make_base(FACILITY, draws, known, terms=TERMS, as_of=TODAY)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"open_stop_faults": 1}, Ineligible.DOWN_UNIT),
        ({"custody": "IN_SHOP"}, Ineligible.DOWN_UNIT),
        ({"lifecycle": "IN_REMAN"}, Ineligible.DOWN_UNIT),
        ({"days_since_location": 31}, Ineligible.NO_LOCATION),
        ({"days_since_location": None}, Ineligible.NO_LOCATION),
        ({"days_since_reading": 46}, Ineligible.HOURS_STALE),
        ({"days_since_reading": None}, Ineligible.HOURS_STALE),
        ({"liens": ["liens/l", "liens/other"]}, Ineligible.LIEN),
        ({"title_holder": "parties/x"}, Ineligible.TITLE),
    ],
)
def test_a_line_that_does_not_count_says_why(changes: dict[str, Any], reason: Ineligible) -> None:
    one, _ = draw()
    base = base_of(one, conditions={one.machine: replace(FINE, **changes)})
    [line] = base.lines
    assert (line.eligible_fen, line.ineligible_fen) == (0, one.collateral_fen)
    assert line.reasons == (reason,)
    assert line.why
    assert base.availability_fen == -one.outstanding_fen


def test_a_sound_line_counts_whole_and_carries_the_ltv_cap_of_it() -> None:
    one, _ = draw()
    base = base_of(one)
    assert base.lines[0].reasons == ()
    assert base.base_fen == 462_400_00
    assert base.availability_fen == 0


@pytest.mark.parametrize(
    "changes",
    [{"state": DrawState.DEFAULTED}, {"collateral_state": CollateralState.ENFORCEMENT}],
)
def test_a_draw_in_default_counts_for_nothing(changes: dict[str, Any]) -> None:
    one, _ = draw()
    assert base_of(replace(one, **changes)).lines[0].reasons == (Ineligible.DEFAULT,)


def test_one_user_counts_up_to_its_share_of_the_limit() -> None:
    one, _ = draw()
    two, three = replace(one, machine="machines/2"), replace(one, machine="machines/3")
    in_stock = replace(one, machine="machines/4")
    base = base_of(
        one,
        two,
        three,
        in_stock,
        conditions={"machines/4": replace(FINE, custodian="parties/b")},
    )
    assert [line.eligible_fen for line in base.lines] == [
        544_000_00,
        456_000_00,  # the rest of 25 % of 4,000,000
        0,
        544_000_00,  # with the borrower itself: nobody's concentration
    ]
    assert [line.reasons for line in base.lines[:3]] == [
        (),
        (Ineligible.CONCENTRATION,),
        (Ineligible.CONCENTRATION,),
    ]
    assert base.eligible_fen + base.ineligible_fen == 4 * 544_000_00


def test_the_file_says_the_same_in_both_forms_and_is_the_same_each_time() -> None:
    one, _ = draw()
    two = replace(one, machine="machines/2")
    base = base_of(one, two, conditions={"machines/2": replace(FINE, open_stop_faults=2)})
    text, binary = to_csv(base), to_parquet(base)
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    assert tuple(rows[0]) == COLUMNS
    table = parquet.read_table(io.BytesIO(binary)).to_pylist()
    for row, kept in zip(rows, table, strict=True):
        assert kept["eligible_fen"] == round(Decimal(row["eligible"]) * 100)
        assert (kept["reasons"], kept["why"]) == (row["reasons"], row["why"])
    assert rows[1]["reasons"] == "DOWN_UNIT"
    assert rows[0]["eligible"] == "544000.00"
    for write in (to_csv, to_parquet):
        assert hashlib.sha256(write(base)).digest() == hashlib.sha256(write(base)).digest()
    assert to_csv(base_of()) == ",".join(COLUMNS).encode() + b"\n"
    assert parquet.read_table(io.BytesIO(to_parquet(base_of()))).num_rows == 0


def test_a_paydown_is_what_brings_the_balance_back_to_the_cap() -> None:
    one, _ = draw()
    short = replace(one, collateral_fen=500_000_00)
    assert short.loan_to_value > short.maintenance_cap
    assert short.paydown_fen == 462_400_00 - 450_000_00
    paid = replace(short, outstanding_fen=short.outstanding_fen - short.paydown_fen)
    assert paid.loan_to_value <= paid.maintenance_cap
