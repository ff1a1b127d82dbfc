"""All SQL of facilities."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.finance.facility_model import Basis, Facility, FacilityState
from services.finance.policy_model import Parameter
from services.finmath.day_count import DayCount
from services.kit.connection import Connection, Row
from services.kit.principals import Principal


async def insert_facility(connection: Connection, facility: Facility) -> None:
    """Write a new facility."""
    await connection.execute(
        """
        insert into facility
            (id, state, funder, borrower, limit_fen, nominal_rate, day_count, basis, overrides,
             create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
        """,
        facility.id,
        facility.state,
        facility.funder,
        facility.borrower,
        facility.limit_fen,
        facility.nominal_rate,
        facility.day_count,
        facility.basis,
        {parameter: str(value) for parameter, value in facility.overrides.items()},
        facility.create_time,
    )


async def find_facility(
    connection: Connection, facility_id: UUID, *, viewer: Principal
) -> Facility | None:
    """Return a facility that the viewer may see: as its funder or borrower, or any."""
    row = await connection.fetchrow(
        "select * from facility where id = $1 and ($2 or funder = $3 or borrower = $3)",
        facility_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _facility(row)


async def get_facility(connection: Connection, facility_id: UUID) -> Facility:
    """Return a facility that is known to exist."""
    row = await connection.fetchrow("select * from facility where id = $1", facility_id)
    assert row is not None
    return _facility(row)


async def lock_facility(connection: Connection, facility_id: UUID) -> Facility:
    """Return a facility that is known to exist, locked for change."""
    row = await connection.fetchrow(
        "select * from facility where id = $1 for no key update", facility_id
    )
    assert row is not None
    return _facility(row)


async def lock_facility_of_funder(
    connection: Connection, facility_id: UUID, *, funder: str
) -> Facility | None:
    """Return a funder's own facility, locked for change."""
    row = await connection.fetchrow(
        "select * from facility where id = $1 and funder = $2 for no key update",
        facility_id,
        funder,
    )
    return None if row is None else _facility(row)


async def find_facility_of_borrower(
    connection: Connection, facility_id: UUID, *, borrower: str
) -> Facility | None:
    """Return a borrower's own facility."""
    row = await connection.fetchrow(
        "select * from facility where id = $1 and borrower = $2", facility_id, borrower
    )
    return None if row is None else _facility(row)


async def list_facilities(
    connection: Connection,
    *,
    viewer: Principal,
    state: str | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Facility]:
    """Return facilities that the viewer may see, the newest first, after a (create_time, id)."""
    rows = await connection.fetch(
        """
        select * from facility
        where ($1 or funder = $2 or borrower = $2)
          and ($3::text is null or state = $3)
          and ($4::timestamptz is null or (create_time, id) < ($4, $5::uuid))
        order by create_time desc, id desc limit $6
        """,
        viewer.sees_all,
        viewer.party,
        state,
        *(after or (None, None)),
        limit,
    )
    return [_facility(row) for row in rows]


async def update_facility(
    connection: Connection, facility: Facility, *, at: datetime, events: int = 0
) -> Facility:
    """Write a locked facility's state and amounts; takes `events` event sequences."""
    row = await connection.fetchrow(
        """
        update facility set state = $2, outstanding_fen = $3, reserved_fen = $4,
            version = version + 1, event_sequence = event_sequence + $5, update_time = $6
        where id = $1 returning *
        """,
        facility.id,
        facility.state,
        facility.outstanding_fen,
        facility.reserved_fen,
        events,
        at,
    )
    assert row is not None
    return _facility(row)


def _facility(row: Row) -> Facility:
    return Facility(
        **{
            **row,
            "state": FacilityState(row["state"]),
            "day_count": DayCount(row["day_count"]),
            "basis": Basis(row["basis"]),
            "overrides": {
                Parameter(key): Decimal(value) for key, value in row["overrides"].items()
            },
        }
    )
