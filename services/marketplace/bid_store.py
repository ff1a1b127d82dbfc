"""All SQL of bids. They are only ever added, under the lock of their auction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.kit.connection import Connection
from services.kit.principals import Principal
from services.marketplace.auction_model import Auction, Bid, BidState


async def write_decided(
    connection: Connection, auction: Auction, bids: Sequence[Bid], *, at: datetime
) -> None:
    """Write decided bids of a locked auction, and the auction as it is after them."""
    await connection.execute(
        """
        with decided as (
            insert into bid (auction_id, sequence, id, bidder, amount_fen, state, minimum_fen,
                             place_time, close_time)
            select $1, * from unnest(
                $2::bigint[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
                $8::timestamptz[], $9::timestamptz[]))
        update auction set version = version + 1, event_sequence = $10, state = $11,
            close_time = $12, bid_sequence = $13, accepted_bids = $14, high_fen = $15,
            high_bidder = $16, extensions = $17, update_time = $18
        where id = $1
        """,
        auction.id,
        [bid.sequence for bid in bids],
        [bid.id for bid in bids],
        [bid.bidder for bid in bids],
        [bid.amount_fen for bid in bids],
        [bid.state for bid in bids],
        [bid.minimum_fen for bid in bids],
        [bid.place_time for bid in bids],
        [bid.close_time for bid in bids],
        auction.event_sequence,
        auction.state,
        auction.close_time,
        auction.bid_sequence,
        auction.accepted_bids,
        auction.high_fen,
        auction.high_bidder,
        auction.extensions,
        at,
    )


async def list_bids(
    connection: Connection, auction: Auction, *, viewer: Principal, after: int, limit: int
) -> list[Bid]:
    """Return an auction's bids that a viewer may see, by sequence, after one.

    The seller and who sees all get every bid; anyone else the accepted ones and their own.
    """
    rows = await connection.fetch(
        """
        select auction_id, sequence, id, bidder, amount_fen, state, minimum_fen, place_time,
            close_time
        from bid
        where auction_id = $1 and sequence > $2 and ($3 or state = 'ACCEPTED' or bidder = $4)
        order by sequence limit $5
        """,
        auction.id,
        after,
        auction.is_whole_to(viewer),
        viewer.party,
        limit,
    )
    return [Bid(**{**row, "state": BidState(row["state"])}) for row in rows]


async def admitted_of(connection: Connection, auction_id: UUID, bidders: Sequence[str]) -> set[str]:
    """Return those of some bidders whose deposit is held."""
    rows = await connection.fetch(
        """
        select bidder from bid_deposit
        where auction_id = $1 and bidder = any ($2::text[]) and state = 'HELD'
        """,
        auction_id,
        bidders,
    )
    return {row["bidder"] for row in rows}
