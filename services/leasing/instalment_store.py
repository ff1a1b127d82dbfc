"""All SQL of instalments and their assignment."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from services.finmath.allocation import Parts
from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.leasing.instalment_model import Instalment, InstalmentState

_SELECT = """
    select i.*, l.penalty_daily_rate, l.penalty_cap_rate
    from instalment i join lease l on l.id = i.lease_id
"""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A run of instalments, and what made an assignee their owner."""

    reference: str
    owner: str
    from_number: int
    to_number: int


async def insert_instalments(connection: Connection, instalments: Iterable[Instalment]) -> None:
    """Write new instalments."""
    await connection.executemany(
        """
        insert into instalment (
            lease_id, number, state, lessor, lessee, owner, assignment, due_on, payable_on,
            balance_fen, penalty_through,
            fees_fen, penalty_fen, interest_fen, principal_fen,
            paid_fees_fen, paid_penalty_fen, paid_interest_fen, paid_principal_fen
        ) values (
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19
        )
        """,
        [
            (
                item.lease_id,
                item.number,
                item.state,
                item.lessor,
                item.lessee,
                item.owner,
                item.assignment,
                item.due_on,
                item.payable_on,
                item.balance_fen,
                item.penalty_through,
                *astuple(item.due),
                *astuple(item.paid),
            )
            for item in instalments
        ],
    )


async def update_instalments(connection: Connection, instalments: Iterable[Instalment]) -> None:
    """Write what can change of instalments; their lease's row is locked."""
    await connection.executemany(
        """
        update instalment set state = $3, owner = $4, assignment = $5, balance_fen = $6,
            penalty_through = $7, bucket = $8, pay_time = $9,
            fees_fen = $10, penalty_fen = $11, interest_fen = $12, principal_fen = $13,
            paid_fees_fen = $14, paid_penalty_fen = $15, paid_interest_fen = $16,
            paid_principal_fen = $17
        where lease_id = $1 and number = $2
        """,
        [
            (
                item.lease_id,
                item.number,
                item.state,
                item.owner,
                item.assignment,
                item.balance_fen,
                item.penalty_through,
                item.bucket,
                item.pay_time,
                *astuple(item.due),
                *astuple(item.paid),
            )
            for item in instalments
        ],
    )


async def list_of_lease(connection: Connection, lease_id: UUID) -> list[Instalment]:
    """Return all instalments of a lease by number."""
    rows = await connection.fetch(f"{_SELECT} where i.lease_id = $1 order by i.number", lease_id)
    return [_instalment(row) for row in rows]


async def list_numbers(
    connection: Connection, lease_id: UUID, numbers: Sequence[int]
) -> list[Instalment]:
    """Return some instalments of a lease by number; unknown numbers are left out."""
    rows = await connection.fetch(
        f"{_SELECT} where i.lease_id = $1 and i.number = any($2) order by i.number",
        lease_id,
        list(numbers),
    )
    return [_instalment(row) for row in rows]


async def list_seen(
    connection: Connection,
    *,
    viewer: Principal,
    lease_id: UUID | None,
    owner: str,
    in_arrears: bool,
    after: tuple[date, UUID, int] | None,
    limit: int,
) -> list[Instalment]:
    """Return instalments that the viewer owns or is lessor or lessee of, by (payable day, lease,
    number).

    Each way of seeing is a branch of its own, read in the order of its own index.
    """
    wanted = """
        ($2::uuid is null or i.lease_id = $2) and ($3 = '' or i.owner = $3)
        and ($4::date is null or (i.payable_on, i.lease_id, i.number) > ($4, $5::uuid, $6::int))
    """
    if in_arrears:  # spelled out, so that the index of overdue ones serves it
        wanted += " and i.state = 'OVERDUE'"
    page = "order by i.payable_on, i.lease_id, i.number limit $7"
    mine = ["i.lessor = $1", "i.lessee = $1", "i.owner = $1 and i.assignment <> ''"]
    branches = " union ".join(
        f"(select i.lease_id, i.number from instalment i where {way} and {wanted} {page})"
        for way in (["$1 = ''"] if viewer.sees_all else mine)
    )
    rows = await connection.fetch(
        f"""
        {_SELECT} join ({branches}) as seen
            on seen.lease_id = i.lease_id and seen.number = i.number {page}
        """,
        "" if viewer.sees_all else viewer.party,
        lease_id,
        owner,
        *(after or (None, None, None)),
        limit,
    )
    return [_instalment(row) for row in rows]


async def find_assignment(
    connection: Connection, lease_id: UUID, reference: str
) -> Assignment | None:
    """Return an assignment of a lease by its reference."""
    row = await connection.fetchrow(
        """
        select reference, owner, from_number, to_number from assignment
        where lease_id = $1 and reference = $2
        """,
        lease_id,
        reference,
    )
    return None if row is None else Assignment(**row)


async def insert_assignment(
    connection: Connection, lease_id: UUID, assignment: Assignment, *, at: datetime
) -> None:
    """Write an assignment."""
    await connection.execute(
        """
        insert into assignment (lease_id, reference, owner, from_number, to_number, create_time)
        values ($1, $2, $3, $4, $5, $6)
        """,
        lease_id,
        assignment.reference,
        assignment.owner,
        assignment.from_number,
        assignment.to_number,
        at,
    )


async def remove_assignment(connection: Connection, lease_id: UUID, reference: str) -> None:
    """Remove an assignment that holds no instalment any more."""
    await connection.execute(
        """
        delete from assignment a where a.lease_id = $1 and a.reference = $2 and not exists (
            select from instalment i where i.lease_id = $1 and i.assignment = $2)
        """,
        lease_id,
        reference,
    )


def _instalment(row: Row) -> Instalment:
    values: dict[str, Any] = {
        column: row[column]
        for column in Instalment.__slots__
        if column not in ("state", "due", "paid")
    }
    parts = ("fees_fen", "penalty_fen", "interest_fen", "principal_fen")
    return Instalment(
        state=InstalmentState(row["state"]),
        due=Parts(*(row[part] for part in parts)),
        paid=Parts(*(row[f"paid_{part}"] for part in parts)),
        **values,
    )
