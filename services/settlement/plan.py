"""What a batch does to the ledger, found for the whole batch at once.

A limited account whose credits cover what is posted, what is pending and every debit of the
batch cannot fail in any order, so chains that touch only such accounts need no order and no
check of their own. Chains that touch another account, and whatever is not a plain new transfer,
go through the model one by one, in order. Which of the two a chain takes changes no outcome.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.settlement import model
from services.settlement.account import Account, Flags
from services.settlement.ledger_state import Chain, Hold, State, open_hold, reversed_id
from services.settlement.model import SUM_FEN_MAX
from services.settlement.transfer import (
    OPENING,
    REVERSAL,
    IdWindow,
    Outcome,
    Posted,
    Refused,
    ResultCode,
    Standing,
    Transfer,
    TransferKind,
    flaw,
)

# Plain integers: this file is the inner loop, and enums cost more than all else in it.
_IDLE = int(Flags.FROZEN | Flags.CLOSED)
_DEBITS_LIMITED = int(Flags.DEBITS_MUST_NOT_EXCEED_CREDITS)
_CREDITS_LIMITED = int(Flags.CREDITS_MUST_NOT_EXCEED_DEBITS)
_OPENING = frozenset(int(kind) for kind in OPENING)
_POSTED = int(TransferKind.POSTED)
_PENDING = int(TransferKind.PENDING)
_POST_PENDING = int(TransferKind.POST_PENDING)
_CREATED = ResultCode.CREATED
_new = tuple.__new__  # a named tuple's own constructor takes twice as long


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be written so that a batch becomes true.

    Attributes:
        outcomes: One a transfer, in order.
        created: The new transfers, in the order of their numbers.
        refused: The refusals to keep.
        opened: New holds, some of them resolved in the same batch.
        resolved: Holds that stood before and are resolved now.
        reversals: (reversed, reversing) transfers.
        sums: What is pending and posted, as in `Account`, on each account that new transfers move.
    """

    outcomes: Sequence[Outcome]
    created: Sequence[Posted]
    refused: Sequence[Refused]
    opened: Sequence[Hold]
    resolved: Sequence[Hold]
    reversals: Sequence[tuple[UUID, UUID]]
    sums: Mapping[int, Sequence[int]]


def plan(state: State, batch: Sequence[Chain], *, at: datetime, window: IdWindow) -> Plan:
    """Return what a batch does at domain time `at`."""
    plain = _plain_chains(state, batch, window)
    if all(plain):
        return _number(state, state, [row for chain in batch for row in chain.rows], at=at)
    ordered = [chain for chain, is_plain in zip(batch, plain, strict=True) if not is_plain]
    after, found = model.apply(state, ordered, at=at, window=window)
    return _number(state, after, _in_order(batch, plain, iter(found)), at=at)


def plan_expiry(state: State, rows: Sequence[Transfer], *, at: datetime) -> Plan:
    """Return what settlement's own transfers do that release holds whose time is up."""
    after, found = model.expire(state, rows, at=at)
    return _number(state, after, found, at=at)


def _plain_chains(state: State, batch: Sequence[Chain], window: IdWindow) -> list[bool]:
    """Return for each chain whether it succeeds whatever the others do."""
    rows = [row for chain in batch for row in chain.rows]
    ordered = state.posted.keys() | state.refused.keys()  # ids whose chains keep their order
    if len({row.id for row in rows}) < len(rows):
        ordered |= {key for key, times in Counter(row.id for row in rows).items() if times > 1}
    total_fen = 0
    for row in rows:
        _, _, kind, _, _, amount_fen, pending_id, _, _, code, _, _ = row
        if pending_id is not None:
            ordered.add(pending_id)
        if code == REVERSAL and (original := reversed_id(row)) is not None:
            ordered.add(original)
        if kind in _OPENING and amount_fen > 0:
            total_fen += amount_fen
    accounts = state.accounts
    # Most often every account could bear the whole batch alone, and none needs sums of its own.
    safe = {key for key, each in accounts.items() if _is_safe(each, total_fen, total_fen)}
    if len(safe) < len(accounts):
        debits, credits_ = _sums(rows)
        safe = {key for key, each in accounts.items() if _is_safe(each, debits[key], credits_[key])}

    def is_plain(row: Transfer) -> bool:
        return (
            row.debit_account in safe
            and row.credit_account in safe
            and row.kind in _OPENING
            and row.code != REVERSAL
            and row.id not in ordered
            and flaw(row) is None
            and window.flaw(row.id) is None
        )

    return [
        chain.is_closed
        and (is_plain(chain.rows[0]) if len(chain.rows) == 1 else all(map(is_plain, chain.rows)))
        for chain in batch
    ]


def _sums(rows: Sequence[Transfer]) -> tuple[Counter[int], Counter[int]]:
    """Return what new transfers debit and credit each account, should all succeed."""
    debits: Counter[int] = Counter()
    credits_: Counter[int] = Counter()
    for row in rows:
        if row.kind in _OPENING and row.amount_fen > 0:
            debits[row.debit_account] += row.amount_fen
            credits_[row.credit_account] += row.amount_fen
    return debits, credits_


def _is_safe(account: Account, debits_fen: int, credits_fen: int) -> bool:
    """Whether no order of a batch with these sums can make this account refuse."""
    _, flags, debits_pending, credits_pending, debits_posted, credits_posted = account
    debits = debits_posted + debits_pending + debits_fen
    credits_ = credits_posted + credits_pending + credits_fen
    return not (
        flags & _IDLE
        or debits > SUM_FEN_MAX
        or credits_ > SUM_FEN_MAX
        or (flags & _DEBITS_LIMITED and debits > credits_posted)
        or (flags & _CREDITS_LIMITED and credits_ > debits_posted)
    )


def _in_order(
    batch: Sequence[Chain], plain: Sequence[bool], found: Iterator[Outcome]
) -> Iterator[Outcome | Transfer]:
    """Yield for each transfer in order what the model found, or the transfer if it is plain."""
    for chain, is_plain in zip(batch, plain, strict=True):
        if is_plain:
            yield from chain.rows
        else:
            for _ in chain.rows:
                yield next(found)


def _number(
    state: State, after: State, found: Iterable[Outcome | Transfer], *, at: datetime
) -> Plan:
    """Number the new transfers in order and say how their accounts stood after each."""
    outcomes: list[Outcome] = []
    created: dict[UUID, Posted] = {}
    accounts = state.accounts
    sums: dict[int, list[int]] = {}  # changed in place: this is the inner loop
    number = state.last_number
    for item in found:
        if type(item) is Transfer:
            row, released_fen = item, 0
        else:
            assert type(item) is Outcome
            if item.code is not _CREATED:
                # A second transfer of the batch under one id refers to the first.
                posted = created.get(item.id) if item.posted is not None else None
                outcomes.append(item if posted is None else item._replace(posted=posted))
                continue
            assert item.posted is not None
            row, released_fen = item.posted.transfer, item.posted.released_fen
        identifier, _, kind, debit_account, credit_account, amount_fen = row[:6]
        debit = sums.get(debit_account)
        if debit is None:
            debit = sums[debit_account] = list(accounts[debit_account][2:])
        credit = sums.get(credit_account)
        if credit is None:
            credit = sums[credit_account] = list(accounts[credit_account][2:])
        if kind == _POSTED:
            debit[2] += amount_fen
            credit[3] += amount_fen
        elif kind == _PENDING:
            debit[0] += amount_fen
            credit[1] += amount_fen
        else:
            debit[0] -= released_fen
            credit[1] -= released_fen
            if kind == _POST_PENDING:
                debit[2] += amount_fen
                credit[3] += amount_fen
        debit_fen = debit[3] - debit[2]
        credit_fen = credit[3] - credit[2]
        number += 1
        posted = _new(
            Posted,
            (
                row,
                number,
                released_fen,
                at,
                _new(Standing, (debit_fen, debit_fen - debit[0])),
                _new(Standing, (credit_fen, credit_fen - credit[0])),
            ),
        )
        created[identifier] = posted
        outcomes.append(_new(Outcome, (identifier, _CREATED, posted)))
    return _plan(state, after, outcomes, created, sums)


def _plan(
    state: State,
    after: State,
    outcomes: Sequence[Outcome],
    created: Mapping[UUID, Posted],
    sums: Mapping[int, Sequence[int]],
) -> Plan:
    holds = {
        key: open_hold(posted, ledger=state.ledger)
        for key, posted in created.items()
        if posted.transfer.kind == _PENDING
    }
    if after is state:
        return Plan(outcomes, list(created.values()), [], list(holds.values()), [], [], sums)
    holds |= {key: hold for key, hold in after.holds.items() if hold is not state.holds.get(key)}
    return Plan(
        outcomes,
        list(created.values()),
        [refused for key, refused in after.refused.items() if key not in state.refused],
        [hold for key, hold in holds.items() if key not in state.holds],
        [hold for key, hold in holds.items() if key in state.holds],
        [(of, by) for of, by in after.reversals.items() if of not in state.reversals],
        sums,
    )
