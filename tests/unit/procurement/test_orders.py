"""What an order is settled for, when its windows close, and who decides a dispute."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.calendar import CHINA
from services.kit.clock import BUSINESS_ZONE
from services.procurement.errors import NotYoursToDecide, PayoffsExceedPrice
from services.procurement.order_model import (
    Dispute,
    DisputeOutcome,
    LienPayoff,
    OrderLine,
    TradePolicy,
    acceptance_deadline,
    check_resolution,
    next_attempt_at,
    pay_out,
    payment_deadline,
    sale_prices,
)

RATE = Decimal("0.015")
POLICY = TradePolicy(1, RATE, 7, 2, "", datetime(2026, 1, 1, tzinfo=UTC))
NOW = datetime(2026, 10, 9, 4, tzinfo=UTC)


def payoff(amount_fen: int, *, lien: str = "liens/1") -> LienPayoff:
    return LienPayoff("machines/1", lien, "draws/1", amount_fen, "accounts/9")


def line(number: int, price_fen: int) -> OrderLine:
    return OrderLine(number, f"machines/{number}", None, price_fen)


def test_j2_pays_the_platform_the_lien_holder_and_the_seller_to_the_fen() -> None:
    paid = pay_out(78_000_000, fee_rate=RATE, allowance_fen=0, payoffs=[payoff(30_000_000)])
    assert (paid.platform_fee_fen, paid.seller_proceeds_fen) == (1_170_000, 46_830_000)


def test_the_fee_is_rounded_half_up() -> None:
    # 201.00 at 0.5 % is 1.005 (WE-19).
    paid = pay_out(20_100, fee_rate=Decimal("0.005"), allowance_fen=0, payoffs=[])
    assert (paid.platform_fee_fen, paid.seller_proceeds_fen) == (101, 19_999)


def test_no_fee_is_taken_of_an_allowance() -> None:
    paid = pay_out(100_000, fee_rate=RATE, allowance_fen=100_000, payoffs=[])
    assert (paid.platform_fee_fen, paid.allowance_fen, paid.seller_proceeds_fen) == (0, 100_000, 0)


def test_payoffs_above_what_is_left_after_the_fee_are_refused() -> None:
    pay_out(100_000, fee_rate=RATE, allowance_fen=0, payoffs=[payoff(98_500)])
    with pytest.raises(PayoffsExceedPrice) as refusal:
        pay_out(100_000, fee_rate=RATE, allowance_fen=0, payoffs=[payoff(98_501)])
    assert refusal.value.metadata == {"payoffs_fen": "98501", "limit_fen": "98500"}
    assert "985.01" in refusal.value.message


@given(
    total=st.integers(1, 10**13),
    rate=st.decimals(0, Decimal("0.2"), places=5),
    allowed_permille=st.integers(0, 1000),
    owed=st.lists(st.integers(1, 10**9), max_size=4),
)
def test_a_payout_conserves_the_total(
    total: int, rate: Decimal, allowed_permille: int, owed: list[int]
) -> None:
    allowance = total * allowed_permille // 1000
    try:
        paid = pay_out(
            total,
            fee_rate=rate,
            allowance_fen=allowance,
            payoffs=[payoff(amount) for amount in owed],
        )
    except PayoffsExceedPrice:
        return
    parts = (paid.platform_fee_fen, paid.allowance_fen, sum(owed), paid.seller_proceeds_fen)
    assert sum(parts) == total
    assert min(parts) >= 0


def test_a_sale_price_is_less_its_part_of_the_allowance() -> None:
    prices = sale_prices([line(1, 30_000), line(2, 60_000)], allowance_fen=900)
    assert prices == {"machines/1": 29_700, "machines/2": 59_400}


@pytest.mark.parametrize(
    ("delivered_on", "accepted_on"),
    [
        (date(2026, 11, 24), date(2026, 11, 27)),  # Tuesday: Wednesday and Thursday to look
        (date(2026, 11, 26), date(2026, 12, 1)),  # Thursday: Friday and Monday
        (date(2026, 9, 30), date(2026, 10, 10)),  # before the National Day week: the 8th and 9th
        (date(2026, 10, 3), date(2026, 10, 10)),  # within it: the same
        (date(2026, 10, 9), date(2026, 10, 13)),  # the 10th is a Saturday that is worked
    ],
)
def test_acceptance_by_itself_waits_for_two_business_days(
    delivered_on: date, accepted_on: date
) -> None:
    deadline = acceptance_deadline(delivered_on, POLICY, CHINA)
    assert deadline == datetime(
        accepted_on.year, accepted_on.month, accepted_on.day, tzinfo=BUSINESS_ZONE
    )


def test_an_order_may_be_paid_until_the_end_of_the_seventh_day() -> None:
    deadline = payment_deadline(date(2026, 3, 2), POLICY)
    assert deadline == datetime(2026, 3, 10, tzinfo=BUSINESS_ZONE)


def test_a_blocked_settlement_is_tried_on_the_next_business_day() -> None:
    assert next_attempt_at(date(2026, 9, 30), CHINA) == datetime(2026, 10, 8, tzinfo=BUSINESS_ZONE)


ALLOWANCE, RETURN = DisputeOutcome.ALLOWANCE, DisputeOutcome.RETURN


@pytest.mark.parametrize(
    ("claim", "side", "outcome", "allowance_fen", "may"),
    [
        (ALLOWANCE, "seller", ALLOWANCE, 500, True),
        (ALLOWANCE, "seller", ALLOWANCE, 501, True),
        (ALLOWANCE, "seller", ALLOWANCE, 499, False),
        (ALLOWANCE, "seller", RETURN, 0, False),
        (RETURN, "seller", RETURN, 0, True),
        (RETURN, "seller", ALLOWANCE, 10_000, False),
        (ALLOWANCE, "buyer", ALLOWANCE, 0, True),
        (ALLOWANCE, "buyer", ALLOWANCE, 1, False),
        (RETURN, "buyer", ALLOWANCE, 0, True),
        (RETURN, "buyer", RETURN, 0, False),
        (ALLOWANCE, "", ALLOWANCE, 100, True),
        (RETURN, "", ALLOWANCE, 0, True),
        (ALLOWANCE, "", RETURN, 0, True),
    ],
)
def test_a_side_gives_up_its_own_position_only_and_the_operator_decides_freely(
    claim: DisputeOutcome, side: str, outcome: DisputeOutcome, allowance_fen: int, may: bool
) -> None:
    claimed = 500 if claim is ALLOWANCE else 0
    dispute = Dispute("bent boom", claim, claimed, (), NOW)
    if may:
        check_resolution(dispute, side=side, outcome=outcome, allowance_fen=allowance_fen)
        return
    with pytest.raises(NotYoursToDecide):
        check_resolution(dispute, side=side, outcome=outcome, allowance_fen=allowance_fen)
