"""What a core is worth (WE-12 to the fen), and until when it may come in."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.clock import business_date
from services.kit.errors import InvalidArgument
from services.kit.ids import new_id
from services.remanufacturing.core_model import (
    CoreReturn,
    CoreState,
    Grade,
    credit_fen,
    forfeits_at,
    graded,
    last_day,
)
from services.remanufacturing.errors import GradeCodeUnknown
from services.remanufacturing.family_model import GradeCode, GradeCodeKind
from tests.unit.remanufacturing.components import (
    AT,
    CRACKED,
    ENGINE,
    FOUND,
    MISSING,
    UPGRADE,
)

DEPOSIT = 4_500_000
HALF = Decimal("0.5")


def core_return(deposit_fen: int = DEPOSIT) -> CoreReturn:
    return CoreReturn(
        id=new_id(),
        version=1,
        event_sequence=1,
        state=CoreState.RECEIVED,
        party="parties/1",
        remanufacturer="parties/2",
        machine="",
        work_order="",
        family_id=new_id(),
        family_version=1,
        deposit_fen=deposit_fen,
        deposit_account="accounts/1",
        deposit_on=date(2026, 3, 2),
        create_time=AT,
        update_time=AT,
    )


@pytest.mark.parametrize(
    ("grade", "codes", "expected_fen"),
    [
        (Grade.FULL, [], 4_500_000),
        (Grade.FULL, [UPGRADE], 4_370_900),
        (Grade.DAMAGED, [UPGRADE], 2_250_000),
        (Grade.FULL, [CRACKED], 3_900_000),
        (Grade.NONE, [FOUND], 0),
    ],
)
def test_the_credit_of_a_core_is_that_of_we_12(
    grade: Grade, codes: list[GradeCode], expected_fen: int
) -> None:
    assert credit_fen(DEPOSIT, grade, codes, damaged_share=HALF) == expected_fen


def test_a_missing_add_on_is_taken_off_like_a_deduction() -> None:
    assert credit_fen(DEPOSIT, Grade.FULL, [MISSING, CRACKED], damaged_share=HALF) == 3_700_000
    assert credit_fen(DEPOSIT, Grade.DAMAGED, [MISSING], damaged_share=HALF) == 2_050_000


def test_no_core_costs_its_sender_more_than_the_deposit() -> None:
    dear = GradeCode("DEAR", "dear", GradeCodeKind.DEDUCTION, 10**9)
    assert credit_fen(DEPOSIT, Grade.FULL, [dear], damaged_share=HALF) == 0


def test_the_damaged_share_is_rounded_half_up() -> None:
    assert credit_fen(101, Grade.DAMAGED, [], damaged_share=HALF) == 51


@given(
    deposit_fen=st.integers(1, 10**12),
    grade=st.sampled_from(Grade),
    share=st.decimals(0, 1, places=4),
    amounts=st.lists(st.integers(0, 10**12), max_size=5),
    kind=st.sampled_from(GradeCodeKind),
)
def test_a_credit_lies_between_nothing_and_the_deposit(
    deposit_fen: int, grade: Grade, share: Decimal, amounts: list[int], kind: GradeCodeKind
) -> None:
    codes = [GradeCode(f"C{n}", "code", kind, amount) for n, amount in enumerate(amounts)]
    assert 0 <= credit_fen(deposit_fen, grade, codes, damaged_share=share) <= deposit_fen


def test_day_180_is_in_time_and_day_181_is_not() -> None:
    day_0 = date(2026, 3, 2)
    assert (last_day(day_0) - day_0).days == 180
    assert business_date(forfeits_at(day_0)) == day_0 + timedelta(days=181)
    assert business_date(forfeits_at(day_0) - timedelta(microseconds=1)) == last_day(day_0)
    assert forfeits_at(day_0) == datetime(2026, 8, 29, 16, tzinfo=UTC)


@pytest.mark.parametrize(("deposit_fen", "needed"), [(2_000_000, False), (2_000_001, True)])
def test_two_persons_grade_above_twenty_thousand(deposit_fen: int, needed: bool) -> None:
    assert core_return(deposit_fen).needs_two_persons is needed


def grade_it(grade: Grade, *codes: str, send_back: bool = False) -> int:
    return graded(
        core_return(),
        ENGINE,
        grade=grade,
        codes=codes,
        note="",
        send_back=send_back,
        grader="users/1",
        at=AT,
    ).credit_fen


def test_a_grading_knows_the_amounts_of_its_codes() -> None:
    assert grade_it(Grade.FULL, "UPGRADE_TIER3") == 4_370_900
    assert grade_it(Grade.DAMAGED, "UPGRADE_TIER3") == 2_250_000


def test_a_grading_names_codes_of_its_family_only() -> None:
    with pytest.raises(GradeCodeUnknown):
        grade_it(Grade.FULL, "RUSTY")


@pytest.mark.parametrize("grade", [Grade.DAMAGED, Grade.NONE])
def test_a_core_that_is_not_full_has_a_reason(grade: Grade) -> None:
    with pytest.raises(InvalidArgument, match="codes"):
        grade_it(grade)


def test_only_a_worthless_core_goes_back() -> None:
    assert grade_it(Grade.NONE, "WORN", send_back=True) == 0
    with pytest.raises(InvalidArgument, match="send_back"):
        grade_it(Grade.DAMAGED, "WORN", send_back=True)
