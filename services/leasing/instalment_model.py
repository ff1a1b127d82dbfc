"""Instalments: what is due and paid of each part, the penalty of lateness, and who is paid."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.finmath.allocation import Parts, allocate, penalty
from services.finmath.money import share_of
from services.finmath.schedule import Row, Schedule, annuity_schedule
from services.kit.calendar import BusinessCalendar
from services.kit.ids import name
from services.leasing.errors import (
    AmountExceedsDue,
    InstalmentsAssigned,
    InstalmentUnpaid,
    NothingDue,
)
from services.leasing.model import Lease, due_day

# First days past due of the buckets 1-30, 31-60, 61-90 and above 90 (domain page §3.11).
BUCKET_STARTS = (1, 31, 61, 91)


class InstalmentState(StrEnum):
    """Where an instalment stands, as in the contract."""

    SCHEDULED = "SCHEDULED"
    DUE = "DUE"
    PARTIAL = "PARTIAL"
    OVERDUE = "OVERDUE"
    PAID = "PAID"
    WRITTEN_OFF = "WRITTEN_OFF"
    PAID_OFF = "PAID_OFF"


PAYABLE = frozenset({InstalmentState.DUE, InstalmentState.PARTIAL, InstalmentState.OVERDUE})
OPEN = PAYABLE | {InstalmentState.SCHEDULED}


@dataclass(frozen=True, slots=True)
class Instalment:
    """One payment of a lease.

    Attributes:
        due_on: By the contract; interest is counted by it.
        payable_on: The due day, or the next business day.
        owner: Who is paid; `assignment` is what made it so, "" where it is the lessor's.
        due: What is due of each part; the penalty as accrued to `penalty_through`.
        balance_fen: Principal outstanding after it, by the schedule.
        bucket: Which ageing bucket was announced last, 0 where none.
        penalty_daily_rate, penalty_cap_rate: The lease's, shares of one.
    """

    lease_id: UUID
    number: int
    state: InstalmentState
    lessor: str
    lessee: str
    owner: str
    assignment: str
    due_on: date
    payable_on: date
    due: Parts
    paid: Parts
    balance_fen: int
    penalty_through: date
    bucket: int
    pay_time: datetime | None
    penalty_daily_rate: Decimal
    penalty_cap_rate: Decimal

    @property
    def name(self) -> str:
        """Return its resource name, "leases/<uuid>/instalments/<number>"."""
        return f"{name('leases', self.lease_id)}/instalments/{self.number}"

    @property
    def owed(self) -> Parts:
        """What is due and not paid, the penalty as accrued so far."""
        return self.due - self.paid

    def days_past_due(self, on: date) -> int:
        """Return the days since it was payable, 0 where nothing is owed on it any more."""
        return max(0, (on - self.payable_on).days) if self.state in PAYABLE else 0

    def bucket_on(self, on: date) -> int:
        """Return its ageing bucket on a day, 0 where it is not overdue."""
        days = self.days_past_due(on)
        return sum(days >= start for start in BUCKET_STARTS)

    def accrued_to(self, on: date) -> "Instalment":
        """Return it with the penalty accrued to a day: overdue × daily rate × days, up to the cap.

        What is overdue between two days is what was owed without penalty, so each payment calls
        this first.
        """
        if self.state not in PAYABLE or on <= self.penalty_through:
            return self
        owed, due = self.owed, self.due
        overdue_fen = owed.total_fen - owed.penalty_fen
        cap_fen = share_of(due.total_fen - due.penalty_fen, self.penalty_cap_rate)
        accrued_fen = penalty(
            overdue_fen,
            daily_rate=self.penalty_daily_rate,
            days=(on - self.penalty_through).days,
            cap_fen=max(0, cap_fen - due.penalty_fen),
        )
        return replace(self, due=due + Parts(penalty_fen=accrued_fen), penalty_through=on)


@dataclass(frozen=True, slots=True)
class Payment:
    """What one payment settles of one instalment."""

    number: int
    owner: str
    parts: Parts


def instalments_of(
    lease: Lease, rows: Iterable[Row], *, start_on: date, after: int, calendar: BusinessCalendar
) -> list[Instalment]:
    """Return the rows of a schedule as instalments of the lessor's, numbered on from `after`."""
    made = []
    for row in rows:
        number = after + row.number
        due_on = due_day(start_on, number, in_advance=lease.terms.in_advance)
        payable_on = calendar.adjust_following(due_on)
        made.append(
            Instalment(
                lease_id=lease.id,
                number=number,
                state=InstalmentState.SCHEDULED,
                lessor=lease.terms.lessor,
                lessee=lease.terms.lessee,
                owner=lease.terms.lessor,
                assignment="",
                due_on=due_on,
                payable_on=payable_on,
                due=Parts(interest_fen=row.interest_fen, principal_fen=row.principal_fen),
                paid=Parts(),
                balance_fen=row.balance_fen,
                penalty_through=payable_on,
                bucket=0,
                pay_time=None,
                penalty_daily_rate=lease.terms.penalty_daily_rate,
                penalty_cap_rate=lease.terms.penalty_cap_rate,
            )
        )
    return made


def plan_payment(
    lease: str, payable: Sequence[Instalment], *, amount_fen: int | None, on: date
) -> list[Payment]:
    """Spread a payment over what is payable, the oldest instalment first.

    Args:
        payable: The instalments it may go to, by number.
        amount_fen: None pays all that is owed.

    Raises:
        NothingDue: Nothing is owed on them.
        AmountExceedsDue: The amount is more than is owed.
    """
    accrued = [instalment.accrued_to(on) for instalment in payable if instalment.state in PAYABLE]
    owed_fen = sum(instalment.owed.total_fen for instalment in accrued)
    if owed_fen == 0:
        raise NothingDue(lease)
    left_fen = owed_fen if amount_fen is None else amount_fen
    if left_fen > owed_fen:
        raise AmountExceedsDue(lease, amount_fen=left_fen, limit_fen=owed_fen)
    payments = []
    for instalment in accrued:
        allocation = allocate(left_fen, instalment.owed)
        left_fen = allocation.surplus_fen
        if allocation.paid.total_fen:
            payments.append(Payment(instalment.number, instalment.owner, allocation.paid))
    return payments


def next_agenda_day(instalments: Iterable[Instalment]) -> date | None:
    """Return the next day on which an instalment falls due, turns overdue or ages; None if none."""
    days = []
    for instalment in instalments:
        if instalment.state is InstalmentState.SCHEDULED:
            days.append(instalment.payable_on)
        elif instalment.state in PAYABLE and instalment.bucket < len(BUCKET_STARTS):
            days.append(instalment.payable_on + timedelta(BUCKET_STARTS[instalment.bucket]))
    return min(days, default=None)


def require_settled(instalments: Iterable[Instalment], *, by: date) -> None:
    """Check that every instalment due by a day is paid.

    Raises:
        InstalmentUnpaid: One is not.
    """
    for instalment in instalments:
        if instalment.state in OPEN and instalment.due_on <= by:
            raise InstalmentUnpaid(instalment.name)


def reschedule(
    lease: Lease, instalments: Sequence[Instalment], *, prepaid_fen: int
) -> list[Instalment]:
    """Return the instalments to come, made anew at the same rate once principal is paid ahead.

    They run over the same due days down to the same balance after the last one.

    Args:
        instalments: All of the lease, by number; those due are paid.

    Raises:
        NothingDue: None is to come.
        InstalmentsAssigned: One to come belongs to an assignee.
        AmountExceedsDue: As much principal is not outstanding, or a payment would be nothing.
    """
    coming = [item for item in instalments if item.state is InstalmentState.SCHEDULED]
    if not coming:
        raise NothingDue(lease.name)
    for instalment in coming:
        if instalment.assignment:
            raise InstalmentsAssigned(instalment.name, instalment.owner)
    balance_fen = coming[0].balance_fen + coming[0].due.principal_fen
    floor_fen = coming[-1].balance_fen
    limit_fen = balance_fen - floor_fen
    if prepaid_fen >= limit_fen:
        raise AmountExceedsDue(lease.name, amount_fen=prepaid_fen, limit_fen=max(0, limit_fen - 1))
    schedule = annuity_schedule(
        balance_fen - prepaid_fen,
        lease.terms.nominal_rate,
        months=len(coming),
        residual_fen=floor_fen,
    )
    if has_empty_payment(schedule):
        raise AmountExceedsDue(lease.name, amount_fen=prepaid_fen, limit_fen=max(0, limit_fen - 1))
    return [
        replace(
            instalment,
            due=Parts(interest_fen=row.interest_fen, principal_fen=row.principal_fen),
            balance_fen=row.balance_fen,
        )
        for instalment, row in zip(coming, schedule.rows, strict=True)
    ]


def has_empty_payment(schedule: Schedule) -> bool:
    """Whether a payment of the schedule would be nothing."""
    return any(row.payment_fen == 0 for row in schedule.rows)
