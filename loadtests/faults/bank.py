"""Jepsen's bank workload: all accounts summed in one snapshot, again and again, under the faults.

Money only moves between the wallets, so what they hold together never changes; the ledger as a
whole sums to zero; no wallet is ever overdrawn; and what was committed is never gone again.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

import asyncpg

from loadtests.faults.stack import AWAY

EVERY_S = 0.05
ANSWER_WITHIN_S = 2.0
PROBLEMS_MAX = 5

_SUMS = """
    select
        sum(credits_posted - debits_posted)::bigint as balance,
        sum(credits_pending - debits_pending)::bigint as pending,
        sum(credits_posted - debits_posted) filter (where id <> $1)::bigint as wallets,
        min(credits_posted - debits_posted - debits_pending) filter (where id <> $1)::bigint
            as least_available,
        (select transfer_count from ledger where id = 1) as transfers,
        (select first_number + transfer_count - 1 from ledger_commit where ledger = 1
            order by sequence desc limit 1) as committed
    from account
"""


@dataclass(slots=True)
class Bank:
    """The reader, and what it has seen.

    Attributes:
        reads: Snapshots that were read in this round.
        last_transfers: The most transfers that any snapshot has shown.
    """

    dsn: str
    bank: int
    wallets_fen: int
    reads: int = 0
    last_transfers: int = 0
    problems: list[str] = field(default_factory=list)

    def begin_round(self) -> None:
        """Forget the last round's figures."""
        self.reads = 0
        self.problems = []

    async def run(self) -> None:
        """Read until cancelled; a database that is away is waited for."""
        while True:
            connection = None
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    connection = await asyncpg.connect(self.dsn)
                while True:
                    async with asyncio.timeout(ANSWER_WITHIN_S):
                        row = await connection.fetchrow(_SUMS, self.bank)
                    assert row is not None
                    self._look_at(row)
                    await asyncio.sleep(EVERY_S)
            except AWAY:
                await asyncio.sleep(EVERY_S)
            finally:
                if connection is not None:
                    with contextlib.suppress(Exception):
                        connection.terminate()

    def _look_at(self, row: asyncpg.Record) -> None:
        self.reads += 1
        if row["balance"] != 0 or row["pending"] != 0:
            self._find(f"all accounts sum to {row['balance']}, and {row['pending']} pending")
        if row["wallets"] != self.wallets_fen:
            self._find(f"the wallets hold {row['wallets']} fen, not {self.wallets_fen}")
        if row["least_available"] < 0:
            self._find(f"a wallet is overdrawn by {-row['least_available']} fen")
        if row["transfers"] != row["committed"]:
            self._find(f"{row['transfers']} transfers, and {row['committed']} in commits")
        if row["transfers"] < self.last_transfers:
            self._find(f"{row['transfers']} transfers, and {self.last_transfers} were seen before")
        self.last_transfers = max(self.last_transfers, row["transfers"])

    def _find(self, problem: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(f"in one snapshot: {problem}")
