"""All SQL of factorings: which receivables stand under them, and the notices they gave."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from services.finance.receivable_model import Factoring, FactoringState, Notice
from services.kit.connection import Connection, Row
from services.kit.principals import Principal


async def insert_factoring(connection: Connection, factoring: Factoring) -> None:
    """Write a new factoring."""
    await connection.execute(
        """
        insert into factoring
            (id, state, lease, machine, from_number, to_number, lessor, debtor, funder, facility_id,
             nominal_rate, as_of, gross_fen, price_fen, policy_version, expire_at, create_time,
             update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17)
        """,
        factoring.id,
        factoring.state,
        factoring.lease,
        factoring.machine,
        factoring.from_number,
        factoring.to_number,
        factoring.lessor,
        factoring.debtor,
        factoring.funder,
        factoring.facility_id,
        factoring.nominal_rate,
        factoring.as_of,
        factoring.gross_fen,
        factoring.price_fen,
        factoring.policy_version,
        factoring.expire_at,
        factoring.create_time,
    )


async def find_factoring(
    connection: Connection, factoring_id: UUID, *, viewer: Principal
) -> Factoring | None:
    """Return a factoring that the viewer may see: as lessor or funder, or any."""
    row = await connection.fetchrow(
        "select * from factoring where id = $1 and ($2 or lessor = $3 or funder = $3)",
        factoring_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _factoring(row)


async def get_factoring(connection: Connection, factoring_id: UUID) -> Factoring:
    """Return a factoring that is known to exist."""
    row = await connection.fetchrow("select * from factoring where id = $1", factoring_id)
    assert row is not None
    return _factoring(row)


async def lock_factoring(connection: Connection, factoring_id: UUID) -> Factoring:
    """Return a factoring that is known to exist, locked for change."""
    row = await connection.fetchrow(
        "select * from factoring where id = $1 for no key update", factoring_id
    )
    assert row is not None
    return _factoring(row)


async def lock_open_of_lease(
    connection: Connection, lease: str, *, first: int, last: int
) -> list[Factoring]:
    """Return the offered factorings that touch a run of a lease's instalments, locked."""
    rows = await connection.fetch(
        """
        select * from factoring
        where lease = $1 and state = 'OFFERED' and from_number <= $3 and to_number >= $2
        order by id for no key update
        """,
        lease,
        first,
        last,
    )
    return [_factoring(row) for row in rows]


async def lock_factoring_of(
    connection: Connection, factoring_id: UUID, *, party: str, funder_only: bool
) -> Factoring | None:
    """Return a party's own factoring as its funder, or as either side, locked for change."""
    row = await connection.fetchrow(
        """
        select * from factoring
        where id = $1 and (funder = $2 or (lessor = $2 and not $3)) for no key update
        """,
        factoring_id,
        party,
        funder_only,
    )
    return None if row is None else _factoring(row)


async def list_factorings(
    connection: Connection,
    *,
    viewer: Principal,
    state: str | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Factoring]:
    """Return factorings that the viewer may see, the newest first, after a (create_time, id)."""
    rows = await connection.fetch(
        """
        select * from factoring
        where ($1 or lessor = $2 or funder = $2)
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
    return [_factoring(row) for row in rows]


async def update_factoring(
    connection: Connection, factoring: Factoring, *, at: datetime
) -> Factoring:
    """Write what changes of a locked factoring."""
    row = await connection.fetchrow(
        """
        update factoring set state = $2, draw_id = $3, draw_repaid_fen = $4, registry_no = $5,
            held_by = $6, version = version + 1, update_time = $7
        where id = $1 returning *
        """,
        factoring.id,
        factoring.state,
        factoring.draw_id,
        factoring.draw_repaid_fen,
        factoring.registry_no,
        factoring.held_by,
        at,
    )
    assert row is not None
    return _factoring(row)


async def insert_assignments(
    connection: Connection, factoring_id: UUID, shares: Sequence[tuple[UUID, int]]
) -> None:
    """Lock receivables under a factoring, each with its share of the price.

    Raises:
        UniqueViolationError: One stands in another; the receivables' row locks prevent it.
    """
    await connection.executemany(
        """
        insert into receivable_assignment (factoring_id, receivable_id, price_fen, live)
        values ($1, $2, $3, true)
        """,
        [(factoring_id, receivable_id, price_fen) for receivable_id, price_fen in shares],
    )


async def end_assignments(connection: Connection, factoring_id: UUID) -> None:
    """Unlock the receivables of a factoring that fell back."""
    await connection.execute(
        "update receivable_assignment set live = false where factoring_id = $1", factoring_id
    )


async def list_shares(connection: Connection, factoring_id: UUID) -> dict[UUID, int]:
    """Return each receivable's share of a factoring's price, in fen."""
    rows = await connection.fetch(
        "select receivable_id, price_fen from receivable_assignment where factoring_id = $1",
        factoring_id,
    )
    return {row["receivable_id"]: row["price_fen"] for row in rows}


async def insert_notice(connection: Connection, notice: Notice) -> None:
    """Write a notice of assignment."""
    await connection.execute(
        """
        insert into assignment_notice
            (id, factoring_id, lease, from_number, to_number, debtor, assignor, assignee,
             registry_no, withdrawn, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        *(getattr(notice, field.name) for field in fields(Notice)),
    )


async def withdraw_notice(connection: Connection, factoring_id: UUID, *, at: datetime) -> None:
    """Withdraw the notice of an assignment that fell back."""
    await connection.execute(
        "update assignment_notice set withdrawn = true, update_time = $2 where factoring_id = $1",
        factoring_id,
        at,
    )


async def list_notices(
    connection: Connection,
    *,
    viewer: Principal,
    lease: str | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Notice]:
    """Return notices that the viewer may see, the newest first, after a (create_time, id)."""
    rows = await connection.fetch(
        """
        select * from assignment_notice
        where ($1 or debtor = $2 or assignor = $2 or assignee = $2)
          and ($3::text is null or lease = $3)
          and ($4::timestamptz is null or (create_time, id) < ($4, $5::uuid))
        order by create_time desc, id desc limit $6
        """,
        viewer.sees_all,
        viewer.party,
        lease,
        *(after or (None, None)),
        limit,
    )
    return [Notice(**row) for row in rows]


def _factoring(row: Row) -> Factoring:
    return Factoring(**{**row, "state": FactoringState(row["state"])})
