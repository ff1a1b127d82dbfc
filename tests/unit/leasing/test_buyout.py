"""What a buyout costs, and who receives it (WE-4 to the fen)."""

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.finmath.day_count import DayCount
from services.leasing.buyout_model import last_quotable_day, settle, shares_of
from services.leasing.instalment_model import Instalment, InstalmentState
from tests.unit.leasing.samples import FUNDER, LESSOR, START, instalments, lease


def paid_up(count: int, *, in_advance: bool = False) -> list[Instalment]:
    """Return the instalments of the lease, the first ones paid."""
    return [
        replace(item, state=InstalmentState.PAID, paid=item.due) if item.number <= count else item
        for item in instalments(lease(in_advance=in_advance))
    ]


def test_we_4_ten_days_after_payment_18() -> None:
    made = paid_up(18)
    as_of = made[17].due_on + timedelta(10)
    quote = settle(lease(), made, as_of=as_of).quote
    assert (quote.due_fen, quote.principal_fen) == (0, 64_182_172)
    assert (quote.interest_fen, quote.fee_fen) == (105_505, 641_822)
    assert quote.total_fen == 64_929_499
    on_360 = settle(lease(day_count=DayCount.ACT_360), made, as_of=as_of).quote
    assert on_360.interest_fen == 106_970


def test_before_the_first_payment_interest_runs_from_the_start() -> None:
    quote = settle(lease(), paid_up(0), as_of=START + timedelta(10)).quote
    assert quote.principal_fen == 100_000_000
    assert quote.interest_fen == 164_384


def test_on_a_due_day_the_instalment_is_owed_whole_and_no_interest_beside_it() -> None:
    made = paid_up(17)
    quote = settle(lease(), made, as_of=made[17].due_on).quote
    assert quote.due_fen == made[17].due.total_fen
    assert quote.principal_fen == 64_182_172
    assert quote.interest_fen == 0


def test_an_assignee_gets_the_principal_of_its_rentals_the_lessor_the_rest() -> None:
    made = [
        replace(item, owner=FUNDER, assignment="factorings/1") if item.number > 18 else item
        for item in paid_up(18)
    ]
    settlement = settle(lease(), made, as_of=made[17].due_on + timedelta(10))
    shares = {share.owner: share for share in shares_of(lease(), settlement)}
    assert shares[FUNDER].amount_fen == 64_182_172 - 25_000_000
    assert shares[FUNDER].numbers == tuple(range(19, 37))
    assert shares[LESSOR].amount_fen == 25_000_000 + 105_505 + 641_822


@settings(deadline=None)
@given(
    st.integers(0, 36),
    st.booleans(),
    st.integers(0, 1095),
    st.lists(st.integers(1, 36), max_size=36),
)
def test_shares_sum_to_the_total(
    paid: int, in_advance: bool, days: int, assigned: list[int]
) -> None:
    made = [
        replace(item, owner=FUNDER, assignment="factorings/1") if item.number in assigned else item
        for item in paid_up(paid, in_advance=in_advance)
    ]
    as_of = min(START + timedelta(days), date(2028, 7, 1))
    settlement = settle(lease(in_advance=in_advance), made, as_of=as_of)
    shares = shares_of(lease(in_advance=in_advance), settlement)
    assert sum(share.amount_fen for share in shares) == settlement.quote.total_fen
    assert all(share.amount_fen >= 0 for share in shares)
    assert settlement.quote.principal_fen >= 0


@settings(deadline=None)
@given(st.integers(0, 35), st.integers(0, 60), st.integers(0, 40), st.data())
def test_a_quote_still_holds_on_every_day_up_to_its_own(
    paid: int, late_days: int, ahead_days: int, data: st.DataObject
) -> None:
    """What the timers do to instalments in the meantime changes nothing of the total."""
    made = paid_up(paid)
    today = min(made[paid].payable_on + timedelta(late_days), date(2028, 7, 3))
    on_the_day = as_on(made, today)
    as_of = min(today + timedelta(ahead_days), last_quotable_day(lease(), on_the_day))
    quoted = settle(lease(), on_the_day, as_of=as_of)
    later = data.draw(st.integers(0, (as_of - today).days))
    assert settle(lease(), as_on(made, today + timedelta(later)), as_of=as_of).quote == quoted.quote


def as_on(made: list[Instalment], day: date) -> list[Instalment]:
    """Return instalments as their timers leave them on a day."""
    moved = []
    for item in made:
        state = item.state
        if state is InstalmentState.SCHEDULED and item.payable_on <= day:
            is_late = item.payable_on < day
            state = InstalmentState.OVERDUE if is_late else InstalmentState.DUE
        moved.append(replace(item, state=state))
    return moved


def test_nothing_is_charged_twice_at_the_end_of_a_term_in_advance() -> None:
    made = paid_up(36, in_advance=True)
    at_maturity = settle(lease(in_advance=True), made, as_of=date(2028, 7, 1)).quote
    assert at_maturity.due_fen == 0
    closing_fen = 25_000_000 - made[-1].balance_fen
    assert abs(at_maturity.interest_fen - closing_fen) < closing_fen * 0.03
