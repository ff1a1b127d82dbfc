"""Accounts: the chart, the limits, and the balances that a transfer changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, IntFlag, StrEnum
from typing import NamedTuple
from uuid import UUID

from services.kit.ids import name
from services.settlement.transfer import Standing

# An account's number holds its ledger's, so a transfer tells its ledger without a look-up.
NUMBERS_PER_LEDGER = 10**12
LEDGER_MAX = 999_999
MAIN_LEDGER = 1


class AccountKind(IntEnum):
    """What an account is for."""

    WALLET = 1
    ESCROW = 2
    PLATFORM_FEE = 3
    BANK = 4
    LEASE_DEPOSIT = 5
    SUSPENSE = 6
    CORE_DEPOSIT = 7
    BID_DEPOSIT = 8
    REMAN_INCOME = 9
    CLEARING_SALE = 10


class Flags(IntFlag):
    """Limits and states of an account, as bits."""

    NONE = 0
    DEBITS_MUST_NOT_EXCEED_CREDITS = 1
    CREDITS_MUST_NOT_EXCEED_DEBITS = 2
    FROZEN = 4
    CLOSED = 8


class AccountState(StrEnum):
    """Whether an account takes part in transfers; a view of two of its flags."""

    OPEN = "OPEN"
    FROZEN = "FROZEN"
    CLOSED = "CLOSED"


class Needs(StrEnum):
    """Whether a kind of account takes an owner or a reference."""

    NONE = "takes none"
    MAY = "may have one"
    MUST = "needs one"


@dataclass(frozen=True, slots=True)
class ChartLine:
    """One kind of account in the chart (docs/accounts.md)."""

    code: int
    flags: Flags
    owner: Needs
    reference: Needs


_SOLVENT = Flags.DEBITS_MUST_NOT_EXCEED_CREDITS

CHART: Mapping[AccountKind, ChartLine] = {
    AccountKind.BANK: ChartLine(1010, Flags.NONE, Needs.MAY, Needs.MAY),
    AccountKind.SUSPENSE: ChartLine(1090, Flags.NONE, Needs.NONE, Needs.MAY),
    AccountKind.WALLET: ChartLine(2010, _SOLVENT, Needs.MUST, Needs.MAY),
    AccountKind.ESCROW: ChartLine(2020, _SOLVENT, Needs.MAY, Needs.MUST),
    AccountKind.LEASE_DEPOSIT: ChartLine(2030, _SOLVENT, Needs.MAY, Needs.MUST),
    AccountKind.CORE_DEPOSIT: ChartLine(2040, _SOLVENT, Needs.MAY, Needs.MUST),
    AccountKind.BID_DEPOSIT: ChartLine(2050, _SOLVENT, Needs.MUST, Needs.MUST),
    AccountKind.CLEARING_SALE: ChartLine(2060, _SOLVENT, Needs.MAY, Needs.MUST),
    AccountKind.PLATFORM_FEE: ChartLine(4010, _SOLVENT, Needs.NONE, Needs.MAY),
    AccountKind.REMAN_INCOME: ChartLine(4020, _SOLVENT, Needs.MAY, Needs.MAY),
}
KIND_OF_CODE: Mapping[int, AccountKind] = {line.code: kind for kind, line in CHART.items()}


class Account(NamedTuple):
    """An account's balances in fen, as far as transfers change and check them."""

    id: int
    flags: int
    debits_pending: int
    credits_pending: int
    debits_posted: int
    credits_posted: int

    @property
    def standing(self) -> Standing:
        """What it holds, and what may leave it."""
        balance_fen = self.credits_posted - self.debits_posted
        return Standing(balance_fen, balance_fen - self.debits_pending)


class AccountKey(NamedTuple):
    """What identifies an account beside its number."""

    ledger: int
    kind: AccountKind
    owner: UUID | None
    reference: str


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account with everything that is known of it."""

    key: AccountKey
    currency: str
    version: int
    account: Account
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "accounts/<number>"."""
        return name("accounts", self.account.id)

    @property
    def state(self) -> AccountState:
        """Whether it takes part in transfers."""
        return state_of(self.account.flags)

    @property
    def is_empty(self) -> bool:
        """Whether it holds nothing and nothing is held on it."""
        account = self.account
        return (
            account.debits_posted == account.credits_posted
            and not account.debits_pending
            and not account.credits_pending
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """One currency of one book.

    Attributes:
        revision: Rises whenever its row is locked; what was seen before no longer counts.
    """

    id: int
    book: str
    currency_code: str
    event_sequence: int
    commit_count: int
    transfer_count: int
    last_event_at: datetime | None
    create_time: datetime
    revision: int

    @property
    def name(self) -> str:
        """Return its resource name, "ledgers/<number>"."""
        return name("ledgers", self.id)


def state_of(flags: int) -> AccountState:
    """Return the state that an account's flags tell."""
    if flags & Flags.CLOSED:
        return AccountState.CLOSED
    return AccountState.FROZEN if flags & Flags.FROZEN else AccountState.OPEN


def flags_in(flags: int, state: AccountState) -> int:
    """Return an account's flags in another state."""
    limits = flags & ~(Flags.FROZEN | Flags.CLOSED)
    if state is AccountState.CLOSED:
        return limits | Flags.CLOSED
    return limits | Flags.FROZEN if state is AccountState.FROZEN else limits


def ledger_of(account_id: int) -> int:
    """Return the ledger that an account's number tells; 0 where it tells none."""
    return account_id // NUMBERS_PER_LEDGER if account_id > 0 else 0


def key_problem(key: AccountKey) -> tuple[str, str] | None:
    """Return the field of an account to open that its kind does not allow and why, or None."""
    line = CHART[key.kind]
    for field, needs, given in (
        ("owner", line.owner, key.owner is not None),
        ("reference", line.reference, bool(key.reference)),
    ):
        if needs is Needs.MUST and not given:
            return field, f"{key.kind.name} {needs.value}"
        if needs is Needs.NONE and given:
            return field, f"{key.kind.name} {needs.value}"
    return None
