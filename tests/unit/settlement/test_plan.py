"""A batch found at once comes out as the same batch one transfer after the other."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.settlement.ledger_state import HoldState, State, chains
from services.settlement.model import apply, expire, moved
from services.settlement.plan import Plan, plan, plan_expiry
from services.settlement.transfer import Outcome, ResultCode, Transfer, TransferKind
from tests.unit.settlement.batches import (
    EMPTY,
    NOW,
    POOR,
    WINDOW,
    batches,
    first_state,
    number,
    row,
)


def assert_same(before: State, after: State, outcomes: list[Outcome], made: Plan) -> None:
    """Assert that a plan writes what the model's next state holds."""
    assert list(made.outcomes) == outcomes
    accounts = dict(before.accounts)
    for posted in made.created:
        row = posted.transfer
        accounts[row.debit_account], accounts[row.credit_account] = moved(
            row, posted.released_fen, accounts[row.debit_account], accounts[row.credit_account]
        )
        assert accounts[row.debit_account].standing == posted.debit
        assert accounts[row.credit_account].standing == posted.credit
    assert accounts == after.accounts
    assert {key: tuple(accounts[key][2:]) for key in made.sums} == {
        key: tuple(sums) for key, sums in made.sums.items()
    }
    assert {posted.transfer.id: posted for posted in made.created} == {
        key: posted for key, posted in after.posted.items() if key not in before.posted
    }
    assert [posted.number for posted in made.created] == list(
        range(before.last_number + 1, after.last_number + 1)
    )
    assert {each.transfer.id: each for each in made.refused} == {
        key: each for key, each in after.refused.items() if key not in before.refused
    }
    holds = {hold.pending_id: hold for hold in (*made.opened, *made.resolved)}
    assert {**before.holds, **holds} == after.holds
    assert not {hold.pending_id for hold in made.opened} & before.holds.keys()
    assert {hold.pending_id for hold in made.resolved} <= before.holds.keys()
    assert {**before.reversals, **dict(made.reversals)} == after.reversals


def assert_sound(state: State) -> None:
    """Assert what is true of every ledger: equal sums, limits kept, holds equal to pending."""
    accounts = state.accounts.values()
    assert sum(a.debits_posted - a.credits_posted for a in accounts) == 0
    assert sum(a.debits_pending - a.credits_pending for a in accounts) == 0
    for account in accounts:
        if account.flags & 1:
            assert account.debits_posted + account.debits_pending <= account.credits_posted
        if account.flags & 2:
            assert account.credits_posted + account.credits_pending <= account.debits_posted
    held = [hold for hold in state.holds.values() if hold.state is HoldState.OPEN]
    for account in accounts:
        assert account.debits_pending == sum(
            hold.amount_fen for hold in held if hold.debit_account == account.id
        )
        assert account.credits_pending == sum(
            hold.amount_fen for hold in held if hold.credit_account == account.id
        )


def expiries(state: State, *, second: int) -> list[Transfer]:
    """Return settlement's own transfers for the holds whose time is up."""
    at = NOW + timedelta(seconds=second)
    over = [
        hold
        for hold in state.holds.values()
        if hold.state is HoldState.OPEN and hold.expires_at is not None and hold.expires_at <= at
    ]
    return [
        state.posted[hold.pending_id].transfer._replace(
            id=row(100 + second * 50 + place).id,
            kind=TransferKind.EXPIRE_PENDING,
            pending_id=hold.pending_id,
            timeout_s=0,
            linked=False,
        )
        for place, hold in enumerate(over)
    ]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(batches(), st.booleans()), min_size=1, max_size=5))
def test_the_whole_batch_at_once_equals_one_after_the_other(
    story: list[tuple[list[Transfer], bool]],
) -> None:
    state = first_state()
    for second, (batch, expires) in enumerate(story):
        at = NOW + timedelta(seconds=second)
        after, outcomes = apply(state, chains(batch), at=at, window=WINDOW)
        assert_same(state, after, outcomes, plan(state, chains(batch), at=at, window=WINDOW))
        assert_sound(after)
        again, repeated = apply(after, chains(batch), at=at, window=WINDOW)
        assert again.accounts == after.accounts
        assert [_settled(outcome) for outcome in outcomes] == [
            _settled(outcome) for outcome in repeated
        ]
        state = after
        if expires:
            rows = expiries(state, second=second)
            after, outcomes = expire(state, rows, at=at)
            assert_same(state, after, outcomes, plan_expiry(state, rows, at=at))
            assert_sound(after)
            state = after


def _settled(outcome: Outcome) -> Outcome:
    """Return an outcome as a retry sees it: CREATED and EXISTS are one success."""
    if outcome.code is ResultCode.CREATED:
        return outcome._replace(code=ResultCode.EXISTS)
    return outcome


def test_a_covered_account_needs_no_order_and_an_uncovered_one_keeps_it() -> None:
    spend = row(1, debit_account=number(POOR), credit_account=number(EMPTY), amount_fen=10)
    fund = row(0)
    state = first_state()
    for batch, expected in (
        ([fund, spend], ["CREATED", "CREATED"]),
        ([spend, fund], ["EXCEEDS_CREDITS", "CREATED"]),
    ):
        made = plan(state, chains(batch), at=NOW, window=WINDOW)
        assert [outcome.code.name for outcome in made.outcomes] == expected


def test_numbers_and_balances_follow_the_order_of_the_batch_across_both_paths() -> None:
    batch = [
        row(0, credit_account=number(EMPTY)),
        row(1, debit_account=number(POOR), credit_account=number(EMPTY), amount_fen=7),
        row(2, debit_account=number(POOR), credit_account=number(EMPTY), amount_fen=1),
        row(3, credit_account=number(EMPTY)),
    ]
    made = plan(first_state(), chains(batch), at=NOW, window=WINDOW)
    assert [outcome.code.name for outcome in made.outcomes] == [
        "CREATED",
        "CREATED",
        "EXCEEDS_CREDITS",
        "CREATED",
    ]
    assert [posted.credit.balance_fen for posted in made.created] == [5, 12, 17]
