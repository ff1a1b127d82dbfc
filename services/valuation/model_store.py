"""All SQL of the registry of model versions."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from services.kit.connection import Connection, Row
from services.kit.ids import name
from services.valuation.model import ModelState


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition that a model must meet, and whether it does."""

    code: str
    passed: bool
    description: str


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered model's row.

    Attributes:
        trained_by: "users/<uuid>", or "shipped".
        predecessor: The champion before it, where it was or is champion.
    """

    version: str
    row_version: int
    event_sequence: int
    state: ModelState
    sha256: str
    window_end: date
    trained_by: str
    registered_by: str
    approved_by: str
    gates: tuple[Gate, ...]
    predecessor: str | None
    reason: str
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "models/<version>"."""
        return name("models", self.version)


async def insert_model(connection: Connection, model: ModelVersion) -> ModelVersion | None:
    """Write a new version; None where it is there already."""
    row = await connection.fetchrow(
        """
        insert into model (version, state, sha256, window_end, trained_by, registered_by,
            create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict do nothing returning *
        """,
        model.version,
        model.state,
        model.sha256,
        model.window_end,
        model.trained_by,
        model.registered_by,
        model.create_time,
    )
    return None if row is None else _model(row)


async def find_model(connection: Connection, version: str) -> ModelVersion | None:
    """Return a version."""
    row = await connection.fetchrow("select * from model where version = $1", version)
    return None if row is None else _model(row)


async def list_models(
    connection: Connection, *, after: tuple[Any, ...] | None, limit: int | None
) -> list[ModelVersion]:
    """Return versions, the newest first, after a (window_end, version)."""
    rows = await connection.fetch(
        """
        select * from model
        where $1::date is null or (window_end, version) < ($1, $2::text)
        order by window_end desc, version desc limit $3
        """,
        *(after or (None, None)),
        limit,
    )
    return [_model(row) for row in rows]


async def lock_registry(connection: Connection) -> None:
    """Wait until no other transaction moves the champion."""
    await connection.execute("select pg_advisory_xact_lock(4203)")


async def find_champion(connection: Connection) -> ModelVersion | None:
    """Return the champion."""
    row = await connection.fetchrow("select * from model where state = 'CHAMPION'")
    return None if row is None else _model(row)


async def update_model(
    connection: Connection, model: ModelVersion, *, at: datetime
) -> ModelVersion:
    """Write a version's standing."""
    row = await connection.fetchrow(
        """
        update model set state = $2, event_sequence = $3, approved_by = $4, gates = $5,
            predecessor = $6, reason = $7, row_version = row_version + 1, update_time = $8
        where version = $1 returning *
        """,
        model.version,
        model.state,
        model.event_sequence,
        model.approved_by,
        [[gate.code, gate.passed, gate.description] for gate in model.gates],
        model.predecessor,
        model.reason,
        at,
    )
    assert row is not None
    return _model(row)


def _model(row: Row) -> ModelVersion:
    content = {
        **row,
        "state": ModelState(row["state"]),
        "gates": tuple(Gate(*gate) for gate in row["gates"]),
    }
    return ModelVersion(**content)
