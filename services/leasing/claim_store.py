"""All SQL of claims."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.leasing.claim_model import Claim, ClaimKind, ClaimState

_COLUMNS = [field.name for field in fields(Claim)]


async def insert_claim(connection: Connection, claim: Claim) -> None:
    """Write a new claim; its lease's row is locked."""
    places = ", ".join(f"${place}" for place in range(1, len(_COLUMNS) + 1))
    await connection.execute(
        f"insert into claim ({', '.join(_COLUMNS)}) values ({places})",
        *(getattr(claim, column) for column in _COLUMNS),
    )


async def update_claim(connection: Connection, claim: Claim, *, at: datetime) -> Claim:
    """Write what can change of a claim, and return it with its new version."""
    version: int = await connection.fetchval(
        """
        update claim set version = version + 1, update_time = $2, event_sequence = $3, state = $4,
            paid_fen = $5, reason = $6
        where id = $1 returning version
        """,
        claim.id,
        at,
        claim.event_sequence,
        claim.state,
        claim.paid_fen,
        claim.reason,
    )
    return replace(claim, version=version, update_time=at)


async def find_claim(connection: Connection, claim_id: UUID, *, viewer: Principal) -> Claim | None:
    """Return a claim that the viewer may see: its creditor's, its debtor's, its lessor's."""
    row = await connection.fetchrow(
        """
        select * from claim where id = $1 and ($2 or $3 in (creditor, debtor, lessor))
        """,
        claim_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _claim(row)


async def list_open(connection: Connection, lease_id: UUID, *, debtor: str) -> list[Claim]:
    """Return the open claims of a lease on a debtor, the oldest first."""
    rows = await connection.fetch(
        """
        select * from claim where lease_id = $1 and state = 'OPEN' and debtor = $2
        order by create_time, id
        """,
        lease_id,
        debtor,
    )
    return [_claim(row) for row in rows]


async def list_claims(
    connection: Connection,
    *,
    viewer: Principal,
    lease_id: UUID | None,
    state: str,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Claim]:
    """Return claims that the viewer may see, the newest first, after a (create time, id).

    Each way of seeing is a branch of its own, read in the order of its own index.
    """
    wanted = """
        ($2::uuid is null or lease_id = $2) and ($3 = '' or state = $3)
        and ($4::timestamptz is null or (create_time, id) < ($4, $5::uuid))
    """
    page = "order by create_time desc, id desc limit $6"
    mine = ["creditor = $1", "debtor = $1", "lessor = $1"]
    branches = " union ".join(
        f"(select id from claim where {way} and {wanted} {page})"
        for way in (["$1 = ''"] if viewer.sees_all else mine)
    )
    rows = await connection.fetch(
        f"select * from claim where id in (select id from ({branches}) as seen) {page}",
        "" if viewer.sees_all else viewer.party,
        lease_id,
        state,
        *(after or (None, None)),
        limit,
    )
    return [_claim(row) for row in rows]


def _claim(row: Row) -> Claim:
    values: dict[str, Any] = {column: row[column] for column in _COLUMNS}
    return Claim(**values | {"state": ClaimState(row["state"]), "kind": ClaimKind(row["kind"])})
