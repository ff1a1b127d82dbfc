"""Chains of the ledger, and transfers that take others back."""

import pytest

from services.settlement.ledger_state import HoldState
from services.settlement.transfer import (
    REVERSAL,
    Standing,
    Transfer,
)
from tests.unit.settlement.batches import (
    BANK,
    EMPTY,
    POOR,
    RICH,
    first_state,
    identifier,
    number,
    row,
)
from tests.unit.settlement.runs import PENDING, POST, codes, resolve, run


def test_a_chain_succeeds_or_fails_together() -> None:
    state, outcomes = run(
        first_state(), row(0, linked=True), row(1, linked=True), row(2, amount_fen=5_000), row(3)
    )
    assert codes(outcomes) == [
        "LINKED_EVENT_FAILED",
        "LINKED_EVENT_FAILED",
        "EXCEEDS_CREDITS",
        "CREATED",
    ]
    assert state.last_number == 1
    assert set(state.refused) == {identifier(0), identifier(1), identifier(2)}
    _, again = run(state, row(0, linked=True), row(1, linked=True), row(2, amount_fen=5_000))
    assert codes(again) == codes(outcomes)[:3]


def test_a_repeated_chain_exists_whole_and_takes_in_nothing_new() -> None:
    chain = [row(0, linked=True), row(1)]
    state, outcomes = run(first_state(), *chain)
    assert codes(outcomes) == ["CREATED", "CREATED"]
    _, again = run(state, *chain)
    assert codes(again) == ["EXISTS", "EXISTS"]
    _, longer = run(state, row(0, linked=True), row(5))
    assert codes(longer) == ["EXISTS", "LINKED_EVENT_FAILED"]


def test_a_chain_left_open_fails_whole() -> None:
    state, outcomes = run(first_state(), row(0), row(1, linked=True), row(2, linked=True))
    assert codes(outcomes) == ["CREATED", "LINKED_EVENT_FAILED", "LINKED_CHAIN_OPEN"]
    _, again = run(state, row(1, linked=True), row(2, linked=True))
    assert codes(again) == ["LINKED_EVENT_FAILED", "LINKED_CHAIN_OPEN"]


def test_an_id_twice_in_a_batch_is_a_retry_and_twice_in_a_chain_a_mistake() -> None:
    _, outcomes = run(first_state(), row(0), row(0), row(0, amount_fen=6))
    assert codes(outcomes) == ["CREATED", "EXISTS", "EXISTS_WITH_DIFFERENT_AMOUNT"]
    chain = [row(0, linked=True), row(0)]
    state, outcomes = run(first_state(), *chain)
    assert codes(outcomes) == ["LINKED_EVENT_FAILED", "ID_TWICE_IN_CHAIN"]
    _, again = run(state, *chain)
    assert codes(again) == codes(outcomes)


def test_a_chain_may_hold_and_resolve_at_once() -> None:
    state, outcomes = run(first_state(), row(0, kind=PENDING, linked=True), resolve(POST))
    assert codes(outcomes) == ["CREATED", "CREATED"]
    assert state.holds[identifier(0)].state is HoldState.POSTED


def mirror(place: int, of: int, **fields: object) -> Transfer:
    """Return the reversal of a plain transfer."""
    whole: dict[str, object] = {
        "debit_account": number(POOR),
        "credit_account": number(RICH),
        "code": REVERSAL,
        "purpose": f"transfers/{identifier(of)}",
    }
    return row(place, **(whole | fields))


def test_a_transfer_is_reversed_by_its_mirror_image_once() -> None:
    state, outcomes = run(first_state(), row(0), mirror(1, 0), mirror(2, 0))
    assert codes(outcomes) == ["CREATED", "CREATED", "ALREADY_REVERSED"]
    assert state.accounts[number(RICH)].standing == Standing(1_000, 1_000)


@pytest.mark.parametrize(
    "fields",
    [
        {"amount_fen": 4},
        {"debit_account": number(BANK)},
        {"credit_account": number(EMPTY)},
        {"kind": PENDING},
    ],
)
def test_a_reversal_must_be_the_mirror_image(fields: dict[str, object]) -> None:
    _, outcomes = run(first_state(), row(0), mirror(1, 0, **fields))
    assert codes(outcomes) == ["CREATED", "REVERSAL_NOT_MIRRORED"]


def test_a_failed_chain_takes_its_reversal_back() -> None:
    state, _ = run(first_state(), row(0))
    state, outcomes = run(state, mirror(1, 0, linked=True), row(2, amount_fen=5_000))
    assert codes(outcomes) == ["LINKED_EVENT_FAILED", "EXCEEDS_CREDITS"]
    _, outcomes = run(state, mirror(3, 0))
    assert codes(outcomes) == ["CREATED"]


def test_a_pending_transfer_cannot_be_reversed() -> None:
    _, outcomes = run(first_state(), row(0, kind=PENDING), mirror(1, 0))
    assert codes(outcomes) == ["CREATED", "REVERSED_NOT_FOUND"]
