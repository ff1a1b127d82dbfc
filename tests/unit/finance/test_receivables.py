"""The price of a run of instalments (WE-5), and which may be sold."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from services.finance.errors import ReceivableNotEligible
from services.finance.receivable_model import (
    Receivable,
    ReceivableState,
    check_sellable,
    price_run,
)
from services.finmath.schedule import annuity_schedule
from tests.unit.finance.examples import NOW

WE_1 = annuity_schedule(1_000_000_00, Decimal("0.06"), months=36, residual_fen=250_000_00)


def receivable(number: int) -> Receivable:
    """Return instalment `number` of WE-1 as a confirmed receivable."""
    row = WE_1.rows[number - 1]
    return Receivable(
        id=UUID(int=number),
        version=1,
        event_sequence=1,
        state=ReceivableState.CONFIRMED,
        lease="leases/l",
        number=number,
        machine="machines/m",
        debtor="parties/d",
        creditor="parties/c",
        owner="parties/c",
        amount_fen=row.payment_fen,
        principal_fen=row.principal_fen,
        interest_fen=row.interest_fen,
        paid_fen=0,
        due_on=date(2026 + number // 12, number % 12 + 1, 10),
        factoring_id=None,
        registry_no="",
        create_time=NOW,
        update_time=NOW,
    )


TAIL = [receivable(number) for number in range(19, 37)]


def test_we_5_the_tail_is_worth_its_present_value() -> None:
    price = price_run(TAIL, Decimal("0.048"), months=range(1, 19))

    assert price.discounted.gross_fen == 433_196_21
    assert price.discounted.present_value_fen == 417_164_66
    assert price.discounted.discount_fen == 16_031_55


def test_each_instalment_has_a_share_of_the_price_and_the_shares_sum_to_it() -> None:
    price = price_run(TAIL, Decimal("0.048"), months=range(1, 19))

    assert sum(price.shares_fen) == 417_164_66
    assert list(price.shares_fen) == sorted(price.shares_fen, reverse=True)
    assert all(share < line.amount_fen for share, line in zip(price.shares_fen, TAIL, strict=True))


def test_without_a_rate_a_run_is_worth_what_it_pays() -> None:
    price = price_run(TAIL, Decimal(0), months=range(1, 19))
    assert price.discounted.discount_fen == 0


def test_what_is_due_or_paid_in_part_is_not_sold() -> None:
    check_sellable(TAIL, date(2027, 8, 9))
    with pytest.raises(ReceivableNotEligible, match="instalment 19 fell due"):
        check_sellable(TAIL, TAIL[0].due_on)
    with pytest.raises(ReceivableNotEligible, match="paid in part"):
        check_sellable([replace(TAIL[0], paid_fen=1)], date(2027, 1, 1))
