"""All SQL of disposals and of the policy table of their reserves."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from services.finmath.waterfall import Claimant
from services.kit.connection import Connection, Row
from services.kit.errors import NotFound
from services.kit.ids import name
from services.kit.principals import Principal
from services.leasing.disposal_model import Disposal, DisposalState, Line, Policy
from services.leasing.errors import DisposalOpen

_COLUMNS = [field.name for field in fields(Disposal) if field.name != "lines"]
_CREDITOR = "exists (select from disposal_line n where n.disposal_id = d.id and n.creditor = {0})"


async def insert_disposal(connection: Connection, disposal: Disposal) -> None:
    """Write a new disposal with its lines.

    Raises:
        DisposalOpen: Another of the machine is open.
    """
    places = ", ".join(f"${place}" for place in range(1, len(_COLUMNS) + 1))
    try:
        await connection.execute(
            f"insert into disposal ({', '.join(_COLUMNS)}) values ({places})",
            *(getattr(disposal, column) for column in _COLUMNS),
        )
    except asyncpg.UniqueViolationError as error:
        raise DisposalOpen(disposal.machine, "another disposal") from error
    await _insert_lines(connection, disposal)


async def update_disposal(connection: Connection, disposal: Disposal, *, at: datetime) -> Disposal:
    """Write what changes of a disposal, and return it with its new version."""
    version: int = await connection.fetchval(
        """
        update disposal set version = version + 1, update_time = $2, event_sequence = $3,
            state = $4, valuation = $5, reserve_fen = $6, policy_version = $7, unsold_count = $8
        where id = $1 returning version
        """,
        disposal.id,
        at,
        disposal.event_sequence,
        disposal.state,
        disposal.valuation,
        disposal.reserve_fen,
        disposal.policy_version,
        disposal.unsold_count,
    )
    return replace(disposal, version=version, update_time=at)


async def settle_disposal(connection: Connection, disposal: Disposal, *, at: datetime) -> None:
    """Write how a disposal was settled, its lines as they were paid."""
    await connection.execute(
        """
        update disposal set version = version + 1, update_time = $2, settle_time = $2,
            event_sequence = $3, state = $4, debt_fen = $5, as_of = $6, sale_order = $7,
            price_fen = $8, surplus_fen = $9, claims = $10
        where id = $1
        """,
        disposal.id,
        at,
        disposal.event_sequence,
        disposal.state,
        disposal.debt_fen,
        disposal.as_of,
        disposal.sale_order,
        disposal.price_fen,
        disposal.surplus_fen,
        list(disposal.claims),
    )
    await connection.execute("delete from disposal_line where disposal_id = $1", disposal.id)
    await _insert_lines(connection, disposal)


async def find_disposal(
    connection: Connection, disposal_id: UUID, *, viewer: Principal
) -> Disposal | None:
    """Return a disposal that the viewer may see: lessor, lessee, or with a claim on it."""
    row = await connection.fetchrow(
        f"""
        select d.* from disposal d
        where d.id = $1 and ($2 or $3 in (d.lessor, d.lessee) or {_CREDITOR.format("$3")})
        """,
        disposal_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else (await _with_lines(connection, [row]))[0]


async def get_disposal(connection: Connection, disposal_id: UUID, *, viewer: Principal) -> Disposal:
    """Return a disposal that the viewer may see.

    Raises:
        NotFound: There is none.
    """
    disposal = await find_disposal(connection, disposal_id, viewer=viewer)
    if disposal is None:
        raise NotFound(name("disposals", disposal_id))
    return disposal


async def list_disposals(
    connection: Connection,
    *,
    viewer: Principal,
    lease_id: UUID | None,
    state: str,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Disposal]:
    """Return disposals that the viewer may see, the newest first, after a (create time, id).

    Each way of seeing is a branch of its own, read in the order of its own index.
    """
    wanted = """
        ($2::uuid is null or d.lease_id = $2) and ($3 = '' or d.state = $3)
        and ($4::timestamptz is null or (d.create_time, d.id) < ($4, $5::uuid))
    """
    page = "order by d.create_time desc, d.id desc limit $6"
    # An array is read first and once; as a join the planner may walk every disposal to find none.
    creditor = "d.id = any(array(select disposal_id from disposal_line where creditor = $1))"
    mine = ["d.lessor = $1", "d.lessee = $1", creditor]
    branches = " union ".join(
        f"(select d.id from disposal d where {way} and {wanted} {page})"
        for way in (["$1 = ''"] if viewer.sees_all else mine)
    )
    rows = await connection.fetch(
        f"select d.* from disposal d where d.id in (select id from ({branches}) as seen) {page}",
        "" if viewer.sees_all else viewer.party,
        lease_id,
        state,
        *(after or (None, None)),
        limit,
    )
    return await _with_lines(connection, rows)


async def find_open(connection: Connection, machine: str) -> str | None:
    """Return the name of a machine's open disposal."""
    found: UUID | None = await connection.fetchval(
        "select id from disposal where machine = $1 and state = 'OPEN'", machine
    )
    return None if found is None else name("disposals", found)


async def find_of_lease(
    connection: Connection, lease_id: UUID, *, state: DisposalState
) -> str | None:
    """Return the name of a lease's disposal in a state."""
    found: UUID | None = await connection.fetchval(
        "select id from disposal where lease_id = $1 and state = $2 limit 1", lease_id, state
    )
    return None if found is None else name("disposals", found)


async def get_policy(connection: Connection, version: int | None) -> Policy:
    """Return a version of the policy table, the newest where none is asked for.

    Raises:
        NotFound: There is none.
    """
    row = await connection.fetchrow(
        """
        select version, steps, create_time from disposal_policy
        where $1::int is null or version = $1 order by version desc limit 1
        """,
        version,
    )
    if row is None:
        raise NotFound(f"disposalPolicies/{version}")
    steps = tuple((unsold, Decimal(share)) for unsold, share in row["steps"])
    return Policy(row["version"], steps, row["create_time"])


async def insert_policy(
    connection: Connection, steps: Sequence[tuple[int, Decimal]], *, at: datetime
) -> Policy:
    """Write the next version of the policy table."""
    version: int = await connection.fetchval(
        """
        insert into disposal_policy (version, steps, create_time)
        select coalesce(max(version), 0) + 1, $1, $2 from disposal_policy returning version
        """,
        [[unsold, str(share)] for unsold, share in steps],
        at,
    )
    return Policy(version, tuple(steps), at)


async def _insert_lines(connection: Connection, disposal: Disposal) -> None:
    await connection.executemany(
        """
        insert into disposal_line
            (disposal_id, rank, claimant, creditor, draw, due_fen, paid_fen, transfer_id)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        [
            (
                disposal.id,
                rank,
                line.claimant,
                line.creditor,
                line.draw,
                line.due_fen,
                line.paid_fen,
                line.transfer_id,
            )
            for rank, line in enumerate(disposal.lines, 1)
        ],
    )


async def _with_lines(connection: Connection, rows: Iterable[Row]) -> list[Disposal]:
    kept = list(rows)
    lines = await connection.fetch(
        "select * from disposal_line where disposal_id = any($1) order by disposal_id, rank",
        [row["id"] for row in kept],
    )
    by_disposal: dict[UUID, list[Line]] = {row["id"]: [] for row in kept}
    for line in lines:
        by_disposal[line["disposal_id"]].append(
            Line(
                Claimant(line["claimant"]),
                line["creditor"],
                line["draw"],
                line["due_fen"],
                line["paid_fen"],
                line["transfer_id"],
            )
        )
    return [_disposal(row, by_disposal[row["id"]]) for row in kept]


def _disposal(row: Row, lines: Sequence[Line]) -> Disposal:
    values: dict[str, Any] = {column: row[column] for column in _COLUMNS}
    return Disposal(
        **values
        | {
            "state": DisposalState(row["state"]),
            "claims": tuple(row["claims"]),
            "lines": tuple(lines),
        }
    )
