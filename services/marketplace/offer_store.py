"""All SQL of offers."""

from datetime import datetime
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.marketplace.offer_model import Offer, OfferState


async def insert_offer(connection: Connection, offer: Offer) -> None:
    """Write a new offer."""
    await connection.execute(
        """
        insert into offer (id, listing_id, buyer, amount_fen, state, expire_time,
                           listing_sequence, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
        """,
        offer.id,
        offer.listing_id,
        offer.buyer,
        offer.amount_fen,
        offer.state,
        offer.expire_time,
        offer.listing_sequence,
        offer.create_time,
    )


async def update_offer(
    connection: Connection,
    offer_id: UUID,
    *,
    state: OfferState,
    expire_time: datetime,
    listing_sequence: int,
    at: datetime,
) -> Offer:
    """Move an offer whose listing is locked."""
    row = await connection.fetchrow(
        """
        update offer set state = $2, expire_time = $3, listing_sequence = $4,
            version = version + 1, update_time = $5
        where id = $1 returning *
        """,
        offer_id,
        state,
        expire_time,
        listing_sequence,
        at,
    )
    assert row is not None
    return _offer(row)


async def find_offer(connection: Connection, offer_id: UUID, *, viewer: Principal) -> Offer | None:
    """Return an offer to its buyer and to the listing's seller."""
    row = await connection.fetchrow(
        """
        select o.* from offer o join listing l on l.id = o.listing_id
        where o.id = $1 and ($2 or o.buyer = $3 or l.seller = $3)
        """,
        offer_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _offer(row)


async def get_offer(connection: Connection, offer_id: UUID) -> Offer:
    """Return an offer that is known to exist."""
    row = await connection.fetchrow("select * from offer where id = $1", offer_id)
    assert row is not None
    return _offer(row)


async def list_live(connection: Connection, listing_id: UUID) -> list[Offer]:
    """Return the offers of a listing that are open, accepted or ordered, the oldest first."""
    rows = await connection.fetch(
        """
        select * from offer
        where listing_id = $1 and state in ('OPEN', 'ACCEPTED', 'ORDERED') order by id
        """,
        listing_id,
    )
    return [_offer(row) for row in rows]


async def list_of_listing(
    connection: Connection,
    listing_id: UUID,
    *,
    viewer: Principal,
    after: UUID | None,
    limit: int,
) -> list[Offer]:
    """Return the offers of a listing that the viewer made or got, the newest first, after an id."""
    rows = await connection.fetch(
        """
        select o.* from offer o join listing l on l.id = o.listing_id
        where o.listing_id = $1 and ($2 or o.buyer = $3 or l.seller = $3)
          and ($4::uuid is null or o.id < $4)
        order by o.id desc limit $5
        """,
        listing_id,
        viewer.sees_all,
        viewer.party,
        after,
        limit,
    )
    return [_offer(row) for row in rows]


async def list_of_buyer(
    connection: Connection, buyer: str, *, after: UUID | None, limit: int
) -> list[Offer]:
    """Return the offers that a party made, the newest first, after an id."""
    rows = await connection.fetch(
        """
        select * from offer where buyer = $1 and ($2::uuid is null or id < $2)
        order by id desc limit $3
        """,
        buyer,
        after,
        limit,
    )
    return [_offer(row) for row in rows]


def _offer(row: Row) -> Offer:
    return Offer(**{**row, "state": OfferState(row["state"])})
