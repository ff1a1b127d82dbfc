"""All SQL of lease programmes."""

from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from services.finmath.day_count import DayCount
from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.leasing.programme_model import Programme, ProgrammeState, ProgrammeTerms

_TERMS = [field.name for field in fields(ProgrammeTerms)]
_COLUMNS = f"""
    p.id, p.version, p.event_sequence, p.state, p.lessor, r.revision, p.create_time,
    case when r.revision = p.revision then p.update_time else r.publish_time end as update_time,
    {", ".join(f"r.{column}" for column in _TERMS)}
"""


async def insert_programme(connection: Connection, programme: Programme) -> None:
    """Write a new programme and its first revision."""
    await connection.execute(
        """
        insert into programme
            (id, version, event_sequence, state, lessor, revision, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $7)
        """,
        programme.id,
        programme.version,
        programme.event_sequence,
        programme.state,
        programme.lessor,
        programme.revision,
        programme.create_time,
    )
    await insert_revision(connection, programme, at=programme.create_time)


async def insert_revision(connection: Connection, programme: Programme, *, at: datetime) -> None:
    """Write what a programme offers at its revision."""
    values = [getattr(programme.terms, column) for column in _TERMS]
    places = ", ".join(f"${place}" for place in range(4, 4 + len(values)))
    await connection.execute(
        f"""
        insert into programme_revision (programme_id, revision, publish_time, {", ".join(_TERMS)})
        values ($1, $2, $3, {places})
        """,
        programme.id,
        programme.revision,
        at,
        *values,
    )


async def find_programme(
    connection: Connection, programme_id: UUID, *, viewer: Principal, revision: int = 0
) -> Programme | None:
    """Return a programme that the viewer may see, at a revision; 0 is the latest."""
    row = await connection.fetchrow(
        f"""
        select {_COLUMNS} from programme p join programme_revision r on r.programme_id = p.id
            and r.revision = case when $2 = 0 then p.revision else $2 end
        where p.id = $1 and ($3 or p.state = 'PUBLISHED' or p.lessor = $4)
        """,
        programme_id,
        revision,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _programme(row)


async def lock_programme(
    connection: Connection, programme_id: UUID, *, lessor: str
) -> Programme | None:
    """Return a lessor's own programme at its latest revision, locked for change."""
    row = await connection.fetchrow(
        f"""
        select {_COLUMNS} from programme p
            join programme_revision r on r.programme_id = p.id and r.revision = p.revision
        where p.id = $1 and p.lessor = $2 for no key update of p
        """,
        programme_id,
        lessor,
    )
    return None if row is None else _programme(row)


async def list_programmes(
    connection: Connection,
    *,
    viewer: Principal,
    lessor: str,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Programme]:
    """Return programmes that the viewer may see, the newest first, after a (create time, id)."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from programme p
            join programme_revision r on r.programme_id = p.id and r.revision = p.revision
        where ($1 or p.state = 'PUBLISHED' or p.lessor = $2) and ($3 = '' or p.lessor = $3)
          and ($4::timestamptz is null or (p.create_time, p.id) < ($4, $5::uuid))
        order by p.create_time desc, p.id desc limit $6
        """,
        viewer.sees_all,
        viewer.party,
        lessor,
        *(after or (None, None)),
        limit,
    )
    return [_programme(row) for row in rows]


async def update_programme(connection: Connection, programme: Programme) -> None:
    """Write a programme's state, revision and event sequence."""
    await connection.execute(
        """
        update programme set version = $2, event_sequence = $3, state = $4, revision = $5,
            update_time = $6
        where id = $1
        """,
        programme.id,
        programme.version,
        programme.event_sequence,
        programme.state,
        programme.revision,
        programme.update_time,
    )


def _programme(row: Row) -> Programme:
    terms = {column: row[column] for column in _TERMS} | {"day_count": DayCount(row["day_count"])}
    return Programme(
        id=row["id"],
        version=row["version"],
        event_sequence=row["event_sequence"],
        state=ProgrammeState(row["state"]),
        lessor=row["lessor"],
        revision=row["revision"],
        terms=ProgrammeTerms(**terms),
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
