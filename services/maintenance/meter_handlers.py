"""What people and services do with meters, one transaction a command.

Locks are taken in one order everywhere: meters, then machines, then faults and plans.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from services.kit.connection import Connection
from services.kit.errors import InvalidArgument, NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.maintenance import machine_store, meter_store, plan_handlers
from services.maintenance.announcer import Announcer
from services.maintenance.errors import MeterWouldFall, ReadingExists, ReadingOutOfOrder
from services.maintenance.meter_model import (
    Meter,
    MeterKind,
    MeterReading,
    ReadingSource,
    ReadingState,
    Reason,
    Replacement,
    accepted_reading,
    is_too_large,
    judge,
    new_meter,
    rise_max,
)


async def report(
    tx: Transaction,
    machine_id: UUID,
    kind: MeterKind,
    *,
    figure: Decimal,
    read_at: datetime,
    reference: str,
    viewer: Principal,
) -> MeterReading:
    """Take a reading that somebody reports; reported before, it is the same reading.

    One that is not newer than the meter is history: it counts where it does not contradict it.

    Raises:
        NotFound: The machine is not the caller's to see.
        ReadingExists: Another figure was reported of the same instant.
    """
    machine = await machine_store.find_machine_seen(tx.connection, machine_id, viewer=viewer)
    if machine is None:
        raise NotFound(name("machines", machine_id))
    meter = await meter_store.lock_meter(tx.connection, machine_id, kind)
    known = await meter_store.find_reported(tx.connection, machine_id, kind, read_at=read_at)
    if known is not None:
        if known.figure != figure:
            raise ReadingExists(known.name, figure=known.figure)
        return known
    moved, reason = _judged(meter, machine_id, kind, figure, read_at, now=tx.now)
    announcer = Announcer(tx, await machine_store.lock_machines(tx.connection, [machine_id]))
    after = moved or meter
    reading = MeterReading(
        id=new_id(),
        state=ReadingState.QUARANTINED if reason else ReadingState.ACCEPTED,
        machine_id=machine_id,
        kind=kind,
        figure=figure,
        run_before=None if reason or after is None else after.run_before,
        read_at=read_at,
        source=ReadingSource.REPORTED,
        create_time=tx.now,
        update_time=tx.now,
        reference=reference,
        reporter=viewer.actor,
        reason=reason,
        last_figure=None if meter is None else meter.figure,
    )
    if moved is None:
        await meter_store.insert_readings(tx.connection, [reading])
        return reading
    return await move(tx, announcer, meter, moved, reading)


async def replace_meter(
    tx: Transaction,
    machine_id: UUID,
    kind: MeterKind,
    *,
    at: datetime,
    old_figure: Decimal,
    new_figure: Decimal,
    reference: str,
    viewer: Principal,
) -> Meter:
    """Note that a meter was replaced; the machine's life goes on from where the old one ended.

    Raises:
        NotFound: The machine is not the caller's to see, or has no such meter.
        ReadingOutOfOrder, MeterWouldFall: As they say.
        InvalidArgument: The old meter cannot have run so far since it was read.
    """
    meter = await _lock_meter(tx, machine_id, kind, viewer=viewer)
    machine = name("machines", machine_id)
    if at < meter.read_at:
        raise ReadingOutOfOrder(machine, last=meter.read_at)
    if old_figure < meter.figure:
        raise MeterWouldFall(machine, figure=old_figure, beside=meter.figure)
    highest = meter.figure + rise_max(kind, meter.read_at, at)
    if old_figure > highest:
        raise InvalidArgument("old_figure", f"must not exceed {highest:.2f}, what time allows")
    announcer = Announcer(tx, await machine_store.lock_machines(tx.connection, [machine_id]))
    moved = meter._replace(
        version=meter.version + 1,
        figure=new_figure,
        run_before=meter.run_before + old_figure - new_figure,
        read_at=at,
        replacements=meter.replacements + 1,
        update_time=tx.now,
    )
    await meter_store.insert_replacement(
        tx.connection,
        Replacement(
            id=new_id(),
            machine_id=machine_id,
            kind=kind,
            replace_time=at,
            old_figure=old_figure,
            new_figure=new_figure,
            reference=reference,
            recorded_by=viewer.actor,
            create_time=tx.now,
        ),
    )
    reading = accepted_reading(
        moved, source=ReadingSource.CORRECTION, last_figure=meter.figure, now=tx.now
    )
    reading = replace(reading, reference=reference, reporter=viewer.actor)
    await move(tx, announcer, meter, moved, reading)
    return moved


async def set_range(
    tx: Transaction,
    machine_id: UUID,
    kind: MeterKind,
    *,
    etag: str,
    rolls_over_at: Decimal | None,
    viewer: Principal,
) -> Meter:
    """Say at which figure a meter starts again from 0; None: it does not.

    Raises:
        NotFound, EtagMismatch: As they say.
        InvalidArgument: The figure is not above the last reading.
    """
    meter = await _lock_meter(tx, machine_id, kind, viewer=viewer)
    check_etag(etag, meter.version)
    if rolls_over_at is not None and rolls_over_at <= meter.figure:
        raise InvalidArgument("rolls_over_at", f"must be above the last reading, {meter.figure:f}")
    changed = meter._replace(
        version=meter.version + 1, rolls_over_at=rolls_over_at, update_time=tx.now
    )
    await meter_store.save_meters(tx.connection, [changed])
    return changed


async def tell(
    tx: Transaction,
    announcer: Announcer,
    told: Sequence[tuple[MeterReading, Decimal | None, Decimal | None]],
) -> None:
    """Tell of accepted hours and what they move: (reading with its sequence, previous, idle)."""
    for reading, previous, idle in told:
        await announcer.meter_read(reading, previous=previous, idle=idle)
    await announcer.close()
    lives = {reading.machine_id: reading.life for reading, _, _ in told}
    await plan_handlers.note_hours(
        tx,
        announcer.machines,
        {machine_id: life for machine_id, life in lives.items() if life is not None},
    )


def _judged(
    meter: Meter | None,
    machine_id: UUID,
    kind: MeterKind,
    figure: Decimal,
    read_at: datetime,
    *,
    now: datetime,
) -> tuple[Meter | None, Reason]:
    """Return the meter as a reported reading moves it, and why it does not count, if so."""
    if is_too_large(kind, figure):
        return None, Reason.TOO_LARGE
    if meter is None:
        first = new_meter(machine_id, kind, figure=figure, read_at=read_at, now=now)
        return first, Reason.NONE
    if read_at <= meter.read_at:
        return None, Reason.TOO_FAST if figure > meter.figure else Reason.NONE
    judgement = judge(meter, figure, read_at, now=now)
    return judgement.meter, judgement.reason


async def move(
    tx: Transaction,
    announcer: Announcer,
    before: Meter | None,
    after: Meter,
    reading: MeterReading,
    *,
    is_new: bool = True,
) -> MeterReading:
    """Write a meter and the reading that moved it; hours are told."""
    is_told = reading.kind is MeterKind.HOURS
    if is_told:
        after = after.told()
        sequence = announcer.next_sequence(reading.machine_id)
        reading = replace(reading, event_sequence=sequence)
    await meter_store.save_meters(tx.connection, [after])
    write = meter_store.insert_readings if is_new else _update_all
    await write(tx.connection, [reading])
    if is_told:
        idle = await meter_store.find_meter(tx.connection, reading.machine_id, MeterKind.IDLE_HOURS)
        previous = before.announced if before else None
        await tell(tx, announcer, [(reading, previous, idle.life if idle else None)])
    return reading


async def _update_all(connection: Connection, readings: Sequence[MeterReading]) -> None:
    for reading in readings:
        await meter_store.update_reading(connection, reading)


async def _lock_meter(
    tx: Transaction, machine_id: UUID, kind: MeterKind, *, viewer: Principal
) -> Meter:
    """Return a meter of a machine that the viewer owns or has, locked.

    Raises:
        NotFound: There is none.
    """
    machine = await machine_store.find_machine_seen(tx.connection, machine_id, viewer=viewer)
    meter = await meter_store.lock_meter(tx.connection, machine_id, kind)
    if machine is None or meter is None:
        raise NotFound(f"{name('machines', machine_id)}/meters/{kind.value}")
    return meter
