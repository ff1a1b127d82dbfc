"""All SQL of auctions and of the table of increments."""

from collections.abc import Sequence
from dataclasses import asdict, astuple
from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.marketplace.auction_model import (
    Auction,
    AuctionState,
    IncrementPolicy,
    IncrementStep,
)

_COLUMNS = """
    id, version, event_sequence, state, listing_id, machine_id, seller, disposal, open_time,
    close_time, scheduled_close_time, reserve_fen, deposit_fen, policy_version, create_time,
    update_time, bid_sequence, accepted_bids, high_fen, high_bidder, extensions, order_name,
    is_settled, unsold_count
"""


async def insert_auction(connection: Connection, auction: Auction) -> bool:
    """Write a new auction; False where its listing has one that is live."""
    places = ", ".join(f"${place}" for place in range(1, 25))
    written = await connection.fetchval(
        f"""
        insert into auction ({_COLUMNS}) values ({places})
        on conflict (listing_id) where state in ('SCHEDULED', 'OPEN', 'EXTENDED')
        do nothing returning true
        """,
        *astuple(auction),
    )
    return bool(written)


async def update_auction(connection: Connection, auction: Auction, *, at: datetime) -> Auction:
    """Write what may change of a locked auction, its event sequence as it stands."""
    row = await connection.fetchrow(
        f"""
        update auction set version = version + 1, event_sequence = $2, state = $3,
            close_time = $4, bid_sequence = $5, accepted_bids = $6, high_fen = $7,
            high_bidder = $8, extensions = $9, order_name = $10, is_settled = $11,
            unsold_count = $12, update_time = $13
        where id = $1 returning {_COLUMNS}
        """,
        auction.id,
        auction.event_sequence,
        auction.state,
        auction.close_time,
        auction.bid_sequence,
        auction.accepted_bids,
        auction.high_fen,
        auction.high_bidder,
        auction.extensions,
        auction.order,
        auction.is_settled,
        auction.unsold_count,
        at,
    )
    assert row is not None
    return _auction(row)


async def find_auction(connection: Connection, auction_id: UUID) -> Auction | None:
    """Return an auction."""
    row = await connection.fetchrow(f"select {_COLUMNS} from auction where id = $1", auction_id)
    return None if row is None else _auction(row)


async def lock_auction(connection: Connection, auction_id: UUID) -> Auction | None:
    """Return an auction, locked; machine and listing are locked before it where they change too."""
    row = await connection.fetchrow(
        f"select {_COLUMNS} from auction where id = $1 for no key update", auction_id
    )
    return None if row is None else _auction(row)


async def lock_lot(
    connection: Connection, auction_id: UUID
) -> tuple[Auction, IncrementPolicy] | None:
    """Return an auction, locked, with the table of increments that it follows."""
    row = await connection.fetchrow(
        """
        select a.*, p.steps, p.publisher, p.create_time as policy_time
        from auction a join increment_policy p on p.version = a.policy_version
        where a.id = $1 for no key update of a
        """,
        auction_id,
    )
    if row is None:
        return None
    policy = IncrementPolicy(
        row["policy_version"], _steps(row["steps"]), row["publisher"], row["policy_time"]
    )
    return _auction(row), policy


async def lock_live(connection: Connection, listing_id: UUID) -> Auction | None:
    """Return the auction of a listing that is scheduled or under way, locked."""
    row = await connection.fetchrow(
        f"""
        select {_COLUMNS} from auction
        where listing_id = $1 and state in ('SCHEDULED', 'OPEN', 'EXTENDED') for no key update
        """,
        listing_id,
    )
    return None if row is None else _auction(row)


async def find_live(connection: Connection, listing_id: UUID) -> UUID | None:
    """Return the auction of a listing that is scheduled or under way."""
    auction_id: UUID | None = await connection.fetchval(
        """
        select id from auction
        where listing_id = $1 and state in ('SCHEDULED', 'OPEN', 'EXTENDED')
        """,
        listing_id,
    )
    return auction_id


async def find_last(connection: Connection, listing_id: UUID) -> Auction | None:
    """Return the latest auction of a listing."""
    row = await connection.fetchrow(
        f"select {_COLUMNS} from auction where listing_id = $1 order by id desc limit 1", listing_id
    )
    return None if row is None else _auction(row)


async def count_unsold(connection: Connection, auction: Auction) -> int:
    """Return how many auctions of the same disposal, or of the same listing, closed unsold."""
    if auction.disposal:
        counted = await connection.fetchval(
            "select count(*) from auction where disposal = $1 and state = 'CLOSED_UNSOLD'",
            auction.disposal,
        )
    else:
        counted = await connection.fetchval(
            "select count(*) from auction where listing_id = $1 and state = 'CLOSED_UNSOLD'",
            auction.listing_id,
        )
    count: int = counted
    return count


async def list_of_listing(
    connection: Connection, listing_id: UUID, *, state: str | None, after: UUID | None, limit: int
) -> list[Auction]:
    """Return the auctions of a listing, the newest first, after an id."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from auction
        where listing_id = $1 and ($2::text is null or state = $2) and ($3::uuid is null or id < $3)
        order by id desc limit $4
        """,
        listing_id,
        state,
        after,
        limit,
    )
    return [_auction(row) for row in rows]


async def list_auctions(
    connection: Connection, *, state: str | None, after: UUID | None, limit: int
) -> list[Auction]:
    """Return auctions, the newest first, after an id."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from auction
        where ($1::text is null or state = $1) and ($2::uuid is null or id < $2)
        order by id desc limit $3
        """,
        state,
        after,
        limit,
    )
    return [_auction(row) for row in rows]


async def get_policies(
    connection: Connection, versions: Sequence[int]
) -> dict[int, IncrementPolicy]:
    """Return versions of the table of increments."""
    rows = await connection.fetch(
        "select * from increment_policy where version = any ($1::int[])", versions
    )
    return {row["version"]: _policy(row) for row in rows}


async def policy_in_force(connection: Connection) -> IncrementPolicy:
    """Return the last version of the table of increments."""
    row = await connection.fetchrow("select * from increment_policy order by version desc limit 1")
    assert row is not None, "the first version comes with the table"
    return _policy(row)


async def lock_policies(connection: Connection) -> None:
    """Let one version be added at a time; readers are not held up."""
    await connection.execute("lock table increment_policy in share row exclusive mode")


async def insert_policy(connection: Connection, policy: IncrementPolicy) -> None:
    """Add a version; it is in force from its commit."""
    await connection.execute(
        "insert into increment_policy values ($1, $2, $3, $4)",
        policy.version,
        [asdict(step) for step in policy.steps],
        policy.publisher,
        policy.create_time,
    )


def _policy(row: Row) -> IncrementPolicy:
    return IncrementPolicy(
        row["version"], _steps(row["steps"]), row["publisher"], row["create_time"]
    )


def _steps(stored: Sequence[dict[str, Any]]) -> tuple[IncrementStep, ...]:
    return tuple(IncrementStep(**step) for step in stored)


def _auction(row: Row) -> Auction:
    return Auction(
        id=row["id"],
        version=row["version"],
        event_sequence=row["event_sequence"],
        state=AuctionState(row["state"]),
        listing_id=row["listing_id"],
        machine_id=row["machine_id"],
        seller=row["seller"],
        disposal=row["disposal"],
        open_time=row["open_time"],
        close_time=row["close_time"],
        scheduled_close_time=row["scheduled_close_time"],
        reserve_fen=row["reserve_fen"],
        deposit_fen=row["deposit_fen"],
        policy_version=row["policy_version"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        bid_sequence=row["bid_sequence"],
        accepted_bids=row["accepted_bids"],
        high_fen=row["high_fen"],
        high_bidder=row["high_bidder"],
        extensions=row["extensions"],
        order=row["order_name"],
        is_settled=row["is_settled"],
        unsold_count=row["unsold_count"],
    )
