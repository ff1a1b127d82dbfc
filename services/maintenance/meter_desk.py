"""The meters of a batch: judged by its readings, told of, and written out. No I/O.

All of it is done while PostgreSQL takes the readings themselves.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from services.kit.connection import Row
from services.kit.ids import new_id
from services.maintenance import meter_batch_store
from services.maintenance.meter_model import (
    Meter,
    MeterKind,
    MeterReading,
    ReadingSource,
    ReadingState,
    Reason,
    is_too_large,
    judge,
    new_meter,
)
from services.maintenance.telemetry_model import METERS, TelemetryRow, meter_figure

MeterKey = tuple[UUID, MeterKind]
_HOURS = frozenset({MeterKind.HOURS, MeterKind.IDLE_HOURS})


class MeterDesk:
    """The meters of a batch's machines, moved by its readings in the order of time.

    Attributes:
        news: The hour meters of which an event should tell, as they were before it did.
        new: Meters that were not there.
        advanced: Columns of those that only stand further on.
        changed: Columns of those of which more has changed.
    """

    def __init__(self, locked: Sequence[Row], *, now: datetime) -> None:
        self.news: list[Meter] = []
        self.new: list[Meter] = []
        self.advanced: meter_batch_store.Columns = ()
        self.changed: meter_batch_store.Columns = ()
        self._locked = locked
        self._now = now
        self._meters: dict[MeterKey, Meter] = {}
        self._moved: dict[MeterKey, Meter | None] = {}  # and what each was before
        self._waiting: dict[tuple[UUID, MeterKind, Reason], MeterReading] = {}

    def judge(self, rows: Iterable[TelemetryRow]) -> None:
        """Move the meters by new readings; what does not count by itself waits."""
        locked = meter_batch_store.meters_of(self._locked)
        self._meters = {(meter.machine_id, meter.kind): meter for meter in locked}
        by_meter: dict[MeterKey, list[tuple[datetime, Decimal]]] = {}
        for row in rows:
            machine_id, element, read_at, label, value, *_ = row
            kind = METERS.get(element)
            if kind is None or label or value is None:
                continue
            figure = value if kind in _HOURS else meter_figure(row, kind)
            if figure is None:
                continue
            key = (machine_id, kind)
            if key in by_meter:
                by_meter[key].append((read_at, figure))
            else:
                by_meter[key] = [(read_at, figure)]
        for key, readings in by_meter.items():
            if len(readings) > 1:
                readings.sort()
            for read_at, figure in readings:
                self._judge_one(key, figure, read_at)
        self._write_out()

    def _judge_one(self, key: MeterKey, figure: Decimal, read_at: datetime) -> None:
        meter = self._meters.get(key)
        if meter is not None:
            judgement = judge(meter, figure, read_at, now=self._now)
            moved, reason = judgement.meter, judgement.reason
        elif is_too_large(key[1], figure):
            moved, reason = None, Reason.TOO_LARGE
        else:
            moved, reason = (
                new_meter(*key, figure=figure, read_at=read_at, now=self._now),
                Reason.NONE,
            )
        if moved is not None:
            self._moved.setdefault(key, meter)
            self._meters[key] = moved
        elif reason:
            self._wait(key, figure, read_at, reason)

    def _wait(self, key: MeterKey, figure: Decimal, read_at: datetime, reason: Reason) -> None:
        meter = self._meters.get(key)
        earlier = self._waiting.get((*key, reason))
        self._waiting[*key, reason] = MeterReading(
            id=new_id(),
            state=ReadingState.QUARANTINED,
            machine_id=key[0],
            kind=key[1],
            figure=figure,
            run_before=None,
            read_at=read_at,
            source=ReadingSource.TELEMETRY,
            create_time=self._now,
            update_time=self._now,
            reason=reason,
            last_figure=meter.figure if meter else None,
            occurrences=earlier.occurrences + 1 if earlier else 1,
        )

    def _write_out(self) -> None:
        """Tell of what is news, and sort the moved meters by how much of them is written."""
        advanced, changed = [], []
        for key, before in self._moved.items():
            meter = self._meters[key]
            is_news = meter.kind is MeterKind.HOURS and meter.is_news
            if is_news:
                self.news.append(meter)
                self._meters[key] = meter = meter.told()
            if before is None:
                self.new.append(meter)
            elif is_news or meter.roll_overs != before.roll_overs:
                changed.append(meter)
            else:
                advanced.append(meter)
        self.advanced = meter_batch_store.advances_of(advanced)
        self.changed = meter_batch_store.changes_of(changed)

    def idle_life(self, machine_id: UUID) -> Decimal | None:
        """Return a machine's idle hours, where it reports any."""
        meter = self._meters.get((machine_id, MeterKind.IDLE_HOURS))
        return meter.life if meter else None

    def quarantined(self) -> list[MeterReading]:
        """Return the readings that wait for a decision, one a meter and reason."""
        return list(self._waiting.values())

    def quarantined_machines(self) -> Counter[UUID]:
        """Return how many readings wait, by machine."""
        counts: Counter[UUID] = Counter()
        for reading in self._waiting.values():
            counts[reading.machine_id] += reading.occurrences
        return counts
