"""SQL of holds: pending transfers until they are resolved or expire."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.kit.connection import Connection, Row
from services.settlement.commit_store import LedgerBroken
from services.settlement.ledger_state import Hold, HoldState


async def find_ledger_of_hold(connection: Connection, pending_ids: Sequence[UUID]) -> int | None:
    """Return the ledger of the first pending transfer that exists."""
    ledger: int | None = await connection.fetchval(
        """
        select h.ledger from unnest($1::uuid[]) with ordinality as p (id, place)
        join hold h on h.pending_id = p.id order by place limit 1
        """,
        pending_ids,
    )
    return ledger


async def find_holds(connection: Connection, pending_ids: Sequence[UUID]) -> dict[UUID, Hold]:
    """Return holds by the id of their pending transfer."""
    rows = await connection.fetch(
        "select * from hold where pending_id = any($1::uuid[])", pending_ids
    )
    return {row["pending_id"]: _hold_of(row) for row in rows}


async def list_expired_holds(
    connection: Connection, ledger: int, *, at: datetime, limit: int
) -> list[Hold]:
    """Return open holds whose time is up, the earliest first."""
    rows = await connection.fetch(
        """
        select * from hold where ledger = $1 and state = 1 and expires_at <= $2
        order by expires_at, pending_id limit $3
        """,
        ledger,
        at,
        limit,
    )
    return [_hold_of(row) for row in rows]


async def next_expiry(connection: Connection, ledger: int) -> datetime | None:
    """Return when the first open hold of a ledger expires."""
    expires_at: datetime | None = await connection.fetchval(
        """
        select min(expires_at) from hold
        where ledger = $1 and state = 1 and expires_at is not null
        """,
        ledger,
    )
    return expires_at


async def insert_holds(connection: Connection, holds: Sequence[Hold]) -> None:
    """Write new holds."""
    await connection.execute(
        """
        insert into hold (pending_id, ledger, debit_account, credit_account, amount, state,
            expires_at, resolved_by)
        select * from unnest($1::uuid[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[],
            $6::smallint[], $7::timestamptz[], $8::uuid[])
        """,
        *zip(*holds, strict=True),
    )


async def resolve_holds(connection: Connection, holds: Sequence[Hold]) -> None:
    """Mark open holds as resolved.

    Raises:
        LedgerBroken: One of them was resolved before.
    """
    status = await connection.execute(
        """
        update hold set state = r.state, resolved_by = r.resolved_by
        from unnest($1::uuid[], $2::smallint[], $3::uuid[]) as r (pending_id, state, resolved_by)
        where hold.pending_id = r.pending_id and hold.state = 1
        """,
        [hold.pending_id for hold in holds],
        [hold.state for hold in holds],
        [hold.resolved_by for hold in holds],
    )
    if status != f"UPDATE {len(holds)}":
        raise LedgerBroken(f"{status} of {len(holds)} holds to resolve")


def _hold_of(row: Row) -> Hold:
    return Hold(
        row["pending_id"],
        row["ledger"],
        row["debit_account"],
        row["credit_account"],
        row["amount"],
        HoldState(row["state"]),
        row["expires_at"],
        row["resolved_by"],
    )
