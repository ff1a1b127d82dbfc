"""The posting engine of a running service: lanes over the database, and what they must know."""

from collections.abc import Sequence
from uuid import UUID

from ironloop.settlement.v1.settlement_pb2 import Transfer as Sent

from services.kit.database import Database
from services.settlement import hold_store, store
from services.settlement.account import MAIN_LEDGER, ledger_of
from services.settlement.lane import Lanes
from services.settlement.ledger_state import Chain, chains
from services.settlement.memory import Memory
from services.settlement.posting import ledger_of_rows
from services.settlement.posting_alone import post_alone
from services.settlement.transfer import Outcome, Transfer


class Engine:
    """Posts batches, each through the lane of its ledger."""

    def __init__(self, database: Database, *, queued_max: int) -> None:
        self._database = database
        self._memory = Memory()
        self._ledgers = frozenset({MAIN_LEDGER})
        self.lanes = Lanes(self._post, queued_max=queued_max)

    async def post(
        self, rows: Sequence[Transfer], *, sent: Sequence[Sent] | None = None
    ) -> Sequence[Outcome]:
        """Post a batch and return one outcome a transfer, in order.

        Args:
            sent: The same as they came in, complete.

        Raises:
            LaneFull: Too much waits for the ledger.
            Retriable: The database is away; what became of the transfers is not known.
        """
        ledger = await self._ledger_of(rows)
        return await self.lanes.lane(ledger).post(chains(rows), size=len(rows), sent=sent)

    async def look_around(self) -> None:
        """Read anew which ledgers exist."""
        async with self._database.read() as connection:
            self._ledgers = await store.list_ledger_ids(connection)

    async def _ledger_of(self, rows: Sequence[Transfer]) -> int:
        ledger = ledger_of_rows(rows, self._ledgers)
        if ledger is None and any(ledger_of(row.debit_account) for row in rows):
            await self.look_around()  # a ledger may have been opened by another replica
            ledger = ledger_of_rows(rows, self._ledgers)
        if ledger is None:
            pending_ids: list[UUID] = [row.pending_id for row in rows if row.pending_id]
            if pending_ids:
                async with self._database.read() as connection:
                    ledger = await hold_store.find_ledger_of_hold(connection, pending_ids)
        return ledger or MAIN_LEDGER

    async def _post(
        self, ledger: int, batch: Sequence[Chain], sent: Sequence[Sent] | None
    ) -> Sequence[Outcome]:
        return await post_alone(
            self._database, ledger, batch, ledgers=self._ledgers, memory=self._memory, sent=sent
        )
