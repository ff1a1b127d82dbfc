"""Conditions of simulated e-CNY wallets and of payments from them."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from services.settlement.ecny_model import (
    PAYEE_REFUSED,
    PURPOSE_REFUSED,
    RELEASE_AHEAD_MAX,
    EcnyWallet,
    condition_problem,
)
from services.settlement.payment_model import Rail
from services.settlement.rails import NoticeKind, simulated_notices
from tests.unit.settlement.test_bank_files import AT, PAYMENT

WALLET = EcnyWallet(UUID(int=9), 1, 1_000_000_000_001, UUID(int=5), (), (), AT, AT)
LATER = AT + timedelta(days=3)
FROM_WALLET = replace(
    PAYMENT,
    rail=Rail.ECNY_SIMULATOR,
    creditor_account="0102-7",
    ecny_wallet=WALLET.id,
    id=UUID(int=99),
)
WAITING = replace(FROM_WALLET, release_event="orders/7:accepted", release_deadline=LATER)


@pytest.mark.parametrize(
    ("payees", "purposes", "refusal"),
    [
        ((), (), ""),
        (("0102-7",), (), ""),
        (("0102-7", "0102-8"), ("GDDS",), ""),
        (("0102-8",), (), PAYEE_REFUSED),
        ((), ("RENT",), PURPOSE_REFUSED),
        (("0102-8",), ("RENT",), PAYEE_REFUSED),
    ],
)
def test_a_wallet_pays_whom_and_for_what_its_conditions_say(
    payees: tuple[str, ...], purposes: tuple[str, ...], refusal: str
) -> None:
    wallet = replace(WALLET, payees=payees, purposes=purposes)
    assert wallet.refusal(payee="0102-7", purpose="GDDS") == refusal


def test_a_wallet_for_certain_purposes_pays_nothing_without_one() -> None:
    assert replace(WALLET, purposes=("GDDS",)).refusal(payee="x", purpose="") == PURPOSE_REFUSED


@pytest.mark.parametrize(
    ("rail", "changes", "field"),
    [
        (Rail.ECNY_SIMULATOR, {}, None),
        (Rail.ECNY_SIMULATOR, {"release_event": "a/1:b", "release_deadline": LATER}, None),
        (Rail.BANK, {}, "ecny_wallet"),
        (Rail.BANK, {"has_wallet": False}, "purpose"),
        (Rail.BANK, {"has_wallet": False, "purpose": ""}, None),
        (
            Rail.BANK,
            {"has_wallet": False, "purpose": "", "release_event": "a/1:b"},
            "release_event",
        ),
        (Rail.ECNY_SIMULATOR, {"release_event": "a/1:b"}, "release_deadline"),
        (Rail.ECNY_SIMULATOR, {"release_deadline": LATER}, "release_deadline"),
        (
            Rail.ECNY_SIMULATOR,
            {"release_event": "a/1:b", "release_deadline": AT},
            "release_deadline",
        ),
        (
            Rail.ECNY_SIMULATOR,
            {
                "release_event": "a/1:b",
                "release_deadline": AT + RELEASE_AHEAD_MAX + timedelta(seconds=1),
            },
            "release_deadline",
        ),
    ],
)
def test_conditions_are_whole_or_the_field_is_named(
    rail: Rail, changes: dict[str, object], field: str | None
) -> None:
    given = {
        "has_wallet": True,
        "purpose": "GDDS",
        "release_event": "",
        "release_deadline": None,
    } | changes
    problem = condition_problem(rail, now=AT, **given)  # type: ignore[arg-type]
    assert (problem and problem[0]) == field


def test_the_simulator_refuses_what_the_conditions_do_not_allow() -> None:
    [notice] = simulated_notices(FROM_WALLET, refusal=PAYEE_REFUSED)
    assert (notice.kind, notice.reason.code) == (NoticeKind.REJECTED, PAYEE_REFUSED)
    assert "simulator" in notice.reason.text


def test_the_simulator_waits_for_the_release_and_goes_on_after_it() -> None:
    assert WAITING.is_waiting
    assert [notice.kind for notice in simulated_notices(WAITING)] == [NoticeKind.PENDING]
    released = replace(WAITING, release_time=AT)
    assert not released.is_waiting
    assert [notice.kind for notice in simulated_notices(released)] == [NoticeKind.SETTLED]
    assert not FROM_WALLET.is_waiting
