"""Turnover: the examples of the domain page (§3.4), and what happens at the edges of a period."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.insights.turnover_model import Core, Facts, Money, Owned, Period, Stay, measure

ONE, TWO = UUID(int=1), UUID(int=2)
YEAR = Period(date(2026, 1, 1), date(2027, 1, 1))
NOTHING = Facts(
    owned=[],
    in_shop=[],
    on_lease=[],
    money=Money(0, 0, 0),
    return_to_relist_days=[],
    relist_to_redeploy_days=[],
    listed_to_sold_days=[],
    hours_run=Decimal(0),
    downtime_hours=[],
    cores=[],
)
BEFORE = date(2020, 1, 1)
FLEET = replace(NOTHING, owned=[Owned(Stay(ONE, BEFORE, None), 450_000_00)])


def test_dollar_utilisation_is_a_years_rent_over_what_the_machine_cost() -> None:
    facts = replace(FLEET, money=Money(180_000_00, 180_000_00, 0))
    assert measure(facts, YEAR).dollar_utilisation == Decimal("0.4")


def test_rent_of_half_a_year_is_annualised_and_a_machine_counts_for_its_days() -> None:
    half = Period(date(2026, 1, 1), date(2026, 7, 2))  # 182 days
    facts = replace(FLEET, money=Money(180_000_00 * 182 // 365, 0, 0))
    assert measure(facts, half).dollar_utilisation == Decimal("0.4")
    bought_midway = replace(
        FLEET, owned=[Owned(Stay(ONE, date(2026, 4, 2), None), 450_000_00)]
    )  # 91 of 182 days
    assert measure(bought_midway, half).equipment_cost_fen == 225_000_00


def test_mtbf_mttr_and_availability() -> None:
    facts = replace(FLEET, hours_run=Decimal(600), downtime_hours=[Decimal(4)] * 3)
    made = measure(facts, YEAR)
    assert (made.mtbf_hours, made.mttr_hours) == (Decimal(200), Decimal(4))
    assert made.availability == Decimal("0.9804")


def test_days_in_the_shop_are_not_available_unless_they_are_rented() -> None:
    lease = Stay(ONE, date(2026, 2, 1), date(2026, 5, 2))  # 90 days
    idle = Stay(ONE, date(2026, 6, 1), date(2026, 6, 11))  # 10 days
    under_lease = Stay(ONE, date(2026, 4, 22), date(2026, 5, 12))  # 10 of its 20 are rented
    of_another = Stay(TWO, date(2026, 6, 1), None)
    made = measure(replace(FLEET, on_lease=[lease], in_shop=[idle, under_lease]), YEAR)
    assert (made.owned_days, made.available_days, made.on_rent_days) == (365, 345, 90)
    assert made.time_utilisation == Decimal("0.2609")
    fleet = [*FLEET.owned, Owned(of_another, 0)]
    assert measure(replace(FLEET, owned=fleet), YEAR).machine_count == 2


def test_stays_are_cut_to_the_period() -> None:
    lease = Stay(ONE, BEFORE, None)
    made = measure(replace(FLEET, on_lease=[lease]), YEAR)
    assert (made.on_rent_days, made.time_utilisation) == (365, Decimal(1))


def test_days_sales_outstanding_and_cores() -> None:
    facts = replace(
        FLEET,
        money=Money(0, 120_000_00, 10_000_00),
        cores=[Core(True, 30), Core(True, 41), Core(False, 180)],
        return_to_relist_days=[4, 6],
    )
    made = measure(facts, YEAR)
    assert made.days_sales_outstanding == Decimal("30.42")
    assert (made.core_return_rate, made.core_cycle_days) == (Decimal("0.6667"), Decimal("35.50"))
    assert made.return_to_relist == Decimal(5)


def test_where_nothing_is_known_nothing_is_claimed() -> None:
    made = measure(NOTHING, YEAR)
    absent = (
        made.time_utilisation,
        made.dollar_utilisation,
        made.mtbf_hours,
        made.mttr_hours,
        made.availability,
        made.days_sales_outstanding,
        made.core_return_rate,
        made.core_cycle_days,
        made.listed_to_sold,
    )
    assert absent == (None,) * len(absent)


days = st.dates(date(2025, 1, 1), date(2028, 1, 1))


@pytest.mark.parametrize("machine", [ONE])
@given(ends=st.lists(days, min_size=4, max_size=4, unique=True), period=st.tuples(days, days))
def test_shares_stay_between_none_and_all(
    machine: UUID, ends: list[date], period: tuple[date, date]
) -> None:
    first, last = min(period), max(period)
    if first == last:
        return
    a, b, c, d = sorted(ends)
    made = measure(
        replace(
            NOTHING,
            owned=[Owned(Stay(machine, a, d), 1_00)],
            on_lease=[Stay(machine, a, c)],
            in_shop=[Stay(machine, b, d)],
        ),
        Period(first, last),
    )
    assert 0 <= made.available_days <= made.owned_days
    assert made.time_utilisation is None or 0 <= made.time_utilisation <= 1
