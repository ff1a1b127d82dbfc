"""All SQL of shortfalls of collateral."""

from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from services.finance.shortfall_model import Shortfall, ShortfallState
from services.kit.connection import Connection, Row
from services.kit.principals import Principal


async def insert_shortfall(connection: Connection, shortfall: Shortfall) -> None:
    """Write a new shortfall."""
    await connection.execute(
        """
        insert into shortfall
            (id, draw_id, machine, funder, borrower, state, cause, month, loan_to_value,
             paydown_fen, valuation, cure_by, create_time, end_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        """,
        *(getattr(shortfall, field.name) for field in fields(Shortfall)),
    )


async def end_shortfall(
    connection: Connection, draw_id: UUID, *, state: ShortfallState, at: datetime
) -> None:
    """End the open shortfall of a draw, where there is one."""
    await connection.execute(
        "update shortfall set state = $2, end_time = $3 where draw_id = $1 and state = 'OPEN'",
        draw_id,
        state,
        at,
    )


async def list_shortfalls(
    connection: Connection,
    *,
    viewer: Principal,
    state: str | None,
    draw_id: UUID | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Shortfall]:
    """Return shortfalls that the viewer may see, the newest first, after a (create_time, id)."""
    rows = await connection.fetch(
        """
        select * from shortfall
        where ($1 or funder = $2 or borrower = $2)
          and ($3::text is null or state = $3)
          and ($4::uuid is null or draw_id = $4)
          and ($5::timestamptz is null or (create_time, id) < ($5, $6::uuid))
        order by create_time desc, id desc limit $7
        """,
        viewer.sees_all,
        viewer.party,
        state,
        draw_id,
        *(after or (None, None)),
        limit,
    )
    return [_shortfall(row) for row in rows]


def _shortfall(row: Row) -> Shortfall:
    return Shortfall(**{**row, "state": ShortfallState(row["state"])})
