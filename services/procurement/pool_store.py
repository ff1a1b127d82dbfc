"""SQL of pools and memberships.

A pool is open to every buyer and seller until it is awarded or fails; then its organiser, its
members and the sellers who quoted see it, and whoever sees every party's rows.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.procurement.order_model import Address
from services.procurement.pool_model import (
    Membership,
    MembershipState,
    Pool,
    PoolFailure,
    PoolState,
    Specification,
)

# $1 sees every party's rows, $2 is the viewer's party.
_VISIBLE = """
    ($1 or p.state in ('OPEN', 'LOCKED', 'QUOTED') or p.organiser = $2
     or exists (select from pool_membership m
                where m.pool_id = p.id and m.member = $2 and m.state = 'JOINED')
     or exists (select from pool_quote q where q.pool_id = p.id and q.seller = $2))
"""

# The same for a listing: a few index scans for one party ($1) instead of a look at every pool.
_LISTED = """
    p.id in (
        select id from demand_pool where state in ('OPEN', 'LOCKED', 'QUOTED')
        union all select id from demand_pool where organiser = $1
        union all select pool_id from pool_membership where member = $1 and state = 'JOINED'
        union all select pool_id from pool_quote where seller = $1)
"""


async def insert_pool(connection: Connection, pool: Pool) -> None:
    """Write a new pool."""
    await connection.execute(
        """
        insert into demand_pool
            (id, version, event_sequence, state, organiser, specification, region,
             minimum_quantity, target_quantity, pooled_quantity, member_count, join_until,
             quote_until, awarded_unit_price_fen, awarded_landed_cost_fen, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, 0, $14, $14)
        """,
        pool.id,
        pool.version,
        pool.event_sequence,
        pool.state,
        pool.organiser,
        asdict(pool.specification),
        pool.region,
        pool.minimum_quantity,
        pool.target_quantity,
        pool.pooled_quantity,
        pool.member_count,
        pool.join_until,
        pool.quote_until,
        pool.create_time,
    )


async def find_pool(
    connection: Connection, pool_id: UUID, *, viewer: Principal, lock: bool = False
) -> Pool | None:
    """Return a pool that the viewer may see, locked for change where asked."""
    row = await connection.fetchrow(
        f"""
        select p.* from demand_pool p where {_VISIBLE} and p.id = $3
        {"for no key update of p" if lock else ""}
        """,
        viewer.sees_all,
        viewer.party,
        pool_id,
    )
    return None if row is None else _pool(row)


async def list_pools(
    connection: Connection,
    *,
    viewer: Principal,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[Pool]:
    """Return pools that the viewer may see, the newest first, after an id."""
    rows = await connection.fetch(
        f"""
        select p.* from demand_pool p
        where {"$1::text is not null" if viewer.sees_all else _LISTED}
          and ($2::text is null or p.state = $2) and ($3::uuid is null or p.id < $3)
        order by p.id desc limit $4
        """,
        viewer.party,
        state,
        after,
        limit,
    )
    return [_pool(row) for row in rows]


async def update_pool(connection: Connection, pool: Pool) -> None:
    """Write what may change of a pool."""
    await connection.execute(
        """
        update demand_pool set version = $2, event_sequence = $3, state = $4, pooled_quantity = $5,
            member_count = $6, awarded_quote_id = $7, awarded_unit_price_fen = $8,
            awarded_landed_cost_fen = $9, failure = $10, update_time = $11
        where id = $1
        """,
        pool.id,
        pool.version,
        pool.event_sequence,
        pool.state,
        pool.pooled_quantity,
        pool.member_count,
        pool.awarded_quote_id,
        pool.awarded_unit_price_fen,
        pool.awarded_landed_cost_fen,
        pool.failure,
        pool.update_time,
    )


async def find_membership(
    connection: Connection, pool_id: UUID, *, member: str
) -> Membership | None:
    """Return a buyer's membership of a pool, left ones included."""
    row = await connection.fetchrow(
        "select * from pool_membership where pool_id = $1 and member = $2", pool_id, member
    )
    return None if row is None else _membership(row)


async def write_membership(connection: Connection, membership: Membership) -> None:
    """Write a membership, new or changed."""
    await connection.execute(
        """
        insert into pool_membership values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (id) do update set quantity = excluded.quantity, address = excluded.address,
            state = excluded.state, join_time = excluded.join_time,
            update_time = excluded.update_time
        """,
        membership.id,
        membership.pool_id,
        membership.member,
        membership.quantity,
        asdict(membership.address),
        membership.state,
        membership.order_id,
        membership.join_time,
        membership.update_time,
    )


async def list_joined(connection: Connection, pool_id: UUID) -> list[Membership]:
    """Return every membership of a pool that counts, in the order of joining."""
    rows = await connection.fetch(
        """
        select * from pool_membership where pool_id = $1 and state = 'JOINED'
        order by join_time, id
        """,
        pool_id,
    )
    return [_membership(row) for row in rows]


async def list_memberships(
    connection: Connection,
    pool: Pool,
    *,
    viewer: Principal,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Membership]:
    """Return a pool's memberships in the order of joining: all to its organiser, else one's own."""
    rows = await connection.fetch(
        """
        select * from pool_membership
        where pool_id = $1 and ($2 or member = $3)
          and ($4::timestamptz is null or (join_time, id) > ($4, $5::uuid))
        order by join_time, id limit $6
        """,
        pool.id,
        viewer.sees_all or viewer.party == pool.organiser,
        viewer.party,
        *(after or (None, None)),
        limit,
    )
    return [_membership(row) for row in rows]


async def set_orders(connection: Connection, orders: Mapping[UUID, UUID], *, at: datetime) -> None:
    """Write the order of each membership."""
    await connection.execute(
        """
        update pool_membership m set order_id = o.order_id, update_time = $3
        from unnest($1::uuid[], $2::uuid[]) as o (membership_id, order_id)
        where m.id = o.membership_id
        """,
        list(orders.keys()),
        list(orders.values()),
        at,
    )


def _pool(row: Row) -> Pool:
    return Pool(
        **{
            **row,
            "state": PoolState(row["state"]),
            "specification": Specification(**row["specification"]),
            "failure": PoolFailure(row["failure"]) if row["failure"] else None,
        }
    )


def _membership(row: Row) -> Membership:
    return Membership(
        **{
            **row,
            "address": Address(**row["address"]),
            "state": MembershipState(row["state"]),
        }
    )
