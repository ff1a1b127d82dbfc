"""The worked examples of the domain page, §3.5, that are finance maths: to the fen."""

from datetime import date
from decimal import Decimal

import pytest

from services.finmath.allocation import Parts, allocate, penalty
from services.finmath.classification import LeaseFacts, Reason, classify
from services.finmath.cover import offer_by_ltv, through_life_cover
from services.finmath.credit import expected_credit_loss, secured_lgd
from services.finmath.dates import add_months
from services.finmath.day_count import DayCount, simple_interest, year_fraction
from services.finmath.discount import (
    advance_invoice,
    discount_amount,
    discount_rentals,
    present_value,
    yield_on_cash,
)
from services.finmath.irr import dated_irr, effective_annual, monthly_irr, nominal_annual
from services.finmath.money import ratio, round_half_up, share_of
from services.finmath.payoff import quote_payoff
from services.finmath.schedule import Schedule, annuity_schedule, level_payment
from services.finmath.usage import excess_charge, excess_hours
from services.finmath.waterfall import Claimant, distribute_disposal

RATE_TOLERANCE = Decimal("0.000001")  # a ten-thousandth of a percentage point


def fen(yuan: str) -> int:
    amount = Decimal(yuan.replace(",", "")) * 100
    assert amount == int(amount)
    return int(amount)


def lease(*, in_advance: bool = False) -> Schedule:
    return annuity_schedule(
        fen("1,000,000"),
        Decimal("0.06"),
        months=36,
        residual_fen=fen("250,000"),
        in_advance=in_advance,
    )


@pytest.mark.parametrize(
    ("number", "interest", "principal", "balance"),
    [
        (1, "5,000.00", "19,066.45", "980,933.55"),
        (2, "4,904.67", "19,161.78", "961,771.77"),
        (12, "3,924.73", "20,141.72", "764,804.62"),
        (18, "3,312.88", "20,753.57", "641,821.72"),
        (35, "1,476.47", "22,589.98", "272,703.04"),
        (36, "1,363.52", "22,703.04", "250,000.00"),
    ],
)
def test_we_1_rows_in_arrears(number: int, interest: str, principal: str, balance: str) -> None:
    row = lease().rows[number - 1]
    assert row.number == row.month == number
    assert (row.interest_fen, row.principal_fen, row.balance_fen) == (
        fen(interest),
        fen(principal),
        fen(balance),
    )


def test_we_1_payments_in_arrears() -> None:
    schedule = lease()
    assert {row.payment_fen for row in schedule.rows[:-1]} == {fen("24,066.45")}
    assert schedule.rows[-1].payment_fen == fen("24,066.56")
    assert schedule.payments_fen == fen("866,392.31")
    assert schedule.interest_fen == fen("116,392.31")
    assert schedule.closing_interest_fen == 0


def test_we_1_in_advance() -> None:
    schedule = lease(in_advance=True)
    first, second = schedule.rows[:2]
    assert first.payment_fen == fen("23,946.72")
    assert (first.month, first.interest_fen) == (0, 0)
    assert first.balance_fen == fen("976,053.28")
    assert second.interest_fen == fen("4,880.27")
    assert schedule.rows[-1].balance_fen + schedule.closing_interest_fen == fen("250,000")


def test_we_2_the_flows_return_the_quoted_rate() -> None:
    monthly = monthly_irr(lease().flows_fen())
    assert abs(monthly - Decimal("0.005000000")) < Decimal("1e-9")
    assert abs(nominal_annual(monthly) - Decimal("0.060000")) < RATE_TOLERANCE
    assert abs(effective_annual(monthly) - Decimal("0.061678")) < RATE_TOLERANCE


def test_we_3_fee_and_deposit_raise_the_rate() -> None:
    flows = lease().flows_fen()
    flows[0] += fen("20,000") + fen("100,000")
    flows[36] -= fen("100,000")
    assert flows[0] == -fen("880,000")
    monthly = monthly_irr(flows)
    assert abs(monthly - Decimal("0.00701073")) < Decimal("5e-9")
    assert abs(nominal_annual(monthly) - Decimal("0.084129")) < RATE_TOLERANCE
    assert abs(effective_annual(monthly) - Decimal("0.087450")) < RATE_TOLERANCE


@pytest.mark.parametrize(
    ("day_count", "interest", "total"),
    [(DayCount.ACT_365F, "1,055.05", "649,294.99"), (DayCount.ACT_360, "1,069.70", "649,309.64")],
)
def test_we_4_early_buyout(day_count: DayCount, interest: str, total: str) -> None:
    payoff = quote_payoff(
        lease().rows[17].balance_fen,
        Decimal("0.06"),
        interest_from=date(2026, 7, 1),
        as_of=date(2026, 7, 11),
        day_count=day_count,
        fee_rate=Decimal("0.01"),
    )
    assert payoff.principal_fen == fen("641,821.72")
    assert payoff.interest_fen == fen(interest)
    assert payoff.fee_fen == fen("6,418.22")
    assert payoff.total_fen == fen(total)


def test_we_5_factoring_the_tail() -> None:
    rentals = [row.payment_fen for row in lease().rows[18:]]
    tail = discount_rentals(rentals, Decimal("0.048"))
    assert tail.gross_fen == fen("433,196.21")
    assert tail.present_value_fen == fen("417,164.66")
    assert tail.discount_fen == fen("16,031.55")
    assert present_value([(18, fen("250,000"))], Decimal("0.048")) == fen("232,666.14")


def test_we_6_invoice_discount() -> None:
    start, due = date(2025, 7, 1), date(2025, 9, 26)
    invoice = discount_amount(
        fen("300,000"), Decimal("0.052"), start=start, due=due, day_count=DayCount.ACT_360
    )
    assert (due - start).days == 87
    assert invoice.discount_fen == fen("3,770.00")
    assert invoice.present_value_fen == fen("296,230.00")
    cash_yield = yield_on_cash(invoice, start=start, due=due, day_count=DayCount.ACT_360)
    assert abs(cash_yield - Decimal("0.052662")) < RATE_TOLERANCE
    compound = dated_irr([(start, -invoice.present_value_fen), (due, invoice.gross_fen)])
    assert abs(compound - Decimal("0.054489")) < RATE_TOLERANCE
    on_365 = discount_amount(
        fen("300,000"), Decimal("0.052"), start=start, due=due, day_count=DayCount.ACT_365F
    )
    assert on_365.discount_fen == fen("3,718.36")


def test_we_6_invoice_advance() -> None:
    advance = advance_invoice(
        fen("300,000"),
        Decimal("0.052"),
        start=date(2025, 7, 1),
        due=date(2025, 9, 26),
        day_count=DayCount.ACT_360,
        advance_rate=Decimal("0.9"),
        fee_rate=Decimal("0.003"),
    )
    assert advance.advance_fen == fen("270,000.00")
    assert advance.interest_fen == fen("3,393.00")
    assert advance.fee_fen == fen("900.00")
    assert advance.cash_fen == fen("265,707.00")
    assert advance.reserve_fen == fen("30,000.00")


def test_we_6_dynamic_discount() -> None:
    early = discount_amount(
        fen("120,000"),
        Decimal("0.08"),
        start=date(2025, 7, 1),
        due=date(2025, 8, 15),
        day_count=DayCount.ACT_365F,
    )
    assert early.discount_fen == fen("1,183.56")


def test_we_7_offer_by_loan_to_value() -> None:
    offer = offer_by_ltv(
        fen("640,000"),
        haircut=Decimal("0.15"),
        ltv_cap=Decimal("0.85"),
        price_fen=fen("780,000"),
        price_cap=Decimal("0.80"),
    )
    assert offer.collateral_fen == fen("544,000.00")
    assert offer.ltv_limit_fen == fen("462,400.00")
    assert offer.price_limit_fen == fen("624,000.00")
    assert offer.amount_fen == fen("462,400.00")
    assert ratio(offer.amount_fen, fen("800,000"), places=4) == Decimal("0.5780")
    assert level_payment(offer.amount_fen, Decimal("0.066"), months=36) == fen("14,193.16")


@pytest.mark.parametrize(
    ("balloon", "payment", "worst", "worst_month", "breach_month"),
    [
        ("0", "14,193.16", "0.9633", 0, None),
        ("250,000", "7,894.52", "0.9904", 14, None),
        ("300,000", "6,634.79", "1.0802", 32, 7),
    ],
)
def test_we_8_through_life_cover(
    balloon: str, payment: str, worst: str, worst_month: int, breach_month: int | None
) -> None:
    schedule = annuity_schedule(
        fen("462,400"), Decimal("0.066"), months=36, residual_fen=fen(balloon)
    )
    assert schedule.rows[0].payment_fen == fen(payment)
    values = [fen("480,000") * Decimal("0.985") ** month for month in range(37)]
    cover = through_life_cover(schedule.balances_fen(), values)
    assert round(cover.worst_ratio, 4) == Decimal(worst)
    assert (cover.worst_month, cover.breach_month) == (worst_month, breach_month)
    assert cover.holds == (breach_month is None)
    if breach_month is not None:
        at_breach = ratio(schedule.balances_fen()[breach_month], values[breach_month], places=4)
        assert at_breach == Decimal("1.0034")


def test_we_9_loss_given_default_and_expected_loss() -> None:
    split = secured_lgd(fen("462,400"), fen("700,000"))
    assert (split.secured_fen, split.unsecured_fen) == (fen("420,000"), fen("42,400"))
    assert split.lgd == Decimal("0.263754")
    pd = Decimal("0.02")
    assert expected_credit_loss(fen("462,400"), pd=pd, lgd=split.exact) == fen("2,439.20")
    discounted = expected_credit_loss(
        fen("462,400"), pd=pd, lgd=split.exact, discount_factor=Decimal("1.066") ** Decimal("-0.5")
    )
    assert discounted == fen("2,362.48")


def test_we_10_implicit_rate_and_classification() -> None:
    rentals = tuple((row.month, row.payment_fen) for row in lease().rows)
    classification = classify(
        LeaseFacts(
            rentals_fen=rentals,
            term_months=36,
            fair_value_fen=fen("1,000,000"),
            direct_cost_fen=fen("10,000"),
            guaranteed_residual_fen=fen("150,000"),
            unguaranteed_residual_fen=fen("100,000"),
        )
    )
    assert round(classification.implicit_monthly_rate, 9) == Decimal("0.004540587")
    assert abs(classification.implicit_annual_rate - Decimal("0.054487")) < RATE_TOLERANCE
    assert classification.payments_value_fen == fen("925,048.63")
    assert round(classification.value_share, 4) == Decimal("0.9250")
    assert classification.unguaranteed_value_fen == fen("84,951.37")
    assert classification.net_investment_fen == fen("1,010,000.00")
    assert classification.reasons == (Reason.PRESENT_VALUE,)
    assert classification.is_finance_lease
    assert present_value(rentals, Decimal("0.055")) == fen("797,010.57")


@pytest.mark.parametrize(
    ("day_count", "interest"),
    [
        (DayCount.ACT_360, "5,000.00"),
        (DayCount.ACT_365F, "4,931.51"),
        (DayCount.THIRTY_360, "5,166.67"),
        (DayCount.THIRTY_E_360, "5,166.67"),
        (DayCount.ACT_ACT, "4,918.03"),
    ],
)
def test_we_11_day_counts(day_count: DayCount, interest: str) -> None:
    accrued = simple_interest(
        fen("1,000,000"),
        Decimal("0.06"),
        start=date(2024, 1, 31),
        end=date(2024, 3, 1),
        day_count=day_count,
    )
    assert accrued == fen(interest)


@pytest.mark.parametrize(
    ("start", "end", "united_states", "european"),
    [
        (date(2024, 2, 29), date(2024, 3, 31), 30, 31),
        (date(2023, 2, 28), date(2024, 2, 29), 360, 361),
        (date(2024, 2, 29), date(2025, 2, 28), 360, 359),
        (date(2024, 8, 30), date(2024, 8, 31), 0, 0),
        (date(2024, 8, 15), date(2024, 8, 31), 16, 15),
    ],
)
def test_we_11_the_end_of_february_parts_the_two_thirty_day_counts(
    start: date, end: date, united_states: int, european: int
) -> None:
    assert year_fraction(start, end, DayCount.THIRTY_360) * 360 == united_states
    assert year_fraction(start, end, DayCount.THIRTY_E_360) * 360 == european


def test_we_13_certificate_discount_and_term() -> None:
    financed = discount_amount(
        fen("120,000"),
        Decimal("0.045"),
        start=date(2025, 9, 30),
        due=date(2025, 12, 31),
        day_count=DayCount.ACT_360,
    )
    assert financed.discount_fen == fen("1,380.00")
    assert financed.present_value_fen == fen("118,620.00")
    assert add_months(date(2025, 8, 31), 6) == date(2026, 2, 28)
    assert date(2026, 1, 2) > add_months(date(2025, 7, 1), 6)
    assert date(2026, 7, 2) > add_months(date(2025, 7, 1), 12)


@pytest.mark.parametrize(
    ("sale", "paid", "principal_short", "surplus"),
    [
        (
            "500,000",
            ["12,500.00", "8,000.00", "3,166.67", "380,000", "1,900", "60,000", "20,000"],
            "0",
            "14,433.33",
        ),
        (
            "400,000",
            ["10,000.00", "8,000.00", "3,166.67", "378,833.33", "0", "0", "0"],
            "1,166.67",
            "0",
        ),
    ],
)
def test_we_17_disposal_waterfall(
    sale: str, paid: list[str], principal_short: str, surplus: str
) -> None:
    distribution = distribute_disposal(
        fen(sale),
        cost_rate=Decimal("0.025"),
        claims=[
            (Claimant.TRANSPORT, fen("8,000")),
            (Claimant.SENIOR_INTEREST, fen("3,166.67")),
            (Claimant.SENIOR_PRINCIPAL, fen("380,000")),
            (Claimant.SENIOR_PENALTY, fen("1,900")),
            (Claimant.JUNIOR, fen("60,000")),
            (Claimant.LESSOR_RESIDUAL, fen("20,000")),
        ],
    )
    assert list(distribution.paid_fen) == [fen(amount) for amount in paid]
    assert distribution.short_fen[3] == fen(principal_short)
    assert distribution.surplus_fen == fen(surplus)
    assert sum(distribution.paid_fen) + distribution.surplus_fen == fen(sale)


def test_claims_out_of_order_are_not_distributed() -> None:
    claims = [(Claimant.JUNIOR, 1), (Claimant.SENIOR_INTEREST, 1)]
    with pytest.raises(ValueError, match="order DISPOSAL"):
        distribute_disposal(100, cost_rate=Decimal(0), claims=claims)


def test_we_18_payment_allocation() -> None:
    due = Parts(fen("500.00"), fen("320.15"), fen("5,000.00"), fen("18,990.29"))
    allocation = allocate(fen("20,000"), due)
    assert allocation.paid == Parts(fen("500.00"), fen("320.15"), fen("5,000.00"), fen("14,179.85"))
    assert (due - allocation.paid).principal_fen == fen("4,810.44")
    assert allocation.surplus_fen == 0


def test_we_19_excess_hours() -> None:
    hours = excess_hours(Decimal("2310.5"), Decimal(2000))
    assert hours == Decimal("310.5")
    assert excess_charge(hours, fen("85.00")) == fen("26,392.50")
    assert excess_hours(Decimal(1999), Decimal(2000)) == 0


def test_we_19_pool_price() -> None:
    assert share_of(12 * fen("450,000"), 1 - Decimal("0.06")) == fen("5,076,000.00")


def test_we_19_a_half_is_rounded_up() -> None:
    assert share_of(fen("201.00"), Decimal("0.005")) == fen("1.01")
    assert round_half_up(Decimal("-0.5")) == -1


def test_a_penalty_stops_at_its_cap() -> None:
    overdue_fen, cap_fen = fen("24,066.45"), fen("2,406.65")
    rate = Decimal("0.0005")
    assert penalty(overdue_fen, daily_rate=rate, days=10, cap_fen=cap_fen) == fen("120.33")
    assert penalty(overdue_fen, daily_rate=rate, days=1000, cap_fen=cap_fen) == cap_fen
