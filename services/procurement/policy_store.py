"""SQL of the trade policy's versions."""

from dataclasses import astuple

from services.kit.connection import Connection
from services.procurement.order_model import TradePolicy


async def get_policy(connection: Connection, version: int) -> TradePolicy:
    """Return a version of the policy that an order names."""
    row = await connection.fetchrow("select * from trade_policy where version = $1", version)
    assert row is not None, f"orders name policy {version}"
    return TradePolicy(**row)


async def policy_in_force(connection: Connection) -> TradePolicy:
    """Return the last version of the policy."""
    row = await connection.fetchrow("select * from trade_policy order by version desc limit 1")
    assert row is not None, "the first version comes with the table"
    return TradePolicy(**row)


async def lock_policies(connection: Connection) -> None:
    """Let one version be added at a time; readers are not held up."""
    await connection.execute("lock table trade_policy in share row exclusive mode")


async def insert_policy(connection: Connection, policy: TradePolicy) -> None:
    """Add a version; it is in force from its commit."""
    await connection.execute(
        "insert into trade_policy values ($1, $2, $3, $4, $5, $6)", *astuple(policy)
    )


async def list_policies(
    connection: Connection, *, below: int | None, limit: int
) -> list[TradePolicy]:
    """Return versions, the latest first, below a version."""
    rows = await connection.fetch(
        """
        select * from trade_policy where ($1::int is null or version < $1)
        order by version desc limit $2
        """,
        below,
        limit,
    )
    return [TradePolicy(**row) for row in rows]
