"""The one way in for readings: partitions made, a batch committed, its series remembered."""

from collections.abc import Mapping, Sequence, Set
from uuid import UUID

from services.kit.database import Database
from services.kit.transaction import MAY_GO_BACK, Transaction
from services.maintenance import telemetry_handlers
from services.maintenance.fault_model import ControllerReport, FaultReport
from services.maintenance.telemetry_model import Series, SeriesKey, Stored, TelemetryRow, Unit
from services.maintenance.telemetry_months import Months

SERIES_MAX = 200_000  # remembered; beyond it all is forgotten and asked again, about 20 MiB


class Intake:
    """Stores batches; remembers which series the database knows, so that it asks once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._months = Months(database)
        self._known: dict[UUID, set[SeriesKey]] = {}
        self._count = 0

    async def store(
        self,
        rows: Sequence[TelemetryRow],
        faults: Sequence[FaultReport | ControllerReport] = (),
        *,
        units: Mapping[UUID, Unit] | None = None,
    ) -> Stored:
        """Store one batch in one transaction.

        Raises:
            DatabaseUnavailable, Contention: As `Database.run`; nothing of the batch was stored, or
                its answer was lost, and it may be sent again.
        """
        await self._months.ensure([row.read_at for row in rows])

        async def work(tx: Transaction) -> Stored:
            return await telemetry_handlers.store_batch(
                tx, rows, faults, new_series=self._new_series, units=units or {}
            )

        stored = await self._database.run(work, opening=MAY_GO_BACK)
        self._remember(stored.series)
        return stored

    def _new_series(self, rows: Sequence[TelemetryRow]) -> list[Series]:
        new: set[Series] = set()
        last_id: UUID | None = None
        known: Set[SeriesKey] = frozenset()
        for machine_id, element, _, label, *_ in rows:
            if machine_id is not last_id:  # rows of one machine come together
                last_id, known = machine_id, self._known.get(machine_id, frozenset())
            if (element, label) not in known:
                new.add((machine_id, element, label))
        return sorted(new)

    def _remember(self, series: Sequence[Series]) -> None:
        if self._count + len(series) > SERIES_MAX:
            self._known.clear()
            self._count = 0
        for machine_id, element, label in series:
            self._known.setdefault(machine_id, set()).add((element, label))
        self._count += len(series)
