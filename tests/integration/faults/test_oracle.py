"""What the campaign looks at finds what it is for: each of these would fail a round."""

import random
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from ironloop.settlement.v1 import settlement_pb2 as pb

from infra.local.processes import free_port
from loadtests.faults.check import (
    Mark,
    check_copies,
    check_effects,
    check_refusals,
    check_transfers,
)
from loadtests.faults.journal import CHANGED, CREATED, EXISTS, Journal
from loadtests.faults.plan import LINKS, Fault
from loadtests.faults.stack import REPLICAS
from loadtests.faults.strike import strike
from loadtests.faults.wire import Wire
from services.kit.ids import new_id

REFUSED = pb.RESULT_CODE_EXCEEDS_CREDITS
BEFORE = Mark(transfers=10, refusals=3)


def transfer(**fields: Any) -> pb.Transfer:
    values: dict[str, Any] = {
        "id": str(new_id()),
        "kind": pb.TRANSFER_KIND_POSTED,
        "debit_account": 1,
        "credit_account": 2,
        "amount_fen": 70,
        "code": pb.TRANSFER_CODE_LEASE_RENT,
        "purpose": "leases/1",
    }
    return pb.Transfer(**(values | fields))


def answer(row: pb.Transfer, code: int, number: int = 11) -> pb.TransferResult:
    facts = {"number": number, "debit_balance_fen": 30} if code in (CREATED, EXISTS) else {}
    return pb.TransferResult(id=row.id, code=code, **facts)  # type: ignore[arg-type]


def ledger_row(row: pb.Transfer, **fields: Any) -> dict[str, Any]:
    """Return a transfer as the ledger holds it once it was answered by `answer`."""
    values: dict[str, Any] = {
        "id": UUID(row.id),
        "txn": UUID(row.txn or row.id),
        "pending_id": UUID(row.pending_id) if row.pending_id else None,
        "number": 11,
        "amount": row.amount_fen,
        "debit_balance": 30,
        "debit_available": 0,
        "credit_balance": 0,
        "credit_available": 0,
    }
    as_sent = ("kind", "debit_account", "credit_account", "timeout_s", "linked", "code")
    for name in (*as_sent, "purpose", "memo"):
        values[name] = getattr(row, name)
    return values | fields


def journal_of(row: pb.Transfer, *codes: int) -> Journal:
    """Return a journal in which a transfer was sent and answered."""
    journal = Journal()
    for code in codes:
        journal.sending([row])
        journal.answered([row], [answer(row, code)])
    return journal


def test_a_transfer_that_is_created_once_and_found_again_is_right() -> None:
    row = transfer()
    journal = journal_of(row, CREATED, EXISTS, EXISTS)
    rows: Any = [ledger_row(row)]
    assert not journal.problems
    assert not check_transfers(journal, rows, BEFORE)
    assert (journal.tally.posted, journal.tally.repeated) == (1, 2)


@pytest.mark.parametrize(
    ("codes", "problem"),
    [
        ((CREATED, CREATED), "was created twice"),
        ((CREATED, REFUSED), "was answered CREATED, then EXCEEDS_CREDITS"),
        ((REFUSED, CREATED), "was answered EXCEEDS_CREDITS, then CREATED"),
        ((REFUSED, pb.RESULT_CODE_PENDING_EXPIRED), "EXCEEDS_CREDITS, then PENDING_EXPIRED"),
        ((EXISTS,), "existed before it was sent"),
    ],
)
def test_answers_that_contradict_each_other_are_found(codes: tuple[int, ...], problem: str) -> None:
    assert problem in journal_of(transfer(), *codes).problems[0]


def test_an_answer_with_other_facts_than_before_is_found() -> None:
    row = transfer()
    journal = journal_of(row, CREATED)
    journal.sending([row])
    journal.answered([row], [answer(row, EXISTS, number=12)])
    assert "then (12, 30, 0, 0, 0)" in journal.problems[0]


def test_an_altered_transfer_that_is_taken_is_found() -> None:
    row = transfer()
    journal = journal_of(row, CREATED)
    altered = transfer(id=row.id, amount_fen=71)
    journal.sending([altered])
    journal.answered([altered], [answer(altered, CHANGED)])
    assert not journal.problems
    journal.sending([altered])
    journal.answered([altered], [answer(altered, EXISTS)])
    assert "with another amount was answered EXISTS" in journal.problems[0]


def test_a_missing_transfer_is_found() -> None:
    row = transfer()
    assert (
        "acknowledged and is not in the ledger"
        in check_transfers(journal_of(row, CREATED), [], BEFORE)[0]
    )


def test_a_doubled_transfer_is_found() -> None:
    row = transfer()
    rows: Any = [ledger_row(row), ledger_row(row, number=12)]
    assert "is in the ledger twice" in check_transfers(journal_of(row, CREATED), rows, BEFORE)[0]
    rows = [ledger_row(row), ledger_row(row, id=new_id(), number=12)]
    assert "was never sent" in check_transfers(journal_of(row, CREATED), rows, BEFORE)[0]


@pytest.mark.parametrize(
    "altered",
    [
        {"amount": 71},
        {"credit_account": 3},
        {"txn": UUID(int=1)},
        {"linked": True},
        {"purpose": "leases/2"},
        {"debit_balance": 29},
    ],
)
def test_an_altered_transfer_is_found(altered: dict[str, Any]) -> None:
    row = transfer()
    rows: Any = [ledger_row(row, **altered)]
    problems = check_transfers(journal_of(row, CREATED), rows, BEFORE)
    assert [f"was altered: {name} is" in problems[0] for name in altered] == [True]


def test_a_number_that_was_left_out_is_found() -> None:
    row = transfer()
    rows: Any = [ledger_row(row, number=12)]
    assert "have gaps" in check_transfers(journal_of(row, CREATED), rows, BEFORE)[0]


def test_a_refused_transfer_in_the_ledger_is_found() -> None:
    row = transfer()
    rows: Any = [ledger_row(row)]
    problems = check_transfers(journal_of(row, REFUSED), rows, BEFORE)
    assert "was refused and is in the ledger" in problems[0]


def test_a_hold_that_expires_twice_is_found() -> None:
    pending = str(new_id())
    expiry = transfer(kind=pb.TRANSFER_KIND_EXPIRE_PENDING, pending_id=pending)
    rows: Any = [ledger_row(expiry)]
    assert not check_transfers(Journal(), rows, BEFORE)
    rows.append(ledger_row(expiry, id=new_id(), number=12))
    assert f"transfers/{pending} expired 2 times" in check_transfers(Journal(), rows, BEFORE)


def test_a_refusal_that_is_not_kept_or_was_never_told_is_found() -> None:
    row = transfer()
    journal = journal_of(row, REFUSED)
    others: Any = [{"id": new_id(), "reason": 1} for _ in range(BEFORE.refusals)]
    kept: Any = {"id": UUID(row.id), "reason": REFUSED}
    assert not check_refusals(journal, [*others, kept], BEFORE)
    assert "None is kept" in check_refusals(journal, others, BEFORE)[0]
    told_by_nobody: Any = {"id": new_id(), "reason": REFUSED}
    problems = check_refusals(journal, [*others, kept, told_by_nobody], BEFORE)
    assert "2 refusals are new, 1 were told" in problems[0]


def test_a_missing_a_doubled_and_an_altered_effect_are_found() -> None:
    posted: Any = [ledger_row(transfer())]
    other: Any = [ledger_row(transfer())]
    assert not check_effects(posted, posted)
    assert "no effect of transfer 11" in check_effects(posted, [])[0]
    assert "an effect too many of transfer 11" in check_effects(posted, posted * 2)[0]
    assert len(check_effects(posted, other)) == 2


def test_a_sum_that_an_effect_has_moved_twice_is_found() -> None:
    balances: Any = [{"id": 1, "balance": -70}, {"id": 2, "balance": 70}]
    copied: Any = [{"account": 1, "balance": -70}, {"account": 2, "balance": 140}]
    assert check_copies(balances, copied) == ["accounts/2 holds 70 fen, the consumer's copy 140"]


async def test_a_trouble_that_harms_nothing_has_not_fired() -> None:
    wires = {("client", replica): Wire(free_port(), free_port()) for replica in REPLICAS}
    stack: Any = SimpleNamespace(wires=wires)
    fault = Fault("delay", "client-service", LINKS["client-service"])
    struck = await strike(stack, fault, random.Random(1), leader=REPLICAS[0], fires_within_s=0.1)
    assert not struck.fired
