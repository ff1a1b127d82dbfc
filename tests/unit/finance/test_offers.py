"""What may be lent on a machine: WE-7, WE-8 and the policy's refusals."""

from dataclasses import replace
from decimal import Decimal

import pytest

from services.finance.errors import (
    AgeAtMaturity,
    BalloonTooHigh,
    FactsMissing,
    GradeManualOnly,
    HoursAtMaturity,
    TermTooLong,
    ThroughLifeCover,
    ValuationNotIssued,
)
from services.finance.facility_model import Basis
from services.finance.offer_model import Bound, Decision, decide
from tests.unit.finance.examples import (
    APPRAISAL,
    FACTS,
    RATE,
    TERMS,
    WISH,
    falling_curve,
)

GENEROUS = [10**9] * 100


def decided(curve: list[int] | None = None, **changed: object) -> Decision:
    """Decide WE-7's case with some parts of it replaced."""
    wish = replace(WISH, **{k: v for k, v in changed.items() if hasattr(WISH, k)})  # type: ignore[arg-type]
    facts = replace(FACTS, **{k: v for k, v in changed.items() if hasattr(FACTS, k)})  # type: ignore[arg-type]
    appraisal = replace(APPRAISAL, **{k: v for k, v in changed.items() if hasattr(APPRAISAL, k)})  # type: ignore[arg-type]
    basis = changed.get("basis", Basis.OLV)
    assert isinstance(basis, Basis)
    return decide(
        wish,
        facts,
        appraisal,
        flv_q10_fen=(curve or GENEROUS)[: wish.term_months + 1],
        terms=TERMS,
        basis=basis,
        nominal_rate=RATE,
        year=2026,
    )


def test_we_7_an_offer_is_the_lesser_of_ltv_and_price() -> None:
    decision = decided()

    assert decision.amount_fen == 462_400_00
    assert decision.bound is Bound.LOAN_TO_VALUE
    assert decision.collateral_fen == 544_000_00
    assert decision.loan_to_fmv == Decimal("0.5780")
    assert decision.payment_fen == 14_193_16
    assert decision.policy_version == "2026.1"
    assert decision.effective_rate == Decimal("0.068034")


def test_a_low_price_bounds_an_offer() -> None:
    decision = decided(purchase_price_fen=500_000_00)
    assert (decision.bound, decision.amount_fen) == (Bound.PRICE, 400_000_00)


def test_an_offer_is_never_more_than_what_was_asked_for() -> None:
    decision = decided(requested_fen=300_000_00)
    assert (decision.bound, decision.amount_fen) == (Bound.REQUESTED, 300_000_00)


@pytest.mark.parametrize(
    ("basis", "grade", "amount_fen"),
    [
        (Basis.OLV, "A", 489_600_00),  # 640,000 × 0.90 × 0.85
        (Basis.OLV, "C", 408_000_00),  # 640,000 × 0.75 × 0.85
        (Basis.FMV, "B", 403_325_00),  # 730,000 × 0.85 × 0.65
        (Basis.FLV, "B", 387_600_00),  # 480,000 × 0.85 × 0.95
    ],
)
def test_haircut_follows_the_grade_and_the_cap_follows_the_basis(
    basis: Basis, grade: str, amount_fen: int
) -> None:
    assert decided(basis=basis, grade=grade).amount_fen == amount_fen


@pytest.mark.parametrize(
    ("balloon_fen", "worst_ratio", "worst_month"),
    [(0, "0.9633", 0), (250_000_00, "0.9904", 14)],
)
def test_we_8_cover_holds_to_the_end(balloon_fen: int, worst_ratio: str, worst_month: int) -> None:
    decision = decided(falling_curve(36), balloon_fen=balloon_fen)
    assert (decision.worst_ratio, decision.worst_month) == (Decimal(worst_ratio), worst_month)


def test_we_8_a_breach_is_refused_and_names_its_first_month() -> None:
    with pytest.raises(ThroughLifeCover) as refused:
        decided(falling_curve(36), balloon_fen=300_000_00)

    assert refused.value.reason == "THROUGH_LIFE_COVER"
    assert refused.value.metadata["month"] == "7"
    assert refused.value.metadata["ratio"] == "1.0034"
    assert "month 7" in refused.value.message
    assert "100.34%" in refused.value.message


def test_a_worthless_machine_covers_nothing() -> None:
    with pytest.raises(ThroughLifeCover):
        decided([10**9] * 10 + [0] * 27)


def test_a_valuation_in_review_is_not_lent_on() -> None:
    with pytest.raises(ValuationNotIssued):
        decided(state="IN_REVIEW")


def test_grade_d_is_not_lent_on_automatically() -> None:
    with pytest.raises(GradeManualOnly):
        decided(grade="D")


def test_age_and_hours_must_both_hold_at_maturity() -> None:
    assert decided(build_year=2017).amount_fen  # 9 + 3 years = 12
    with pytest.raises(AgeAtMaturity):
        decided(build_year=2016)
    assert decided(hours_meter=Decimal(9_000)).amount_fen  # 9,000 + 3 × 2,000 = 15,000
    with pytest.raises(HoursAtMaturity):
        decided(hours_meter=Decimal("9000.1"))


def test_a_class_without_a_limit_of_its_own_has_the_general_one() -> None:
    with pytest.raises(HoursAtMaturity) as refused:
        decided(equipment_class="OTHER", hours_meter=Decimal(6_001))
    assert "12,000" in refused.value.message


@pytest.mark.parametrize(("fact", "value"), [("build_year", 0), ("hours_meter", None)])
def test_a_machine_of_unknown_age_or_hours_is_not_lent_on(fact: str, value: object) -> None:
    with pytest.raises(FactsMissing):
        decided(None, **{fact: value})


def test_a_term_has_a_limit() -> None:
    with pytest.raises(TermTooLong):
        decided(term_months=61)


def test_a_balloon_is_below_the_amount() -> None:
    with pytest.raises(BalloonTooHigh):
        decided(balloon_fen=462_400_00)
