"""All SQL of payments and bank statements."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.settlement.payment_model import LineState, Payment, PaymentState, Rail, StatementLine

PAYMENT_COLUMNS = ", ".join(field.name for field in fields(Payment))
_LINE_COLUMNS = ", ".join(field.name for field in fields(StatementLine))


async def insert_payment(connection: Connection, payment: Payment) -> None:
    """Write a new payment."""
    values = [getattr(payment, field.name) for field in fields(Payment)]
    places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
    await connection.execute(f"insert into payment ({PAYMENT_COLUMNS}) values ({places})", *values)


async def find_payment(
    connection: Connection, payment_id: UUID, *, viewer: Principal, lock: bool = False
) -> Payment | None:
    """Return a payment that the viewer may see: one of their own party, or any."""
    row = await connection.fetchrow(
        f"""
        select {PAYMENT_COLUMNS} from payment where id = $1 and ($2 or 'parties/' || party = $3)
        {"for no key update" if lock else ""}
        """,
        payment_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else payment_of(row)


async def list_payments(
    connection: Connection,
    *,
    viewer: Principal,
    state: PaymentState | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Payment]:
    """Return payments that the viewer may see, the newest first."""
    rows = await connection.fetch(
        f"""
        select {PAYMENT_COLUMNS} from payment
        where ($1 or party::text = $2) and ($3::text is null or state = $3)
          and ($4::timestamptz is null or (create_time, id) < ($4, $5::uuid))
        order by create_time desc, id desc limit $6
        """,
        viewer.sees_all,
        viewer.party.removeprefix("parties/"),
        state,
        *(before or (None, None)),
        limit,
    )
    return [payment_of(row) for row in rows]


async def update_payment(
    connection: Connection, payment: Payment, *, announces: bool, at: datetime
) -> Payment:
    """Write what can change of a payment; an announced change takes the next event sequence."""
    row = await connection.fetchrow(
        f"""
        update payment set state = $2, checker = $3, failure = $4, hold_transfer = $5,
            post_transfer = $6, file = $7, update_time = $8, version = version + 1,
            event_sequence = event_sequence + $9, is_booked = $10, release_time = $11
        where id = $1 returning {PAYMENT_COLUMNS}
        """,
        payment.id,
        payment.state,
        payment.checker,
        payment.failure,
        payment.hold_transfer,
        payment.post_transfer,
        payment.file,
        at,
        int(announces),
        payment.is_booked,
        payment.release_time,
    )
    assert row is not None
    return payment_of(row)


async def lock_payments_to_export(connection: Connection, *, limit: int) -> list[Payment]:
    """Return submitted payments of the bank rail without a file, locked, the oldest first."""
    rows = await connection.fetch(
        f"""
        select {PAYMENT_COLUMNS} from payment
        where rail = 'BANK' and state = 'SUBMITTED' and file is null
        order by create_time, id limit $1 for no key update
        """,
        limit,
    )
    return [payment_of(row) for row in rows]


async def set_file(connection: Connection, ids: Sequence[UUID], file: str, *, at: datetime) -> None:
    """Note which file carries payments."""
    await connection.execute(
        "update payment set file = $2, update_time = $3, version = version + 1 where id = any($1)",
        ids,
        file,
        at,
    )


async def insert_file(
    connection: Connection, message_id: str, *, count: int, sum_fen: int, xml: str, at: datetime
) -> None:
    """Keep a pain.001 file as it was written."""
    await connection.execute(
        "insert into payment_file values ($1, $2, $3, $4, $5)", message_id, count, sum_fen, xml, at
    )


async def lock_payments_by_reference(
    connection: Connection, references: Sequence[str]
) -> dict[str, Payment]:
    """Return payments by their end-to-end id, locked in the order of their ids."""
    rows = await connection.fetch(
        f"""
        select {PAYMENT_COLUMNS} from payment where end_to_end_id = any($1::text[])
        order by id for no key update
        """,
        references,
    )
    return {row["end_to_end_id"]: payment_of(row) for row in rows}


async def list_known_references(
    connection: Connection, bank_account: int, references: Sequence[str]
) -> set[str]:
    """Return which of the bank's references were taken in before."""
    rows = await connection.fetch(
        """
        select reference from statement_line
        where bank_account = $1 and reference = any($2::text[])
        """,
        bank_account,
        references,
    )
    return {row["reference"] for row in rows}


async def insert_lines(connection: Connection, lines: Sequence[StatementLine]) -> None:
    """Write lines of a statement."""
    names = [field.name for field in fields(StatementLine)]
    await connection.executemany(
        f"insert into statement_line ({_LINE_COLUMNS}) values "
        f"({', '.join(f'${place}' for place in range(1, len(names) + 1))})",
        [[getattr(line, each) for each in names] for line in lines],
    )


async def lock_line(connection: Connection, line_id: UUID) -> StatementLine | None:
    """Return a line of a statement, locked for change."""
    row = await connection.fetchrow(
        f"select {_LINE_COLUMNS} from statement_line where id = $1 for no key update", line_id
    )
    return None if row is None else _line(row)


async def list_lines(
    connection: Connection,
    *,
    state: LineState | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[StatementLine]:
    """Return lines of statements, the oldest first."""
    rows = await connection.fetch(
        f"""
        select {_LINE_COLUMNS} from statement_line
        where ($1::text is null or state = $1)
          and ($2::timestamptz is null or (create_time, id) > ($2, $3::uuid))
        order by create_time, id limit $4
        """,
        state,
        *(after or (None, None)),
        limit,
    )
    return [_line(row) for row in rows]


async def update_line(
    connection: Connection, line_id: UUID, *, state: LineState, matched: str, announces: bool
) -> StatementLine:
    """Write a line's state; an announced change takes the next event sequence."""
    row = await connection.fetchrow(
        f"""
        update statement_line set state = $2, matched = $3, event_sequence = event_sequence + $4
        where id = $1 returning {_LINE_COLUMNS}
        """,
        line_id,
        state,
        matched,
        int(announces),
    )
    assert row is not None
    return _line(row)


def payment_of(row: Row) -> Payment:
    """Return a row of all PAYMENT_COLUMNS as a payment."""
    values = {**row, "state": PaymentState(row["state"]), "rail": Rail(row["rail"])}
    return Payment(**values)


def _line(row: Row) -> StatementLine:
    return StatementLine(**{**row, "state": LineState(row["state"])})
