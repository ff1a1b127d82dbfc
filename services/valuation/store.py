"""All SQL of the valuation service."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from ironloop.options.v1 import options_pb2

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.valuation.model import Valuation, ValuationState

_INSERT = """
    insert into valuation
        (id, subject, party, machine, state, as_of, record, record_sha256, create_time,
         update_time, event_sequence, issue_time, expire_time)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11, $12)
"""


def sees_every_party(viewer: Principal) -> bool:
    """Whether row-level rules show a viewer every party's valuations: validators too."""
    return viewer.sees_all or viewer.holds(options_pb2.ROLE_MODEL_VALIDATOR)


async def lock_subject(connection: Connection, subject: str) -> int:
    """Lock a subject, making its row where there is none; return its last event sequence."""
    sequence: int = await connection.fetchval(
        """
        insert into subject (name) values ($1)
        on conflict (name) do update set name = excluded.name returning event_sequence
        """,
        subject,
    )
    return sequence


async def count_event(connection: Connection, subject: str) -> int:
    """Take the next event sequence of a subject, which is made and locked if it is not yet."""
    sequence: int = await connection.fetchval(
        """
        insert into subject (name, event_sequence) values ($1, 1)
        on conflict (name) do update set event_sequence = subject.event_sequence + 1
        returning event_sequence
        """,
        subject,
    )
    return sequence


async def insert_valuation(connection: Connection, valuation: Valuation) -> None:
    """Write a new valuation."""
    await connection.execute(_INSERT, *_columns_of(valuation))


def insert_alone(tx: Transaction, valuation: Valuation) -> None:
    """Have a new valuation written with the commit, and its subject, which nothing else names."""
    tx.write_last(
        "insert into subject (name, event_sequence) values ($1, $2)",
        valuation.subject,
        valuation.event_sequence,
    )
    tx.write_last(_INSERT, *_columns_of(valuation))


async def find_valuation(
    connection: Connection, valuation_id: UUID, *, viewer: Principal
) -> Valuation | None:
    """Return a valuation that the viewer may see."""
    row = await connection.fetchrow(
        "select * from valuation where id = $1 and ($2 or party = $3)",
        valuation_id,
        sees_every_party(viewer),
        viewer.party,
    )
    return None if row is None else _valuation(row)


async def find_subject(
    connection: Connection, valuation_id: UUID, *, viewer: Principal
) -> str | None:
    """Return the subject of a valuation that the viewer may see: what is locked before it."""
    subject: str | None = await connection.fetchval(
        "select subject from valuation where id = $1 and ($2 or party = $3)",
        valuation_id,
        sees_every_party(viewer),
        viewer.party,
    )
    return subject


async def lock_valuation(connection: Connection, valuation_id: UUID) -> Valuation:
    """Return a valuation that exists, locked for change."""
    row = await connection.fetchrow(
        "select * from valuation where id = $1 for no key update", valuation_id
    )
    assert row is not None
    return _valuation(row)


async def lock_superseded(
    connection: Connection, machine: str, party: str, *, as_of: date
) -> list[Valuation]:
    """Return a party's issued valuations of a machine as of a date or earlier, locked."""
    rows = await connection.fetch(
        """
        select * from valuation
        where machine = $1 and party = $2 and state = 'ISSUED' and machine <> '' and as_of <= $3
        order by id for no key update
        """,
        machine,
        party,
        as_of,
    )
    return [_valuation(row) for row in rows]


async def list_valuations(
    connection: Connection,
    *,
    viewer: Principal,
    machine: str | None,
    state: str | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Valuation]:
    """Return valuations that the viewer may see, the newest first, after a (create_time, id)."""
    rows = await connection.fetch(
        """
        select * from valuation
        where ($1::text is null or party = $1)
          and ($2::text is null or (machine = $2 and machine <> ''))
          and ($3::text is null or state = $3)
          and ($4::timestamptz is null or (create_time, id) < ($4, $5::uuid))
        order by create_time desc, id desc limit $6
        """,
        None if sees_every_party(viewer) else viewer.party,
        machine,
        state,
        *(after or (None, None)),
        limit,
    )
    return [_valuation(row) for row in rows]


async def update_valuation(
    connection: Connection, valuation: Valuation, *, at: datetime
) -> Valuation:
    """Write a locked valuation's standing: state, decision, successor, issue and expiry."""
    row = await connection.fetchrow(
        """
        update valuation set state = $2, event_sequence = $3, decision_reason = $4,
            decided_by = $5, superseded_by = $6, issue_time = $7, expire_time = $8,
            version = version + 1, update_time = $9
        where id = $1 returning *
        """,
        valuation.id,
        valuation.state,
        valuation.event_sequence,
        valuation.decision_reason,
        valuation.decided_by,
        valuation.superseded_by,
        valuation.issue_time,
        valuation.expire_time,
        at,
    )
    assert row is not None
    return _valuation(row)


def _columns_of(valuation: Valuation) -> tuple[object, ...]:
    return (
        valuation.id,
        valuation.subject,
        valuation.party,
        valuation.machine,
        valuation.state,
        valuation.as_of,
        valuation.record,
        valuation.record_sha256,
        valuation.create_time,
        valuation.event_sequence,
        valuation.issue_time,
        valuation.expire_time,
    )


def _valuation(row: Row) -> Valuation:
    return Valuation(**{**row, "state": ValuationState(row["state"])})
