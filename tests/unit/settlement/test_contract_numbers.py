"""The room's numbers are the contract's."""

from collections.abc import Iterable
from enum import IntEnum

import pytest
from ironloop.settlement.v1 import settlement_pb2 as pb

from services.settlement.account import CHART, AccountKind, AccountState
from services.settlement.ledger_state import HoldState
from services.settlement.transfer import REVERSAL, TRANSFER_CODES, ResultCode, TransferKind


def _named(enum: object, prefix: str) -> dict[str, int]:
    items: Iterable[tuple[str, int]] = enum.items()  # type: ignore[attr-defined]
    return {name.removeprefix(prefix): number for name, number in items if number}


@pytest.mark.parametrize(
    ("mine", "contract", "prefix"),
    [
        (ResultCode, pb.ResultCode, "RESULT_CODE_"),
        (TransferKind, pb.TransferKind, "TRANSFER_KIND_"),
        (AccountKind, pb.AccountKind, "ACCOUNT_KIND_"),
        (HoldState, pb.HoldState, "HOLD_STATE_"),
    ],
)
def test_every_number_is_the_contracts(mine: type[IntEnum], contract: object, prefix: str) -> None:
    assert {member.name: member.value for member in mine} == _named(contract, prefix)


def test_every_transfer_code_is_the_contracts() -> None:
    assert set(_named(pb.TransferCode, "").values()) == TRANSFER_CODES
    assert REVERSAL == pb.TRANSFER_CODE_REVERSAL


def test_every_account_state_is_the_contracts() -> None:
    assert {state.value for state in AccountState} == set(_named(pb.AccountState, "ACCOUNT_STATE_"))


def test_every_kind_of_account_has_one_line_in_the_chart() -> None:
    assert set(CHART) == set(AccountKind)
    assert len({line.code for line in CHART.values()}) == len(CHART)
