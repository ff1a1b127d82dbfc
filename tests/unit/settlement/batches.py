"""Batches as Hypothesis draws them: few ids and few accounts, so that everything collides."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from services.kit.ids import fact_id
from services.settlement.account import NUMBERS_PER_LEDGER, Account, Flags
from services.settlement.ledger_state import State
from services.settlement.transfer import MALFORMED, REVERSAL, IdWindow, Transfer, TransferKind

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
DAY_MS = 24 * 3600 * 1000
OLDEST_MS = NOW_MS - 30 * DAY_MS
WINDOW = IdWindow(OLDEST_MS, NOW_MS + DAY_MS)

LEDGER, OTHER_LEDGER = 1, 2
BANK, RICH, POOR, EMPTY, FROZEN, CLOSED, PAYABLE = range(7)
FLAGS = {
    BANK: Flags.NONE,
    RICH: Flags.DEBITS_MUST_NOT_EXCEED_CREDITS,
    POOR: Flags.DEBITS_MUST_NOT_EXCEED_CREDITS,
    EMPTY: Flags.DEBITS_MUST_NOT_EXCEED_CREDITS,
    FROZEN: Flags.DEBITS_MUST_NOT_EXCEED_CREDITS | Flags.FROZEN,
    CLOSED: Flags.CLOSED,
    PAYABLE: Flags.CREDITS_MUST_NOT_EXCEED_DEBITS,
}
CREDITS_FEN = {RICH: 1_000, POOR: 7}  # paid in by BANK; PAYABLE has paid BANK
PAID_FEN = {PAYABLE: 9}
POOL = 10


def number(account: int, *, ledger: int = LEDGER) -> int:
    """Return the number of an account of the universe."""
    return ledger * NUMBERS_PER_LEDGER + account + 1


def identifier(place: int, *, at: datetime = NOW) -> UUID:
    """Return an id of the pool."""
    return fact_id(at, "test", str(place))


def first_state() -> State:
    """Return the universe before the first batch."""
    accounts = {}
    for account, flags in FLAGS.items():
        credits_fen, paid_fen = CREDITS_FEN.get(account, 0), PAID_FEN.get(account, 0)
        if account == BANK:
            credits_fen, paid_fen = sum(PAID_FEN.values()), sum(CREDITS_FEN.values())
        accounts[number(account)] = Account(number(account), flags, 0, 0, paid_fen, credits_fen)
    return State(LEDGER, frozenset({LEDGER, OTHER_LEDGER}), accounts)


def row(place: int, **fields: Any) -> Transfer:
    """Return a plain transfer of 5 fen from RICH to POOR under an id of the pool."""
    plain = Transfer(
        id=identifier(place),
        txn=identifier(place),
        kind=TransferKind.POSTED,
        debit_account=number(RICH),
        credit_account=number(POOR),
        amount_fen=5,
        pending_id=None,
        timeout_s=0,
        linked=False,
        code=8,
        purpose="leases/1",
        memo="",
    )
    return plain._replace(**fields)


_STRANGE_IDS = [
    MALFORMED,
    UUID("1b4e28ba-2fa1-4d2b-883f-0016d3cca427"),  # version 4
    fact_id(datetime(2020, 1, 1, tzinfo=UTC), "old", ""),
    fact_id(datetime(2040, 1, 1, tzinfo=UTC), "new", ""),
]
_ids = st.integers(0, POOL - 1).map(identifier)
_any_ids = st.one_of(_ids, _ids, _ids, _ids, st.sampled_from(_STRANGE_IDS))
_numbers = st.one_of(
    st.sampled_from([number(RICH), number(POOR), number(EMPTY), number(BANK), number(PAYABLE)]),
    st.sampled_from([number(RICH), number(POOR), number(EMPTY)]),
    st.sampled_from([number(FROZEN), number(CLOSED), number(RICH, ledger=OTHER_LEDGER), 0, -4, 77]),
)
_amounts = st.one_of(st.integers(1, 9), st.sampled_from([-1, 0, 400, 10**15, 10**15 + 1]))
_purposes = st.one_of(
    st.just("leases/1"),
    st.just("leases/1"),
    st.sampled_from(["orders/2", "x" * 161, "a\ufffd"]),
    st.integers(0, POOL - 1).map(lambda place: f"transfers/{identifier(place)}"),
)


@st.composite
def rows(draw: st.DrawFn) -> Transfer:
    """Draw one transfer: mostly plain or nearly so, sometimes anything."""
    shape = draw(
        st.sampled_from(["plain", "plain", "plain", "pending", "resolve", "reverse", "any"])
    )
    place = draw(st.integers(0, POOL - 1))
    linked = draw(st.booleans()) and draw(st.booleans())
    plain = row(
        place,
        debit_account=draw(_numbers),
        credit_account=draw(_numbers),
        amount_fen=draw(_amounts),
        linked=linked,
    )
    if shape == "plain":
        return plain
    if shape == "pending":
        return plain._replace(
            kind=TransferKind.PENDING, timeout_s=draw(st.sampled_from([0, 0, 1, 3, -1, 10**9]))
        )
    if shape == "resolve":
        accounts = draw(st.sampled_from([(0, 0), (number(RICH), number(POOR))]))
        return plain._replace(
            kind=draw(st.sampled_from([TransferKind.POST_PENDING, TransferKind.VOID_PENDING])),
            debit_account=accounts[0],
            credit_account=accounts[1],
            amount_fen=draw(st.sampled_from([0, 0, 1, 2, 5, 400])),
            pending_id=draw(_any_ids),
        )
    if shape == "reverse":
        return plain._replace(code=REVERSAL, purpose=draw(_purposes))
    return plain._replace(
        id=draw(_any_ids),
        txn=draw(_any_ids),
        kind=draw(st.integers(0, 6)),
        pending_id=draw(st.one_of(st.none(), _any_ids)),
        timeout_s=draw(st.sampled_from([0, 0, 5])),
        code=draw(st.sampled_from([8, 8, 0, 40])),
        purpose=draw(_purposes),
        memo=draw(st.sampled_from(["", "", "m" * 201])),
    )


def batches() -> st.SearchStrategy[list[Transfer]]:
    """Return batches of up to a dozen transfers."""
    return st.lists(rows(), min_size=1, max_size=12)
