"""All SQL of batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.ids import name
from services.kit.principals import Principal
from services.valuation.model import Nowcast
from services.valuation.record import nowcasts_from_json, nowcasts_to_json
from services.valuation.store import sees_every_party


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch's row; it never changes.

    Attributes:
        request_id: Of the stream that made it; None for a background batch.
        result_file: Below the folder of results; "" for a stream.
        nowcasts: By product group, as its rows were valued with.
    """

    id: UUID
    party: str
    request_id: UUID | None
    as_of: date
    rows: int
    errors: int
    model: str
    policy: str
    root_subject: str
    result_file: str
    result_sha256: str
    create_time: datetime
    nowcasts: Mapping[str, Nowcast]

    @property
    def name(self) -> str:
        """Return its resource name, "batches/<uuid>"."""
        return name("batches", self.id)


async def insert_batch(connection: Connection, batch: Batch) -> None:
    """Write a finished batch; its root is there."""
    await connection.execute(
        """
        insert into batch
            (id, party, request_id, as_of, rows, errors, model, policy, root_subject, result_file,
             result_sha256, create_time, nowcasts)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        """,
        batch.id,
        batch.party,
        batch.request_id,
        batch.as_of,
        batch.rows,
        batch.errors,
        batch.model,
        batch.policy,
        batch.root_subject,
        batch.result_file,
        batch.result_sha256,
        batch.create_time,
        nowcasts_to_json(batch.nowcasts),
    )


async def find_batch(connection: Connection, batch_id: UUID, *, viewer: Principal) -> Batch | None:
    """Return a batch that the viewer may see."""
    row = await connection.fetchrow(
        "select * from batch where id = $1 and ($2 or party = $3)",
        batch_id,
        sees_every_party(viewer),
        viewer.party,
    )
    return None if row is None else _batch(row)


async def find_stream(connection: Connection, party: str, request_id: UUID) -> Batch | None:
    """Return the batch that a party's stream made."""
    row = await connection.fetchrow(
        "select * from batch where party = $1 and request_id = $2", party, request_id
    )
    return None if row is None else _batch(row)


def _batch(row: Row) -> Batch:
    return Batch(**{**row, "nowcasts": nowcasts_from_json(row["nowcasts"])})
