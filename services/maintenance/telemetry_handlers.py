"""A batch of readings and faults, one transaction: stored, meters moved, news told.

New readings go in by COPY. Where one of them is there already, which only a repeated or mixed
batch has, the batch goes in row by row instead and its new ones are told apart.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import asyncpg

from services.kit.transaction import Transaction
from services.maintenance import (
    fault_handlers,
    machine_store,
    meter_batch_store,
    meter_handlers,
    meter_store,
    telemetry_store,
)
from services.maintenance.announcer import Announcer
from services.maintenance.fault_model import ControllerReport, FaultReport
from services.maintenance.meter_desk import MeterDesk
from services.maintenance.meter_model import ReadingSource, accepted_reading
from services.maintenance.telemetry_model import METERS, Series, Stored, TelemetryRow, Unit

FindSeries = Callable[[Sequence[TelemetryRow]], list[Series]]


async def store_batch(
    tx: Transaction,
    rows: Sequence[TelemetryRow],
    faults: Sequence[FaultReport | ControllerReport],
    *,
    new_series: FindSeries,
    units: Mapping[UUID, Unit],
) -> Stored:
    """Store a batch of machines that are known here; what was stored before changes nothing.

    The transaction may go back: rows are written by COPY, and where that is refused one by one.

    Args:
        new_series: Returns the series of rows that may not have been seen before.
        units: How a page's sender knows its machines.
    """
    stored = Stored()
    desk = await _write(tx, rows, stored, new_series=new_series)
    if stored.series:
        await telemetry_store.note_series(tx.connection, stored.series)
    if units:
        await telemetry_store.save_units(tx.connection, units, at=tx.now)
    stored.quarantined.update(desk.quarantined_machines())
    await _settle(tx, desk, faults, stored)
    return stored


async def _write(
    tx: Transaction, rows: Sequence[TelemetryRow], stored: Stored, *, new_series: FindSeries
) -> MeterDesk:
    """Write the rows that are not there yet, and move their meters; return these."""
    desk = await _desk(tx, rows)
    if not rows:
        return desk
    sent: Counter[UUID] = Counter()

    def meanwhile() -> None:
        sent.update(row.machine_id for row in rows)
        stored.series = new_series(rows)
        desk.judge(rows)

    try:
        await telemetry_store.copy_rows(tx.connection, rows, meanwhile=meanwhile)
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


async def _desk(tx: Transaction, rows: Sequence[TelemetryRow]) -> MeterDesk:
    """Return the desk of the meters that rows may move, locked."""
    with_meters = sorted({row.machine_id for row in rows if row.element in METERS})
    locked = await meter_batch_store.lock_meters(tx.connection, with_meters)
    return MeterDesk(locked, now=tx.now)


async def _settle(
    tx: Transaction,
    desk: MeterDesk,
    faults: Sequence[FaultReport | ControllerReport],
    stored: Stored,
) -> None:
    """Write the meters, tell what is news, and take the faults."""
    machine_ids = sorted({m.machine_id for m in desk.news} | {f.machine_id for f in faults})
    announcer = Announcer(tx, {})
    if machine_ids:
        announcer.machines = await machine_store.lock_machines(tx.connection, machine_ids)
    told = []
    for meter in desk.news:
        last = None if meter.announced is None else meter.announced - meter.run_before
        reading = accepted_reading(
            meter, source=ReadingSource.TELEMETRY, last_figure=last, now=tx.now
        )
        reading = replace(reading, event_sequence=announcer.next_sequence(meter.machine_id))
        told.append((reading, meter.announced, desk.idle_life(meter.machine_id)))
    if desk.new:
        await meter_store.save_meters(tx.connection, desk.new)
    if desk.advanced:
        await meter_batch_store.advance_meters(tx.connection, desk.advanced, at=tx.now)
    if desk.changed:
        await meter_batch_store.change_meters(tx.connection, desk.changed, at=tx.now)
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
