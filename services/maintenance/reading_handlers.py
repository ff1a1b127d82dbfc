"""What the title holder decides on a machine's readings, one transaction a command."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.maintenance import machine_store, meter_store
from services.maintenance.announcer import Announcer
from services.maintenance.errors import MeterWouldFall
from services.maintenance.lifecycle import METER_READING
from services.maintenance.meter_handlers import move
from services.maintenance.meter_model import (
    Meter,
    MeterReading,
    ReadingSource,
    ReadingState,
    new_meter,
)
from services.maintenance.work_errors import NotYourMachine


async def accept(
    tx: Transaction, reading_id: UUID, *, etag: str, comment: str, viewer: Principal
) -> MeterReading:
    """Count a quarantined reading after all.

    Raises:
        NotFound, NotYourMachine, EtagMismatch, TransitionRefused: As they say.
        MeterWouldFall: It lies below the last accepted one.
    """
    reading, meter, announcer = await _lock_for_decision(tx, reading_id, viewer=viewer)
    check_etag(etag, reading.version)
    step = METER_READING.next(reading.state, "accept", subject=reading.name)
    machine = name("machines", reading.machine_id)
    if meter is None:
        moved: Meter | None = new_meter(
            reading.machine_id,
            reading.kind,
            figure=reading.figure,
            read_at=reading.read_at,
            now=tx.now,
        )
    elif reading.read_at <= meter.read_at:
        if reading.figure > meter.figure:
            raise MeterWouldFall(machine, figure=reading.figure, beside=meter.figure)
        moved = None
    else:
        if reading.figure < meter.figure:
            raise MeterWouldFall(machine, figure=reading.figure, beside=meter.figure)
        moved = meter._replace(
            version=meter.version + 1,
            figure=reading.figure,
            read_at=reading.read_at,
            update_time=tx.now,
        )
    after = moved or meter
    assert after is not None
    accepted = _decided(tx, reading, step.target, comment=comment, viewer=viewer)
    accepted = replace(accepted, run_before=after.run_before)
    if moved is None:
        await meter_store.update_reading(tx.connection, accepted)
        return accepted
    return await move(tx, announcer, meter, moved, accepted, is_new=False)


async def reject(
    tx: Transaction, reading_id: UUID, *, etag: str, comment: str, viewer: Principal
) -> MeterReading:
    """Turn a quarantined reading away for good.

    Raises:
        NotFound, NotYourMachine, EtagMismatch, TransitionRefused: As they say.
    """
    reading, _, _ = await _lock_for_decision(tx, reading_id, viewer=viewer)
    check_etag(etag, reading.version)
    step = METER_READING.next(reading.state, "reject", subject=reading.name)
    rejected = _decided(tx, reading, step.target, comment=comment, viewer=viewer)
    await meter_store.update_reading(tx.connection, rejected)
    return rejected


async def correct(
    tx: Transaction,
    reading_id: UUID,
    *,
    etag: str,
    figure: Decimal,
    comment: str,
    viewer: Principal,
) -> MeterReading:
    """Put a right figure in the place of an accepted one, which stays as CORRECTED.

    Raises:
        NotFound, NotYourMachine, EtagMismatch, TransitionRefused: As they say.
        MeterWouldFall: The figure contradicts the readings before or after it.
    """
    wrong, meter, announcer = await _lock_for_decision(tx, reading_id, viewer=viewer)
    check_etag(etag, wrong.version)
    step = METER_READING.next(wrong.state, "correct", subject=wrong.name)
    assert meter is not None
    assert wrong.run_before is not None
    is_last = meter.read_at <= wrong.read_at
    before, after = await meter_store.neighbours(tx.connection, wrong)
    life = figure + wrong.run_before
    machine = name("machines", wrong.machine_id)
    floor = before.life if before else None
    ceiling = after.life if after else None if is_last else meter.life
    if floor is not None and life < floor:
        raise MeterWouldFall(machine, figure=life, beside=floor)
    if ceiling is not None and life > ceiling:
        raise MeterWouldFall(machine, figure=life, beside=ceiling)
    await meter_store.update_reading(
        tx.connection, _decided(tx, wrong, step.target, comment=comment, viewer=viewer)
    )
    right = replace(
        wrong,
        id=new_id(),
        version=1,
        figure=figure,
        source=ReadingSource.CORRECTION,
        reporter=viewer.actor,
        last_figure=wrong.figure,
        corrects=wrong.id,
        comment=comment,
        decided_by=viewer.actor,
        create_time=tx.now,
        update_time=tx.now,
    )
    moved = meter
    if is_last:
        moved = meter._replace(version=meter.version + 1, figure=figure, update_time=tx.now)
    return await move(tx, announcer, meter, moved, right)


async def _lock_for_decision(
    tx: Transaction, reading_id: UUID, *, viewer: Principal
) -> tuple[MeterReading, Meter | None, Announcer]:
    """Return a reading, its meter and its machine, all locked; the title holder decides.

    Raises:
        NotFound: The machine is not the caller's to see.
        NotYourMachine: The caller has it and does not own it.
    """
    seen = await meter_store.find_reading_seen(tx.connection, reading_id, viewer=viewer)
    if seen is None:
        raise NotFound(name("meterReadings", reading_id))
    meter = await meter_store.lock_meter(tx.connection, seen.machine_id, seen.kind)
    machines = await machine_store.lock_machines(tx.connection, [seen.machine_id])
    machine = machines[seen.machine_id]
    if not viewer.sees_all and machine.title_holder != viewer.party:
        raise NotYourMachine("decide on its readings", machine.name)
    reading = await meter_store.lock_reading(tx.connection, reading_id)
    assert reading is not None
    return reading, meter, Announcer(tx, machines)


def _decided(
    tx: Transaction, reading: MeterReading, state: ReadingState, *, comment: str, viewer: Principal
) -> MeterReading:
    return replace(
        reading,
        version=reading.version + 1,
        state=state,
        comment=comment,
        decided_by=viewer.actor,
        update_time=tx.now,
    )
