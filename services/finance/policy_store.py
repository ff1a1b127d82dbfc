"""All SQL of the policy tables."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from services.finance.policy_model import Parameter, Policy, Value
from services.kit.connection import Connection, Row


async def insert_policy(connection: Connection, policy: Policy) -> bool:
    """Write a new version; False where it is published already."""
    written = await connection.fetchval(
        """
        insert into policy (id, version, effective_on, parameters, hours_limits, create_time)
        values ($1, $2, $3, $4, $5, $6) on conflict (version) do nothing returning true
        """,
        policy.id,
        policy.version,
        policy.effective_on,
        {
            parameter: [str(line.value), _text(line.low), _text(line.high)]
            for parameter, line in policy.values.items()
        },
        dict(policy.hours_limits),
        policy.create_time,
    )
    return bool(written)


async def current_policy(connection: Connection) -> Policy:
    """Return the version in force: the one published last."""
    row = await connection.fetchrow(
        "select * from policy order by create_time desc, id desc limit 1"
    )
    assert row is not None, "the first version comes with the tables"
    return _policy(row)


async def find_policy(connection: Connection, policy_id: UUID) -> Policy | None:
    """Return a version by its id."""
    row = await connection.fetchrow("select * from policy where id = $1", policy_id)
    return None if row is None else _policy(row)


async def get_policy_version(connection: Connection, version: str) -> Policy:
    """Return the version that a decision cites."""
    row = await connection.fetchrow("select * from policy where version = $1", version)
    assert row is not None, "a cited version is never removed"
    return _policy(row)


async def list_policies(
    connection: Connection, *, after: tuple[Any, ...] | None, limit: int
) -> list[Policy]:
    """Return versions, the newest first, after a (create_time, id)."""
    rows = await connection.fetch(
        """
        select * from policy
        where $1::timestamptz is null or (create_time, id) < ($1, $2::uuid)
        order by create_time desc, id desc limit $3
        """,
        *(after or (None, None)),
        limit,
    )
    return [_policy(row) for row in rows]


def _policy(row: Row) -> Policy:
    return Policy(
        id=row["id"],
        version=row["version"],
        effective_on=row["effective_on"],
        values={
            Parameter(key): Value(Decimal(value), _number(low), _number(high))
            for key, (value, low, high) in row["parameters"].items()
        },
        hours_limits=row["hours_limits"],
        create_time=row["create_time"],
    )


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
