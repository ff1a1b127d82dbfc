"""All SQL of the parties service."""

from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.errors import DomainError
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.parties.model import Party, User, UserState

_INSERT_PARTY = """
    insert into party (id, legal_name, uscc, lei, roles, create_time, update_time)
    values ($1, $2, $3, $4, $5, $6, $6)
"""


async def insert_party(connection: Connection, party: Party) -> None:
    """Write a new party."""
    await connection.execute(_INSERT_PARTY, *_columns_of(party))


def insert_party_last(tx: Transaction, party: Party, *, refusal: DomainError) -> None:
    """Have a new party written with the commit, or refused where its USCC or LEI is registered."""
    tx.write_last(
        _INSERT_PARTY,
        *_columns_of(party),
        refusals={"party_uscc_key": refusal, "party_lei_key": refusal},
    )


def _columns_of(party: Party) -> tuple[object, ...]:
    return (
        party.id,
        party.legal_name,
        party.uscc,
        party.lei,
        party.roles,
        party.create_time,
    )


async def find_party(connection: Connection, party_id: UUID, *, lock: bool) -> Party | None:
    """Return a party, locked for change where asked."""
    row = await connection.fetchrow(
        f"select * from party where id = $1 {'for no key update' if lock else ''}", party_id
    )
    return None if row is None else Party(**row)


async def find_party_called(connection: Connection, called: str) -> Party | None:
    """Return the party of this name ("parties/…") or legal name, the first one registered."""
    row = await connection.fetchrow(
        """
        select * from party
        where legal_name = $1 or id::text = substr($1, length('parties/') + 1)
        order by create_time limit 1
        """,
        called,
    )
    return None if row is None else Party(**row)


async def list_parties(
    connection: Connection, *, role: str | None, after: tuple[Any, ...] | None, limit: int
) -> list[Party]:
    """Return parties by legal name, after a (legal name, id)."""
    rows = await connection.fetch(
        """
        select * from party
        where ($1::text is null or $1 = any(roles))
          and ($2::text is null or (legal_name, id) > ($2, $3::uuid))
        order by legal_name, id limit $4
        """,
        role,
        *(after or (None, None)),
        limit,
    )
    return [Party(**row) for row in rows]


async def set_roles(
    connection: Connection, party_id: UUID, roles: list[str], *, at: datetime
) -> Party:
    """Replace a party's roles; takes the next event sequence."""
    row = await connection.fetchrow(
        """
        update party set roles = $2, version = version + 1, event_sequence = event_sequence + 1,
            update_time = $3
        where id = $1 returning *
        """,
        party_id,
        roles,
        at,
    )
    assert row is not None
    return Party(**row)


async def insert_user(connection: Connection, user: User) -> bool:
    """Write a new user; False where the login is taken."""
    written = await connection.fetchval(
        """
        insert into app_user
            (id, party_id, login, password_hash, roles, state, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict (login) do nothing returning true
        """,
        user.id,
        user.party_id,
        user.login,
        user.password_hash,
        user.roles,
        user.state,
        user.create_time,
    )
    return bool(written)


async def find_user(connection: Connection, user_id: UUID, *, viewer: Principal) -> User | None:
    """Return a user that the viewer may see: one of their own party, or any."""
    row = await connection.fetchrow(
        "select * from app_user where id = $1 and ($2 or 'parties/' || party_id = $3)",
        user_id,
        viewer.sees_all,
        viewer.party,
    )
    return _user(row)


async def find_user_by_login(connection: Connection, login: str) -> User | None:
    """Return the user who signs in with `login`."""
    return _user(await connection.fetchrow("select * from app_user where login = $1", login))


async def find_active_user(
    connection: Connection, party_id: UUID, *, roles: list[str]
) -> User | None:
    """Return a party's user who holds all of `roles` and may act, the first one registered."""
    return _user(
        await connection.fetchrow(
            """
            select * from app_user where party_id = $1 and roles @> $2 and state = 'ACTIVE'
            order by create_time limit 1
            """,
            party_id,
            roles,
        )
    )


async def user_exists(connection: Connection, user_id: UUID) -> bool:
    """Whether there is such a user, disabled or not."""
    found: bool = await connection.fetchval(
        "select exists (select from app_user where id = $1)", user_id
    )
    return found


async def lock_user(connection: Connection, user_id: UUID) -> User | None:
    """Return a user, locked for change."""
    return _user(
        await connection.fetchrow("select * from app_user where id = $1 for no key update", user_id)
    )


async def update_user(
    connection: Connection, user_id: UUID, *, state: UserState, password_hash: str, at: datetime
) -> User:
    """Replace a user's state and password hash."""
    row = await connection.fetchrow(
        """
        update app_user set state = $2, password_hash = $3, version = version + 1, update_time = $4
        where id = $1 returning *
        """,
        user_id,
        state,
        password_hash,
        at,
    )
    user = _user(row)
    assert user is not None
    return user


async def insert_signing_key(connection: Connection, key_id: str, private_pem: bytes) -> None:
    """Keep a new signing key; it signs from now on."""
    await connection.execute(
        "insert into signing_key (id, private_pem, create_time) values ($1, $2, clock_timestamp())",
        key_id,
        private_pem,
    )


async def list_signing_keys(connection: Connection) -> list[tuple[str, bytes]]:
    """Return (id, private PEM) of every signing key, the newest first."""
    rows = await connection.fetch(
        "select id, private_pem from signing_key order by create_time desc"
    )
    return [(row["id"], row["private_pem"]) for row in rows]


def _user(row: Row | None) -> User | None:
    return None if row is None else User(**{**row, "state": UserState(row["state"])})
