"""All SQL of status reports."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from services.kit.connection import Connection, Row
from services.settlement.payment_model import Payment
from services.settlement.payment_store import PAYMENT_COLUMNS, payment_of
from services.settlement.status_model import Outcome, PaymentStatus, StatusCode

_COLUMNS = ", ".join(field.name for field in fields(PaymentStatus))


class SentFile(NamedTuple):
    """What a pain.001 file holds in all."""

    payment_count: int
    control_sum: int


async def insert_report(
    connection: Connection,
    message_id: str,
    *,
    digest: bytes,
    original_file: str,
    xml: str,
    at: datetime,
) -> bool:
    """Keep a report as it came; False where one of its message id is kept."""
    row = await connection.fetchrow(
        """
        insert into status_report values ($1, $2, $3, $4, $5) on conflict do nothing
        returning true
        """,
        message_id,
        digest,
        original_file,
        xml,
        at,
    )
    return row is not None


async def find_digest(connection: Connection, message_id: str) -> bytes | None:
    """Return the digest of the report that has a message id, or None."""
    digest: bytes | None = await connection.fetchval(
        "select digest from status_report where message_id = $1", message_id
    )
    return digest


async def find_file(connection: Connection, message_id: str) -> SentFile | None:
    """Return what a pain.001 file of ours holds, or None."""
    row = await connection.fetchrow(
        "select payment_count, control_sum from payment_file where message_id = $1", message_id
    )
    return None if row is None else SentFile(row["payment_count"], row["control_sum"])


async def lock_payments_of_file(connection: Connection, message_id: str) -> list[Payment]:
    """Return a file's payments, locked in the order of their ids."""
    rows = await connection.fetch(
        f"""
        select {PAYMENT_COLUMNS} from payment where file = $1
        order by id for no key update
        """,
        message_id,
    )
    return [payment_of(row) for row in rows]


async def insert_statuses(connection: Connection, statuses: Sequence[PaymentStatus]) -> None:
    """Write what a report says."""
    names = [field.name for field in fields(PaymentStatus)]
    places = ", ".join(f"${place}" for place in range(1, len(names) + 1))
    await connection.executemany(
        f"insert into payment_status ({_COLUMNS}) values ({places})",
        [[getattr(status, each) for each in names] for status in statuses],
    )


async def list_statuses_of(connection: Connection, report: str) -> list[PaymentStatus]:
    """Return what a report said, in its order."""
    rows = await connection.fetch(
        f"select {_COLUMNS} from payment_status where report = $1 order by id", report
    )
    return [_status(row) for row in rows]


async def list_statuses(
    connection: Connection,
    *,
    outcome: Outcome | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[PaymentStatus]:
    """Return what rails have said, the oldest first."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from payment_status
        where ($1::text is null or outcome = $1)
          and ($2::timestamptz is null or (create_time, id) > ($2, $3::uuid))
        order by create_time, id limit $4
        """,
        outcome,
        *(after or (None, None)),
        limit,
    )
    return [_status(row) for row in rows]


async def note_statuses(
    connection: Connection,
    ids: Sequence[UUID],
    codes: Sequence[str],
    reasons: Sequence[str],
    *,
    at: datetime,
) -> None:
    """Note on payments what their rail last said, each with the code of its reason."""
    await connection.execute(
        """
        update payment set rail_status = said.code, rail_reason_code = said.reason,
            update_time = $4, version = version + 1
        from unnest($1::uuid[], $2::text[], $3::text[]) as said (id, code, reason)
        where payment.id = said.id
        """,
        ids,
        codes,
        reasons,
        at,
    )


def _status(row: Row) -> PaymentStatus:
    values = {**row, "code": StatusCode(row["code"]), "outcome": Outcome(row["outcome"])}
    return PaymentStatus(**values)
