"""Payments and lines of bank statements."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from services.kit.ids import name

PAYMENT_FEN_MAX = 10**13  # a hundred thousand million yuan, the most a pain.001 amount may say here


class PaymentState(StrEnum):
    """Where a payment stands."""

    CREATED = "CREATED"
    AUTHORISED = "AUTHORISED"
    SUBMITTED = "SUBMITTED"
    SETTLED = "SETTLED"
    RETURNED = "RETURNED"
    FAILED = "FAILED"


class Rail(StrEnum):
    """The way on which money leaves."""

    INTERNAL = "INTERNAL"
    BANK = "BANK"
    ECNY_SIMULATOR = "ECNY_SIMULATOR"


class LineState(StrEnum):
    """Where a line of a bank statement stands."""

    MATCHED = "MATCHED"
    UNMATCHED = "UNMATCHED"
    RESOLVED = "RESOLVED"


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that leaves a wallet.

    Attributes:
        account: The number of the wallet that pays.
        amount: Fen.
        destination: The number of the account that receives, on the internal rail.
        maker: Who instructed it.
        checker: Who authorised it.
        failure: Why it failed or came back.
        hold_transfer: The pending transfer that holds its amount.
        post_transfer: The transfer that moved it.
        file: The message id of the pain.001 file that carries it.
        rail_status: What its rail last said of it, an ISO 20022 code; "" before.
        is_booked: Whether a line of the bank's statement has told that its money left.
        ecny_wallet: The e-CNY wallet whose conditions it is under.
        purpose: What for, an ISO 20022 external purpose code; "" without.
        release_event: The event for which it waits; "" where it waits for none.
        release_deadline: Until when that may happen.
        release_time: When it happened.
    """

    id: UUID
    version: int
    event_sequence: int
    state: PaymentState
    rail: Rail
    account: int
    party: UUID
    amount: int
    destination: int | None
    creditor_name: str
    creditor_account: str
    creditor_agent: str
    end_to_end_id: str
    remittance: str
    maker: str
    checker: str
    failure: str
    hold_transfer: UUID | None
    post_transfer: UUID | None
    file: str | None
    create_time: datetime
    update_time: datetime
    rail_status: str = ""
    rail_reason_code: str = ""
    is_booked: bool = False
    ecny_wallet: UUID | None = None
    purpose: str = ""
    release_event: str = ""
    release_deadline: datetime | None = None
    release_time: datetime | None = None

    @property
    def name(self) -> str:
        """Return its resource name, "payments/<uuid>"."""
        return name("payments", self.id)

    @property
    def is_waiting(self) -> bool:
        """Whether its release event has not happened yet."""
        return self.release_event != "" and self.release_time is None


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A line of a bank statement as it is kept.

    Attributes:
        bank_account: The number of the BANK account that mirrors the bank's.
        statement: The statement's own id.
        reference: The bank's reference of the line.
        amount: Fen, never negative.
        matched: The payment or account that it was matched with, a resource name.
    """

    id: UUID
    event_sequence: int
    bank_account: int
    statement: str
    reference: str
    state: LineState
    amount: int
    is_credit: bool
    end_to_end_id: str
    remittance: str
    booking_date: date
    matched: str
    create_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "statementLines/<uuid>"."""
        return name("statementLines", self.id)

    def unmatched_days(self, today: date) -> int:
        """Return how many days its money has rested in suspense; 0 where it does not."""
        if self.state is not LineState.UNMATCHED:
            return 0
        return max(0, (today - self.booking_date).days)


class StatementEntry(NamedTuple):
    """A line of a statement as the bank wrote it.

    Attributes:
        creditor_reference: The structured reference of the one who receives; a wallet's number
            here tells whose money came in.
        is_return: Whether the bank gives a payment back.
    """

    reference: str
    amount_fen: int
    is_credit: bool
    is_return: bool
    end_to_end_id: str
    creditor_reference: str
    remittance: str
    booking_date: date


@dataclass(frozen=True, slots=True)
class Statement:
    """A bank statement, its totals checked.

    Attributes:
        account: The bank's own number of the account.
    """

    id: str
    account: str
    currency: str
    entries: tuple[StatementEntry, ...]


def destination_problem(
    rail: Rail, *, destination: bool, creditor_name: str, creditor_account: str, agent: str
) -> tuple[str, str] | None:
    """Return which field a rail lacks or does not take and why, or None."""
    is_internal = rail is Rail.INTERNAL
    needs = {
        "destination": (is_internal, destination),
        "creditor_name": (not is_internal, creditor_name != ""),
        "creditor_account": (not is_internal, creditor_account != ""),
        "creditor_agent": (rail is Rail.BANK, agent != ""),
    }
    for field, (needed, given) in needs.items():
        if needed != given:
            return field, f"the rail {rail} {'needs one' if needed else 'takes none'}"
    return None
