"""All SQL of receivables."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.finance.receivable_model import Receivable, ReceivableState
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


async def lock_run_of(
    connection: Connection,
    lease: str,
    *,
    from_number: int,
    to_number: int,
    party: str,
    as_debtor: bool,
) -> list[Receivable]:
    """Return what a party owes, or is first owed, of a run of a lease's receivables, locked."""
    rows = await connection.fetch(
        """
        select * from receivable
        where lease = $1 and number between $2 and $3
          and case when $5 then debtor = $4 else creditor = $4 end
        order by number for no key update
        """,
        lease,
        from_number,
        to_number,
        party,
        as_debtor,
    )
    return [_receivable(row) for row in rows]


async def lock_of_factoring(connection: Connection, factoring_id: UUID) -> list[Receivable]:
    """Return the receivables that stand under a factoring by number, locked for change."""
    rows = await connection.fetch(
        "select * from receivable where factoring_id = $1 order by number for no key update",
        factoring_id,
    )
    return [_receivable(row) for row in rows]


async def list_of_factoring(connection: Connection, factoring_id: UUID) -> list[Receivable]:
    """Return the receivables that stand under a factoring by number."""
    rows = await connection.fetch(
        "select * from receivable where factoring_id = $1 order by number", factoring_id
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


def _receivable(row: Row) -> Receivable:
    return Receivable(**{**row, "state": ReceivableState(row["state"])})
