"""Pure rules of machines and liens."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ironloop.options.v1 import options_pb2

from services.kit.ids import new_id
from services.kit.principals import Principal
from services.marketplace.errors import BuildYearAhead, HoursBelowLast, HoursOutOfRange
from services.marketplace.identity import identify
from services.marketplace.machine_model import (
    EquipmentClass,
    Facts,
    Lien,
    LienState,
    Machine,
    Reservation,
    check_build_year,
    checked_hours,
    has_super_priority,
    new_machine,
    ranked,
    seen_by,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FACTS = Facts("XCMG", "LW500", EquipmentClass.WHEEL_LOADER, 2020, Decimal("3000.00"), 60_000_000)


def machine() -> Machine:
    identity = identify(pin="", serial_number="S-1", scheme=None)
    return new_machine(new_id(), identity, FACTS, owner="parties/owner", at=NOW)


def lien(number: int, *, days: int = 0, first: bool = False, holder: str = "a") -> Lien:
    return Lien(
        id=new_id(),
        version=1,
        number=number,
        machine_id=new_id(),
        holder=f"parties/{holder}",
        reference=f"draws/{number}",
        registry_no=str(number),
        secured_amount_fen=100,
        purchase_money=first,
        super_priority=first,
        register_time=NOW + timedelta(days=days),
        state=LienState.ACTIVE,
        release_time=None,
        machine_sequence=2,
        create_time=NOW,
        update_time=NOW,
    )


@pytest.mark.parametrize(
    ("purchase_money", "days", "expected"),
    [
        (True, -3, True),  # registered before the debtor got the machine
        (True, 0, True),
        (True, 10, True),
        (True, 11, False),
        (False, 0, False),
    ],
)
def test_purchase_money_ranks_first_if_registered_within_ten_days(
    purchase_money: bool, days: int, expected: bool
) -> None:
    assert expected is has_super_priority(
        purchase_money=purchase_money,
        register_time=NOW + timedelta(days=days),
        title_since=NOW,
    )


@pytest.mark.parametrize(
    ("liens", "order"),
    [
        ([lien(1, days=0), lien(2, days=-1)], [2, 1]),  # the registry's time
        ([lien(2), lien(1)], [1, 2]),  # the order of creation where times are equal
        ([lien(1, days=-9), lien(2, first=True)], [2, 1]),  # purchase money before all
        ([lien(1, days=5, first=True), lien(2, days=4, first=True), lien(3, days=-9)], [2, 1, 3]),
        ([replace(lien(1), state=LienState.RELEASED), lien(2, days=1)], [2]),
        ([], []),
    ],
)
def test_active_liens_rank_by_the_rule(liens: list[Lien], order: list[int]) -> None:
    result = ranked(liens)
    assert [one.number for one in result] == order
    assert [one.priority for one in result] == list(range(1, len(order) + 1))


def viewer(party: str, *roles: "options_pb2.Role.ValueType") -> Principal:
    return Principal("users/1", f"parties/{party}", frozenset(roles))


@pytest.mark.parametrize(
    ("who", "holders", "sees_custody"),
    [
        (viewer("owner"), ["a", "b"], True),
        (viewer("reserver"), ["a", "b"], True),
        (viewer("auditor", options_pb2.ROLE_AUDITOR), ["a", "b"], True),
        (viewer("a"), ["a"], True),
        (viewer("keeper"), [], True),
        (viewer("passer-by"), [], False),
    ],
)
def test_each_viewer_sees_what_is_theirs(
    who: Principal, holders: list[str], sees_custody: bool
) -> None:
    held = replace(
        machine(),
        custodian="parties/keeper",
        reservation=Reservation("orders/1", "parties/reserver", None),
    )
    liens = ranked([lien(1, holder="a"), lien(2, holder="b")])
    seen, shown = seen_by(held, liens, who)
    assert [one.holder for one in shown] == [f"parties/{holder}" for holder in holders]
    assert bool(seen.custodian) is bool(seen.reservation) is sees_custody


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_hours_are_kept_to_two_decimals_within_their_limits(hours: Decimal) -> None:
    if 0 <= hours <= 200_000:
        kept = checked_hours(hours, field="hours_meter")
        assert abs(kept - hours) <= Decimal("0.005")
        assert kept.as_tuple().exponent == -2
    else:
        with pytest.raises(HoursOutOfRange):
            checked_hours(hours, field="hours_meter")


def test_hours_of_a_machine_do_not_fall() -> None:
    later = NOW + timedelta(days=1)
    more = machine().with_facts(replace(FACTS, hours_meter=Decimal("3000.01")), at=later)
    assert more.hours_time == later
    same = machine().with_facts(replace(FACTS, model="LW600"), at=later)
    assert (same.facts.model, same.hours_time) == ("LW600", NOW)
    for hours in (Decimal("2999.99"), None):
        with pytest.raises(HoursBelowLast):
            machine().with_facts(replace(FACTS, hours_meter=hours), at=later)


def test_a_machine_can_be_built_next_year_but_not_later() -> None:
    today = date(2026, 3, 2)
    for year in (None, 2026, 2027):
        check_build_year(year, today=today, field="build_year")
    with pytest.raises(BuildYearAhead):
        check_build_year(2028, today=today, field="build_year")
