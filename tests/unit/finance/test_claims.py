"""A disposal's money on a draw: the order of WE-17, and what is left as a claim."""

from collections.abc import Sequence
from datetime import date, timedelta

from services.finance.claim_model import recover
from services.finance.draw_model import Draw, Instalment
from services.finance.payment_model import accelerate, quote
from tests.unit.finance.examples import draw as active_draw


def owed(draw: Draw, lines: Sequence[Instalment], on: date) -> int:
    return quote(draw, lines, on).total_fen


def test_what_falls_due_at_once_is_what_pays_the_draw_off() -> None:
    draw, lines = active_draw()
    assert draw.start_on is not None
    for days in (0, 40, 500):
        on = draw.start_on + timedelta(days=days)
        due = accelerate(draw, lines, on)
        assert sum(line.unpaid_fen + line.unpaid_penalty_fen for line in due) == owed(
            draw, lines, on
        )
        assert all(line.contract_on <= on for line in due)
        assert accelerate(draw, due, on) == due


def test_interest_is_paid_before_principal_and_penalty_last() -> None:
    draw, lines = active_draw()
    assert draw.start_on is not None
    on = draw.start_on + timedelta(days=100)
    quoted = quote(draw, lines, on)
    assert min(quoted.interest_fen, quoted.penalty_fen) > 0

    done = recover(draw, lines, quoted.interest_fen + 1_000_00, on=on)
    assert (done.paid.interest_fen, done.paid.principal_fen, done.paid.penalty_fen) == (
        quoted.interest_fen,
        1_000_00,
        0,
    )
    assert done.left.principal_fen == quoted.principal_fen - 1_000_00
    assert done.left.penalty_fen == quoted.penalty_fen
    left_fen = sum(line.unpaid_fen + line.unpaid_penalty_fen for line in done.lines)
    assert left_fen == done.left.total_fen == quoted.total_fen - quoted.interest_fen - 1_000_00


def test_money_above_the_debt_is_an_excess_and_nothing_is_left() -> None:
    draw, lines = active_draw()
    assert draw.start_on is not None
    quoted = quote(draw, lines, draw.start_on)
    done = recover(draw, lines, quoted.total_fen + 7, on=draw.start_on)
    assert (done.left.total_fen, done.excess_fen) == (0, 7)
    assert done.paid.total_fen == quoted.total_fen
