"""All SQL of receivables, their factorings and notices."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from services.finance.receivable_model import (
    Factoring,
    FactoringState,
    Notice,
    Receivable,
    ReceivableState,
)
from services.kit.connection import Connection, Row
from services.kit.principals import Principal


async def insert_receivables(connection: Connection, receivables: Sequence[Receivable]) -> None:
    """Write new receivables; those that a lease has already stay as they are."""
    await connection.executemany(
        """
        insert into receivable
            (id, state, lease, number, machine, debtor, creditor, owner, amount_fen, principal_fen,
             interest_fen, due_on, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
        on conflict (lease, number) do nothing
        """,
        [
            (
                line.id,
                line.state,
                line.lease,
                line.number,
                line.machine,
                line.debtor,
                line.creditor,
                line.owner,
                line.amount_fen,
                line.principal_fen,
                line.interest_fen,
                line.due_on,
                line.create_time,
            )
            for line in receivables
        ],
    )


async def find_receivable(
    connection: Connection, receivable_id: UUID, *, viewer: Principal
) -> Receivable | None:
    """Return a receivable that the viewer may see: as debtor, creditor or owner, or any."""
    row = await connection.fetchrow(
        """
        select * from receivable
        where id = $1 and ($2 or debtor = $3 or creditor = $3 or owner = $3)
        """,
        receivable_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _receivable(row)


async def list_receivables(
    connection: Connection,
    *,
    viewer: Principal,
    lease: str | None,
    state: str | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Receivable]:
    """Return receivables that the viewer may see by lease and number, after a (lease, number)."""
    rows = await connection.fetch(
        """
        select * from receivable
        where ($1 or debtor = $2 or creditor = $2 or owner = $2)
          and ($3::text is null or lease = $3)
          and ($4::text is null or state = $4)
          and ($5::text is null or (lease, number) > ($5, $6::int))
        order by lease, number limit $7
        """,
        viewer.sees_all,
        viewer.party,
        lease,
        state,
        *(after or (None, None)),
        limit,
    )
    return [_receivable(row) for row in rows]


async def lock_run(
    connection: Connection, lease: str, *, from_number: int = 1, to_number: int | None = None
) -> list[Receivable]:
    """Return a run of a lease's receivables by number, locked for change."""
    rows = await connection.fetch(
        """
        select * from receivable
        where lease = $1 and number >= $2 and ($3::int is null or number <= $3)
        order by number for no key update
        """,
        lease,
        from_number,
        to_number,
    )
    return [_receivable(row) for row in rows]


async def lock_of_factoring(connection: Connection, factoring_id: UUID) -> list[Receivable]:
    """Return the receivables that stand under a factoring by number, locked for change."""
    rows = await connection.fetch(
        "select * from receivable where factoring_id = $1 order by number for no key update",
        factoring_id,
    )
    return [_receivable(row) for row in rows]


async def update_receivables(
    connection: Connection, receivables: Sequence[Receivable], *, at: datetime, events: int
) -> list[Receivable]:
    """Write what changes of locked receivables; each takes `events` event sequences."""
    rows = await connection.fetch(
        """
        update receivable r set state = c.state, owner = c.owner, amount_fen = c.amount_fen,
            principal_fen = c.principal_fen, interest_fen = c.interest_fen, paid_fen = c.paid_fen,
            due_on = c.due_on, factoring_id = c.factoring_id, registry_no = c.registry_no,
            version = r.version + 1, event_sequence = r.event_sequence + $11, update_time = $12
        from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
                    $7::bigint[], $8::date[], $9::uuid[], $10::text[])
            as c (id, state, owner, amount_fen, principal_fen, interest_fen, paid_fen, due_on,
                  factoring_id, registry_no)
        where r.id = c.id returning r.*
        """,
        [line.id for line in receivables],
        [line.state for line in receivables],
        [line.owner for line in receivables],
        [line.amount_fen for line in receivables],
        [line.principal_fen for line in receivables],
        [line.interest_fen for line in receivables],
        [line.paid_fen for line in receivables],
        [line.due_on for line in receivables],
        [line.factoring_id for line in receivables],
        [line.registry_no for line in receivables],
        events,
        at,
    )
    return sorted((_receivable(row) for row in rows), key=lambda line: line.number)


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


async def debtor_exposure_fen(connection: Connection, facility_id: UUID, debtor: str) -> int:
    """Return what a debtor still owes on receivables that stand under a facility, in fen."""
    exposure_fen: int = await connection.fetchval(
        """
        select coalesce(sum(r.amount_fen - r.paid_fen), 0)::bigint
        from factoring f join receivable r on r.factoring_id = f.id
        where f.facility_id = $1 and f.debtor = $2
          and r.state in ('OFFERED', 'ASSIGNED', 'FUNDED', 'COLLECTING')
        """,
        facility_id,
        debtor,
    )
    return exposure_fen


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


def _receivable(row: Row) -> Receivable:
    return Receivable(**{**row, "state": ReceivableState(row["state"])})


def _factoring(row: Row) -> Factoring:
    return Factoring(**{**row, "state": FactoringState(row["state"])})
