"""All SQL of what disposals left unpaid."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from uuid import UUID

from services.finance.claim_model import Claim, ClaimState
from services.kit.connection import Connection, Row


async def insert_claim(connection: Connection, claim: Claim) -> None:
    """Write what a disposal left of a draw."""
    await connection.execute(
        """
        insert into claim
            (id, draw_id, state, transfer_ids, paid_fen, interest_fen, principal_fen, penalty_fen,
             as_of, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        *(getattr(claim, field.name) for field in fields(Claim)),
    )


async def find_claim(connection: Connection, draw_id: UUID) -> Claim | None:
    """Return what a disposal left of a draw, or None where there was no disposal."""
    row = await connection.fetchrow("select * from claim where draw_id = $1", draw_id)
    return None if row is None else _claim(row)


async def list_claims_of(connection: Connection, draw_ids: Sequence[UUID]) -> dict[UUID, Claim]:
    """Return what disposals left of several draws, by draw."""
    rows = await connection.fetch("select * from claim where draw_id = any($1::uuid[])", draw_ids)
    return {row["draw_id"]: _claim(row) for row in rows}


async def close_claim(connection: Connection, draw_id: UUID, *, at: datetime) -> None:
    """Note that what a disposal left of a draw is paid."""
    await connection.execute(
        "update claim set state = 'PAID', update_time = $2 where draw_id = $1", draw_id, at
    )


def _claim(row: Row) -> Claim:
    return Claim(**{**row, "state": ClaimState(row["state"])})
