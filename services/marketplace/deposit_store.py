"""All SQL of bidders' deposits."""

from collections.abc import Sequence
from dataclasses import astuple, replace
from datetime import datetime
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.marketplace.auction_model import Auction
from services.marketplace.deposit_model import BidDeposit, DepositState


async def insert_deposit(connection: Connection, deposit: BidDeposit, *, sequence: int) -> None:
    """Write a deposit that is held, as of its locked auction's event sequence."""
    await connection.execute(
        """
        insert into bid_deposit
            (id, version, auction_id, bidder, amount_fen, state, account, transfer_id,
             auction_sequence, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        *astuple(replace(deposit, auction_sequence=sequence)),
    )


async def update_deposit(
    connection: Connection,
    deposit: BidDeposit,
    *,
    state: DepositState,
    sequence: int,
    at: datetime,
) -> BidDeposit:
    """Write what became of a deposit whose auction is locked."""
    row = await connection.fetchrow(
        """
        update bid_deposit set state = $2, auction_sequence = $3, update_time = $4,
            version = version + 1
        where id = $1 returning *
        """,
        deposit.id,
        state,
        sequence,
        at,
    )
    assert row is not None
    return _deposit(row)


async def find_of_bidder(
    connection: Connection, auction_id: UUID, *, bidder: str
) -> BidDeposit | None:
    """Return a bidder's deposit in an auction."""
    row = await connection.fetchrow(
        "select * from bid_deposit where auction_id = $1 and bidder = $2", auction_id, bidder
    )
    return None if row is None else _deposit(row)


async def list_held(connection: Connection, auction_id: UUID, *, but_of: str) -> list[BidDeposit]:
    """Return the deposits that are held, in their order, but that of one bidder."""
    rows = await connection.fetch(
        """
        select * from bid_deposit
        where auction_id = $1 and state = 'HELD' and bidder <> $2 order by id
        """,
        auction_id,
        but_of,
    )
    return [_deposit(row) for row in rows]


async def count_deposits(connection: Connection, auction_id: UUID) -> int:
    """Return how many bidders an auction has."""
    count: int = await connection.fetchval(
        "select count(*) from bid_deposit where auction_id = $1", auction_id
    )
    return count


async def list_deposits(
    connection: Connection,
    auction: Auction,
    *,
    viewer: Principal,
    after: UUID | None,
    limit: int,
) -> Sequence[BidDeposit]:
    """Return an auction's deposits that a viewer may see, the last name first, after an id."""
    rows = await connection.fetch(
        """
        select * from bid_deposit
        where auction_id = $1 and ($2 or bidder = $3) and ($4::uuid is null or id < $4)
        order by id desc limit $5
        """,
        auction.id,
        auction.is_whole_to(viewer),
        viewer.party,
        after,
        limit,
    )
    return [_deposit(row) for row in rows]


def _deposit(row: Row) -> BidDeposit:
    return BidDeposit(**{**row, "state": DepositState(row["state"])})
