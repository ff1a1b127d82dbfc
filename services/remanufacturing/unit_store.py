"""SQL of units. What is in stock everybody sees; the rest its maker, its buyer, who sees all."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.remanufacturing.certificate_model import RemanClass
from services.remanufacturing.stored import plain
from services.remanufacturing.unit_model import Installation, Unit, UnitState

# A unit's events are its order's.
_WHOLE_UNIT = "u.*, o.event_sequence from unit u join reman_order o on o.id = u.id"


async def insert_unit(connection: Connection, unit: Unit) -> None:
    """Write a unit that was put in stock."""
    await connection.execute(
        """
        insert into unit
            (id, version, state, remanufacturer, family_id, component, reman_class, label_no,
             serial_number, prior_serial_number, warranty_months, warranty_hours, price_fen,
             location, reference, buyer, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, '', '', $15, $15)
        """,
        unit.id,
        unit.version,
        unit.state,
        unit.remanufacturer,
        unit.family_id,
        unit.component,
        unit.reman_class,
        unit.label_no,
        unit.serial_number,
        unit.prior_serial_number,
        unit.warranty_months,
        unit.warranty_hours,
        unit.price_fen,
        unit.location,
        unit.create_time,
    )


async def find_unit(connection: Connection, unit_id: UUID, *, viewer: Principal) -> Unit | None:
    """Return a unit that the viewer made or bought, or may see as everybody's."""
    row = await connection.fetchrow(
        f"""
        select {_WHOLE_UNIT}
        where u.id = $1 and ($2 or u.remanufacturer = $3 or (u.buyer <> '' and u.buyer = $3))
        """,
        unit_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _unit(row)


async def lock_unit(connection: Connection, unit_id: UUID) -> Unit | None:
    """Return a unit, locked for change; its order is locked after it, never before."""
    locked = await connection.fetchval(
        "select id from unit where id = $1 for no key update", unit_id
    )
    return None if locked is None else await _get_unit(connection, unit_id)


async def lock_reserved(connection: Connection, family_id: UUID, *, reference: str) -> Unit | None:
    """Return the unit of a family that a reference holds, locked for change."""
    unit_id = await connection.fetchval(
        """
        select id from unit where reference = $2 and family_id = $1 and state = 'RESERVED'
        order by id limit 1 for no key update
        """,
        family_id,
        reference,
    )
    return None if unit_id is None else await _get_unit(connection, unit_id)


async def lock_longest_in_stock(
    connection: Connection, family_id: UUID, *, wait: bool
) -> Unit | None:
    """Return the unit of a family that has been in stock for longest, locked for change.

    Args:
        wait: Whether one that somebody else holds locked is waited for; else it is passed over.
    """
    unit_id = await connection.fetchval(
        f"""
        select id from unit where family_id = $1 and state = 'STOCKED'
        order by create_time, id limit 1 for no key update {"" if wait else "skip locked"}
        """,
        family_id,
    )
    return None if unit_id is None else await _get_unit(connection, unit_id)


async def list_units(
    connection: Connection,
    *,
    viewer: Principal,
    family_id: UUID | None,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[Unit]:
    """Return units that the viewer may see, the newest first, after an id."""
    asked = """($3::uuid is null or family_id = $3) and ($4::text is null or state = $4)
               and ($5::uuid is null or id < $5)"""
    rows = await connection.fetch(
        f"""
        select {_WHOLE_UNIT} where u.id in (
            (select id from unit where $1 and {asked} order by id desc limit $6)
            union
            (select id from unit
             where not $1 and state = 'STOCKED' and {asked} order by id desc limit $6)
            union
            (select id from unit
             where not $1 and remanufacturer = $2 and {asked} order by id desc limit $6)
            union
            (select id from unit
             where not $1 and buyer = $2 and buyer <> '' and {asked} order by id desc limit $6))
        order by u.id desc limit $6
        """,
        viewer.sees_all,
        viewer.party,
        family_id,
        state,
        after,
        limit,
    )
    return [_unit(row) for row in rows]


async def update_unit(connection: Connection, unit: Unit) -> None:
    """Write what may change of a unit."""
    await connection.execute(
        """
        update unit set version = $2, state = $3, reference = $4, installation = $5,
            warranty_end = $6, buyer = $7, update_time = $8
        where id = $1
        """,
        unit.id,
        unit.version,
        unit.state,
        unit.reference,
        plain(asdict(unit.installation)) if unit.installation else None,
        unit.warranty_end,
        unit.buyer,
        unit.update_time,
    )


async def _get_unit(connection: Connection, unit_id: UUID) -> Unit:
    row = await connection.fetchrow(f"select {_WHOLE_UNIT} where u.id = $1", unit_id)
    assert row is not None
    return _unit(row)


def _unit(row: Row) -> Unit:
    fields = {field: row[field] for field in Unit.__slots__}
    return Unit(
        **{
            **fields,
            "state": UnitState(row["state"]),
            "reman_class": RemanClass(row["reman_class"]),
            "installation": _installation(row["installation"]),
        }
    )


def _installation(stored: Mapping[str, Any] | None) -> Installation | None:
    if stored is None:
        return None
    return Installation(
        **{
            **stored,
            "installed_on": date.fromisoformat(stored["installed_on"]),
            "hours": Decimal(stored["hours"]),
        }
    )
