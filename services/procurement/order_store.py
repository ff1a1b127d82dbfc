"""SQL of orders. An order is seen by its buyer, its seller, and who sees every party's rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.procurement.order_model import (
    Address,
    CancelReason,
    Dispute,
    DisputeOutcome,
    Document,
    LienPayoff,
    Order,
    OrderLine,
    OrderSettlement,
    OrderState,
    Origin,
    Payout,
)

# An order's parts travel with its row, so that a page of orders is one query.
_WHOLE_ORDER = """
    o.*,
    (select jsonb_agg(to_jsonb(l) order by l.number)
     from order_line l where l.order_id = o.id) as lines,
    (select to_jsonb(d) from order_dispute d where d.order_id = o.id) as dispute,
    (select jsonb_agg(to_jsonb(p) order by p.machine, p.lien)
     from lien_payoff p where p.order_id = o.id) as payoffs
"""


async def insert_order(connection: Connection, order: Order) -> None:
    """Write a new order without its lines."""
    await connection.execute(
        """
        insert into purchase_order
            (id, version, event_sequence, state, buyer, seller, pool_id, total_fen, address,
             policy_version, escrow_account, allowance_fen, accepted_automatically, block_reason,
             block_detail, create_time, update_time, auction, disposal)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', 0, false, '', '', $11, $11, $12, $13)
        """,
        order.id,
        order.version,
        order.event_sequence,
        order.state,
        order.buyer,
        order.seller,
        order.origin.pool_id,
        order.total_fen,
        asdict(order.address),
        order.policy_version,
        order.create_time,
        order.origin.auction,
        order.origin.disposal,
    )


async def insert_lines(connection: Connection, order: Order) -> list[str]:
    """Write an order's lines; return the machines that are in another live order."""
    rows = await connection.fetch(
        """
        insert into order_line
            (order_id, number, machine, listing, price_fen, transport_fen, other_fen)
        select $1, * from unnest(
            $2::int[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])
        on conflict (machine) where is_live do nothing returning machine
        """,
        order.id,
        [line.number for line in order.lines],
        order.machines,
        [line.listing for line in order.lines],
        [line.price_fen for line in order.lines],
        [line.transport_fen for line in order.lines],
        [line.other_fen for line in order.lines],
    )
    written = {row["machine"] for row in rows}
    return [machine for machine in order.machines if machine not in written]


async def list_live_machines(connection: Connection, machines: Sequence[str]) -> list[str]:
    """Return those of the machines that are in a live order."""
    rows = await connection.fetch(
        "select machine from order_line where is_live and machine = any($1) order by machine",
        machines,
    )
    return [row["machine"] for row in rows]


async def find_order(connection: Connection, order_id: UUID, *, viewer: Principal) -> Order | None:
    """Return an order that the viewer may see."""
    row = await connection.fetchrow(
        f"""
        select {_WHOLE_ORDER} from purchase_order o
        where o.id = $1 and ($2 or o.buyer = $3 or o.seller = $3)
        """,
        order_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _order(row)


async def lock_order(connection: Connection, order_id: UUID, *, viewer: Principal) -> Order | None:
    """Return an order that the viewer may see, locked for change."""
    # The parts are read in a statement of its own: one that waits for the row lock would show
    # the parts as they were before it waited.
    locked = await connection.fetchval(
        """
        select id from purchase_order
        where id = $1 and ($2 or buyer = $3 or seller = $3) for no key update
        """,
        order_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if locked is None else await find_order(connection, order_id, viewer=viewer)


async def list_orders(
    connection: Connection,
    *,
    viewer: Principal,
    sides: Sequence[str],
    state: str | None,
    pool_id: UUID | None,
    after: UUID | None,
    limit: int,
) -> list[Order]:
    """Return orders that the viewer may see, the newest first, after an id.

    Args:
        sides: On which side the viewer's party is: "BUYER", "SELLER", or none for either side and,
            to whoever sees every party's rows, for all orders.
    """
    rows = await connection.fetch(
        f"""
        select {_WHOLE_ORDER} from purchase_order o where o.id in (
            (select id from purchase_order
             where $1 and ($4::text is null or state = $4)
               and ($5::uuid is null or pool_id = $5) and ($6::uuid is null or id < $6)
             order by id desc limit $7)
            union all
            (select id from purchase_order
             where not $1 and 'BUYER' = any($3::text[]) and buyer = $2
               and ($4 is null or state = $4)
               and ($5 is null or pool_id = $5) and ($6 is null or id < $6)
             order by id desc limit $7)
            union all
            (select id from purchase_order
             where not $1 and 'SELLER' = any($3) and seller = $2
               and ($4 is null or state = $4)
               and ($5 is null or pool_id = $5) and ($6 is null or id < $6)
             order by id desc limit $7))
        order by o.id desc limit $7
        """,
        viewer.sees_all and not sides,
        viewer.party,
        sides or ("BUYER", "SELLER"),
        state,
        pool_id,
        after,
        limit,
    )
    return [_order(row) for row in rows]


async def update_order(connection: Connection, order: Order) -> None:
    """Write what may change of an order, its lines, dispute and payoffs left out."""
    payout = order.settlement.payout if order.settlement else None
    await connection.execute(
        """
        update purchase_order set version = $2, event_sequence = $3, state = $4,
            escrow_account = $5, allowance_fen = $6, dispatch_document = $7, delivery_proof = $8,
            payment_deadline_at = $9, acceptance_deadline_at = $10, accepted_automatically = $11,
            block_reason = $12, block_detail = $13, cancel_reason = $14, platform_fee_fen = $15,
            payoffs_fen = $16, seller_proceeds_fen = $17, settlement_txn = $18, settle_time = $19,
            update_time = $20, distributed_fen = $21
        where id = $1
        """,
        order.id,
        order.version,
        order.event_sequence,
        order.state,
        order.escrow_account,
        order.allowance_fen,
        asdict(order.dispatch_document) if order.dispatch_document else None,
        asdict(order.delivery_proof) if order.delivery_proof else None,
        order.payment_deadline_at,
        order.acceptance_deadline_at,
        order.accepted_automatically,
        order.block_reason,
        order.block_detail,
        order.cancel_reason,
        payout.platform_fee_fen if payout else None,
        sum(payoff.amount_fen for payoff in payout.payoffs) if payout else None,
        payout.seller_proceeds_fen if payout else None,
        order.settlement.txn if order.settlement else None,
        order.settlement.settle_time if order.settlement else None,
        order.update_time,
        payout.distributed_fen if payout else None,
    )


async def release_machines(connection: Connection, order_id: UUID) -> None:
    """Let the machines of an order that has ended stand in another one."""
    await connection.execute("update order_line set is_live = false where order_id = $1", order_id)


async def write_dispute(connection: Connection, order_id: UUID, dispute: Dispute) -> None:
    """Write an order's dispute, new or as it has ended."""
    await connection.execute(
        """
        insert into order_dispute values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (order_id) do update
        set outcome = excluded.outcome, resolver = excluded.resolver
        """,
        order_id,
        dispute.reason,
        dispute.claim,
        dispute.claimed_allowance_fen,
        [asdict(document) for document in dispute.documents],
        dispute.dispute_time,
        dispute.outcome,
        dispute.resolver,
    )


async def insert_payoffs(
    connection: Connection, order_id: UUID, payoffs: Sequence[LienPayoff]
) -> None:
    """Write what an order's settlement paid to lien holders."""
    await connection.executemany(
        "insert into lien_payoff values ($1, $2, $3, $4, $5, $6)",
        [
            (order_id, one.machine, one.lien, one.draw, one.amount_fen, one.account)
            for one in payoffs
        ],
    )


def _order(row: Row) -> Order:
    return Order(
        id=row["id"],
        version=row["version"],
        event_sequence=row["event_sequence"],
        state=OrderState(row["state"]),
        buyer=row["buyer"],
        seller=row["seller"],
        origin=Origin(row["pool_id"], row["auction"], row["disposal"]),
        lines=tuple(_line(line) for line in row["lines"]),
        address=Address(**row["address"]),
        policy_version=row["policy_version"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        escrow_account=row["escrow_account"],
        allowance_fen=row["allowance_fen"],
        dispatch_document=_document(row["dispatch_document"]),
        delivery_proof=_document(row["delivery_proof"]),
        payment_deadline_at=row["payment_deadline_at"],
        acceptance_deadline_at=row["acceptance_deadline_at"],
        accepted_automatically=row["accepted_automatically"],
        dispute=_dispute(row["dispute"]),
        block_reason=row["block_reason"],
        block_detail=row["block_detail"],
        settlement=_settlement(row),
        cancel_reason=CancelReason(row["cancel_reason"]) if row["cancel_reason"] else None,
    )


def _line(line: Mapping[str, Any]) -> OrderLine:
    return OrderLine(**{field: line[field] for field in OrderLine.__slots__})


def _document(stored: Mapping[str, str] | None) -> Document | None:
    return Document(**stored) if stored else None


def _dispute(stored: Mapping[str, Any] | None) -> Dispute | None:
    if stored is None:
        return None
    return Dispute(
        reason=stored["reason"],
        claim=DisputeOutcome(stored["claim"]),
        claimed_allowance_fen=stored["claimed_allowance_fen"],
        documents=tuple(Document(**document) for document in stored["documents"]),
        dispute_time=datetime.fromisoformat(stored["dispute_time"]),
        outcome=DisputeOutcome(stored["outcome"]) if stored["outcome"] else None,
        resolver=stored["resolver"],
    )


def _settlement(row: Row) -> OrderSettlement | None:
    if row["settle_time"] is None:
        return None
    return OrderSettlement(
        payout=Payout(
            platform_fee_fen=row["platform_fee_fen"],
            allowance_fen=row["allowance_fen"],
            payoffs=tuple(
                LienPayoff(**{field: payoff[field] for field in LienPayoff.__slots__})
                for payoff in row["payoffs"] or ()
            ),
            seller_proceeds_fen=row["seller_proceeds_fen"],
            distributed_fen=row["distributed_fen"] or 0,
        ),
        txn=row["settlement_txn"],
        settle_time=row["settle_time"],
    )
