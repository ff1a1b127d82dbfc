"""What a draw owes, and what payments do to it."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.finance.draw_model import (
    bucket_of,
    collateral_finding,
    days_past_due,
    next_ageing_on,
    overdue_fen,
    stage_of,
)
from services.finance.loss_model import expect_loss
from services.finance.payment_model import accrue_penalty, quote, repay
from services.finmath.allocation import Parts
from services.finmath.day_count import DayCount
from services.kit.calendar import CHINA
from tests.unit.finance.examples import TERMS, TODAY, draw


def test_a_schedule_repays_the_principal_and_ends_with_its_balloon() -> None:
    made, lines = draw(balloon_fen=100_000_00)

    assert len(lines) == 37
    assert sum(line.principal_fen for line in lines) == made.principal_fen
    assert lines[-1].principal_fen == 100_000_00
    assert lines[-1].contract_on == lines[-2].contract_on == date(2029, 3, 2)


def test_we_7_the_instalment_is_level_and_the_last_absorbs_rounding() -> None:
    _, lines = draw()
    payments = {line.interest_fen + line.principal_fen for line in lines[:-1]}
    assert payments == {14_193_16}
    assert abs(lines[-1].interest_fen + lines[-1].principal_fen - 14_193_16) <= 36


def test_a_due_date_on_a_holiday_moves_on_and_changes_no_interest() -> None:
    _, lines = draw(start_on=date(2026, 1, 5))
    april = lines[2]  # 5 April 2026: Qingming, the next day worked is the 7th
    assert (april.contract_on, april.due_on) == (date(2026, 4, 5), date(2026, 4, 7))
    _, plain = draw(start_on=date(2026, 1, 14))
    assert [line.interest_fen for line in lines] == [line.interest_fen for line in plain]


@pytest.mark.parametrize(
    ("day_count", "interest_fen"),
    [(DayCount.ACT_365F, 1_055_05), (DayCount.ACT_360, 1_069_70)],
)
def test_we_4_ten_days_after_an_instalment_are_counted_by_the_day_count(
    day_count: DayCount, interest_fen: int
) -> None:
    made, lines = draw(
        principal_fen=1_000_000_00,
        balloon_fen=250_000_00,
        rate=Decimal("0.06"),
        day_count=day_count,
        start_on=date(2025, 1, 8),
    )
    after_18 = [
        replace(line, interest_paid_fen=line.interest_fen, principal_paid_fen=line.principal_fen)
        if line.number <= 18
        else line
        for line in lines
    ]
    owed = quote(made, after_18, lines[17].contract_on + timedelta(days=10))

    assert owed.principal_fen == 641_821_72
    assert owed.accrued_interest_fen == interest_fen
    assert owed.due_interest_fen == owed.penalty_fen == 0


def test_a_payment_settles_penalty_then_interest_then_principal_of_the_oldest_line() -> None:
    made, lines = draw()
    late = lines[0].due_on + timedelta(days=10)
    penalty_fen = accrue_penalty(made, lines[0], late).penalty_fen
    assert penalty_fen == 70_97  # 14,193.16 × 0.05 % × 10 days

    done = repay(made, lines, 10_000_00, on=late, calendar=CHINA)

    interest_fen = lines[0].interest_fen
    assert done.paid == Parts(
        penalty_fen=penalty_fen,
        interest_fen=interest_fen,
        principal_fen=10_000_00 - penalty_fen - interest_fen,
    )
    assert done.excess_fen == 0
    assert list(done.lines[1:]) == list(lines[1:])


def test_penalty_accrues_once_for_each_day_and_never_above_its_cap() -> None:
    made, lines = draw()
    first = lines[0]
    step = first
    for days in (3, 3, 10):
        step = accrue_penalty(made, step, first.due_on + timedelta(days=days))
    assert step.penalty_fen == 21_29 + 49_68  # 3 days, then 7, each rounded

    years_late = accrue_penalty(made, first, first.due_on + timedelta(days=3_000))
    assert years_late.penalty_fen == 2_838_63  # 20 % of 14,193.16


def test_a_prepayment_pays_the_interest_accrued_on_it_and_lowers_what_comes() -> None:
    made, lines = draw()
    on = TODAY + timedelta(days=72)  # 11 days after line 2's contract date
    due_fen = sum(line.unpaid_fen for line in lines[:2])
    penalty_fen = sum(accrue_penalty(made, line, on).penalty_fen for line in lines[:2])

    done = repay(made, lines, due_fen + penalty_fen + 100_000_00, on=on, calendar=CHINA)

    ahead_fen = done.paid.principal_fen - sum(line.principal_fen for line in lines[:2])
    accrued_fen = 100_000_00 - ahead_fen
    assert ahead_fen + accrued_fen == 100_000_00
    assert accrued_fen == round(ahead_fen * 11 * 0.066 / 365)
    assert done.lines[2].interest_fen == round((lines[1].balance_fen - ahead_fen) * 0.0055)
    assert [line.contract_on for line in done.lines] == [line.contract_on for line in lines]
    level = {line.interest_fen + line.principal_fen for line in done.lines[2:-1]}
    assert len(level) == 1
    assert level.pop() < 14_193_16


@settings(max_examples=150, deadline=None)
@given(
    principal_fen=st.integers(100_00, 10**12),
    balloon_share=st.integers(0, 90),
    months=st.integers(1, 84),
    rate=st.decimals("0", "0.36", places=6),
    days=st.lists(st.integers(0, 900), min_size=1, max_size=6),
    shares=st.lists(st.integers(1, 120), min_size=6, max_size=6),
)
def test_payments_conserve_every_fen_and_a_payoff_leaves_nothing(
    principal_fen: int,
    balloon_share: int,
    months: int,
    rate: Decimal,
    days: list[int],
    shares: list[int],
) -> None:
    made, lines = draw(
        principal_fen=principal_fen,
        balloon_fen=principal_fen * balloon_share // 100,
        term_months=months,
        rate=rate,
    )
    repaid_fen = 0
    for day, share in zip(sorted(days), shares, strict=False):
        on = TODAY + timedelta(days=day)
        owed_fen = quote(made, lines, on).total_fen
        amount_fen = max(1, owed_fen * share // 100)
        done = repay(made, lines, amount_fen, on=on, calendar=CHINA)
        repaid_fen += done.paid.principal_fen
        lines = done.lines
        assert done.paid.total_fen + done.excess_fen == amount_fen
        assert (done.excess_fen > 0) == (amount_fen > owed_fen)
        assert done.is_last == (amount_fen >= owed_fen)
        assert sum(line.unpaid_principal_fen for line in lines) == principal_fen - repaid_fen
        assert all(line.interest_fen >= 0 and line.principal_fen >= 0 for line in lines)
        if done.is_last:
            assert repaid_fen == principal_fen
            return
    on = TODAY + timedelta(days=max(days))
    last = repay(made, lines, quote(made, lines, on).total_fen, on=on, calendar=CHINA)
    assert last.is_last
    assert last.excess_fen == 0
    assert repaid_fen + last.paid.principal_fen == principal_fen


def test_days_past_due_are_counted_from_the_shifted_due_date() -> None:
    _, lines = draw(start_on=date(2026, 1, 5))
    paid_two = [
        replace(line, interest_paid_fen=line.interest_fen, principal_paid_fen=line.principal_fen)
        if line.number <= 2
        else line
        for line in lines
    ]
    assert days_past_due(paid_two, date(2026, 4, 7)) == 0
    assert overdue_fen(paid_two, date(2026, 4, 7)) == 0
    assert days_past_due(paid_two, date(2026, 4, 8)) == 1
    assert overdue_fen(paid_two, date(2026, 4, 8)) == 14_193_16
    assert next_ageing_on(paid_two, date(2026, 4, 7)) == date(2026, 4, 8)
    assert next_ageing_on(paid_two, date(2026, 4, 8)) == date(2026, 5, 7)  # line 4 is due on 6 May


@pytest.mark.parametrize(
    ("days", "bucket", "stage"),
    [(0, 0, 1), (1, 1, 1), (29, 1, 1), (30, 1, 2), (31, 2, 2), (61, 3, 2), (90, 3, 3), (91, 4, 3)],
)
def test_buckets_and_stages_begin_where_the_policy_says(days: int, bucket: int, stage: int) -> None:
    assert (bucket_of(days), stage_of(days)) == (bucket, stage)


@pytest.mark.parametrize(
    ("loan_to_value", "finding"),
    [
        ("0.85", "find_compliant"),
        ("0.87", "find_compliant"),
        ("0.8701", "find_watch"),
        ("0.90", "find_watch"),
        ("0.9001", "find_shortfall"),
    ],
)
def test_cover_is_watched_at_87_and_short_above_90(loan_to_value: str, finding: str) -> None:
    found = collateral_finding(
        Decimal(loan_to_value), watch_line=Decimal("0.87"), cap=Decimal("0.90")
    )
    assert found == finding


def test_a_maximum_draw_starts_compliant() -> None:
    made, _ = draw()
    assert made.loan_to_value == Decimal("0.8500")


def test_we_9_the_expected_loss_of_a_secured_draw() -> None:
    made, lines = draw()
    loss = expect_loss(made, lines, terms=TERMS, today=TODAY)

    assert loss.loss_given_default == Decimal("0.263754")
    assert loss.secured_fen == 420_000_00
    assert loss.expected_loss_fen == 2_439_20
    assert (loss.stage, loss.default_probability) == (1, Decimal("0.02"))


def test_a_later_stage_expects_default_to_maturity_and_then_for_certain() -> None:
    made, lines = draw()
    stage_2 = expect_loss(made, lines, terms=TERMS, today=lines[0].due_on + timedelta(days=30))
    assert (stage_2.stage, stage_2.default_probability) == (2, Decimal("0.058808"))  # 1 - 0.98³
    stage_3 = expect_loss(made, lines, terms=TERMS, today=lines[0].due_on + timedelta(days=90))
    assert (stage_3.stage, stage_3.default_probability) == (3, Decimal(1))
