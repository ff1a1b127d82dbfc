"""What a draw owes on a day, and what a payment does to it.

What is due is paid first, the oldest line first, each in the order penalty, interest, principal
(WE-18). What is left prepays principal; the interest accrued on that part is paid with it, and the
lines to come are computed anew at the same rate, so that no interest is charged twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from uuid import UUID

from services.finance.draw_model import Draw, Instalment, make_schedule
from services.finmath.allocation import Parts, allocate, penalty
from services.finmath.day_count import year_fraction
from services.finmath.money import round_half_up, share_of
from services.finmath.payoff import quote_payoff
from services.kit.calendar import BusinessCalendar


class PaymentKind(StrEnum):
    """How a payment came about."""

    REPAYMENT = "REPAYMENT"
    PAYOFF = "PAYOFF"
    SETTLEMENT = "SETTLEMENT"
    FACTORING = "FACTORING"
    DISPOSAL = "DISPOSAL"
    TOP_UP = "TOP_UP"


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment on a draw and its parts, in fen."""

    id: UUID
    draw_id: UUID
    kind: PaymentKind
    transfer_id: str
    amount_fen: int
    penalty_fen: int
    interest_fen: int
    principal_fen: int
    excess_fen: int
    business_date: date
    create_time: datetime


@dataclass(frozen=True, slots=True)
class PayoffQuote:
    """What pays a draw off on a day, in fen."""

    penalty_fen: int
    due_interest_fen: int
    accrued_interest_fen: int
    principal_fen: int

    @property
    def interest_fen(self) -> int:
        """Interest, due and accrued."""
        return self.due_interest_fen + self.accrued_interest_fen

    @property
    def total_fen(self) -> int:
        """The sum."""
        return (
            self.penalty_fen
            + self.due_interest_fen
            + self.accrued_interest_fen
            + self.principal_fen
        )


@dataclass(frozen=True, slots=True)
class Repayment:
    """What a payment did.

    Attributes:
        paid: Its parts.
        excess_fen: What it was above the debt.
        lines: The schedule afterwards; lines to come are dropped once nothing is owed on them.
    """

    paid: Parts
    excess_fen: int
    lines: tuple[Instalment, ...]

    @property
    def is_last(self) -> bool:
        """Whether nothing is owed any more."""
        return not any(line.unpaid_fen or line.unpaid_penalty_fen for line in self.lines)


def quote(draw: Draw, lines: Sequence[Instalment], on: date) -> PayoffQuote:
    """Return what pays a draw off on a day, if nothing is paid until then."""
    aged = [accrue_penalty(draw, line, on) for line in lines]
    future_fen = _future_principal_fen(aged, on)
    accrued = quote_payoff(
        future_fen,
        draw.nominal_rate,
        interest_from=_interest_from(draw, aged, on),
        as_of=on,
        day_count=draw.day_count,
    )
    return PayoffQuote(
        penalty_fen=sum(line.unpaid_penalty_fen for line in aged),
        due_interest_fen=sum(line.unpaid_interest_fen for line in aged if line.contract_on <= on),
        accrued_interest_fen=accrued.interest_fen,
        principal_fen=sum(line.unpaid_principal_fen for line in aged),
    )


def repay(
    draw: Draw,
    lines: Sequence[Instalment],
    amount_fen: int,
    *,
    on: date,
    calendar: BusinessCalendar,
) -> Repayment:
    """Apply a payment on a day; the parts and the excess sum to the amount."""
    paid, left_fen = Parts(), amount_fen
    kept: list[Instalment] = []
    for line in (accrue_penalty(draw, line, on) for line in lines):
        if line.contract_on > on:
            continue
        settled = allocate(
            left_fen,
            Parts(
                penalty_fen=line.unpaid_penalty_fen,
                interest_fen=line.unpaid_interest_fen,
                principal_fen=line.unpaid_principal_fen,
            ),
        )
        kept.append(_with_paid(line, settled.paid))
        paid, left_fen = paid + settled.paid, settled.surplus_fen
    coming = [line for line in lines if line.contract_on > on]
    if not coming or not left_fen:
        return Repayment(paid, left_fen, (*kept, *coming))

    future_fen = _future_principal_fen(coming, on)
    ahead = _prepayment(draw, lines, left_fen, future_fen, on=on)
    rest_fen = future_fen - ahead.principal_fen
    return Repayment(
        paid=paid + ahead,
        excess_fen=left_fen - ahead.total_fen,
        lines=(*kept, *_rescheduled(draw, coming, rest_fen, calendar=calendar)),
    )


def accelerate(draw: Draw, lines: Sequence[Instalment], on: date) -> tuple[Instalment, ...]:
    """Let everything fall due on a day: the lines to come become one, with accrued interest."""
    aged = [accrue_penalty(draw, line, on) for line in lines]
    coming = [line for line in aged if line.contract_on > on]
    if not coming:
        return tuple(aged)
    owed = quote(draw, aged, on)
    future_fen = _future_principal_fen(aged, on)
    at_once = Instalment(
        number=coming[0].number,
        contract_on=on,
        due_on=on,
        interest_fen=owed.accrued_interest_fen,
        principal_fen=future_fen,
        balance_fen=0,
    )
    return (*(line for line in aged if line.contract_on <= on), at_once)


def accrue_penalty(draw: Draw, line: Instalment, on: date) -> Instalment:
    """Add the penalty of the days since the line fell due, or since it was last accrued."""
    since = max(line.due_on, line.penalty_until or line.due_on)
    if on <= since:
        return line
    whole_fen = share_of(line.interest_fen + line.principal_fen, draw.penalty_cap)
    accrued_fen = penalty(
        line.unpaid_fen,
        daily_rate=draw.penalty_daily_rate,
        days=(on - since).days,
        cap_fen=max(0, whole_fen - line.penalty_fen),
    )
    return replace(line, penalty_fen=line.penalty_fen + accrued_fen, penalty_until=on)


def _with_paid(line: Instalment, paid: Parts) -> Instalment:
    return replace(
        line,
        penalty_paid_fen=line.penalty_paid_fen + paid.penalty_fen,
        interest_paid_fen=line.interest_paid_fen + paid.interest_fen,
        principal_paid_fen=line.principal_paid_fen + paid.principal_fen,
    )


def _prepayment(
    draw: Draw, lines: Sequence[Instalment], left_fen: int, future_fen: int, *, on: date
) -> Parts:
    """Split what prepays into principal and the interest accrued on just that part."""
    start = _interest_from(draw, lines, on)
    whole = quote_payoff(
        future_fen, draw.nominal_rate, interest_from=start, as_of=on, day_count=draw.day_count
    )
    if left_fen >= whole.total_fen:
        return Parts(interest_fen=whole.interest_fen, principal_fen=future_fen)
    accrual = Fraction(draw.nominal_rate) * year_fraction(start, on, draw.day_count)
    principal_fen = min(round_half_up(left_fen / (1 + accrual)), left_fen, future_fen - 1)
    return Parts(interest_fen=left_fen - principal_fen, principal_fen=principal_fen)


def _rescheduled(
    draw: Draw, coming: Sequence[Instalment], rest_fen: int, *, calendar: BusinessCalendar
) -> list[Instalment]:
    """Compute the lines to come anew on what is left; the balloon never exceeds it."""
    if not rest_fen:
        return []
    assert draw.start_on is not None
    first = coming[0].number
    return make_schedule(
        rest_fen,
        draw.nominal_rate,
        balloon_fen=min(draw.balloon_fen, rest_fen),
        start_on=draw.start_on,
        numbers=range(first, draw.term_months + 1),
        balloon_number=draw.term_months + 1,
        calendar=calendar,
    )


def _future_principal_fen(lines: Sequence[Instalment], on: date) -> int:
    return sum(line.unpaid_principal_fen for line in lines if line.contract_on > on)


def _interest_from(draw: Draw, lines: Sequence[Instalment], on: date) -> date:
    """Return the last contract date up to a day: interest before it is in its line."""
    assert draw.start_on is not None
    past = [line.contract_on for line in lines if line.contract_on <= on]
    return max(past, default=draw.start_on)
