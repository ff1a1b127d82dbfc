"""All SQL of the values along which draws are covered."""

from datetime import datetime
from uuid import UUID

from services.finance.cover_model import ValueCurve
from services.kit.connection import Connection


async def write_curve(connection: Connection, curve: ValueCurve, *, at: datetime) -> None:
    """Keep the curve of a draw's newest valuation."""
    await connection.execute(
        """
        insert into draw_curve (draw_id, valuation, as_of, olv_q10_fen, flv_q10_fen, update_time)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (draw_id) do update
        set valuation = excluded.valuation, as_of = excluded.as_of,
            olv_q10_fen = excluded.olv_q10_fen, flv_q10_fen = excluded.flv_q10_fen,
            update_time = excluded.update_time
        """,
        curve.draw_id,
        curve.valuation,
        curve.as_of,
        curve.olv_q10_fen,
        curve.flv_q10_fen,
        at,
    )


async def find_curve(connection: Connection, draw_id: UUID) -> ValueCurve | None:
    """Return the curve of a draw's newest valuation, or None where none has been read."""
    row = await connection.fetchrow(
        """
        select draw_id, valuation, as_of, olv_q10_fen, flv_q10_fen from draw_curve
        where draw_id = $1
        """,
        draw_id,
    )
    return None if row is None else ValueCurve(**row)
