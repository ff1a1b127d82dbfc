"""All SQL of liens."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.marketplace.machine_model import Lien, LienState, ranked


async def insert_lien(connection: Connection, lien: Lien) -> None:
    """Write a new lien; its number is the next one of all liens."""
    await connection.execute(
        """
        insert into lien
            (id, machine_id, holder, reference, registry_no, secured_amount_fen, purchase_money,
             super_priority, register_time, state, machine_sequence, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
        """,
        lien.id,
        lien.machine_id,
        lien.holder,
        lien.reference,
        lien.registry_no,
        lien.secured_amount_fen,
        lien.purchase_money,
        lien.super_priority,
        lien.register_time,
        lien.state,
        lien.machine_sequence,
        lien.create_time,
    )


async def find_by_reference(
    connection: Connection, machine_id: UUID, *, holder: str, reference: str
) -> Lien | None:
    """Return the lien of a holder on a machine that secures `reference`."""
    row = await connection.fetchrow(
        "select * from lien where machine_id = $1 and holder = $2 and reference = $3",
        machine_id,
        holder,
        reference,
    )
    return None if row is None else _lien(row)


async def find_lien(connection: Connection, lien_id: UUID, *, viewer: Principal) -> Lien | None:
    """Return a lien that the viewer holds, or whose machine they own."""
    row = await connection.fetchrow(
        """
        select l.* from lien l join machine m on m.id = l.machine_id
        where l.id = $1 and ($2 or l.holder = $3 or m.title_holder = $3)
        """,
        lien_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _lien(row)


async def active_liens(
    connection: Connection, machine_ids: Sequence[UUID]
) -> dict[UUID, list[Lien]]:
    """Return the active liens of machines, ranked, by machine."""
    rows = await connection.fetch(
        "select * from lien where machine_id = any ($1::uuid[]) and state = 'ACTIVE'", machine_ids
    )
    found: dict[UUID, list[Lien]] = defaultdict(list)
    for row in rows:
        found[row["machine_id"]].append(_lien(row))
    return {machine_id: ranked(liens) for machine_id, liens in found.items()}


async def list_liens(
    connection: Connection, machine_id: UUID, *, viewer: Principal, after: int, limit: int
) -> list[Lien]:
    """Return a machine's liens that the viewer may see, in the order of creation."""
    rows = await connection.fetch(
        """
        select l.* from lien l join machine m on m.id = l.machine_id
        where l.machine_id = $1 and ($2 or l.holder = $3 or m.title_holder = $3)
          and l.number > $4
        order by l.number limit $5
        """,
        machine_id,
        viewer.sees_all,
        viewer.party,
        after,
        limit,
    )
    return [_lien(row) for row in rows]


async def release_lien(
    connection: Connection, lien_id: UUID, *, state: LienState, machine_sequence: int, at: datetime
) -> Lien:
    """Mark a lien as released."""
    row = await connection.fetchrow(
        """
        update lien set state = $2, release_time = $3, machine_sequence = $4,
            version = version + 1, update_time = $3
        where id = $1 returning *
        """,
        lien_id,
        state,
        at,
        machine_sequence,
    )
    assert row is not None
    return _lien(row)


def _lien(row: Row) -> Lien:
    return Lien(**{**row, "state": LienState(row["state"])})
