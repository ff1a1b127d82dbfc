"""What ranks before a draw, and what that leaves of its machine."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from services.finance.borrowing_base import Ineligible, make_base
from services.finance.cover_model import Senior, ValueCurve, cover_of
from services.finance.draw_model import Draw, DrawState
from services.finance.facility_model import Basis
from services.finance.loss_model import expect_loss
from services.finance.offer_model import decide
from services.finance.subordination_errors import NothingBehindSenior
from services.finance.subordination_model import ahead_of, balances_fen, is_ahead, senior_fen
from tests.unit.finance.examples import (
    APPRAISAL,
    FACTS,
    ID,
    NOW,
    RATE,
    TERMS,
    TODAY,
    WISH,
    draw,
    falling_curve,
)
from tests.unit.finance.test_watch import FACILITY, FINE
from tests.unit.finance.test_watch import TERMS as WATCH_TERMS

SENIOR_FEN, JUNIOR_FEN = 300_000_00, 100_000_00


def ranked(number: int, *, principal_fen: int, **changes: Any) -> Draw:
    """Return a draw whose lien was registered so many hours after the start."""
    made, _ = draw(principal_fen=principal_fen)
    stated: dict[str, Any] = {
        "lien_time": NOW + timedelta(hours=number),
        "lien_place": number,
    } | changes
    return replace(made, id=UUID(int=number), lien=f"liens/{number}", **stated)


SENIOR = ranked(1, principal_fen=SENIOR_FEN)
JUNIOR = ranked(2, principal_fen=JUNIOR_FEN, senior_draw_id=UUID(int=1), senior_cap_fen=SENIOR_FEN)


def test_the_time_of_registration_ranks_and_purchase_money_ranks_before_it() -> None:
    assert ahead_of(JUNIOR, [SENIOR, JUNIOR]) == [SENIOR]
    assert ahead_of(SENIOR, [SENIOR, JUNIOR]) == []
    bought = ranked(3, principal_fen=1, lien_first=True)
    assert ahead_of(JUNIOR, [JUNIOR, SENIOR, bought]) == [bought, SENIOR]
    at_once = replace(JUNIOR, lien_time=SENIOR.lien_time)
    assert is_ahead(SENIOR, of=at_once)
    assert not is_ahead(at_once, of=SENIOR)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": DrawState.REPAID},
        {"state": DrawState.PENDING},
        {"state": DrawState.DEFAULTED, "secured": False},
        {"lien_time": None},
    ],
)
def test_what_binds_no_machine_ranks_before_nobody(changes: dict[str, Any]) -> None:
    assert ahead_of(JUNIOR, [replace(SENIOR, **changes)]) == []


def test_a_senior_in_default_still_ranks_first() -> None:
    assert ahead_of(JUNIOR, [replace(SENIOR, state=DrawState.DEFAULTED)])


def test_no_more_ranks_first_than_was_consented() -> None:
    assert senior_fen(JUNIOR, [SENIOR]) == SENIOR_FEN
    assert senior_fen(replace(JUNIOR, senior_cap_fen=200_000_00), [SENIOR]) == 200_000_00
    _, lines = draw(principal_fen=SENIOR_FEN)
    kept = balances_fen(lines, cap_fen=290_000_00, from_on=TODAY, months=36)
    assert kept[0] == 290_000_00
    assert kept[12] == lines[11].balance_fen
    assert kept[36] == 0


def test_a_junior_is_offered_what_the_senior_leaves_to_the_end() -> None:
    _, lines = draw(principal_fen=SENIOR_FEN)
    ahead = balances_fen(lines, cap_fen=SENIOR_FEN, from_on=TODAY, months=36)
    terms: dict[str, Any] = {
        "flv_q10_fen": falling_curve(36),
        "terms": TERMS,
        "basis": Basis.OLV,
        "nominal_rate": RATE,
        "year": 2026,
    }
    made = decide(WISH, replace(FACTS, senior_fen=ahead), APPRAISAL, **terms)
    assert made.amount_fen == 462_400_00 - SENIOR_FEN
    assert made.senior_fen == SENIOR_FEN
    assert made.loan_to_fmv == Decimal("0.5780")
    # Both together stand to the values as the one loan of WE-8 does.
    alone = decide(WISH, FACTS, APPRAISAL, **terms)
    assert (made.worst_month, made.worst_ratio) == (alone.worst_month, alone.worst_ratio)
    with pytest.raises(NothingBehindSenior):
        decide(WISH, replace(FACTS, senior_fen=[462_400_00] * 37), APPRAISAL, **terms)


def test_loan_to_value_and_paydown_count_what_ranks_first() -> None:
    held = replace(JUNIOR, senior_fen=450_000_00)
    assert held.loan_to_value == Decimal("1.0110")
    assert held.paydown_fen == 550_000_00 - 489_600_00
    assert replace(held, senior_fen=500_000_00).paydown_fen == JUNIOR_FEN


def test_each_month_of_the_cover_counts_what_ranks_first_then() -> None:
    made, lines = draw(principal_fen=JUNIOR_FEN)
    junior = replace(made, senior_draw_id=SENIOR.id, senior_cap_fen=SENIOR_FEN)
    _, first = draw(principal_fen=SENIOR_FEN)
    curve = ValueCurve(ID, "valuations/v", TODAY, [640_000_00] * 37, falling_curve(36))
    cover = cover_of(junior, lines, curve, seniors=[Senior(SENIOR, first)])
    for month in (1, 12, 36):
        owed_fen = lines[month - 1].balance_fen + first[month - 1].balance_fen
        assert cover.points[month].balance_fen == owed_fen
    assert cover.points[0].balance_fen == SENIOR_FEN + JUNIOR_FEN


def test_the_borrowing_base_counts_what_the_senior_leaves_of_an_agreed_lien() -> None:
    held = replace(JUNIOR, senior_fen=SENIOR_FEN)
    bound = {held.machine: replace(FINE, liens=[SENIOR.lien, held.lien])}

    def lines_of(one: Draw, agreed: dict[UUID, frozenset[str]]) -> Any:
        base = make_base(FACILITY, [one], bound, terms=WATCH_TERMS, as_of=TODAY, agreed=agreed)
        return base.lines[0]

    [mine, theirs] = [
        lines_of(held, {held.id: frozenset({SENIOR.lien})}),
        lines_of(SENIOR, {SENIOR.id: frozenset({held.lien})}),
    ]
    assert mine.eligible_fen == held.collateral_fen - SENIOR_FEN
    assert mine.reasons == (Ineligible.SENIOR,)
    assert (theirs.eligible_fen, theirs.reasons) == (SENIOR.collateral_fen, ())
    # Nobody agreed: neither counts.
    assert lines_of(held, {}).eligible_fen == 0
    assert lines_of(SENIOR, {}).reasons == (Ineligible.LIEN,)


def test_the_expected_loss_secures_a_junior_by_what_is_left_after_the_haircut() -> None:
    made, lines = draw(principal_fen=JUNIOR_FEN)
    # 700,000 × (1 − 40 %) = 420,000, of which 350,000 rank first.
    loss = expect_loss(replace(made, senior_fen=350_000_00), lines, terms=TERMS, today=TODAY)
    assert loss.secured_fen == 70_000_00
