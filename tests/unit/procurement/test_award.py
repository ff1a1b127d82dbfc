"""The award: tier prices, the winner, and who gets which machine; pure and deterministic."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.errors import InvalidArgument
from services.procurement.errors import DatesOutOfOrder, NoValidQuote
from services.procurement.order_model import Address
from services.procurement.pool_model import (
    MachineFacts,
    Membership,
    MembershipState,
    PriceTier,
    Quote,
    QuoteState,
    Specification,
    allot,
    check_dates,
    check_tiers,
    check_validity,
    choose,
    landed_cost,
    pooled_unit_price,
)

TODAY = date(2026, 11, 24)
NOON = datetime(2026, 11, 24, 4, tzinfo=UTC)
POOL_ID = UUID(int=1)
TIERS = (PriceTier(5, Decimal("0.03")), PriceTier(10, Decimal("0.06")))


def quote(number: int, *, unit: int = 45_000_000, quantity: int = 12, minute: int = 0) -> Quote:
    return Quote(
        id=UUID(int=number),
        version=1,
        pool_id=POOL_ID,
        seller=f"parties/{number}",
        state=QuoteState.OFFERED,
        unit_price_fen=unit,
        tiers=(),
        transport_fen=0,
        other_fen=0,
        pooled_unit_price_fen=unit,
        landed_cost_fen=unit * quantity,
        machines=tuple(f"machines/{number}-{index}" for index in range(quantity)),
        valid_until=TODAY,
        lapse_reason="",
        create_time=NOON + timedelta(minutes=minute),
        update_time=NOON,
    )


def membership(number: int, quantity: int, *, minute: int) -> Membership:
    return Membership(
        id=UUID(int=number),
        pool_id=POOL_ID,
        member=f"parties/{number}",
        quantity=quantity,
        address=Address("Site office", "1 Road", "Changsha", "Hunan", "", "CN"),
        state=MembershipState.JOINED,
        order_id=None,
        join_time=NOON + timedelta(minutes=minute),
        update_time=NOON,
    )


def test_twelve_machines_at_six_per_cent_off_cost_5_076_000() -> None:
    price = pooled_unit_price(45_000_000, TIERS, quantity=12)  # WE-19
    cost = landed_cost(price, transport_fen=0, other_fen=0, quantity=12)
    assert (price, cost) == (42_300_000, 507_600_000)


@pytest.mark.parametrize(("quantity", "price"), [(1, 100), (4, 100), (5, 97), (9, 97), (10, 94)])
def test_the_tier_that_the_pooled_quantity_reaches_holds_for_all(quantity: int, price: int) -> None:
    assert pooled_unit_price(100, TIERS, quantity=quantity) == price


def test_a_tier_price_is_rounded_half_up_once() -> None:
    tiers = (PriceTier(1, Decimal("0.005")),)
    price = pooled_unit_price(1_010, tiers, quantity=3)  # 1,004.95
    assert price == 1_005
    assert landed_cost(price, transport_fen=10, other_fen=1, quantity=3) == 3_048


def test_the_lowest_landed_cost_wins_whatever_the_unit_price() -> None:
    cheap_far = replace(quote(1, unit=100), transport_fen=50, landed_cost_fen=150 * 12)
    dear_near = replace(quote(2, unit=140), landed_cost_fen=140 * 12)
    assert choose([cheap_far, dear_near], quantity=12, on=TODAY, pool="p") == dear_near


def test_of_equal_quotes_the_earlier_wins() -> None:
    late, early = quote(1, minute=5), quote(2, minute=1)
    assert choose([late, early], quantity=12, on=TODAY, pool="p") == early


@given(seed=st.integers(), prices=st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_the_winner_does_not_depend_on_the_order_of_the_rows(seed: int, prices: list[int]) -> None:
    quotes = [quote(number, unit=unit) for number, unit in enumerate(prices, start=1)]
    shuffled = random.Random(seed).sample(quotes, len(quotes))
    assert choose(shuffled, quantity=12, on=TODAY, pool="p") == choose(
        quotes, quantity=12, on=TODAY, pool="p"
    )


@pytest.mark.parametrize(
    "cheapest",
    [
        replace(quote(1, unit=1), state=QuoteState.WITHDRAWN),
        replace(quote(1, unit=1), state=QuoteState.LAPSED),
        replace(quote(1, unit=1), valid_until=TODAY - timedelta(days=1)),
        quote(1, unit=1, quantity=11),
    ],
    ids=["withdrawn", "lapsed", "expired", "too few machines"],
)
def test_a_quote_that_does_not_stand_is_passed_over(cheapest: Quote) -> None:
    other = quote(2)
    assert choose([cheapest, other], quantity=12, on=TODAY, pool="p") == other
    with pytest.raises(NoValidQuote):
        choose([cheapest], quantity=12, on=TODAY, pool="p")


def test_who_joined_earlier_gets_the_machines_named_earlier() -> None:
    late, early = membership(1, 3, minute=9), membership(2, 2, minute=1)
    machines = [f"machines/{index}" for index in range(6)]
    assert list(allot(machines, [late, early])) == [
        (early, ("machines/0", "machines/1")),
        (late, ("machines/2", "machines/3", "machines/4")),
    ]


@given(quantities=st.lists(st.integers(1, 20), min_size=1, max_size=10))
def test_every_member_gets_its_quantity_and_no_machine_goes_twice(quantities: list[int]) -> None:
    members = [
        membership(number, quantity, minute=number % 3)
        for number, quantity in enumerate(quantities, start=1)
    ]
    machines = [f"machines/{index}" for index in range(sum(quantities) + 3)]
    allotted = list(allot(machines, members))
    assert {one.id: len(got) for one, got in allotted} == {one.id: one.quantity for one in members}
    given_away = [machine for _, got in allotted for machine in got]
    assert given_away == machines[: sum(quantities)]


def test_lines_carry_the_same_price_for_every_member() -> None:
    lines = replace(quote(1, unit=94), transport_fen=3, other_fen=2).lines_of(["a", "b"])
    assert [(line.number, line.machine, line.total_fen) for line in lines] == [
        (1, "a", 99),
        (2, "b", 99),
    ]


MACHINE = MachineFacts(
    "machines/1", "SANY", "SY215C", "HYDRAULIC_EXCAVATOR", 2020, "parties/1", True
)


@pytest.mark.parametrize(
    ("specification", "misfit"),
    [
        (Specification("sany", "", "", 0, 0), ""),
        (Specification("", "sy215c", "HYDRAULIC_EXCAVATOR", 2018, 2020), ""),
        (Specification("XCMG", "", "", 0, 0), 'is of make "SANY", not "XCMG"'),
        (Specification("", "SY365", "", 0, 0), 'is of model "SY215C", not "SY365"'),
        (
            Specification("", "", "WHEEL_LOADER", 0, 0),
            'is of equipment class "HYDRAULIC_EXCAVATOR", not "WHEEL_LOADER"',
        ),
        (Specification("SANY", "", "", 2021, 0), "was built in 2020, outside the pool's years"),
        (Specification("SANY", "", "", 0, 2019), "was built in 2020, outside the pool's years"),
    ],
)
def test_what_does_not_fit_a_specification_is_named(
    specification: Specification, misfit: str
) -> None:
    assert specification.misfit(MACHINE) == misfit


@pytest.mark.parametrize(
    "tiers",
    [
        (PriceTier(5, Decimal("0.03")), PriceTier(5, Decimal("0.06"))),
        (PriceTier(5, Decimal("0.06")), PriceTier(9, Decimal("0.06"))),
        (PriceTier(5, Decimal("0.91")),),
        (PriceTier(5, Decimal("-0.01")),),
        (PriceTier(5, Decimal("0.00001")),),
    ],
)
def test_tiers_that_do_not_rise_or_leave_their_limits_are_refused(
    tiers: tuple[PriceTier, ...],
) -> None:
    with pytest.raises(InvalidArgument, match=r"tiers\[\d\]"):
        check_tiers(tiers, unit_price_fen=100)


def test_a_tier_that_leaves_no_price_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="below one fen"):
        check_tiers((PriceTier(1, Decimal("0.9")),), unit_price_fen=4)


def test_tiers_within_their_limits_pass() -> None:
    check_tiers(TIERS, unit_price_fen=100)
    check_tiers((PriceTier(1, Decimal("0.9000000")),), unit_price_fen=5)


def test_dates_in_the_past_or_the_wrong_order_are_refused() -> None:
    day = timedelta(days=1)
    check_dates(TODAY, TODAY, today=TODAY)
    check_dates(TODAY, None, today=TODAY)
    with pytest.raises(DatesOutOfOrder, match="join_until"):
        check_dates(TODAY - day, None, today=TODAY)
    with pytest.raises(DatesOutOfOrder, match="join_until"):
        check_dates(TODAY + 367 * day, None, today=TODAY)
    with pytest.raises(DatesOutOfOrder, match="quote_until"):
        check_dates(TODAY + day, TODAY, today=TODAY)
    with pytest.raises(DatesOutOfOrder, match="valid_until"):
        check_validity(TODAY - day, today=TODAY)
