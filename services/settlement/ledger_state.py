"""As much of a ledger as a batch can see, and how a batch is cut into chains."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from services.settlement.account import Account
from services.settlement.transfer import Posted, Refused, Transfer

_REVERSED_PREFIX = "transfers/"


class HoldState(IntEnum):
    """Where the hold of a pending transfer stands; it is resolved once."""

    OPEN = 1
    POSTED = 2
    VOIDED = 3
    EXPIRED = 4


class Hold(NamedTuple):
    """What a pending transfer holds on its two accounts."""

    pending_id: UUID
    ledger: int
    debit_account: int
    credit_account: int
    amount_fen: int
    state: HoldState
    expires_at: datetime | None
    resolved_by: UUID | None = None


class Chain(NamedTuple):
    """Transfers that succeed or fail together; most are alone.

    Attributes:
        is_closed: Whether it ends before its batch does.
    """

    rows: Sequence[Transfer]
    is_closed: bool


@dataclass(frozen=True, slots=True)
class State:
    """As much of one ledger as a batch can see.

    Attributes:
        ledgers: Every ledger that exists.
        reversals: By which transfer one was reversed.
        last_number: How many transfers the ledger holds.
    """

    ledger: int
    ledgers: frozenset[int]
    accounts: Mapping[int, Account] = field(default_factory=dict)
    posted: Mapping[UUID, Posted] = field(default_factory=dict)
    refused: Mapping[UUID, Refused] = field(default_factory=dict)
    holds: Mapping[UUID, Hold] = field(default_factory=dict)
    reversals: Mapping[UUID, UUID] = field(default_factory=dict)
    last_number: int = 0


def chains(batch: Iterable[Transfer]) -> list[Chain]:
    """Cut a batch into its chains."""
    cut: list[Chain] = []
    rows: list[Transfer] = []
    for transfer in batch:
        rows.append(transfer)
        if not transfer.linked:
            cut.append(Chain(rows, is_closed=True))
            rows = []
    if rows:
        cut.append(Chain(rows, is_closed=False))
    return cut


def reversed_id(transfer: Transfer) -> UUID | None:
    """Return the transfer that a reversal's purpose names; None where it is no such name."""
    text = transfer.purpose.removeprefix(_REVERSED_PREFIX)
    try:
        return UUID(text) if text != transfer.purpose else None
    except ValueError:
        return None


def open_hold(posted: Posted, *, ledger: int) -> Hold:
    """Return the hold of a pending transfer that was just posted."""
    row = posted.transfer
    expires_at = posted.event_at + timedelta(seconds=row.timeout_s) if row.timeout_s else None
    return Hold(
        row.id,
        ledger,
        row.debit_account,
        row.credit_account,
        row.amount_fen,
        HoldState.OPEN,
        expires_at,
    )
