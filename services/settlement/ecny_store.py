"""All SQL of simulated e-CNY wallets."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.settlement.ecny_model import EcnyWallet

_COLUMNS = ", ".join(field.name for field in fields(EcnyWallet))


async def insert_wallet(connection: Connection, wallet: EcnyWallet) -> None:
    """Write a new wallet."""
    values = [getattr(wallet, field.name) for field in fields(EcnyWallet)]
    places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
    await connection.execute(f"insert into ecny_wallet ({_COLUMNS}) values ({places})", *values)


async def find_wallet(
    connection: Connection, wallet_id: UUID, *, viewer: Principal, lock: bool = False
) -> EcnyWallet | None:
    """Return a wallet that the viewer may see: one of their own party, or any."""
    row = await connection.fetchrow(
        f"""
        select {_COLUMNS} from ecny_wallet where id = $1 and ($2 or 'parties/' || party = $3)
        {"for no key update" if lock else ""}
        """,
        wallet_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _wallet(row)


async def get_wallet(connection: Connection, wallet_id: UUID) -> EcnyWallet:
    """Return the wallet of a payment, which is there as long as the payment is."""
    row = await connection.fetchrow(f"select {_COLUMNS} from ecny_wallet where id = $1", wallet_id)
    assert row is not None
    return _wallet(row)


async def update_conditions(
    connection: Connection,
    wallet_id: UUID,
    *,
    payees: Sequence[str],
    purposes: Sequence[str],
    at: datetime,
) -> EcnyWallet:
    """Write a wallet's conditions."""
    row = await connection.fetchrow(
        f"""
        update ecny_wallet set payees = $2, purposes = $3, update_time = $4, version = version + 1
        where id = $1 returning {_COLUMNS}
        """,
        wallet_id,
        payees,
        purposes,
        at,
    )
    assert row is not None
    return _wallet(row)


async def list_wallets(
    connection: Connection,
    *,
    viewer: Principal,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[EcnyWallet]:
    """Return wallets that the viewer may see, the oldest first."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from ecny_wallet
        where ($1 or party::text = $2)
          and ($3::timestamptz is null or (create_time, id) > ($3, $4::uuid))
        order by create_time, id limit $5
        """,
        viewer.sees_all,
        viewer.party.removeprefix("parties/"),
        *(after or (None, None)),
        limit,
    )
    return [_wallet(row) for row in rows]


def _wallet(row: Row) -> EcnyWallet:
    values = {**row, "payees": tuple(row["payees"]), "purposes": tuple(row["purposes"])}
    return EcnyWallet(**values)
