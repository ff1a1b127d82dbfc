"""Batches run through the pure ledger, and what its tests make of them."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from services.settlement.ledger_state import State, chains
from services.settlement.model import apply
from services.settlement.transfer import (
    Outcome,
    Transfer,
    TransferKind,
)
from tests.unit.settlement.batches import (
    NOW,
    WINDOW,
    first_state,
    identifier,
    row,
)

PENDING, POST, VOID = (
    TransferKind.PENDING,
    TransferKind.POST_PENDING,
    TransferKind.VOID_PENDING,
)


def run(state: State, *rows: Transfer, at: datetime = NOW) -> tuple[State, list[Outcome]]:
    """Apply transfers as one batch."""
    return apply(state, chains(rows), at=at, window=WINDOW)


def codes(outcomes: list[Outcome]) -> list[str]:
    """Return the names of the result codes."""
    return [outcome.code.name for outcome in outcomes]


def with_hold(**fields: Any) -> State:
    """Return the universe with 5 fen held from RICH for POOR under id 0."""
    state, outcomes = run(first_state(), row(0, kind=PENDING, timeout_s=60))
    assert codes(outcomes) == ["CREATED"]
    hold = state.holds[identifier(0)]._replace(**fields)
    return replace(state, holds={hold.pending_id: hold})


def resolve(kind: TransferKind, **fields: object) -> Transfer:
    """Return a transfer that resolves the hold of id 0 as it was made."""
    whole: dict[str, object] = {
        "kind": kind,
        "debit_account": 0,
        "credit_account": 0,
        "amount_fen": 0,
        "pending_id": identifier(0),
    }
    return row(1, **(whole | fields))
