"""How ledgers stood after this process's last commits, so that the next ones need not look.

What is remembered is never believed: the write itself asks whether the ledger's row is still as it
was then, and the server the same, and writes nothing where it is not. (A server that took the place
of another may lack commits, and come to the same counts by others.)
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime

from services.settlement.account import Account, Ledger
from services.settlement.posting_store import Sight

ACCOUNTS_MAX = 50_000  # of a ledger, some 20 MB; beyond it all are forgotten and read anew


@dataclass(frozen=True, slots=True)
class _Kept:
    """A ledger as its last commit left it, on the server that was up since `server_start`."""

    server_start: datetime
    ledger: Ledger
    oldest_ms: int
    accounts: dict[int, Account]


class Memory:
    """What a process remembers of its ledgers."""

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}

    def sight(self, ledger: int, numbers: Set[int]) -> Sight | None:
        """Return what a look would tell of new ids, or None where not all of it is remembered."""
        kept = self._kept.get(ledger)
        if kept is None or not numbers <= kept.accounts.keys():
            return None
        accounts = {number: kept.accounts[number] for number in numbers}
        return Sight(kept.ledger, kept.oldest_ms, kept.server_start, accounts, (), ())

    def forget(self, ledger: int) -> None:
        """Forget a ledger: it moved, or what became of a write is not known."""
        self._kept.pop(ledger, None)

    def saw(self, sight: Sight) -> None:
        """Remember what a look told, with what was known before where nothing has moved since."""
        self._keep(sight, sight.ledger, locks=0)

    def committed(
        self,
        sight: Sight,
        sums: Mapping[int, Sequence[int]],
        *,
        at: datetime,
        transfer_count: int,
        event_count: int,
        locks: int,
    ) -> None:
        """Remember a commit that was planned on `sight`.

        Args:
            sums: What is pending and posted on each account that it moved, as in `Account`.
            locks: How often the ledger was locked between what was known before and `sight`.
        """
        ledger = sight.ledger
        after = ledger
        if transfer_count:
            after = replace(
                ledger,
                commit_count=ledger.commit_count + 1,
                event_sequence=ledger.event_sequence + event_count,
                transfer_count=ledger.transfer_count + transfer_count,
                last_event_at=at,
            )
        accounts = self._keep(sight, after, locks=locks)
        for number, amounts in sums.items():
            accounts[number] = Account(number, sight.accounts[number].flags, *amounts)

    def _keep(self, sight: Sight, after: Ledger, *, locks: int) -> dict[int, Account]:
        """Return the accounts that are remembered with a ledger from now on."""
        seen = sight.ledger
        known = self._kept.get(seen.id)
        accounts: dict[int, Account] = {}
        if (
            known is not None
            and known.server_start == sight.server_start
            and known.ledger.commit_count == seen.commit_count
            and known.ledger.revision + locks == seen.revision
            and len(known.accounts) < ACCOUNTS_MAX
        ):
            accounts = known.accounts
        accounts.update(sight.accounts)
        self._kept[seen.id] = _Kept(sight.server_start, after, sight.oldest_ms, accounts)
        return accounts
