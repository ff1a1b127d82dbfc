"""The ledger's rules, one by one."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.kit.ids import fact_id
from services.settlement.account import Account
from services.settlement.ledger_state import HoldState
from services.settlement.model import expire
from services.settlement.transfer import (
    AMOUNT_FEN_MAX,
    MALFORMED,
    REVERSAL,
    TIMEOUT_S_MAX,
    ResultCode,
    Standing,
    Transfer,
    TransferKind,
)
from tests.unit.settlement.batches import (
    BANK,
    CLOSED,
    FROZEN,
    NOW,
    OTHER_LEDGER,
    PAYABLE,
    POOR,
    RICH,
    first_state,
    identifier,
    number,
    row,
)
from tests.unit.settlement.runs import PENDING, POST, VOID, codes, resolve, run, with_hold


def test_a_transfer_moves_its_amount_and_says_how_both_accounts_stand() -> None:
    state, (outcome,) = run(first_state(), row(0))
    assert outcome.code is ResultCode.CREATED
    assert outcome.posted is not None
    assert (outcome.posted.debit, outcome.posted.credit) == (Standing(995, 995), Standing(12, 12))
    assert outcome.posted.number == 1
    assert state.accounts[number(RICH)].debits_posted == 5
    assert state.accounts[number(POOR)].credits_posted == 12


FULL = 4 * 10**18
SATURATED = Account(number(BANK), 0, 0, 0, FULL, FULL)

REFUSALS: list[tuple[ResultCode, Transfer]] = [
    (ResultCode.ID_MALFORMED, row(0, id=MALFORMED)),
    (ResultCode.ID_MALFORMED, row(0, id=UUID("1b4e28ba-2fa1-4d2b-883f-0016d3cca427"))),
    (ResultCode.ID_TOO_OLD, row(0, id=identifier(0, at=NOW - timedelta(days=31)))),
    (ResultCode.ID_TOO_FAR_AHEAD, row(0, id=identifier(0, at=NOW + timedelta(days=2)))),
    (ResultCode.TXN_MALFORMED, row(0, txn=MALFORMED)),
    (ResultCode.KIND_UNSUPPORTED, row(0, kind=0)),
    (ResultCode.KIND_UNSUPPORTED, row(0, kind=TransferKind.EXPIRE_PENDING)),
    (ResultCode.KIND_UNSUPPORTED, row(0, kind=2**31 - 1)),
    (ResultCode.CODE_UNSUPPORTED, row(0, code=0)),
    (ResultCode.CODE_UNSUPPORTED, row(0, code=-1)),
    (ResultCode.AMOUNT_NOT_POSITIVE, row(0, amount_fen=0)),
    (ResultCode.AMOUNT_NOT_POSITIVE, row(0, amount_fen=-(2**63))),
    (ResultCode.AMOUNT_TOO_LARGE, row(0, amount_fen=AMOUNT_FEN_MAX + 1)),
    (ResultCode.SAME_ACCOUNT, row(0, credit_account=number(RICH))),
    (ResultCode.PENDING_ID_NOT_ALLOWED, row(0, pending_id=identifier(1))),
    (ResultCode.TIMEOUT_NOT_ALLOWED, row(0, timeout_s=1)),
    (ResultCode.TIMEOUT_OUT_OF_RANGE, row(0, kind=PENDING, timeout_s=-1)),
    (ResultCode.TIMEOUT_OUT_OF_RANGE, row(0, kind=PENDING, timeout_s=TIMEOUT_S_MAX + 1)),
    (ResultCode.PURPOSE_MALFORMED, row(0, purpose="x" * 161)),
    (ResultCode.PURPOSE_MALFORMED, row(0, purpose="\ufffd")),
    (ResultCode.MEMO_MALFORMED, row(0, memo="x" * 201)),
    (ResultCode.MIXED_LEDGER, row(0, debit_account=number(RICH, ledger=OTHER_LEDGER))),
    (ResultCode.MIXED_LEDGER, row(0, credit_account=number(RICH, ledger=OTHER_LEDGER))),
    (ResultCode.DEBIT_ACCOUNT_NOT_FOUND, row(0, debit_account=number(50))),
    (ResultCode.DEBIT_ACCOUNT_NOT_FOUND, row(0, debit_account=-(2**63))),
    (ResultCode.CREDIT_ACCOUNT_NOT_FOUND, row(0, credit_account=0)),
    (ResultCode.CREDIT_ACCOUNT_NOT_FOUND, row(0, credit_account=number(RICH, ledger=9))),
    (ResultCode.DEBIT_ACCOUNT_FROZEN, row(0, debit_account=number(FROZEN))),
    (ResultCode.CREDIT_ACCOUNT_FROZEN, row(0, credit_account=number(FROZEN))),
    (ResultCode.DEBIT_ACCOUNT_CLOSED, row(0, debit_account=number(CLOSED))),
    (ResultCode.CREDIT_ACCOUNT_CLOSED, row(0, credit_account=number(CLOSED))),
    (ResultCode.EXCEEDS_CREDITS, row(0, amount_fen=1_001)),
    (ResultCode.EXCEEDS_CREDITS, row(0, kind=PENDING, amount_fen=1_001)),
    (ResultCode.EXCEEDS_DEBITS, row(0, credit_account=number(PAYABLE), amount_fen=10)),
    (ResultCode.PENDING_ID_MALFORMED, row(0, kind=POST)),
    (ResultCode.PENDING_ID_MALFORMED, row(0, kind=VOID, pending_id=MALFORMED)),
    (ResultCode.PENDING_NOT_FOUND, resolve(POST)),
    (ResultCode.AMOUNT_NOT_POSITIVE, resolve(POST, amount_fen=-1)),
    (ResultCode.AMOUNT_TOO_LARGE, resolve(POST, amount_fen=AMOUNT_FEN_MAX + 1)),
    (ResultCode.TIMEOUT_NOT_ALLOWED, resolve(VOID, timeout_s=1)),
    (
        ResultCode.SAME_ACCOUNT,
        resolve(POST, debit_account=number(RICH), credit_account=number(RICH)),
    ),
    (ResultCode.REVERSED_NOT_FOUND, row(0, code=REVERSAL, purpose="leases/1")),
    (ResultCode.REVERSED_NOT_FOUND, row(0, code=REVERSAL, purpose="transfers/nothing")),
    (ResultCode.REVERSED_NOT_FOUND, row(0, code=REVERSAL, purpose=f"transfers/{identifier(3)}")),
]


@pytest.mark.parametrize(("code", "transfer"), REFUSALS)
def test_a_refused_transfer_moves_nothing_and_stops_no_other(
    code: ResultCode, transfer: Transfer
) -> None:
    state, outcomes = run(first_state(), row(8), transfer, row(9))
    assert codes(outcomes) == ["CREATED", code.name, "CREATED"]
    assert outcomes[1].posted is None
    alone, _ = run(first_state(), row(8), row(9))
    assert state.accounts == alone.accounts
    assert state.last_number == 2


@pytest.mark.parametrize(("code", "transfer"), REFUSALS)
def test_a_retried_refusal_gets_the_same_answer_even_where_it_could_succeed_now(
    code: ResultCode, transfer: Transfer
) -> None:
    refused, _ = run(first_state(), transfer)
    assert set(refused.refused) <= {transfer.id}
    richer = {
        key: account._replace(flags=0, credits_posted=10**9, debits_posted=10**9)
        for key, account in refused.accounts.items()
    }
    _, again = run(replace(refused, accounts=richer), transfer)
    assert codes(again) == [code.name]


@pytest.mark.parametrize(
    ("code", "kind", "fields", "hold"),
    [
        ("PENDING_OF_OTHER_LEDGER", POST, {}, {"ledger": OTHER_LEDGER}),
        ("PENDING_HAS_DIFFERENT_DEBIT_ACCOUNT", POST, {"debit_account": number(BANK)}, {}),
        ("PENDING_HAS_DIFFERENT_CREDIT_ACCOUNT", VOID, {"credit_account": number(BANK)}, {}),
        ("EXCEEDS_PENDING_AMOUNT", POST, {"amount_fen": 6}, {}),
        ("PENDING_HAS_DIFFERENT_AMOUNT", VOID, {"amount_fen": 4}, {}),
        ("PENDING_ALREADY_POSTED", VOID, {}, {"state": HoldState.POSTED}),
        ("PENDING_ALREADY_VOIDED", POST, {}, {"state": HoldState.VOIDED}),
        ("PENDING_EXPIRED", POST, {}, {"state": HoldState.EXPIRED}),
        ("PENDING_EXPIRED", VOID, {}, {"expires_at": NOW}),
    ],
)
def test_a_hold_is_resolved_only_as_it_was_made(
    code: str, kind: TransferKind, fields: dict[str, object], hold: dict[str, object]
) -> None:
    state = with_hold(**hold)
    after, outcomes = run(state, resolve(kind, **fields))
    assert codes(outcomes) == [code]
    assert after.accounts == state.accounts
    assert after.holds == state.holds


def test_a_posted_transfer_cannot_be_resolved() -> None:
    _, outcomes = run(first_state(), row(0), resolve(POST))
    assert codes(outcomes) == ["CREATED", "PENDING_NOT_PENDING"]


@pytest.mark.parametrize(
    ("kind", "amount_fen", "moved_fen", "state"),
    [
        (POST, 0, 5, HoldState.POSTED),
        (POST, 5, 5, HoldState.POSTED),
        (POST, 2, 2, HoldState.POSTED),
        (VOID, 0, 0, HoldState.VOIDED),
        (VOID, 5, 0, HoldState.VOIDED),
    ],
)
def test_resolving_releases_the_whole_hold(
    kind: TransferKind, amount_fen: int, moved_fen: int, state: HoldState
) -> None:
    after, outcomes = run(with_hold(), resolve(kind, amount_fen=amount_fen))
    assert codes(outcomes) == ["CREATED"]
    rich, poor = after.accounts[number(RICH)], after.accounts[number(POOR)]
    assert (rich.debits_pending, poor.credits_pending) == (0, 0)
    assert (rich.debits_posted, poor.credits_posted) == (moved_fen, 7 + moved_fen)
    assert after.holds[identifier(0)].state is state


def test_what_is_held_counts_against_the_limit() -> None:
    held = row(0, kind=PENDING, amount_fen=998)
    _, outcomes = run(first_state(), held, row(1, amount_fen=3), row(2, amount_fen=2))
    assert codes(outcomes) == ["CREATED", "EXCEEDS_CREDITS", "CREATED"]


def test_money_received_in_a_batch_can_be_spent_later_in_it() -> None:
    spend = row(1, debit_account=number(POOR), credit_account=number(BANK), amount_fen=12)
    _, outcomes = run(first_state(), spend)
    assert codes(outcomes) == ["EXCEEDS_CREDITS"]
    _, outcomes = run(first_state(), row(0), spend)
    assert codes(outcomes) == ["CREATED", "CREATED"]


def test_a_sum_never_leaves_what_a_bigint_counts() -> None:
    state = first_state()
    full = replace(state, accounts={**state.accounts, SATURATED.id: SATURATED})
    _, outcomes = run(full, row(0, debit_account=number(BANK)))
    assert codes(outcomes) == ["SUM_OVERFLOWS"]
    _, outcomes = run(full, row(0, credit_account=number(BANK)))
    assert codes(outcomes) == ["SUM_OVERFLOWS"]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("kind", PENDING, "KIND"),
        ("linked", True, "LINKED"),
        ("txn", identifier(7), "TXN"),
        ("debit_account", number(BANK), "DEBIT_ACCOUNT"),
        ("credit_account", number(BANK), "CREDIT_ACCOUNT"),
        ("amount_fen", 6, "AMOUNT"),
        ("pending_id", identifier(7), "PENDING_ID"),
        ("timeout_s", 1, "TIMEOUT"),
        ("code", 9, "CODE"),
        ("purpose", "leases/2", "PURPOSE"),
        ("memo", "another", "MEMO"),
    ],
)
@pytest.mark.parametrize("first", [row(0), row(0, amount_fen=5_000)])
def test_an_id_used_for_other_content_names_the_field(
    first: Transfer, field: str, value: object, code: str
) -> None:
    state, _ = run(first_state(), first)
    change: dict[str, Any] = {field: value}
    changed = first._replace(**change)
    rest = [row(1)] if changed.linked else []
    after, outcomes = run(state, changed, *rest)
    assert codes(outcomes)[0] == f"EXISTS_WITH_DIFFERENT_{code}"
    assert after.accounts == state.accounts


def test_a_resolution_repeated_with_what_it_inherited_is_the_same() -> None:
    state, _ = run(with_hold(), resolve(POST))
    for repeated in (
        resolve(POST),
        resolve(POST, amount_fen=5),
        resolve(POST, debit_account=number(RICH), credit_account=number(POOR)),
    ):
        _, outcomes = run(state, repeated)
        assert codes(outcomes) == ["EXISTS"]
    _, outcomes = run(state, resolve(POST, amount_fen=4))
    assert codes(outcomes) == ["EXISTS_WITH_DIFFERENT_AMOUNT"]


def test_a_repeated_transfer_answers_as_the_first_did() -> None:
    state, (first,) = run(first_state(), row(0))
    state, _ = run(state, row(1))
    _, (again,) = run(state, row(0), at=NOW + timedelta(days=1))
    assert again == first._replace(code=ResultCode.EXISTS)


def test_an_expired_hold_is_released_once_and_never_posted() -> None:
    state = with_hold()
    over = NOW + timedelta(seconds=60)
    refused, outcomes = run(state, resolve(POST), at=over)
    assert codes(outcomes) == ["PENDING_EXPIRED"]
    release = row(
        4,
        id=fact_id(over, "x", "expiry"),
        kind=TransferKind.EXPIRE_PENDING,
        pending_id=identifier(0),
        debit_account=0,
        credit_account=0,
        amount_fen=0,
    )
    after, outcomes = expire(refused, [release], at=over)
    assert codes(outcomes) == ["CREATED"]
    assert after.accounts[number(RICH)].standing == Standing(1_000, 1_000)
    assert after.holds[identifier(0)].state is HoldState.EXPIRED
    _, again = expire(after, [release._replace(id=identifier(6))], at=over)
    assert codes(again) == ["PENDING_EXPIRED"]


def test_a_hold_is_not_released_before_its_time() -> None:
    state = with_hold()
    release = resolve(TransferKind.EXPIRE_PENDING)
    after, outcomes = expire(state, [release], at=NOW + timedelta(seconds=59))
    assert codes(outcomes) == ["PENDING_EXPIRED"]
    assert after.accounts == state.accounts


def test_a_frozen_account_still_lets_holds_go() -> None:
    state = with_hold()
    frozen = {key: account._replace(flags=4) for key, account in state.accounts.items()}
    _, outcomes = run(replace(state, accounts=frozen), resolve(POST))
    assert codes(outcomes) == ["DEBIT_ACCOUNT_FROZEN"]
    _, outcomes = run(replace(state, accounts=frozen), resolve(VOID))
    assert codes(outcomes) == ["CREATED"]
