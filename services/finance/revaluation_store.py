"""All SQL of revaluations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.finance.revaluation_model import Cause, Reason, Revaluation, RevaluationState
from services.kit.connection import Connection, Row
from services.kit.principals import Principal


async def lock_watch(connection: Connection, machine: str, funder: str) -> None:
    """Let one transaction at a time order or end revaluations of a machine for a funder."""
    await connection.execute(
        "select pg_advisory_xact_lock(hashtextextended($1, 510))", f"{machine} {funder}"
    )


async def insert_revaluation(connection: Connection, revaluation: Revaluation) -> None:
    """Write a new revaluation."""
    await connection.execute(
        """
        insert into revaluation
            (id, machine, funder, state, reasons, given, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $7)
        """,
        revaluation.id,
        revaluation.machine,
        revaluation.funder,
        revaluation.state,
        _reasons(revaluation.reasons),
        revaluation.given,
        revaluation.create_time,
    )


async def find_in_state(
    connection: Connection, machine: str, funder: str, state: RevaluationState
) -> Revaluation | None:
    """Return the one revaluation of a machine for a funder that runs, or waits."""
    row = await connection.fetchrow(
        "select * from revaluation where machine = $1 and funder = $2 and state = $3",
        machine,
        funder,
        state,
    )
    return None if row is None else _revaluation(row)


async def get_revaluation(connection: Connection, revaluation_id: UUID) -> Revaluation:
    """Return a revaluation that is known to exist."""
    row = await connection.fetchrow("select * from revaluation where id = $1", revaluation_id)
    assert row is not None
    return _revaluation(row)


async def update_revaluation(
    connection: Connection, revaluation: Revaluation, *, at: datetime
) -> Revaluation:
    """Write what changes of a revaluation."""
    row = await connection.fetchrow(
        """
        update revaluation set state = $2, reasons = $3, given = $4, valuation = $5,
            former_valuation = $6, failure = $7, update_time = $8
        where id = $1 returning *
        """,
        revaluation.id,
        revaluation.state,
        _reasons(revaluation.reasons),
        revaluation.given,
        revaluation.valuation,
        revaluation.former_valuation,
        revaluation.failure,
        at,
    )
    assert row is not None
    return _revaluation(row)


async def delete_revaluation(connection: Connection, revaluation_id: UUID) -> None:
    """Remove a revaluation that waited and is not needed."""
    await connection.execute(
        "delete from revaluation where id = $1 and state = 'QUEUED'", revaluation_id
    )


async def list_revaluations(
    connection: Connection,
    *,
    viewer: Principal,
    state: str | None,
    machine: str | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Revaluation]:
    """Return revaluations for the viewer's party, the newest first, after a (create_time, id)."""
    rows = await connection.fetch(
        """
        select * from revaluation
        where ($1 or funder = $2)
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
    return [_revaluation(row) for row in rows]


def _reasons(reasons: Sequence[Reason]) -> list[list[str]]:
    return [[reason.cause, reason.description] for reason in reasons]


def _revaluation(row: Row) -> Revaluation:
    return Revaluation(
        **{
            **row,
            "state": RevaluationState(row["state"]),
            "reasons": [Reason(Cause(cause), words) for cause, words in row["reasons"]],
        }
    )
