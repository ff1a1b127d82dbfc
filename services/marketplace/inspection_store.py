"""All SQL of inspections."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from uuid import UUID

from services.kit.connection import Connection, Row
from services.marketplace.listing_model import ConditionGrade, Document, Inspection


async def insert_inspection(connection: Connection, inspection: Inspection) -> None:
    """Write an inspection; it never changes."""
    await connection.execute(
        """
        insert into inspection
            (id, listing_id, machine_id, inspector_party, inspector, inspected_on, grade,
             hours_meter, report, notes, create_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        inspection.id,
        inspection.listing_id,
        inspection.machine_id,
        inspection.inspector_party,
        inspection.inspector,
        inspection.inspected_on,
        inspection.grade,
        inspection.hours_meter,
        asdict(inspection.report),
        inspection.notes,
        inspection.create_time,
    )


async def last_inspections(
    connection: Connection, listing_ids: Sequence[UUID]
) -> dict[UUID, Inspection]:
    """Return the latest inspection of each listing that has one."""
    rows = await connection.fetch(
        """
        select distinct on (listing_id) * from inspection
        where listing_id = any ($1::uuid[]) order by listing_id, id desc
        """,
        listing_ids,
    )
    return {row["listing_id"]: _inspection(row) for row in rows}


async def find_last_inspection(
    connection: Connection, machine_id: UUID, *, until: date | None
) -> Inspection | None:
    """Return a machine's latest inspection, of a day or before."""
    row = await connection.fetchrow(
        """
        select * from inspection
        where machine_id = $1 and ($2::date is null or inspected_on <= $2)
        order by inspected_on desc, id desc limit 1
        """,
        machine_id,
        until,
    )
    return None if row is None else _inspection(row)


async def list_inspections(
    connection: Connection, listing_id: UUID, *, after: UUID | None, limit: int
) -> list[Inspection]:
    """Return a listing's inspections, the newest first, after an id."""
    rows = await connection.fetch(
        """
        select * from inspection where listing_id = $1 and ($2::uuid is null or id < $2)
        order by id desc limit $3
        """,
        listing_id,
        after,
        limit,
    )
    return [_inspection(row) for row in rows]


def _inspection(row: Row) -> Inspection:
    return Inspection(
        **{
            **row,
            "grade": ConditionGrade(row["grade"]),
            "hours_meter": Decimal(row["hours_meter"]),
            "report": Document(**row["report"]),
        }
    )
