"""When a lessee is in default (domain page §3.2), and what is overdue then."""

from collections.abc import Sequence
from datetime import date, timedelta
from enum import StrEnum

from services.finmath.allocation import Parts
from services.leasing.errors import NotInDefault
from services.leasing.instalment_model import Instalment, InstalmentState
from services.leasing.model import Lease

DAYS_PAST_DUE_LIMIT = 90
MISSED_IN_A_ROW = 2
NOTICE_PERIOD = timedelta(days=10)


class DefaultCause(StrEnum):
    """What makes a default, as in the contract."""

    OVER_90_DAYS = "OVER_90_DAYS"
    TWO_MISSED_AFTER_NOTICE = "TWO_MISSED_AFTER_NOTICE"


def default_cause(lease: Lease, instalments: Sequence[Instalment], *, on: date) -> DefaultCause:
    """Return what makes a default on a day.

    Args:
        instalments: All of the lease, by number.

    Raises:
        NotInDefault: Neither ground holds.
    """
    days = oldest_days_past_due(instalments, on=on)
    if days > DAYS_PAST_DUE_LIMIT:
        return DefaultCause.OVER_90_DAYS
    missed = missed_in_a_row(instalments)
    is_noticed = lease.notice_on is not None and on >= lease.notice_on + NOTICE_PERIOD
    if missed >= MISSED_IN_A_ROW and is_noticed:
        return DefaultCause.TWO_MISSED_AFTER_NOTICE
    raise NotInDefault(
        lease.name,
        days=days,
        days_limit=DAYS_PAST_DUE_LIMIT,
        missed=missed,
        notice_on=lease.notice_on,
    )


def oldest_days_past_due(instalments: Sequence[Instalment], *, on: date) -> int:
    """Return the days past due of the oldest instalment that is, 0 where none is."""
    return max((instalment.days_past_due(on) for instalment in instalments), default=0)


def missed_in_a_row(instalments: Sequence[Instalment]) -> int:
    """Return the length of the longest run of instalments, by number, that are overdue."""
    longest = run = 0
    for instalment in instalments:
        run = run + 1 if instalment.state is InstalmentState.OVERDUE else 0
        longest = max(longest, run)
    return longest


def overdue_parts(instalments: Sequence[Instalment], *, on: date) -> Parts:
    """Return what is owed on overdue instalments, penalties accrued to a day."""
    owed = [
        item.accrued_to(on).owed for item in instalments if item.state is InstalmentState.OVERDUE
    ]
    return sum(owed, Parts())
