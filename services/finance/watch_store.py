"""All SQL of lists of draws that the collateral watch shows."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from services.finance.draw_model import Draw
from services.finance.draw_store import draw_of
from services.kit.connection import Connection
from services.kit.ids import name
from services.kit.principals import Principal


async def list_watched(
    connection: Connection,
    *,
    viewer: Principal,
    state: str | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Draw]:
    """Return draws to look after that the viewer may see, after a (loan_to_value, id)."""
    rows = await connection.fetch(
        """
        select * from draw
        where state = 'ACTIVE' and (collateral_state <> 'COMPLIANT' or breach_month is not null)
          and ($1 or funder = $2 or borrower = $2)
          and ($3::text is null or collateral_state = $3)
          and ($4::numeric is null or (
              round((greatest(outstanding_fen - top_up_fen, 0) + senior_fen)::numeric
                  / greatest(collateral_fen, 1), 4), id) < ($4, $5::uuid))
        order by round((greatest(outstanding_fen - top_up_fen, 0) + senior_fen)::numeric
            / greatest(collateral_fen, 1), 4) desc, id desc
        limit $6
        """,
        viewer.sees_all,
        viewer.party,
        state,
        *(after or (None, None)),
        limit,
    )
    return [draw_of(row) for row in rows]


async def list_outstanding(connection: Connection, facility_id: UUID, *, limit: int) -> list[Draw]:
    """Return the draws of a facility whose machines secure what is outstanding, oldest first."""
    rows = await connection.fetch(
        """
        select * from draw
        where facility_id = $1 and (state = 'ACTIVE' or (state = 'DEFAULTED' and secured))
        order by create_time, id limit $2
        """,
        facility_id,
        limit,
    )
    return [draw_of(row) for row in rows]


async def list_active(connection: Connection, *, classes: Sequence[str] | None) -> list[str]:
    """Return the names of outstanding draws, one for each machine and funder.

    Args:
        classes: Only those on machines of these classes; None: of any.
    """
    rows = await connection.fetch(
        """
        select distinct on (machine, funder) id from draw
        where state = 'ACTIVE' and ($1::text[] is null or equipment_class = any($1))
        order by machine, funder, id
        """,
        None if classes is None else list(classes),
    )
    return [name("draws", row["id"]) for row in rows]
