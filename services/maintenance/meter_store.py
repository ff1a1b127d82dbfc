"""All SQL of meters, their readings and their replacements."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.maintenance.meter_model import (
    Meter,
    MeterKind,
    MeterReading,
    ReadingSource,
    ReadingState,
    Reason,
    Replacement,
)

_METER = """
    machine_id, kind, version, figure, run_before, read_at, rolls_over_at, replacements, roll_overs,
    announced, announced_on, create_time, update_time
"""
_READING = """
    id, state, machine_id, kind, figure, run_before, read_at, source, create_time, update_time,
    version, event_sequence, reference, reporter, reason, last_figure, occurrences, corrects,
    comment, decided_by
"""


async def lock_meter(connection: Connection, machine_id: UUID, kind: MeterKind) -> Meter | None:
    """Return a meter, locked for change; it is locked before its machine."""
    row = await connection.fetchrow(
        f"select {_METER} from meter where machine_id = $1 and kind = $2 for no key update",
        machine_id,
        kind.value,
    )
    return None if row is None else _meter(row)


async def find_meter(connection: Connection, machine_id: UUID, kind: MeterKind) -> Meter | None:
    """Return a meter."""
    row = await connection.fetchrow(
        f"select {_METER} from meter where machine_id = $1 and kind = $2", machine_id, kind.value
    )
    return None if row is None else _meter(row)


async def find_hours(connection: Connection, machine_id: UUID) -> Decimal | None:
    """Return the hours of a machine's life as last accepted; None where it never reported any."""
    hours: Decimal | None = await connection.fetchval(
        "select figure + run_before from meter where machine_id = $1 and kind = 'HOURS'", machine_id
    )
    return hours


async def count_quarantined(connection: Connection, machine_id: UUID, kind: MeterKind) -> int:
    """Return how many readings of a meter wait for a decision."""
    count: int = await connection.fetchval(
        """
        select count(*) from meter_reading
        where machine_id = $1 and kind = $2 and state = 'QUARANTINED'
        """,
        machine_id,
        kind.value,
    )
    return count


async def save_meters(connection: Connection, meters: Sequence[Meter]) -> None:
    """Write meters, new ones too; of two first readings at once the newer stays."""
    rows = [tuple(meter) for meter in meters]
    await connection.executemany(
        f"""
        insert into meter ({_METER})
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        on conflict (machine_id, kind) do update set
            version = excluded.version, figure = excluded.figure, run_before = excluded.run_before,
            read_at = excluded.read_at, rolls_over_at = excluded.rolls_over_at,
            replacements = excluded.replacements, roll_overs = excluded.roll_overs,
            announced = excluded.announced, announced_on = excluded.announced_on,
            update_time = excluded.update_time
        where excluded.version > meter.version or excluded.read_at > meter.read_at
        """,
        rows,
    )


async def insert_readings(connection: Connection, readings: Sequence[MeterReading]) -> None:
    """Write readings; a machine's quarantined one takes the place of the like before it."""
    rows = [_values(reading) for reading in readings]
    await connection.execute(
        f"""
        insert into meter_reading ({_READING})
        select * from unnest(
            $1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::numeric[], $6::numeric[],
            $7::timestamptz[], $8::text[], $9::timestamptz[], $10::timestamptz[], $11::bigint[],
            $12::bigint[], $13::text[], $14::text[], $15::text[], $16::numeric[], $17::int[],
            $18::uuid[], $19::text[], $20::text[])
        on conflict (machine_id, kind, reason)
            where state = 'QUARANTINED' and source = 'TELEMETRY' do update set
            version = meter_reading.version + 1, figure = excluded.figure,
            read_at = excluded.read_at, last_figure = excluded.last_figure,
            occurrences = meter_reading.occurrences + excluded.occurrences,
            update_time = excluded.update_time
        """,
        *_columns(rows, width=20),
    )


async def update_reading(connection: Connection, reading: MeterReading) -> None:
    """Write what was decided on a reading."""
    await connection.execute(
        """
        update meter_reading set version = $2, event_sequence = $3, state = $4, run_before = $5,
            comment = $6, decided_by = $7, update_time = $8
        where id = $1
        """,
        reading.id,
        reading.version,
        reading.event_sequence,
        reading.state.value,
        reading.run_before,
        reading.comment,
        reading.decided_by,
        reading.update_time,
    )


async def find_reported(
    connection: Connection, machine_id: UUID, kind: MeterKind, *, read_at: datetime
) -> MeterReading | None:
    """Return the reading that was reported of an instant."""
    row = await connection.fetchrow(
        f"""
        select {_READING} from meter_reading
        where machine_id = $1 and kind = $2 and read_at = $3 and source = 'REPORTED'
        """,
        machine_id,
        kind.value,
        read_at,
    )
    return None if row is None else _reading(row)


async def find_reading(connection: Connection, reading_id: UUID) -> MeterReading | None:
    """Return a reading, whoever asks."""
    row = await connection.fetchrow(
        f"select {_READING} from meter_reading where id = $1", reading_id
    )
    return None if row is None else _reading(row)


async def find_reading_seen(
    connection: Connection, reading_id: UUID, *, viewer: Principal
) -> MeterReading | None:
    """Return a reading of a machine that the viewer owns or has."""
    row = await connection.fetchrow(
        f"""
        select {_READING} from meter_reading r
        where id = $1 and exists (
            select from monitored_machine m
            where m.id = r.machine_id and ($2 or m.title_holder = $3 or m.custodian = $3))
        """,
        reading_id,
        viewer.sees_all,
        viewer.party or None,
    )
    return None if row is None else _reading(row)


async def lock_reading(connection: Connection, reading_id: UUID) -> MeterReading | None:
    """Return a reading, locked; its meter is locked before it."""
    row = await connection.fetchrow(
        f"select {_READING} from meter_reading where id = $1 for no key update", reading_id
    )
    return None if row is None else _reading(row)


async def neighbours(
    connection: Connection, reading: MeterReading
) -> tuple[MeterReading | None, MeterReading | None]:
    """Return the accepted readings right before and after one."""
    found: list[MeterReading | None] = []
    for comparison, order in (("<", "desc"), (">", "asc")):
        row = await connection.fetchrow(
            f"""
            select {_READING} from meter_reading
            where machine_id = $1 and kind = $2 and state = 'ACCEPTED' and id <> $3
                and read_at {comparison} $4
            order by read_at {order}, id {order} limit 1
            """,
            reading.machine_id,
            reading.kind.value,
            reading.id,
            reading.read_at,
        )
        found.append(None if row is None else _reading(row))
    before, after = found
    return before, after


async def list_readings(
    connection: Connection,
    machine_id: UUID,
    kind: MeterKind,
    *,
    state: ReadingState | None,
    since: datetime | None,
    until: datetime | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[MeterReading]:
    """Return the readings of a meter in a span of time, the newest first."""
    rows = await connection.fetch(
        f"""
        select {_READING} from meter_reading
        where machine_id = $1 and kind = $2 and ($3::text is null or state = $3)
            and ($4::timestamptz is null or read_at >= $4)
            and ($5::timestamptz is null or read_at < $5)
            and ($6::timestamptz is null or (read_at, id) < ($6, $7::uuid))
        order by read_at desc, id desc limit $8
        """,
        machine_id,
        kind.value,
        None if state is None else state.value,
        since,
        until,
        *(after or (None, None)),
        limit,
    )
    return [_reading(row) for row in rows]


async def insert_replacement(connection: Connection, replacement: Replacement) -> None:
    """Write a replacement of a meter down."""
    await connection.execute(
        """
        insert into meter_replacement (
            id, machine_id, kind, replace_time, old_figure, new_figure, reference, recorded_by,
            create_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        *(getattr(replacement, field) for field in Replacement.__slots__),
    )


def _values(reading: MeterReading) -> tuple[Any, ...]:
    return tuple(getattr(reading, field) for field in MeterReading.__slots__)


def _columns(rows: Sequence[tuple[Any, ...]], *, width: int) -> list[list[Any]]:
    return [[row[column] for row in rows] for column in range(width)]


def _meter(row: Row) -> Meter:
    return Meter(row[0], MeterKind(row[1]), *row[2:])


def _reading(row: Row) -> MeterReading:
    values = dict(row)
    return MeterReading(
        **values
        | {
            "state": ReadingState(values["state"]),
            "kind": MeterKind(values["kind"]),
            "source": ReadingSource(values["source"]),
            "reason": Reason(values["reason"]),
        }
    )
