"""The chart of accounts, and what an account's number and flags tell."""

import re
from pathlib import Path
from uuid import uuid4

import pytest

from services.settlement.account import (
    CHART,
    NUMBERS_PER_LEDGER,
    AccountKey,
    AccountKind,
    AccountState,
    Flags,
    Needs,
    flags_in,
    key_problem,
    ledger_of,
    state_of,
)
from services.settlement.transfer import TRANSFER_CODES

PAGE = (Path(__file__).parents[3] / "docs" / "accounts.md").read_text()


@pytest.mark.parametrize("kind", list(AccountKind))
def test_a_kind_takes_the_owner_and_reference_that_the_chart_says(kind: AccountKind) -> None:
    line = CHART[kind]
    for owner in (None, uuid4()):
        for reference in ("", "orders/1"):
            problem = key_problem(AccountKey(1, kind, owner, reference))
            wrong = {
                field
                for field, needs, given in (
                    ("owner", line.owner, owner is not None),
                    ("reference", line.reference, reference != ""),
                )
                if (needs is Needs.MUST and not given) or (needs is Needs.NONE and given)
            }
            assert (problem is None) == (not wrong)
            assert problem is None or problem[0] in wrong


@pytest.mark.parametrize("limits", [0, 1, 2])
@pytest.mark.parametrize("state", list(AccountState))
def test_a_state_is_two_flags_and_leaves_the_limits_alone(limits: int, state: AccountState) -> None:
    for before in AccountState:
        flags = flags_in(flags_in(limits, before), state)
        assert state_of(flags) is state
        assert flags & 3 == limits


def test_a_number_tells_its_ledger() -> None:
    assert ledger_of(7 * NUMBERS_PER_LEDGER + 12) == 7
    assert ledger_of(5) == 0
    assert ledger_of(-(10**13)) == 0


def test_only_the_bank_and_suspense_may_go_either_way() -> None:
    unlimited = {kind for kind, line in CHART.items() if line.flags == Flags.NONE}
    assert unlimited == {AccountKind.BANK, AccountKind.SUSPENSE}


def test_the_page_lists_every_kind_of_account_and_every_transfer_code() -> None:
    from ironloop.settlement.v1 import settlement_pb2 as pb  # noqa: PLC0415

    for kind, line in CHART.items():
        assert re.search(rf"\| {line.code} \| `{kind.name}` \|", PAGE), kind.name
    for number in TRANSFER_CODES:
        name = pb.TransferCode.Name(number).removeprefix("TRANSFER_CODE_")  # type: ignore[arg-type]
        assert f"`{name}`" in PAGE, name
