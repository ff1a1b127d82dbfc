"""All SQL of the meters that a batch of readings moves, by hundreds.

Figures and columns travel as texts, which cost the driver a fraction of values. What is computed
is apart from what is asked, so that it can be done while PostgreSQL takes the readings.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from services.kit.connection import Connection, Row
from services.maintenance.meter_model import Meter, MeterKind

Columns = tuple[str, ...]  # each the text of an array

_KINDS = {kind.value: kind for kind in MeterKind}


async def lock_meters(connection: Connection, machine_ids: Sequence[UUID]) -> list[Row]:
    """Return the rows of all meters of some machines, locked in the order of machine and kind."""
    return await connection.fetch(
        """
        select machine_id, kind, version, figure::text, run_before::text, read_at,
            rolls_over_at::text, replacements, roll_overs, announced::text, announced_on,
            create_time, update_time
        from meter where machine_id = any ($1::uuid[])
        order by machine_id, kind for no key update
        """,
        machine_ids,
    )


def meters_of(rows: Sequence[Row]) -> list[Meter]:
    """Return the meters of locked rows."""
    return [
        Meter(
            machine_id,
            _KINDS[kind],
            version,
            Decimal(figure),
            Decimal(run_before),
            read_at,
            None if rolls_over_at is None else Decimal(rolls_over_at),
            replacements,
            roll_overs,
            None if announced is None else Decimal(announced),
            *dates,
        )
        for (
            machine_id,
            kind,
            version,
            figure,
            run_before,
            read_at,
            rolls_over_at,
            replacements,
            roll_overs,
            announced,
            *dates,
        ) in rows
    ]


def advances_of(meters: Iterable[Meter]) -> Columns:
    """Return the columns of meters that only stand further on, which nearly all do."""
    return _columns((m.machine_id, m.kind, m.figure, m.read_at) for m in meters)


async def advance_meters(connection: Connection, columns: Columns, *, at: datetime) -> None:
    """Write where locked meters stand."""
    await connection.execute(
        """
        update meter m set version = m.version + 1, figure = moved.figure,
            read_at = moved.read_at, update_time = $5
        from unnest(
            $1::text::uuid[], $2::text::text[], $3::text::numeric[], $4::text::timestamptz[])
            as moved (machine_id, kind, figure, read_at)
        where m.machine_id = moved.machine_id and m.kind = moved.kind
        """,
        *columns,
        at,
    )


def changes_of(meters: Iterable[Meter]) -> Columns:
    """Return the columns of meters that rolled over or of which an event told."""
    return _columns(
        (
            m.machine_id,
            m.kind,
            m.figure,
            m.run_before,
            m.read_at,
            m.roll_overs,
            m.announced,
            m.announced_on,
        )
        for m in meters
    )


async def change_meters(connection: Connection, columns: Columns, *, at: datetime) -> None:
    """Write where locked meters stand and what else has changed of them."""
    await connection.execute(
        """
        update meter m set version = m.version + 1, figure = moved.figure,
            run_before = moved.run_before, read_at = moved.read_at, roll_overs = moved.roll_overs,
            announced = moved.announced, announced_on = moved.announced_on, update_time = $9
        from unnest(
            $1::text::uuid[], $2::text::text[], $3::text::numeric[], $4::text::numeric[],
            $5::text::timestamptz[], $6::text::int[], $7::text::numeric[], $8::text::date[])
            as moved (
                machine_id, kind, figure, run_before, read_at, roll_overs, announced, announced_on)
        where m.machine_id = moved.machine_id and m.kind = moved.kind
        """,
        *columns,
        at,
    )


def _columns(rows: Iterable[tuple[object, ...]]) -> Columns:
    """Return columns as texts of arrays of numbers, instants, ids or words of our own."""
    return tuple(
        f"{{{','.join(['null' if value is None else str(value) for value in column])}}}"
        for column in zip(*rows, strict=True)
    )
