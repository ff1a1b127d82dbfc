"""What a transfer is, what can become of one, and what is wrong with a row by itself.

The numbers of `TransferKind`, `ResultCode` and the transfer codes are the contract's; a unit test
holds them equal.
"""

from collections.abc import Callable
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from asyncpg.pgproto import pgproto

AMOUNT_FEN_MAX = 10**15  # ten trillion yuan: 4,096 such rows still fit a bigint
TIMEOUT_S_MAX = 10 * 366 * 24 * 3600  # ten years, longer than any lease holds money
PURPOSE_CHARACTERS_MAX = 160
MEMO_CHARACTERS_MAX = 200

# What stands in the place of a text that is no UUID. RFC 9562's Max UUID has no version, so no
# row that carries it is ever accepted. Of the driver's type, as every UUID that is compared with
# it: across types a comparison takes ten times as long.
MALFORMED: UUID = pgproto.UUID(b"\xff" * 16)
_TIME_BYTES = 6
_REST = bytes(10)  # of an id, behind its time
REPLACEMENT = "\ufffd"  # stands in the place of a NUL, which PostgreSQL cannot store


class TransferKind(IntEnum):
    """What a transfer does."""

    POSTED = 1
    PENDING = 2
    POST_PENDING = 3
    VOID_PENDING = 4
    EXPIRE_PENDING = 5


RESOLVING = frozenset({TransferKind.POST_PENDING, TransferKind.VOID_PENDING})
OPENING = frozenset({TransferKind.POSTED, TransferKind.PENDING})
# Plain integers: every row of every batch is looked at, and enums take three times as long.
_OPENING = frozenset(int(kind) for kind in OPENING)
_PENDING = int(TransferKind.PENDING)
_KINDS = frozenset(int(kind) for kind in OPENING | RESOLVING)

TRANSFER_CODES = frozenset(range(1, 44))  # every flow of docs/accounts.md
REVERSAL = 39


class ResultCode(IntEnum):
    """What became of a transfer: CREATED and EXISTS are successes, the rest definite refusals."""

    CREATED = 1
    EXISTS = 2

    EXISTS_WITH_DIFFERENT_KIND = 10
    EXISTS_WITH_DIFFERENT_LINKED = 11
    EXISTS_WITH_DIFFERENT_TXN = 12
    EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT = 13
    EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT = 14
    EXISTS_WITH_DIFFERENT_AMOUNT = 15
    EXISTS_WITH_DIFFERENT_PENDING_ID = 16
    EXISTS_WITH_DIFFERENT_TIMEOUT = 17
    EXISTS_WITH_DIFFERENT_CODE = 18
    EXISTS_WITH_DIFFERENT_PURPOSE = 19
    EXISTS_WITH_DIFFERENT_MEMO = 20

    LINKED_EVENT_FAILED = 30
    LINKED_CHAIN_OPEN = 31
    ID_TWICE_IN_CHAIN = 32

    ID_MALFORMED = 40
    ID_TOO_OLD = 41
    ID_TOO_FAR_AHEAD = 42
    TXN_MALFORMED = 43
    KIND_UNSUPPORTED = 44
    CODE_UNSUPPORTED = 45
    AMOUNT_NOT_POSITIVE = 46
    AMOUNT_TOO_LARGE = 47
    SAME_ACCOUNT = 48
    PENDING_ID_MALFORMED = 49
    PENDING_ID_NOT_ALLOWED = 50
    TIMEOUT_NOT_ALLOWED = 51
    TIMEOUT_OUT_OF_RANGE = 52
    PURPOSE_MALFORMED = 53
    MEMO_MALFORMED = 54

    MIXED_LEDGER = 60
    DEBIT_ACCOUNT_NOT_FOUND = 61
    CREDIT_ACCOUNT_NOT_FOUND = 62
    DEBIT_ACCOUNT_FROZEN = 63
    CREDIT_ACCOUNT_FROZEN = 64
    DEBIT_ACCOUNT_CLOSED = 65
    CREDIT_ACCOUNT_CLOSED = 66
    EXCEEDS_CREDITS = 67
    EXCEEDS_DEBITS = 68
    SUM_OVERFLOWS = 69

    PENDING_NOT_FOUND = 80
    PENDING_NOT_PENDING = 81
    PENDING_OF_OTHER_LEDGER = 82
    PENDING_HAS_DIFFERENT_DEBIT_ACCOUNT = 83
    PENDING_HAS_DIFFERENT_CREDIT_ACCOUNT = 84
    EXCEEDS_PENDING_AMOUNT = 85
    PENDING_HAS_DIFFERENT_AMOUNT = 86
    PENDING_ALREADY_POSTED = 87
    PENDING_ALREADY_VOIDED = 88
    PENDING_EXPIRED = 89

    REVERSED_NOT_FOUND = 95
    REVERSAL_NOT_MIRRORED = 96
    ALREADY_REVERSED = 97


SUCCESSES = frozenset({ResultCode.CREATED, ResultCode.EXISTS})


class Transfer(NamedTuple):
    """A transfer as it was asked for. A named tuple: batches of thousands are made and unzipped.

    Attributes:
        id: MALFORMED where the text was no UUID, as with `txn` and `pending_id`.
        txn: Shared by the legs of one posting.
        kind: A TransferKind, or a number that is none.
        amount_fen: For POST_PENDING 0 is the whole pending amount.
        pending_id: What POST_PENDING and VOID_PENDING resolve.
        timeout_s: Seconds of domain time until a pending transfer expires; 0 is never.
        linked: Whether it stands and falls with the next one.
    """

    id: UUID
    txn: UUID
    kind: int
    debit_account: int
    credit_account: int
    amount_fen: int
    pending_id: UUID | None
    timeout_s: int
    linked: bool
    code: int
    purpose: str
    memo: str


class Standing(NamedTuple):
    """How an account stood right after a transfer, in fen."""

    balance_fen: int
    available_fen: int


class Posted(NamedTuple):
    """A transfer in the ledger, with the accounts and the amount that resolving gave it.

    Attributes:
        number: Its number in the ledger, from 1 without gaps.
        released_fen: What it released from a hold; 0 where it resolves none.
        debit: How the debit account stood right after it.
        credit: How the credit account stood right after it.
    """

    transfer: Transfer
    number: int
    released_fen: int
    event_at: datetime
    debit: Standing
    credit: Standing


class Refused(NamedTuple):
    """A refusal that is kept, so that a retry gets the same answer."""

    transfer: Transfer
    reason: ResultCode


class Outcome(NamedTuple):
    """What became of one transfer of a batch; `posted` is there where it succeeded."""

    id: UUID
    code: ResultCode
    posted: Posted | None = None


class IdWindow:
    """The times that an id may carry, in milliseconds since 1970, both ends included."""

    __slots__ = ("_beyond", "_oldest")

    def __init__(self, oldest_ms: int, newest_ms: int) -> None:
        self._oldest = oldest_ms.to_bytes(_TIME_BYTES) + _REST
        self._beyond = (newest_ms + 1).to_bytes(_TIME_BYTES) + _REST

    def flaw(self, identifier: UUID) -> ResultCode | None:
        """Return what is wrong with an id, or None."""
        # RFC 9562, sections 5.7 and 5.8: 48 bits of time, then the version; the variant is 10.
        content = identifier.bytes
        if not (0x70 <= content[6] < 0x90 and 0x80 <= content[8] < 0xC0):
            return ResultCode.ID_MALFORMED
        if self._oldest <= content < self._beyond:
            return None
        too_old = content < self._oldest
        return ResultCode.ID_TOO_OLD if too_old else ResultCode.ID_TOO_FAR_AHEAD


def flaw(transfer: Transfer) -> ResultCode | None:  # noqa: PLR0911  (one return a rule)
    """Return what is wrong with a row by itself, whatever the ledger holds, or None."""
    _, txn, kind, _, _, _, _, _, _, code, purpose, memo = transfer
    if kind not in _KINDS:
        return ResultCode.KIND_UNSUPPORTED
    if code not in TRANSFER_CODES:
        return ResultCode.CODE_UNSUPPORTED
    if txn == MALFORMED:
        return ResultCode.TXN_MALFORMED
    if len(purpose) > PURPOSE_CHARACTERS_MAX or REPLACEMENT in purpose:
        return ResultCode.PURPOSE_MALFORMED
    if memo and (len(memo) > MEMO_CHARACTERS_MAX or REPLACEMENT in memo):
        return ResultCode.MEMO_MALFORMED
    if kind in _OPENING:
        return _opening_flaw(transfer)
    return _resolving_flaw(transfer)


def _opening_flaw(transfer: Transfer) -> ResultCode | None:  # noqa: PLR0911
    _, _, kind, debit_account, credit_account, amount_fen, pending_id, timeout_s, _, _, _, _ = (
        transfer
    )
    if amount_fen <= 0:
        return ResultCode.AMOUNT_NOT_POSITIVE
    if amount_fen > AMOUNT_FEN_MAX:
        return ResultCode.AMOUNT_TOO_LARGE
    if debit_account == credit_account:
        return ResultCode.SAME_ACCOUNT
    if pending_id is not None:
        return ResultCode.PENDING_ID_NOT_ALLOWED
    if not timeout_s:
        return None
    if kind != _PENDING:
        return ResultCode.TIMEOUT_NOT_ALLOWED
    in_range = 0 <= timeout_s <= TIMEOUT_S_MAX
    return None if in_range else ResultCode.TIMEOUT_OUT_OF_RANGE


def _resolving_flaw(transfer: Transfer) -> ResultCode | None:
    if transfer.pending_id is None or transfer.pending_id == MALFORMED:
        return ResultCode.PENDING_ID_MALFORMED
    if transfer.amount_fen < 0:
        return ResultCode.AMOUNT_NOT_POSITIVE
    if transfer.amount_fen > AMOUNT_FEN_MAX:
        return ResultCode.AMOUNT_TOO_LARGE
    if transfer.debit_account and transfer.debit_account == transfer.credit_account:
        return ResultCode.SAME_ACCOUNT
    return ResultCode.TIMEOUT_NOT_ALLOWED if transfer.timeout_s else None


def difference(known: Transfer, sent: Transfer, *, is_posted: bool) -> ResultCode | None:
    """Return in which field a transfer differs from the one known under its id, or None.

    A posted one that resolved a hold holds the hold's accounts and amount; a 0 sent for them
    says the same.
    """
    if known == sent:
        return None
    zero_fits = is_posted and sent.kind in RESOLVING
    for code, field in _COMPARED:
        mine, theirs = field(known), field(sent)
        if mine != theirs and not (zero_fits and theirs == 0 and code in _INHERITED):
            return code
    return None


_COMPARED: tuple[tuple[ResultCode, Callable[[Transfer], object]], ...] = (
    (ResultCode.EXISTS_WITH_DIFFERENT_KIND, lambda row: row.kind),
    (ResultCode.EXISTS_WITH_DIFFERENT_LINKED, lambda row: row.linked),
    (ResultCode.EXISTS_WITH_DIFFERENT_TXN, lambda row: row.txn),
    (ResultCode.EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT, lambda row: row.debit_account),
    (ResultCode.EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT, lambda row: row.credit_account),
    (ResultCode.EXISTS_WITH_DIFFERENT_AMOUNT, lambda row: row.amount_fen),
    (ResultCode.EXISTS_WITH_DIFFERENT_PENDING_ID, lambda row: row.pending_id),
    (ResultCode.EXISTS_WITH_DIFFERENT_TIMEOUT, lambda row: row.timeout_s),
    (ResultCode.EXISTS_WITH_DIFFERENT_CODE, lambda row: row.code),
    (ResultCode.EXISTS_WITH_DIFFERENT_PURPOSE, lambda row: row.purpose),
    (ResultCode.EXISTS_WITH_DIFFERENT_MEMO, lambda row: row.memo),
)
_INHERITED = frozenset(
    {
        ResultCode.EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT,
        ResultCode.EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT,
        ResultCode.EXISTS_WITH_DIFFERENT_AMOUNT,
    }
)
