"""All SQL of consents to junior liens."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.finance.subordination_model import Subordination, SubordinationState
from services.kit.connection import Connection, Row
from services.kit.principals import Principal


async def insert_subordination(connection: Connection, given: Subordination) -> bool:
    """Write a new consent; False where its draw has one that is good."""
    written = await connection.fetchval(
        """
        insert into subordination
            (id, version, event_sequence, state, senior_draw_id, machine, senior_funder,
             junior_funder, borrower, senior_cap_fen, expire_at, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
        on conflict (senior_draw_id) where state = 'GIVEN' do nothing returning true
        """,
        given.id,
        given.version,
        given.event_sequence,
        given.state,
        given.senior_draw_id,
        given.machine,
        given.senior_funder,
        given.junior_funder,
        given.borrower,
        given.senior_cap_fen,
        given.expire_at,
        given.create_time,
    )
    return bool(written)


async def find_subordination(
    connection: Connection, subordination_id: UUID, *, viewer: Principal
) -> Subordination | None:
    """Return a consent that the viewer may see: as a lender or the borrower, or any."""
    row = await connection.fetchrow(
        """
        select * from subordination
        where id = $1 and ($2 or $3 in (senior_funder, junior_funder, borrower))
        """,
        subordination_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _subordination(row)


async def find_of_borrower(
    connection: Connection, subordination_id: UUID, *, borrower: str
) -> Subordination | None:
    """Return a consent on a borrower's own draw."""
    row = await connection.fetchrow(
        "select * from subordination where id = $1 and borrower = $2", subordination_id, borrower
    )
    return None if row is None else _subordination(row)


async def get_subordination(connection: Connection, subordination_id: UUID) -> Subordination:
    """Return a consent that is known to exist."""
    row = await connection.fetchrow("select * from subordination where id = $1", subordination_id)
    assert row is not None
    return _subordination(row)


async def lock_subordination(connection: Connection, subordination_id: UUID) -> Subordination:
    """Return a consent that is known to exist, locked for change."""
    row = await connection.fetchrow(
        "select * from subordination where id = $1 for no key update", subordination_id
    )
    assert row is not None
    return _subordination(row)


async def lock_of_senior(
    connection: Connection, subordination_id: UUID, *, funder: str
) -> Subordination | None:
    """Return a consent that a funder gave, locked for change."""
    row = await connection.fetchrow(
        "select * from subordination where id = $1 and senior_funder = $2 for no key update",
        subordination_id,
        funder,
    )
    return None if row is None else _subordination(row)


async def list_subordinations(
    connection: Connection,
    *,
    viewer: Principal,
    state: str | None,
    machine: str | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Subordination]:
    """Return consents that the viewer may see, the newest first, after a (create_time, id)."""
    rows = await connection.fetch(
        """
        select * from subordination
        where ($1 or senior_funder = $2 or junior_funder = $2 or borrower = $2)
          and ($3::text is null or state = $3)
          and ($4::text is null or machine = $4)
          and ($5::timestamptz is null or (create_time, id) < ($5, $6::uuid))
        order by create_time desc, id desc limit $7
        """,
        viewer.sees_all,
        viewer.party,
        state,
        machine,
        *(after or (None, None)),
        limit,
    )
    return [_subordination(row) for row in rows]


async def update_subordination(
    connection: Connection, changed: Subordination, *, at: datetime, events: int = 0
) -> Subordination:
    """Write a locked consent's state and junior draw; takes `events` event sequences."""
    row = await connection.fetchrow(
        """
        update subordination set state = $2, junior_draw_id = $3, version = version + 1,
            event_sequence = event_sequence + $4, update_time = $5
        where id = $1 returning *
        """,
        changed.id,
        changed.state,
        changed.junior_draw_id,
        events,
        at,
    )
    assert row is not None
    return _subordination(row)


async def list_agreed_liens(
    connection: Connection, draw_ids: Sequence[UUID]
) -> dict[UUID, frozenset[str]]:
    """Return the liens beside each draw's own that its lender, or the one before it, agreed to."""
    rows = await connection.fetch(
        """
        select junior.id, senior.lien from draw junior
        join draw senior on senior.id = junior.senior_draw_id where junior.id = any($1::uuid[])
        union all
        select senior_draw_id, lien from draw where senior_draw_id = any($1::uuid[])
        """,
        draw_ids,
    )
    agreed: dict[UUID, set[str]] = {}
    for row in rows:
        agreed.setdefault(row["id"], set()).add(row["lien"])
    return {draw_id: frozenset(liens) for draw_id, liens in agreed.items()}


def _subordination(row: Row) -> Subordination:
    return Subordination(**{**row, "state": SubordinationState(row["state"])})
