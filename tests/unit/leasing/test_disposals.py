"""The disposal waterfall (WE-17), the debt it is for, what it leaves owing, and its reserve."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.finmath.waterfall import Claimant
from services.kit.errors import InvalidArgument
from services.leasing.claim_model import ClaimKind
from services.leasing.disposal_model import (
    Lender,
    Line,
    Policy,
    check_steps,
    distribute_price,
    lines_of,
    paid_to,
)
from services.leasing.disposal_plan import (
    Debt,
    beneficiary_of,
    close_instalments,
    debt_of,
    funds_of,
    shortfalls_of,
)
from services.leasing.instalment_model import Instalment, InstalmentState
from services.leasing.model import Lease, LeaseState
from tests.unit.leasing.samples import FUNDER, LESSEE, LESSOR, NOW, instalments, lease

SENIOR = Lender("draws/1", "parties/bank", 316_667, 38_000_000, 190_000, 1)
JUNIOR = Lender("draws/2", "parties/fund", 0, 6_000_000, 0, 2)
WE_17_DEBT_FEN = 46_506_667  # the senior's, the junior's, and a residual of 20,000.00


def repossessed(**changes: Any) -> Lease:
    """Return a lease taken back before its first instalment, at no interest and no penalty."""
    terms = {
        "financed_fen": WE_17_DEBT_FEN,
        "residual_fen": 0,
        "guaranteed_residual_fen": 0,
        "nominal_rate": Decimal(0),
    } | changes
    taken = lease(**terms)
    return replace(taken, state=LeaseState.REPOSSESSED, ended_on=date(2025, 7, 20))


def sold(of: Lease, price_fen: int, debt: Debt, *lenders: Lender) -> tuple[list[Line], int]:
    lines = lines_of(
        transport_fen=800_000,
        carrier=LESSOR,
        lenders=lenders,
        assignees=debt.assignees,
        lessor=of.terms.lessor,
        lessor_fen=debt.lessor_fen,
    )
    return distribute_price(price_fen, lines, cost_rate=Decimal("0.025"))


@pytest.mark.parametrize(
    ("price_fen", "paid", "surplus_fen", "claims"),
    [
        (
            50_000_000,
            [1_250_000, 800_000, 316_667, 38_000_000, 190_000, 6_000_000, 2_000_000],
            1_443_333,
            [],
        ),
        (
            40_000_000,
            [1_000_000, 800_000, 316_667, 37_883_333, 0, 0, 0],
            0,
            # 1,166.67 and 1,900.00 of the senior, 60,000.00 of the junior, 20,000.00 of the lessor.
            [(ClaimKind.DISPOSAL_SHORTFALL, LESSOR, LESSEE, 8_306_667)],
        ),
    ],
)
def test_we_17(
    price_fen: int, paid: list[int], surplus_fen: int, claims: list[tuple[Any, ...]]
) -> None:
    taken = repossessed()
    debt = debt_of(taken, instalments(taken))
    lines, surplus = sold(taken, price_fen, debt, JUNIOR, SENIOR)
    assert [line.paid_fen for line in lines] == paid
    assert surplus == surplus_fen
    assert sum(paid) + surplus == price_fen
    found = shortfalls_of(taken, debt, lines, price_fen=price_fen, surplus_fen=surplus)
    assert [(each.kind, each.creditor, each.debtor, each.amount_fen) for each in found] == claims
    assert beneficiary_of(taken) == LESSEE


def test_the_debt_is_what_is_due_interest_since_principal_and_residual() -> None:
    taken = replace(
        lease(),
        state=LeaseState.REPOSSESSED,
        ended_on=date(2025, 8, 11),
    )
    late = [
        replace(item, state=InstalmentState.OVERDUE) if item.number == 1 else item
        for item in instalments(taken)
    ]
    debt = debt_of(taken, late)
    # 24,066.45 with ten days' penalty, ten days' interest on what is left, and all principal.
    assert debt.total_fen == 2_406_645 + 12_033 + 161_249 + 98_093_355
    assert debt.assignees == ()


def test_assignees_stand_before_the_lessor_and_behind_its_lenders() -> None:
    taken = repossessed()
    assigned = [
        replace(item, owner=FUNDER, assignment="factorings/1") if item.number > 30 else item
        for item in instalments(taken)
    ]
    debt = debt_of(taken, assigned)
    bought_fen = sum(item.due.principal_fen for item in assigned if item.number > 30)
    assert debt.assignees == ((FUNDER, bought_fen),)
    assert debt.total_fen == WE_17_DEBT_FEN
    lines, _ = sold(taken, 47_000_000, debt, replace(SENIOR, principal_fen=30_000_000))
    ranks = [line.claimant for line in lines]
    assert ranks.index(Claimant.ASSIGNEE) == ranks.index(Claimant.LESSOR_RESIDUAL) - 1
    assert paid_to(lines, Claimant.ASSIGNEE, creditor=FUNDER) == bought_fen


def test_what_lenders_take_beyond_the_debt_the_lessor_owes_the_lessee() -> None:
    taken = repossessed()
    debt = debt_of(taken, instalments(taken))
    greedy = replace(SENIOR, principal_fen=50_000_000)
    lines, surplus = sold(taken, 60_000_000, debt, greedy)
    owed = shortfalls_of(taken, debt, lines, price_fen=60_000_000, surplus_fen=surplus)
    over_fen = greedy.total_fen - debt.total_fen
    assert [(each.kind, each.debtor, each.amount_fen) for each in owed] == [
        (ClaimKind.LESSEE_SURPLUS, LESSOR, over_fen)
    ]


def test_a_returned_machine_is_the_lessors_and_the_lessee_guarantees_its_part() -> None:
    returned = replace(lease(), state=LeaseState.INSPECTED, ended_on=date(2028, 7, 5))
    debt = debt_of(returned, instalments(returned))
    assert (debt.total_fen, debt.guaranteed_fen) == (25_000_000, 15_000_000)
    assert beneficiary_of(returned) == LESSOR
    lines, surplus = sold(returned, 10_000_000, debt)
    net_fen = 10_000_000 - 250_000 - 800_000
    assert surplus == 0
    assert paid_to(lines, Claimant.LESSOR_RESIDUAL) == net_fen
    owed = shortfalls_of(returned, debt, lines, price_fen=10_000_000, surplus_fen=surplus)
    assert [(each.kind, each.amount_fen) for each in owed] == [
        (ClaimKind.RESIDUAL_GUARANTEE, 15_000_000 - net_fen)
    ]


@settings(max_examples=60, deadline=None)
@given(
    price_fen=st.integers(1, 120_000_000),
    senior_fen=st.integers(0, 60_000_000),
    junior_fen=st.integers(0, 60_000_000),
    sold_from=st.integers(1, 37),
)
def test_a_price_is_handed_down_whole_and_ends_every_instalment(
    price_fen: int, senior_fen: int, junior_fen: int, sold_from: int
) -> None:
    taken = repossessed()
    owned: list[Instalment] = [
        replace(item, owner=FUNDER, assignment="factorings/1") if item.number >= sold_from else item
        for item in instalments(taken)
    ]
    debt = debt_of(taken, owned)
    lenders = [
        replace(SENIOR, principal_fen=senior_fen),
        replace(JUNIOR, principal_fen=junior_fen),
    ]
    lines, surplus = sold(taken, price_fen, debt, *lenders)
    assert sum(line.paid_fen for line in lines) + surplus == price_fen
    assert debt.settlement is not None
    funds = funds_of(taken, debt, lines)
    closed = close_instalments(debt.settlement, funds, lessor=LESSOR)
    assert len(closed) == len(owned)
    for owner, fund_fen in funds.items():
        of_owner = [each for each in closed if each.instalment.owner == owner]
        paid_fen = sum(each.paid.total_fen for each in of_owner)
        assert paid_fen <= fund_fen
        assert all(each.is_covered for each in of_owner) or paid_fen == fund_fen
    for each in shortfalls_of(taken, debt, lines, price_fen=price_fen, surplus_fen=surplus):
        assert each.amount_fen > 0
        assert each.creditor != each.debtor


def test_a_reserve_falls_by_the_table_and_needs_a_value() -> None:
    policy = Policy(1, ((0, Decimal(1)), (2, Decimal("0.9")), (4, Decimal("0.8"))), NOW)
    reserves = [policy.reserve_fen(60_000_000, unsold_count=unsold) for unsold in (0, 1, 2, 3, 9)]
    assert reserves == [60_000_000, 60_000_000, 54_000_000, 54_000_000, 48_000_000]
    assert policy.reserve_fen(None, unsold_count=2) is None


@pytest.mark.parametrize(
    ("steps", "field"),
    [
        ([(1, "1")], "steps[0].unsold_count"),
        ([(0, "1"), (0, "0.9")], "steps[1].unsold_count"),
        ([(0, "0.9"), (2, "1")], "steps[1].reserve_share"),
        ([(0, "0")], "steps[0].reserve_share"),
    ],
)
def test_a_table_that_does_not_fall_is_refused(steps: list[tuple[int, str]], field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_steps([(unsold, Decimal(share)) for unsold, share in steps])
    assert caught.value.violations[0][0] == field
