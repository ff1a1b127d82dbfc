"""The ledger's rules, one transfer after the other: `(state, batch) -> (state, outcomes)`.

This is the specification. It reads and writes nothing. `plan` reaches the same outcomes for a
whole batch at once; tests hold both, and the database, equal.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.settlement.account import Account, Flags, ledger_of
from services.settlement.ledger_state import (
    Chain,
    Hold,
    HoldState,
    State,
    open_hold,
    reversed_id,
)
from services.settlement.transfer import (
    OPENING,
    REVERSAL,
    IdWindow,
    Outcome,
    Posted,
    Refused,
    ResultCode,
    Transfer,
    TransferKind,
    difference,
    flaw,
)

SUM_FEN_MAX = 4 * 10**18  # below 2^63, so that no sum of an account leaves a bigint


def apply(
    state: State, batch: Iterable[Chain], *, at: datetime, window: IdWindow
) -> tuple[State, list[Outcome]]:
    """Return the ledger after a batch at domain time `at`, and one outcome a transfer in order."""
    draft = Draft(state, at=at, window=window)
    outcomes = [outcome for chain in batch for outcome in draft.run(chain)]
    return draft.state(), outcomes


def expire(state: State, rows: Iterable[Transfer], *, at: datetime) -> tuple[State, list[Outcome]]:
    """Return the ledger after settlement's own transfers have released holds whose time is up.

    A hold that was resolved in the meantime is left as it is, and nothing is kept of the attempt.
    """
    draft = Draft(state, at=at, window=IdWindow(0, 0))
    outcomes = [draft.expire(row) for row in rows]
    return draft.state(), outcomes


RESOLUTION: Mapping[int, HoldState] = {
    TransferKind.POST_PENDING: HoldState.POSTED,
    TransferKind.VOID_PENDING: HoldState.VOIDED,
    TransferKind.EXPIRE_PENDING: HoldState.EXPIRED,
}


def moved(
    transfer: Transfer, released_fen: int, debit: Account, credit: Account
) -> tuple[Account, Account]:
    """Return debit and credit account after a transfer."""
    kind, amount_fen = transfer.kind, transfer.amount_fen
    posted_fen = amount_fen if kind in (TransferKind.POSTED, TransferKind.POST_PENDING) else 0
    held_fen = amount_fen if kind == TransferKind.PENDING else -released_fen
    return (
        debit._replace(
            debits_pending=debit.debits_pending + held_fen,
            debits_posted=debit.debits_posted + posted_fen,
        ),
        credit._replace(
            credits_pending=credit.credits_pending + held_fen,
            credits_posted=credit.credits_posted + posted_fen,
        ),
    )


class Draft:
    """A ledger in the course of a batch; what a failed chain did is taken back from it."""

    def __init__(self, state: State, *, at: datetime, window: IdWindow) -> None:
        self._ledger = state.ledger
        self._ledgers = state.ledgers
        self._accounts = dict(state.accounts)
        self._posted = dict(state.posted)
        self._refused = dict(state.refused)
        self._holds = dict(state.holds)
        self._reversals = dict(state.reversals)
        self._number = state.last_number
        self._at = at
        self._window = window
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []

    def state(self) -> State:
        """Return the ledger as it stands."""
        return State(
            self._ledger,
            self._ledgers,
            self._accounts,
            self._posted,
            self._refused,
            self._holds,
            self._reversals,
            self._number,
        )

    def run(self, chain: Chain) -> list[Outcome]:
        """Apply a chain whole or not at all, and return one outcome a transfer."""
        rows = chain.rows
        first_places = {row.id: place for place, row in reversed(list(enumerate(rows)))}
        known = {
            place: outcome
            for place, row in enumerate(rows)
            if first_places[row.id] == place and (outcome := self._known(row)) is not None
        }
        if len(known) == len(rows):
            return [known[place] for place in range(len(rows))]
        if not chain.is_closed:
            failed = (len(rows) - 1, ResultCode.LINKED_CHAIN_OPEN)
        elif known:
            # A chain that was posted or refused before is known whole; this is another one.
            failed = (min(known), ResultCode.LINKED_EVENT_FAILED)
        else:
            posted = self._try_all(rows, first_places)
            if isinstance(posted, list):
                return [Outcome(each.transfer.id, ResultCode.CREATED, each) for each in posted]
            failed = posted
        return [
            known.get(place) or self._fail(row, place, failed, first_places)
            for place, row in enumerate(rows)
        ]

    def _try_all(
        self, rows: Sequence[Transfer], first_places: Mapping[UUID, int]
    ) -> list[Posted] | tuple[int, ResultCode]:
        """Apply every row, or take back those before the first that fails and return its place."""
        self._undo.clear()
        number = self._number
        added: list[Posted] = []
        for place, row in enumerate(rows):
            problem = self._window.flaw(row.id)
            if problem is None and first_places[row.id] != place:
                problem = ResultCode.ID_TWICE_IN_CHAIN
            result = problem or self._try(row)
            if isinstance(result, ResultCode):
                self._take_back()
                self._number = number
                return place, result
            added.append(result)
        return added

    def _put(self, mapping: dict[Any, Any], key: Any, value: Any) -> None:
        self._undo.append((mapping, key, mapping.get(key)))
        mapping[key] = value

    def _take_back(self) -> None:
        for mapping, key, former in reversed(self._undo):
            if former is None:
                del mapping[key]
            else:
                mapping[key] = former

    def expire(self, row: Transfer) -> Outcome:
        """Release a hold whose time is up by a transfer of settlement's own."""
        result = self._resolve(row)
        if isinstance(result, ResultCode):
            return Outcome(row.id, result)
        return Outcome(row.id, ResultCode.CREATED, result)

    def _fail(
        self,
        row: Transfer,
        place: int,
        failed: tuple[int, ResultCode],
        first_places: Mapping[UUID, int],
    ) -> Outcome:
        """Return the outcome of a transfer of a failed chain, and keep it where it can be kept."""
        id_flaw = self._window.flaw(row.id)
        if id_flaw is not None:
            return Outcome(row.id, id_flaw)
        if first_places[row.id] != place:
            return Outcome(row.id, ResultCode.ID_TWICE_IN_CHAIN)
        code = failed[1] if failed[0] == place else ResultCode.LINKED_EVENT_FAILED
        self._refused[row.id] = Refused(row, code)
        return Outcome(row.id, code)

    def _known(self, row: Transfer) -> Outcome | None:
        """Return the outcome of a transfer whose id was used before, or None."""
        if self._window.flaw(row.id) is not None:
            return None
        posted = self._posted.get(row.id)
        if posted is not None:
            differs = difference(posted.transfer, row, is_posted=True)
            if differs is not None:
                return Outcome(row.id, differs)
            return Outcome(row.id, ResultCode.EXISTS, posted)
        refused = self._refused.get(row.id)
        if refused is None:
            return None
        differs = difference(refused.transfer, row, is_posted=False)
        return Outcome(row.id, differs or refused.reason)

    def _try(self, row: Transfer) -> Posted | ResultCode:
        """Apply one transfer, or return why not."""
        problem = flaw(row)
        if problem is not None:
            return problem
        return self._open(row) if row.kind in OPENING else self._resolve(row)

    def _open(self, row: Transfer) -> Posted | ResultCode:
        for number, missing in (
            (row.debit_account, ResultCode.DEBIT_ACCOUNT_NOT_FOUND),
            (row.credit_account, ResultCode.CREDIT_ACCOUNT_NOT_FOUND),
        ):
            ledger = ledger_of(number)
            if ledger != self._ledger and ledger in self._ledgers:
                return ResultCode.MIXED_LEDGER
            if number not in self._accounts:
                return missing
        debit, credit = self._accounts[row.debit_account], self._accounts[row.credit_account]
        problem = state_problem(debit, credit) or self._reversal_problem(row)
        problem = problem or limit_problem(debit, credit, row.amount_fen)
        if problem is not None:
            return problem
        posted = self._post(row, released_fen=0)
        if row.kind == TransferKind.PENDING:
            self._put(self._holds, row.id, open_hold(posted, ledger=self._ledger))
        elif row.code == REVERSAL:
            self._put(self._reversals, reversed_id(row), row.id)
        return posted

    def _resolve(self, row: Transfer) -> Posted | ResultCode:
        assert row.pending_id is not None
        hold = self._holds.get(row.pending_id)
        if hold is None:
            if row.pending_id in self._posted:
                return ResultCode.PENDING_NOT_PENDING
            return ResultCode.PENDING_NOT_FOUND
        problem = self._hold_problem(hold, row)
        if problem is None and row.kind == TransferKind.POST_PENDING:
            problem = state_problem(
                self._accounts[hold.debit_account], self._accounts[hold.credit_account]
            )
        if problem is not None:
            return problem
        resolved = hold._replace(state=RESOLUTION[row.kind], resolved_by=row.id)
        self._put(self._holds, hold.pending_id, resolved)
        whole = row._replace(
            debit_account=hold.debit_account,
            credit_account=hold.credit_account,
            amount_fen=row.amount_fen or hold.amount_fen,
        )
        return self._post(whole, released_fen=hold.amount_fen)

    def _hold_problem(  # noqa: PLR0911  (one return a rule)
        self, hold: Hold, row: Transfer
    ) -> ResultCode | None:
        if hold.ledger != self._ledger:
            return ResultCode.PENDING_OF_OTHER_LEDGER
        if row.debit_account not in (0, hold.debit_account):
            return ResultCode.PENDING_HAS_DIFFERENT_DEBIT_ACCOUNT
        if row.credit_account not in (0, hold.credit_account):
            return ResultCode.PENDING_HAS_DIFFERENT_CREDIT_ACCOUNT
        if hold.state is not HoldState.OPEN:
            return _RESOLVED[hold.state]
        is_over = hold.expires_at is not None and hold.expires_at <= self._at
        if is_over != (row.kind == TransferKind.EXPIRE_PENDING):
            return ResultCode.PENDING_EXPIRED
        if row.kind == TransferKind.POST_PENDING and row.amount_fen > hold.amount_fen:
            return ResultCode.EXCEEDS_PENDING_AMOUNT
        if row.kind == TransferKind.VOID_PENDING and row.amount_fen not in (0, hold.amount_fen):
            return ResultCode.PENDING_HAS_DIFFERENT_AMOUNT
        return None

    def _reversal_problem(self, row: Transfer) -> ResultCode | None:
        if row.code != REVERSAL:
            return None
        original_id = reversed_id(row)
        original = self._posted.get(original_id) if original_id is not None else None
        if original is None or original.transfer.kind not in (
            TransferKind.POSTED,
            TransferKind.POST_PENDING,
        ):
            return ResultCode.REVERSED_NOT_FOUND
        mirrored = (
            row.kind == TransferKind.POSTED
            and row.debit_account == original.transfer.credit_account
            and row.credit_account == original.transfer.debit_account
            and row.amount_fen == original.transfer.amount_fen
        )
        if not mirrored:
            return ResultCode.REVERSAL_NOT_MIRRORED
        return ResultCode.ALREADY_REVERSED if original_id in self._reversals else None

    def _post(self, row: Transfer, *, released_fen: int) -> Posted:
        debit, credit = moved(
            row,
            released_fen,
            self._accounts[row.debit_account],
            self._accounts[row.credit_account],
        )
        self._put(self._accounts, row.debit_account, debit)
        self._put(self._accounts, row.credit_account, credit)
        self._number += 1
        posted = Posted(row, self._number, released_fen, self._at, debit.standing, credit.standing)
        self._put(self._posted, row.id, posted)
        return posted


def state_problem(debit: Account, credit: Account) -> ResultCode | None:
    """Return which account takes no part in transfers, or None."""
    if debit.flags & Flags.CLOSED:
        return ResultCode.DEBIT_ACCOUNT_CLOSED
    if credit.flags & Flags.CLOSED:
        return ResultCode.CREDIT_ACCOUNT_CLOSED
    if debit.flags & Flags.FROZEN:
        return ResultCode.DEBIT_ACCOUNT_FROZEN
    return ResultCode.CREDIT_ACCOUNT_FROZEN if credit.flags & Flags.FROZEN else None


def limit_problem(debit: Account, credit: Account, amount_fen: int) -> ResultCode | None:
    """Return which limit an amount would break, or None; what is pending counts."""
    debits = debit.debits_posted + debit.debits_pending + amount_fen
    credits_ = credit.credits_posted + credit.credits_pending + amount_fen
    if debits > SUM_FEN_MAX or credits_ > SUM_FEN_MAX:
        return ResultCode.SUM_OVERFLOWS
    if debit.flags & Flags.DEBITS_MUST_NOT_EXCEED_CREDITS and debits > debit.credits_posted:
        return ResultCode.EXCEEDS_CREDITS
    if credit.flags & Flags.CREDITS_MUST_NOT_EXCEED_DEBITS and credits_ > credit.debits_posted:
        return ResultCode.EXCEEDS_DEBITS
    return None


_RESOLVED: Mapping[HoldState, ResultCode] = {
    HoldState.POSTED: ResultCode.PENDING_ALREADY_POSTED,
    HoldState.VOIDED: ResultCode.PENDING_ALREADY_VOIDED,
    HoldState.EXPIRED: ResultCode.PENDING_EXPIRED,
}
