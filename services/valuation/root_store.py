"""All SQL of signed roots and their keys."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from services.kit.connection import Connection, Row

if TYPE_CHECKING:
    from services.valuation.roots import SignedRoot

SEALING_LOCK = 4_201  # one replica seals at a time


async def newest_key(connection: Connection) -> tuple[str, bytes] | None:
    """Return the id and PEM of the key that signs."""
    row = await connection.fetchrow(
        "select id, pem from root_key order by create_time desc, id desc limit 1"
    )
    return None if row is None else (row["id"], row["pem"])


async def insert_key(connection: Connection, key_id: str, pem: bytes) -> None:
    """Keep a key."""
    await connection.execute("insert into root_key (id, pem) values ($1, $2)", key_id, pem)


async def insert_root(
    connection: Connection,
    root: "SignedRoot",
    *,
    window: tuple[datetime, datetime] | None,
    at: datetime,
) -> None:
    """Keep a signed root."""
    await connection.execute(
        """
        insert into merkle_root
            (subject, leaves, root, signature, key_id, from_time, to_time, create_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        root.subject,
        root.leaves,
        root.root,
        root.signature,
        root.key_id,
        *(window or (None, None)),
        at,
    )


async def find_root(connection: Connection, subject: str) -> Row | None:
    """Return a root with its key's PEM."""
    return await connection.fetchrow(
        """
        select merkle_root.*, root_key.pem from merkle_root
        join root_key on root_key.id = key_id where subject = $1
        """,
        subject,
    )


async def find_hour(connection: Connection, at: datetime) -> Row | None:
    """Return the root, with its key's PEM, of the valuations created at an instant."""
    return await connection.fetchrow(
        """
        select merkle_root.*, root_key.pem from merkle_root
        join root_key on root_key.id = key_id
        where from_time <= $1 and to_time > $1 order by to_time desc limit 1
        """,
        at,
    )


async def lock_sealing(connection: Connection) -> None:
    """Wait until no other transaction seals."""
    await connection.execute("select pg_advisory_xact_lock($1)", SEALING_LOCK)


async def first_unsealed(connection: Connection, *, until: datetime) -> datetime | None:
    """Return the create_time of the first valuation after the last root, before `until`."""
    first: datetime | None = await connection.fetchval(
        """
        select min(create_time) from valuation
        where create_time < $1 and create_time >= coalesce(
            (select max(to_time) from merkle_root where to_time is not null), '-infinity')
        """,
        until,
    )
    return first


async def list_records(connection: Connection, first: datetime, end: datetime) -> list[str]:
    """Return the record hashes of the valuations created in [first, end), in their order."""
    rows = await connection.fetch(
        """
        select record_sha256 from valuation where create_time >= $1 and create_time < $2
        order by create_time, id
        """,
        first,
        end,
    )
    return [row["record_sha256"] for row in rows]


async def place_of(connection: Connection, valuation_id: UUID, *, first: datetime) -> int:
    """Return how many valuations come before one from an instant on."""
    place: int = await connection.fetchval(
        """
        select count(*) from valuation v, valuation own
        where own.id = $1 and v.create_time >= $2
          and (v.create_time, v.id) < (own.create_time, own.id)
        """,
        valuation_id,
        first,
    )
    return place
