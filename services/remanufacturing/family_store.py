"""SQL of part families, and how what they say is kept as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.remanufacturing.family_model import (
    Characteristic,
    FamilyContent,
    FamilyPart,
    GradeCode,
    GradeCodeKind,
    PartFamily,
)
from services.remanufacturing.stored import number_or_none, plain

_WHOLE_FAMILY = "f.*, v.content"
_WITH_CONTENT = """
    part_family f join part_family_version v on v.family_id = f.id and v.version = f.version
"""


async def insert_family(connection: Connection, family: PartFamily) -> bool:
    """Write a new family; False where its remanufacturer has one of its code."""
    written = await connection.fetchval(
        """
        insert into part_family
            (id, version, code, remanufacturer, component, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $6)
        on conflict (remanufacturer, code) do nothing returning true
        """,
        family.id,
        family.version,
        family.code,
        family.remanufacturer,
        family.content.component,
        family.create_time,
    )
    if written:
        await _insert_version(connection, family)
    return bool(written)


async def update_family(connection: Connection, family: PartFamily) -> None:
    """Write a family's next version."""
    await connection.execute(
        "update part_family set version = $2, component = $3, update_time = $4 where id = $1",
        family.id,
        family.version,
        family.content.component,
        family.update_time,
    )
    await _insert_version(connection, family)


async def find_family(connection: Connection, family_id: UUID) -> PartFamily | None:
    """Return a family as it is in force; families are everybody's to see."""
    row = await connection.fetchrow(
        f"select {_WHOLE_FAMILY} from {_WITH_CONTENT} where f.id = $1", family_id
    )
    return None if row is None else _family(row)


async def lock_family(
    connection: Connection, family_id: UUID, *, remanufacturer: str
) -> PartFamily | None:
    """Return a remanufacturer's own family, locked for change."""
    locked = await connection.fetchval(
        """
        select id from part_family where id = $1 and remanufacturer = $2 for no key update
        """,
        family_id,
        remanufacturer,
    )
    return None if locked is None else await find_family(connection, family_id)


async def get_content(connection: Connection, family_id: UUID, version: int) -> FamilyContent:
    """Return what a family said in a version."""
    content = await connection.fetchval(
        "select content from part_family_version where family_id = $1 and version = $2",
        family_id,
        version,
    )
    return _content(content)


async def list_families(
    connection: Connection,
    *,
    component: str | None,
    remanufacturer: str | None,
    after: UUID | None,
    limit: int,
) -> list[PartFamily]:
    """Return families, the newest first, after an id; without their parts, characteristics and
    grade codes, which would make a page of them large.
    """
    rows = await connection.fetch(
        f"""
        select f.*, v.content || '{{"parts": [], "characteristics": [], "grade_codes": []}}'
            as content
        from {_WITH_CONTENT}
        where ($1::text is null or f.component = $1)
          and ($2::text is null or f.remanufacturer = $2)
          and ($3::uuid is null or f.id < $3)
        order by f.id desc limit $4
        """,
        component,
        remanufacturer,
        after,
        limit,
    )
    return [_family(row) for row in rows]


async def _insert_version(connection: Connection, family: PartFamily) -> None:
    await connection.execute(
        "insert into part_family_version (family_id, version, content) values ($1, $2, $3)",
        family.id,
        family.version,
        plain(asdict(family.content)),
    )


def _family(row: Row) -> PartFamily:
    create_time: datetime = row["create_time"]
    return PartFamily(
        id=row["id"],
        version=row["version"],
        code=row["code"],
        remanufacturer=row["remanufacturer"],
        content=_content(row["content"]),
        create_time=create_time,
        update_time=row["update_time"],
    )


def _content(stored: Mapping[str, Any]) -> FamilyContent:
    return FamilyContent(
        **{
            **stored,
            "part_numbers": tuple(stored["part_numbers"]),
            "damaged_share": Decimal(stored["damaged_share"]),
            "grade_codes": tuple(grade_code(code) for code in stored["grade_codes"]),
            "parts": tuple(_part(part) for part in stored["parts"]),
            "characteristics": tuple(_characteristic(item) for item in stored["characteristics"]),
            "new_co2_kg": Decimal(stored["new_co2_kg"]),
            "process_co2_kg": Decimal(stored["process_co2_kg"]),
        }
    )


def grade_code(stored: Mapping[str, Any]) -> GradeCode:
    """Return a grade code as it was stored."""
    return GradeCode(**{**stored, "kind": GradeCodeKind(stored["kind"])})


def _part(stored: Mapping[str, Any]) -> FamilyPart:
    return FamilyPart(
        **{
            **stored,
            "substitutes": tuple(stored["substitutes"]),
            "mass_kg": Decimal(stored["mass_kg"]),
        }
    )


def _characteristic(stored: Mapping[str, Any]) -> Characteristic:
    limits = ("lower", "upper", "original_lower", "original_upper")
    return Characteristic(
        **{**stored, **{limit: number_or_none(stored[limit]) for limit in limits}}
    )
