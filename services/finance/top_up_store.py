"""All SQL of top-ups."""

from datetime import datetime
from uuid import UUID

from services.finance.top_up_model import TopUp, TopUpState
from services.kit.connection import Connection, Row


async def insert_top_up(connection: Connection, top_up: TopUp) -> None:
    """Write a new top-up."""
    await connection.execute(
        """
        insert into top_up (id, draw_id, state, amount_fen, hold_id, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $6)
        """,
        top_up.id,
        top_up.draw_id,
        top_up.state,
        top_up.amount_fen,
        top_up.hold_id,
        top_up.create_time,
    )


async def list_held(connection: Connection, draw_id: UUID) -> list[TopUp]:
    """Return the top-ups of a draw that are held, the oldest first."""
    rows = await connection.fetch(
        "select * from top_up where draw_id = $1 and state = 'HELD' order by id", draw_id
    )
    return [_top_up(row) for row in rows]


async def end_held(connection: Connection, draw_id: UUID, *, at: datetime) -> None:
    """Note that all held top-ups of a draw are released."""
    await connection.execute(
        """
        update top_up set state = 'RELEASED', update_time = $2
        where draw_id = $1 and state = 'HELD'
        """,
        draw_id,
        at,
    )


async def apply_held(
    connection: Connection, top_up_id: UUID, *, applied_fen: int, at: datetime
) -> None:
    """Note that a top-up went to the funder, as far as it was needed."""
    await connection.execute(
        """
        update top_up set state = 'APPLIED', applied_fen = $2, update_time = $3
        where id = $1 and state = 'HELD'
        """,
        top_up_id,
        applied_fen,
        at,
    )


def _top_up(row: Row) -> TopUp:
    return TopUp(**{**row, "state": TopUpState(row["state"])})
