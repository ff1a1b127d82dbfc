"""Instalments without a database: dates, penalties, payments, re-schedules."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.finmath.allocation import Parts
from services.leasing.errors import (
    AmountExceedsDue,
    InstalmentsAssigned,
    InstalmentUnpaid,
    NothingDue,
)
from services.leasing.instalment_model import (
    Instalment,
    InstalmentState,
    next_agenda_day,
    plan_payment,
    require_settled,
    reschedule,
)
from tests.unit.leasing.samples import FUNDER, LESSOR, instalments, lease

LATE = date(2025, 8, 11)  # ten days after the first instalment's day, a Friday


def overdue(count: int = 1) -> list[Instalment]:
    """Return the lease's instalments, the first ones overdue."""
    made = instalments(lease())
    return [
        replace(item, state=InstalmentState.OVERDUE, bucket=1) if item.number <= count else item
        for item in made
    ]


def test_a_due_day_on_a_holiday_is_shifted_and_bears_no_more_interest() -> None:
    made = instalments(lease())
    october, november = made[2], made[3]
    assert (october.due_on, october.payable_on) == (date(2025, 10, 1), date(2025, 10, 9))
    assert (november.due_on, november.payable_on) == (date(2025, 11, 1), date(2025, 11, 3))
    assert october.due == Parts(interest_fen=480_886, principal_fen=1_925_759)


def test_the_last_of_a_month_stays_the_last() -> None:
    at_end = replace(lease(), start_on=date(2026, 1, 31))
    assert [item.due_on for item in instalments(at_end)[:3]] == [
        date(2026, 2, 28),
        date(2026, 3, 31),
        date(2026, 4, 30),
    ]


def test_a_penalty_accrues_by_day_up_to_its_cap() -> None:
    (first, *_) = overdue()
    assert first.accrued_to(first.payable_on).due.penalty_fen == 0
    assert first.accrued_to(LATE).due.penalty_fen == 12_033
    assert first.accrued_to(date(2026, 3, 1)).due.penalty_fen == 240_665
    assert first.accrued_to(date(2030, 3, 1)).due.penalty_fen == 240_665


def test_accruing_twice_to_a_day_is_accruing_once() -> None:
    once = overdue()[0].accrued_to(LATE)
    assert once.accrued_to(LATE) == once
    assert once.accrued_to(LATE - timedelta(3)) == once


def test_what_is_not_payable_bears_no_penalty() -> None:
    scheduled = instalments(lease())[0]
    assert scheduled.accrued_to(LATE) is scheduled
    assert scheduled.days_past_due(LATE) == 0


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), max_size=8), st.data())
def test_paid_never_exceeds_due_whatever_is_paid_when(gaps: list[int], data: st.DataObject) -> None:
    item, on = overdue()[0], date(2025, 8, 1)
    for gap in gaps:
        on += timedelta(gap)
        item = item.accrued_to(on)
        if not (owed_fen := item.owed.total_fen):
            break
        amount_fen = data.draw(st.integers(1, owed_fen))
        (payment,) = plan_payment("leases/1", [item], amount_fen=amount_fen, on=on)
        assert payment.parts.total_fen == amount_fen
        item = replace(item, paid=item.paid + payment.parts)
        left = item.owed
        assert min(left.fees_fen, left.penalty_fen, left.interest_fen, left.principal_fen) >= 0
    assert item.due.penalty_fen <= 240_665


def test_the_oldest_instalment_is_paid_first() -> None:
    owed = overdue(count=2)
    first_fen = owed[0].accrued_to(LATE).owed.total_fen
    payments = plan_payment("leases/1", owed, amount_fen=first_fen + 5, on=LATE)
    assert [(payment.number, payment.parts.total_fen) for payment in payments] == [
        (1, first_fen),
        (2, 5),
    ]
    assert payments[1].parts == Parts(interest_fen=5)


def test_each_owner_is_named() -> None:
    first, second, *_ = overdue(count=2)
    assigned = replace(second, owner=FUNDER, assignment="factorings/1")
    payments = plan_payment("leases/1", [first, assigned], amount_fen=None, on=LATE)
    assert [payment.owner for payment in payments] == [LESSOR, FUNDER]


def test_nothing_due_and_too_much_are_refused() -> None:
    with pytest.raises(NothingDue):
        plan_payment("leases/1", instalments(lease()), amount_fen=None, on=LATE)
    with pytest.raises(AmountExceedsDue):
        plan_payment("leases/1", overdue(), amount_fen=2_406_645 + 12_034, on=LATE)


def test_the_agenda_holds_the_next_day_of_any_change() -> None:
    made = overdue()
    assert next_agenda_day(made[:1]) == date(2025, 9, 1)  # 31 days past due
    assert next_agenda_day(made[2:]) == date(2025, 10, 9)
    assert next_agenda_day(instalments(lease())) == date(2025, 8, 1)
    due = replace(made[0], state=InstalmentState.DUE, bucket=0)
    assert next_agenda_day([due]) == date(2025, 8, 2)
    assert next_agenda_day([replace(made[0], bucket=4)]) is None
    assert next_agenda_day([replace(made[0], state=InstalmentState.PAID)]) is None


@pytest.mark.parametrize(("days", "bucket"), [(0, 0), (1, 1), (30, 1), (31, 2), (61, 3), (91, 4)])
def test_buckets_begin_on_their_days(days: int, bucket: int) -> None:
    (first, *_) = overdue()
    assert first.bucket_on(first.payable_on + timedelta(days)) == bucket


def test_what_has_fallen_due_must_be_paid() -> None:
    made = instalments(lease())
    require_settled(made, by=date(2025, 7, 31))
    with pytest.raises(InstalmentUnpaid):
        require_settled(made, by=date(2025, 8, 1))
    require_settled(
        [replace(item, state=InstalmentState.PAID) for item in made], by=date(2030, 1, 1)
    )


@settings(deadline=None)
@given(st.integers(1, 74_000_000), st.booleans(), st.integers(0, 30))
def test_a_reschedule_keeps_days_rate_and_last_balance(
    prepaid_fen: int, in_advance: bool, paid_count: int
) -> None:
    made = instalments(lease(in_advance=in_advance))
    made = [
        replace(item, state=InstalmentState.PAID) if item.number <= paid_count else item
        for item in made
    ]
    limit_fen = sum(item.due.principal_fen for item in made[paid_count:])
    if prepaid_fen >= limit_fen:
        with pytest.raises(AmountExceedsDue):
            reschedule(lease(in_advance=in_advance), made, prepaid_fen=prepaid_fen)
        return
    changed = reschedule(lease(in_advance=in_advance), made, prepaid_fen=prepaid_fen)
    assert [item.due_on for item in changed] == [item.due_on for item in made[paid_count:]]
    assert changed[-1].balance_fen == made[-1].balance_fen
    assert sum(item.due.principal_fen for item in changed) == limit_fen - prepaid_fen
    payments = {item.due.total_fen for item in changed[:-1]}
    assert len(payments) <= 1


def test_an_assigned_instalment_is_not_rescheduled() -> None:
    made = instalments(lease())
    made[20] = replace(made[20], owner=FUNDER, assignment="factorings/1")
    with pytest.raises(InstalmentsAssigned):
        reschedule(lease(), made, prepaid_fen=100)
    with pytest.raises(NothingDue):
        reschedule(
            lease(),
            [replace(item, state=InstalmentState.PAID) for item in made],
            prepaid_fen=100,
        )
