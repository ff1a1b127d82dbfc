"""All SQL of readings as they were sent."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.copying import copy_while
from services.maintenance.telemetry_model import Series, TelemetryRow, Unit

_COLUMNS = """
    machine_id, element, read_at, label, value, longitude, altitude, capacity, units, text, extras
"""


ROWS_A_CHUNK = 250  # PostgreSQL takes the first ones while the next are written out


async def copy_rows(
    connection: Connection, rows: Sequence[TelemetryRow], *, meanwhile: Callable[[], None]
) -> None:
    """Write new readings by COPY, the fastest way in.

    Args:
        meanwhile: What can be done while PostgreSQL takes them.

    Raises:
        asyncpg.UniqueViolationError: One of them is there; none is written, and the transaction
            must go back.
    """
    await copy_while(
        connection,
        "telemetry",
        (
            "".join(_lines(rows[start : start + ROWS_A_CHUNK])).encode()
            for start in range(0, len(rows), ROWS_A_CHUNK)
        ),
        columns=TelemetryRow._fields,
        form="text",
        meanwhile=meanwhile,
    )


def _lines(rows: Sequence[TelemetryRow]) -> Iterator[str]:
    """Yield rows in the text format of COPY; no text of them holds a tab or a line's end."""
    null, last_id, machine, last_at, instant = _NULL, None, "", None, ""
    for (
        machine_id,
        element,
        read_at,
        label,
        value,
        longitude,
        altitude,
        capacity,
        units,
        text,
        extras,
    ) in rows:
        # Rows of one machine come together, and so do those of one instant.
        if machine_id is not last_id:
            last_id, machine = machine_id, str(machine_id)
        if read_at is not last_at:
            last_at, instant = read_at, str(read_at)
        yield (
            f"{machine}\t{element}\t{instant}\t{_escaped(label) if label else ''}\t"
            f"{null if value is None else value}\t{null if longitude is None else longitude}\t"
            f"{null if altitude is None else altitude}\t{null if capacity is None else capacity}\t"
            f"{null if units is None else _escaped(units)}\t"
            f"{null if text is None else _escaped(text)}\t"
            f"{null if extras is None else _escaped(extras)}\n"
        )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\")


_NULL = "\\N"


async def insert_missing(
    connection: Connection, rows: Sequence[TelemetryRow]
) -> list[tuple[UUID, int, str, datetime]]:
    """Write the readings that are not there yet; return their keys."""
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    written = await connection.fetch(
        f"""
        insert into telemetry ({_COLUMNS})
        select * from unnest(
            $1::uuid[], $2::smallint[], $3::timestamptz[], $4::text[], $5::numeric[],
            $6::numeric[], $7::numeric[], $8::numeric[], $9::text[], $10::text[], $11::json[])
        on conflict do nothing returning machine_id, element, label, read_at
        """,
        *columns,
    )
    return [tuple(row) for row in written]


async def note_series(connection: Connection, series: Sequence[Series]) -> None:
    """Note that there are readings of these series."""
    ordered = sorted(series)
    await connection.execute(
        """
        insert into telemetry_series (machine_id, element, label)
        select * from unnest($1::uuid[], $2::smallint[], $3::text[]) on conflict do nothing
        """,
        [one[0] for one in ordered],
        [one[1] for one in ordered],
        [one[2] for one in ordered],
    )


async def latest(
    connection: Connection, machine_ids: Sequence[UUID]
) -> dict[UUID, list[TelemetryRow]]:
    """Return the newest reading of each series of some machines, by machine.

    Each is one look into the newest partition that has the series: partitions are ordered.
    """
    rows = await connection.fetch(
        f"""
        select {
            _COLUMNS.replace("machine_id", "s.machine_id")
            .replace(" element", " s.element")
            .replace(" label", " s.label")
        }
        from telemetry_series s cross join lateral (
            select read_at, value, longitude, altitude, capacity, units, text, extras
            from telemetry t
            where t.machine_id = s.machine_id and t.element = s.element and t.label = s.label
            order by read_at desc limit 1) as newest
        where s.machine_id = any ($1::uuid[]) order by s.machine_id, s.element, s.label
        """,
        machine_ids,
    )
    found: dict[UUID, list[TelemetryRow]] = {machine_id: [] for machine_id in machine_ids}
    for row in rows:
        found[row["machine_id"]].append(_row(row))
    return found


async def list_readings(
    connection: Connection,
    machine_id: UUID,
    elements: Collection[int],
    *,
    since: datetime | None,
    until: datetime | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[TelemetryRow]:
    """Return the readings of elements of a machine in a span of time, the oldest first."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from telemetry
        where machine_id = $1 and element = any ($2::smallint[])
            and ($3::timestamptz is null or read_at >= $3)
            and ($4::timestamptz is null or read_at < $4)
            and ($5::timestamptz is null or (read_at, label) > ($5, $6::text))
        order by read_at, label limit $7
        """,
        machine_id,
        list(elements),
        since,
        until,
        *(after or (None, None)),
        limit,
    )
    return [_row(row) for row in rows]


async def list_span(
    connection: Connection,
    machine_id: UUID,
    element: int,
    *,
    since: datetime,
    until: datetime,
    offset: int,
    limit: int,
) -> list[TelemetryRow]:
    """Return some of the readings of an element in a span of time, the oldest first."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from telemetry
        where machine_id = $1 and element = $2 and read_at >= $3 and read_at < $4
        order by read_at, label offset $5 limit $6
        """,
        machine_id,
        element,
        since,
        until,
        offset,
        limit,
    )
    return [_row(row) for row in rows]


async def make_partition(connection: Connection, month: date) -> bool:
    """Make a month's partition; False where it exists."""
    made: bool = await connection.fetchval("select make_telemetry_partition($1)", month)
    return made


def _row(row: Row) -> TelemetryRow:
    return TelemetryRow(**{column: row[column] for column in TelemetryRow._fields})


async def save_units(connection: Connection, units: Mapping[UUID, Unit], *, at: datetime) -> None:
    """Keep how a sender knows machines; what has not changed is not written."""
    rows = [(machine_id, *units[machine_id]) for machine_id in sorted(units)]
    await connection.execute(
        """
        insert into fleet_unit (
            machine_id, equipment_id, oem_name, model, serial_number, pin, unit_install_time,
            extras, update_time)
        select *, $9::timestamptz from unnest(
            $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
            $7::timestamptz[], $8::json[])
        on conflict (machine_id) do update set
            equipment_id = excluded.equipment_id, oem_name = excluded.oem_name,
            model = excluded.model, serial_number = excluded.serial_number, pin = excluded.pin,
            unit_install_time = excluded.unit_install_time, extras = excluded.extras,
            update_time = excluded.update_time
        where (fleet_unit.equipment_id, fleet_unit.oem_name, fleet_unit.model,
               fleet_unit.serial_number, fleet_unit.pin, fleet_unit.unit_install_time,
               fleet_unit.extras::text)
            is distinct from (excluded.equipment_id, excluded.oem_name, excluded.model,
               excluded.serial_number, excluded.pin, excluded.unit_install_time,
               excluded.extras::text)
        """,
        *[[row[column] for row in rows] for column in range(8)],
        at,
    )


async def find_units(connection: Connection, machine_ids: Sequence[UUID]) -> dict[UUID, Unit]:
    """Return how senders know machines, by machine."""
    rows = await connection.fetch(
        """
        select machine_id, equipment_id, oem_name, model, serial_number, pin, unit_install_time,
            extras
        from fleet_unit where machine_id = any ($1::uuid[])
        """,
        machine_ids,
    )
    return {row["machine_id"]: tuple(row)[1:] for row in rows}
