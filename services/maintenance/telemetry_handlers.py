"""A batch of readings and faults, one transaction: stored, meters moved, news told.

New readings go in by COPY. Where one of them is there already, which only a repeated or mixed
batch has, the batch goes in row by row instead and its new ones are told apart.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import asyncpg

from services.kit.ids import new_id
from services.kit.transaction import Transaction
from services.maintenance import (
    fault_handlers,
    machine_store,
    meter_handlers,
    meter_store,
    telemetry_store,
)
from services.maintenance.announcer import Announcer
from services.maintenance.fault_model import ControllerReport, FaultReport
from services.maintenance.meter_model import (
    Meter,
    MeterKind,
    MeterReading,
    ReadingSource,
    ReadingState,
    Reason,
    accepted_reading,
    is_too_large,
    judge,
    new_meter,
)
from services.maintenance.telemetry_model import (
    METERS,
    Series,
    Stored,
    TelemetryRow,
    Unit,
    meter_figure,
)

MeterKey = tuple[UUID, MeterKind]


async def store_batch(
    tx: Transaction,
    rows: Sequence[TelemetryRow],
    faults: Sequence[FaultReport | ControllerReport],
    *,
    new_series: Sequence[Series],
    units: Mapping[UUID, Unit],
) -> Stored:
    """Store a batch of machines that are known here; what was stored before changes nothing.

    The transaction may go back: rows are written by COPY, and where that is refused one by one.

    Args:
        new_series: Series of the rows that may not have been seen before.
        units: How a page's sender knows its machines.
    """
    stored = Stored(series=list(new_series))
    desk = await _write(tx, rows, stored)
    if new_series:
        await telemetry_store.note_series(tx.connection, new_series)
    if units:
        await telemetry_store.save_units(tx.connection, units, at=tx.now)
    stored.quarantined.update(desk.quarantined_machines())
    await _settle(tx, desk, faults, stored)
    return stored


async def _write(tx: Transaction, rows: Sequence[TelemetryRow], stored: Stored) -> "_MeterDesk":
    """Write the rows that are not there yet, and move their meters; return these."""
    desk = await _desk(tx, rows)
    if not rows:
        return desk
    sent = Counter(row.machine_id for row in rows)
    try:
        await telemetry_store.copy_rows(tx.connection, rows, meanwhile=lambda: desk.judge(rows))
    except asyncpg.UniqueViolationError:
        await tx.go_back()
    else:
        stored.accepted = sent
        return desk
    desk = await _desk(tx, rows)  # the locks were given up with what was written
    written = set(await telemetry_store.insert_missing(tx.connection, rows))
    new = []
    for row in rows:
        key = (row.machine_id, row.element, row.label, row.read_at)
        if key in written:
            written.discard(key)
            new.append(row)
    stored.accepted = Counter(row.machine_id for row in new)
    stored.duplicate = sent - stored.accepted
    desk.judge(new)
    return desk


async def _desk(tx: Transaction, rows: Sequence[TelemetryRow]) -> "_MeterDesk":
    """Return the meters that rows may move, locked."""
    with_meters = sorted({row.machine_id for row in rows if row.element in METERS})
    meters = await meter_store.lock_meters(tx.connection, with_meters)
    return _MeterDesk({(meter.machine_id, meter.kind): meter for meter in meters}, now=tx.now)


async def _settle(
    tx: Transaction,
    desk: "_MeterDesk",
    faults: Sequence[FaultReport | ControllerReport],
    stored: Stored,
) -> None:
    """Write the meters, tell what is news, and take the faults."""
    news = desk.news()
    machine_ids = sorted({m.machine_id for m in news} | {fault.machine_id for fault in faults})
    announcer = Announcer(tx, {})
    if machine_ids:
        announcer.machines = await machine_store.lock_machines(tx.connection, machine_ids)
    told = []
    for meter in news:
        last = None if meter.announced is None else meter.announced - meter.run_before
        reading = accepted_reading(
            meter, source=ReadingSource.TELEMETRY, last_figure=last, now=tx.now
        )
        reading = replace(reading, event_sequence=announcer.next_sequence(meter.machine_id))
        told.append((reading, meter.announced, desk.idle_life(meter.machine_id)))
        desk.note_told(meter)
    new, moved = desk.moved()
    if new:
        await meter_store.save_meters(tx.connection, new)
    if moved:
        await meter_store.move_meters(tx.connection, moved, at=tx.now)
    if readings := [*desk.quarantined(), *(reading for reading, _, _ in told)]:
        await meter_store.insert_readings(tx.connection, readings)
    if told:
        await meter_handlers.tell(tx, announcer, told)
    if faults:
        # Plans may have told more of the machines since they were read.
        machines = await machine_store.lock_machines(tx.connection, machine_ids)
        announcer = Announcer(tx, machines)
        stored.faults.update(await fault_handlers.report(tx, announcer, faults))
        await announcer.close()


class _MeterDesk:
    """The meters of a batch's machines, moved by its readings in the order of time."""

    def __init__(self, meters: dict[MeterKey, Meter], *, now: datetime) -> None:
        self._meters = meters
        self._present = frozenset(meters)
        self._now = now
        self._moved: set[MeterKey] = set()
        self._waiting: dict[tuple[UUID, MeterKind, Reason], MeterReading] = {}

    def judge(self, rows: Iterable[TelemetryRow]) -> None:
        """Move the meters by new readings; what does not count by itself waits."""
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
            self._meters[key] = moved
            self._moved.add(key)
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

    def news(self) -> list[Meter]:
        """Return the hour meters of which an event should tell."""
        hours = [self._meters[key] for key in self._moved if key[1] is MeterKind.HOURS]
        return [meter for meter in hours if meter.is_news]

    def note_told(self, meter: Meter) -> None:
        """Note that an event tells of a meter."""
        self._meters[meter.machine_id, meter.kind] = meter.told()

    def idle_life(self, machine_id: UUID) -> Decimal | None:
        """Return a machine's idle hours, where it reports any."""
        meter = self._meters.get((machine_id, MeterKind.IDLE_HOURS))
        return meter.life if meter else None

    def moved(self) -> tuple[list[Meter], list[Meter]]:
        """Return the meters that are new, and those that have moved."""
        new = [self._meters[key] for key in self._moved if key not in self._present]
        return new, [self._meters[key] for key in self._moved if key in self._present]

    def quarantined(self) -> list[MeterReading]:
        """Return the readings that wait for a decision, one a meter and reason."""
        return list(self._waiting.values())

    def quarantined_machines(self) -> Counter[UUID]:
        """Return how many readings wait, by machine."""
        counts: Counter[UUID] = Counter()
        for reading in self._waiting.values():
            counts[reading.machine_id] += reading.occurrences
        return counts


_HOURS = frozenset({MeterKind.HOURS, MeterKind.IDLE_HOURS})
