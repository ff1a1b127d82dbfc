"""SQL of the checker, all of it reading. Lists hold at most `FOUND_MAX` of what is wrong."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from loadtests.bid_checker import KeptBid, KeptLot
from services.kit.connection import Connection, Row

FOUND_MAX = 10


async def find_transfers(
    connection: Connection, ids: Sequence[UUID]
) -> Mapping[UUID, tuple[int, int, int]]:
    """Return (debit account, credit account, amount) of the transfers that are in the ledger."""
    rows = await connection.fetch(
        "select id, debit_account, credit_account, amount from transfer where id = any($1::uuid[])",
        ids,
    )
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


async def find_refusals(connection: Connection, ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """Return the result code of the refusals that are kept."""
    rows = await connection.fetch(
        "select id, reason from rejection where id = any($1::uuid[])", ids
    )
    return {row["id"]: row["reason"] for row in rows}


async def list_overdrawn(connection: Connection) -> list[int]:
    """Return accounts that are under their limit."""
    rows = await connection.fetch(
        """
        select id from account
        where (flags & 1 = 1 and debits_posted + debits_pending > credits_posted)
            or (flags & 2 = 2 and credits_posted + credits_pending > debits_posted)
        limit $1
        """,
        FOUND_MAX,
    )
    return [row["id"] for row in rows]


async def list_overdrawing(connection: Connection) -> list[UUID]:
    """Return transfers after which a limited account stood under its limit."""
    rows = await connection.fetch(
        """
        select t.id from transfer t join account a on a.id = t.debit_account
        where a.flags & 1 = 1 and t.debit_available < 0 limit $1
        """,
        FOUND_MAX,
    )
    return [row["id"] for row in rows]


async def count_records(connection: Connection, ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """Return how many records a service keeps of each request id, by whomever it was sent."""
    rows = await connection.fetch(
        """
        select request_id, count(*) as records from request_record
        where request_id = any($1::uuid[]) group by request_id
        """,
        ids,
    )
    return {row["request_id"]: row["records"] for row in rows}


async def count_streams(connection: Connection, ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """Return how many batches valuation keeps of each request id: the record of a stream."""
    rows = await connection.fetch(
        """
        select request_id, count(*) as records from batch
        where request_id = any($1::uuid[]) group by request_id
        """,
        list(ids),
    )
    return {row["request_id"]: row["records"] for row in rows}


async def list_applied_twice(connection: Connection) -> list[UUID]:
    """Return events that a consumer has in its inbox under two sequences."""
    rows = await connection.fetch(
        """
        select event_id from inbox where not is_seed
        group by consumer, topic, key, event_id having count(*) > 1 limit $1
        """,
        FOUND_MAX,
    )
    return [row["event_id"] for row in rows]


async def sum_lease_payments(connection: Connection, leases: Sequence[str]) -> Mapping[str, int]:
    """Return what was paid on instalments of leases, fen."""
    rows = await connection.fetch(
        """
        select split_part(purpose, '/instalments/', 1) as lease, sum(amount)::bigint as paid
        from transfer where kind = 1 and split_part(purpose, '/instalments/', 1) = any($1::text[])
            and purpose like '%/instalments/%'
        group by 1
        """,
        leases,
    )
    return {row["lease"]: row["paid"] for row in rows}


async def count_valuations(connection: Connection, ids: Sequence[UUID]) -> int:
    """Return how many of these valuations exist."""
    count: int = await connection.fetchval(
        "select count(*) from valuation where id = any($1::uuid[])", ids
    )
    return count


async def readings_by_instant(
    connection: Connection, instants: Sequence[datetime]
) -> dict[datetime, int]:
    """Return how many readings are kept of each of these instants."""
    rows = await connection.fetch(
        """
        select read_at, count(*) as readings from telemetry
        where read_at = any ($1::timestamptz[]) group by read_at
        """,
        instants,
    )
    return {row["read_at"]: row["readings"] for row in rows}


async def rows_of_batches(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return how many rows each of these batches keeps, those under a root of as many leaves."""
    rows = await connection.fetch(
        """
        select id, rows from batch join merkle_root on subject = root_subject
        where id = any($1::uuid[]) and leaves = rows
        """,
        ids,
    )
    return {row["id"]: row["rows"] for row in rows}


async def list_overlapping(connection: Connection, table: str) -> list[UUID]:
    """Return machines with two intervals at one instant."""
    rows = await connection.fetch(
        f"""
        select machine_id from (
            select machine_id, start_time, lag(coalesce(end_time, 'infinity')) over w as ended
            from {table} window w as (partition by machine_id order by number)
        ) as row where start_time < ended limit $1
        """,
        FOUND_MAX,
    )
    return [row["machine_id"] for row in rows]


async def list_not_open_once(connection: Connection, table: str) -> list[UUID]:
    """Return machines without exactly one interval that goes on."""
    rows = await connection.fetch(
        f"""
        select m.id from machine m left join {table} i on i.machine_id = m.id
        group by m.id
        having count(*) filter (where i.number is not null and i.end_time is null) <> 1
        limit $1
        """,
        FOUND_MAX,
    )
    return [row["id"] for row in rows]


async def read_lots(connection: Connection, auctions: Sequence[str]) -> dict[str, KeptLot]:
    """Return auctions with all their bids, by name."""
    rows = await connection.fetch(
        """
        select 'auctions/' || a.id as auction, a.id, a.high_fen, a.high_bidder, a.accepted_bids,
            a.bid_sequence, p.steps
        from auction a join increment_policy p on p.version = a.policy_version
        where 'auctions/' || a.id = any($1::text[])
        """,
        auctions,
    )
    lots = {}
    for row in rows:
        bids = await connection.fetch(
            """
            select sequence, bidder, amount_fen, state = 'ACCEPTED' as accepted from bid
            where auction_id = $1 order by sequence
            """,
            row["id"],
        )
        lots[row["auction"]] = KeptLot(
            row["auction"],
            row["high_fen"],
            row["high_bidder"],
            row["accepted_bids"],
            row["bid_sequence"],
            [(step["below_fen"], step["increment_fen"]) for step in json.loads(row["steps"])],
            [KeptBid(**bid) for bid in bids],
        )
    return lots


async def list_twice_ordered(connection: Connection) -> list[Row]:
    """Return machines in more than one order that is not over."""
    return await connection.fetch(
        """
        select l.machine, count(*) as orders
        from order_line l join purchase_order o on o.id = l.order_id
        where o.state not in ('SETTLED', 'RETURNED', 'CANCELLED')
        group by l.machine having count(*) > 1 limit $1
        """,
        FOUND_MAX,
    )


async def list_orders_over(connection: Connection) -> set[str]:
    """Return the names of the orders that are over."""
    rows = await connection.fetch(
        """
        select 'orders/' || id as name from purchase_order
        where state in ('SETTLED', 'RETURNED', 'CANCELLED')
        """
    )
    return {row["name"] for row in rows}


async def sum_escrows(connection: Connection) -> Sequence[Any]:
    """Return what went into each escrow, what went back, what was paid out, what it holds."""
    return await connection.fetch(
        """
        select a.reference, a.credits_posted - a.debits_posted as balance,
            coalesce(sum(t.amount) filter (where t.credit_account = a.id and t.code = 3), 0)::bigint
                as funded,
            coalesce(sum(t.amount) filter (where t.debit_account = a.id and t.code = 5), 0)::bigint
                as refunded,
            coalesce(sum(t.amount) filter (where t.debit_account = a.id and t.code <> 5), 0)::bigint
                as released
        from account a
        left join transfer t on t.kind = 1 and a.id in (t.debit_account, t.credit_account)
        where a.code = 2020 group by a.id
        """
    )
