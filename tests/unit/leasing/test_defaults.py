"""When a lessee is in default: 90 days, or two missed in a row and notice of it."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from services.leasing.default_model import (
    DefaultCause,
    default_cause,
    missed_in_a_row,
    oldest_days_past_due,
    overdue_parts,
)
from services.leasing.errors import NotInDefault
from services.leasing.instalment_model import Instalment, InstalmentState
from tests.unit.leasing.samples import instalments, lease


def standing(*overdue: int) -> list[Instalment]:
    """Return the worked example's instalments, those of the numbers overdue."""
    return [
        replace(item, state=InstalmentState.OVERDUE) if item.number in overdue else item
        for item in instalments(lease())
    ]


def days_after(number: int, days: int) -> date:
    return instalments(lease())[number - 1].payable_on + timedelta(days)


def test_more_than_90_days_need_no_notice() -> None:
    late = standing(1)
    assert default_cause(lease(), late, on=days_after(1, 91)) is DefaultCause.OVER_90_DAYS
    with pytest.raises(NotInDefault):
        default_cause(lease(), late, on=days_after(1, 90))


@pytest.mark.parametrize(
    ("overdue", "noticed_days", "is_one"),
    [
        ((1, 2), 10, True),
        ((1, 2), 9, False),
        ((1, 2), None, False),
        ((1, 3), 10, False),
        ((2,), 10, False),
    ],
)
def test_two_missed_in_a_row_need_ten_days_of_notice(
    overdue: tuple[int, ...], noticed_days: int | None, is_one: bool
) -> None:
    on = days_after(3, 5)
    noticed_on = None if noticed_days is None else on - timedelta(noticed_days)
    noticed = replace(lease(), notice_on=noticed_on)
    if is_one:
        cause = default_cause(noticed, standing(*overdue), on=on)
        assert cause is DefaultCause.TWO_MISSED_AFTER_NOTICE
        return
    with pytest.raises(NotInDefault) as caught:
        default_cause(noticed, standing(*overdue), on=on)
    assert caught.value.metadata["missed"] == str(missed_in_a_row(standing(*overdue)))


def test_what_is_overdue_is_told_with_its_penalty() -> None:
    late = standing(1, 2)
    on = days_after(2, 10)
    owed = overdue_parts(late, on=on)
    assert owed.interest_fen == 500_000 + 490_467
    assert owed.penalty_fen > 0
    assert oldest_days_past_due(late, on=on) == (on - late[0].payable_on).days
    assert oldest_days_past_due(standing(), on=on) == 0
