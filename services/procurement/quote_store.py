"""SQL of quotes.

A seller sees its own quote, and those of others once the pool is awarded; the organiser and the
members see all, and whoever sees every party's rows.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.procurement.pool_model import PriceTier, Quote, QuoteState

# $1 sees every party's rows, $2 is the viewer's party.
_VISIBLE = """
    ($1 or q.seller = $2
     or exists (select from demand_pool p where p.id = q.pool_id and p.organiser = $2)
     or exists (select from pool_membership m
                where m.pool_id = q.pool_id and m.member = $2 and m.state = 'JOINED')
     or (exists (select from demand_pool p
                 where p.id = q.pool_id and p.state in ('AWARDED', 'ORDERED'))
         and exists (select from pool_quote own
                     where own.pool_id = q.pool_id and own.seller = $2)))
"""


async def insert_quote(connection: Connection, quote: Quote) -> bool:
    """Write a new quote; False where the seller has one in this pool."""
    written = await connection.fetchval(
        """
        insert into pool_quote values
            ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        on conflict (pool_id, seller) where state in ('OFFERED', 'AWARDED') do nothing
        returning true
        """,
        quote.id,
        quote.version,
        quote.pool_id,
        quote.seller,
        quote.state,
        quote.unit_price_fen,
        [[tier.from_quantity, str(tier.discount_rate)] for tier in quote.tiers],
        quote.transport_fen,
        quote.other_fen,
        quote.pooled_unit_price_fen,
        quote.landed_cost_fen,
        list(quote.machines),
        quote.valid_until,
        quote.lapse_reason,
        quote.create_time,
        quote.update_time,
    )
    return bool(written)


async def find_quote(
    connection: Connection, quote_id: UUID, *, viewer: Principal, lock: bool = False
) -> Quote | None:
    """Return a quote that the viewer may see, locked for change where asked."""
    row = await connection.fetchrow(
        f"""
        select q.* from pool_quote q where {_VISIBLE} and q.id = $3
        {"for no key update of q" if lock else ""}
        """,
        viewer.sees_all,
        viewer.party,
        quote_id,
    )
    return None if row is None else _quote(row)


async def has_quote(connection: Connection, pool_id: UUID, *, seller: str) -> bool:
    """Whether a seller's quote stands in a pool."""
    found = await connection.fetchval(
        "select true from pool_quote where pool_id = $1 and seller = $2 and state = 'OFFERED'",
        pool_id,
        seller,
    )
    return bool(found)


async def list_offered(connection: Connection, pool_id: UUID) -> list[Quote]:
    """Return a pool's standing quotes, the earliest first."""
    rows = await connection.fetch(
        """
        select * from pool_quote where pool_id = $1 and state = 'OFFERED' order by create_time, id
        """,
        pool_id,
    )
    return [_quote(row) for row in rows]


async def list_quotes(
    connection: Connection,
    pool_id: UUID,
    *,
    viewer: Principal,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Quote]:
    """Return the quotes of a pool that the viewer may see, the earliest first."""
    rows = await connection.fetch(
        f"""
        select q.* from pool_quote q
        where {_VISIBLE} and q.pool_id = $3
          and ($4::timestamptz is null or (q.create_time, q.id) > ($4, $5::uuid))
        order by q.create_time, q.id limit $6
        """,
        viewer.sees_all,
        viewer.party,
        pool_id,
        *(after or (None, None)),
        limit,
    )
    return [_quote(row) for row in rows]


async def last_validity(connection: Connection, pool_id: UUID) -> date | None:
    """Return the last day on which one of a pool's standing quotes is valid."""
    last: date | None = await connection.fetchval(
        "select max(valid_until) from pool_quote where pool_id = $1 and state = 'OFFERED'", pool_id
    )
    return last


async def set_state(
    connection: Connection, quote: Quote, state: QuoteState, *, at: datetime, lapse_reason: str = ""
) -> Quote:
    """Write a quote's next state."""
    row = await connection.fetchrow(
        """
        update pool_quote set state = $2, lapse_reason = $3, version = version + 1, update_time = $4
        where id = $1 returning *
        """,
        quote.id,
        state,
        lapse_reason,
        at,
    )
    assert row is not None
    return _quote(row)


async def lose_others(connection: Connection, pool_id: UUID, *, at: datetime) -> None:
    """Write that the quotes of a pool that still stand have lost."""
    await connection.execute(
        """
        update pool_quote set state = 'LOST', version = version + 1, update_time = $2
        where pool_id = $1 and state = 'OFFERED'
        """,
        pool_id,
        at,
    )


def _quote(row: Row) -> Quote:
    values: dict[str, Any] = {
        **row,
        "state": QuoteState(row["state"]),
        "tiers": tuple(PriceTier(quantity, Decimal(rate)) for quantity, rate in row["tiers"]),
        "machines": tuple(row["machines"]),
    }
    return Quote(**values)
