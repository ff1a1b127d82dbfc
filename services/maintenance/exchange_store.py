"""SQL of exchanges. One is seen by who sees its work order, and by its remanufacturer."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.maintenance.exchange_model import (
    CoreOutcome,
    Exchange,
    ExchangeState,
    ExchangeStep,
    Waybill,
)


async def insert_exchange(connection: Connection, exchange: Exchange) -> None:
    """Write a new exchange."""
    await connection.execute(
        """
        insert into exchange (id, version, event_sequence, state, work_order_id, machine_id, payer,
            part_family, position, deposit_fen, unit, unit_price_fen, remanufacturer, core_return,
            removed_serial, credit_fen, cancel_reason, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, '', 0, '', '', '', 0, '', $10, $10)
        """,
        exchange.id,
        exchange.version,
        exchange.event_sequence,
        exchange.state,
        exchange.work_order_id,
        exchange.machine_id,
        exchange.payer,
        exchange.part_family,
        exchange.position,
        exchange.create_time,
    )


async def find_exchange(
    connection: Connection, exchange_id: UUID, *, viewer: Principal
) -> Exchange | None:
    """Return an exchange that the viewer may see."""
    rows = await connection.fetch(
        """
        select e.* from exchange e
        join work_order w on w.id = e.work_order_id
        join monitored_machine m on m.id = e.machine_id
        where e.id = $1 and ($2 or $3 in
            (w.payer, w.workshop, m.title_holder, m.custodian, e.remanufacturer))
        """,
        exchange_id,
        viewer.sees_all,
        viewer.party or None,
    )
    return next(iter(await _whole(connection, rows)), None)


async def find_by_core_return(connection: Connection, core_return: str) -> UUID | None:
    """Return the exchange whose core a return is for."""
    found: UUID | None = await connection.fetchval(
        "select id from exchange where core_return = $1 and core_return <> ''", core_return
    )
    return found


async def is_charging(connection: Connection, order_id: UUID) -> bool:
    """Whether an exchange of a work order waits for its core's deposit to be charged."""
    found: bool = await connection.fetchval(
        """
        select exists (
            select from exchange where work_order_id = $1 and state = 'UNIT_RESERVED')
        """,
        order_id,
    )
    return found


async def lock_exchange(connection: Connection, exchange_id: UUID) -> Exchange | None:
    """Return an exchange, locked for change; its work order is locked before where both are."""
    rows = await connection.fetch(
        "select * from exchange where id = $1 for no key update", exchange_id
    )
    return next(iter(await _whole(connection, rows)), None)


async def lock_of_work_order(connection: Connection, order_id: UUID) -> list[Exchange]:
    """Return a locked work order's exchanges, locked, the oldest first."""
    rows = await connection.fetch(
        "select * from exchange where work_order_id = $1 order by id for no key update", order_id
    )
    return await _whole(connection, rows)


async def list_exchanges(
    connection: Connection,
    *,
    viewer: Principal,
    work_order_id: UUID | None,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[Exchange]:
    """Return exchanges that the viewer may see, the newest first, after an id."""
    rows = await connection.fetch(
        """
        select e.* from exchange e where e.id in (
            (select id from exchange
             where $1 and ($3::uuid is null or work_order_id = $3)
               and ($4::text is null or state = $4) and ($5::uuid is null or id < $5)
             order by id desc limit $6)
            union all
            (select x.id from work_order w join exchange x on x.work_order_id = w.id
             where not $1 and (w.payer = $2 or w.workshop = $2) and ($3 is null or w.id = $3)
               and ($4 is null or x.state = $4) and ($5 is null or x.id < $5)
             order by x.id desc limit $6)
            union all
            (select x.id from monitored_machine m join exchange x on x.machine_id = m.id
             where not $1 and (m.title_holder = $2 or m.custodian = $2)
               and ($3 is null or x.work_order_id = $3)
               and ($4 is null or x.state = $4) and ($5 is null or x.id < $5)
             order by x.id desc limit $6)
            union all
            (select id from exchange
             where not $1 and remanufacturer = $2 and ($3 is null or work_order_id = $3)
               and ($4 is null or state = $4) and ($5 is null or id < $5)
             order by id desc limit $6))
        order by e.id desc limit $6
        """,
        viewer.sees_all,
        viewer.party or None,
        work_order_id,
        state,
        after,
        limit,
    )
    return await _whole(connection, rows)


async def update_exchange(connection: Connection, exchange: Exchange) -> None:
    """Write what may change of an exchange, its steps left out."""
    await connection.execute(
        """
        update exchange set version = $2, event_sequence = $3, state = $4, deposit_fen = $5,
            unit = $6, unit_price_fen = $7, remanufacturer = $8, core_return = $9, waybill = $10,
            removed_serial = $11, install_hours = $12, core_outcome = $13, credit_fen = $14,
            cancel_reason = $15, update_time = $16
        where id = $1
        """,
        exchange.id,
        exchange.version,
        exchange.event_sequence,
        exchange.state,
        exchange.deposit_fen,
        exchange.unit,
        exchange.unit_price_fen,
        exchange.remanufacturer,
        exchange.core_return,
        asdict(exchange.waybill) if exchange.waybill else None,
        exchange.removed_serial,
        exchange.install_hours,
        exchange.core_outcome,
        exchange.credit_fen,
        exchange.cancel_reason,
        exchange.update_time,
    )


async def append_step(
    connection: Connection, exchange_id: UUID, step: str, *, detail: str, actor: str, at: datetime
) -> None:
    """Write a step of a locked exchange."""
    await connection.execute(
        """
        insert into exchange_step (exchange_id, number, step, detail, actor, step_time)
        select $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5
        from exchange_step where exchange_id = $1
        """,
        exchange_id,
        step,
        detail,
        actor,
        at,
    )


async def _whole(connection: Connection, rows: Sequence[Row]) -> list[Exchange]:
    """Return exchanges with their steps: one more query, however many exchanges."""
    ids = [row["id"] for row in rows]
    if not ids:
        return []
    steps: dict[UUID, list[ExchangeStep]] = {}
    for row in await connection.fetch(
        """
        select * from exchange_step where exchange_id = any($1::uuid[])
        order by exchange_id, number
        """,
        ids,
    ):
        step = ExchangeStep(**{field: row[field] for field in ExchangeStep.__slots__})
        steps.setdefault(row["exchange_id"], []).append(step)
    return [_exchange(row, steps.get(row["id"], [])) for row in rows]


def _exchange(row: Row, steps: Sequence[ExchangeStep]) -> Exchange:
    return Exchange(
        **{
            **dict(row),
            "state": ExchangeState(row["state"]),
            "waybill": Waybill(**row["waybill"]) if row["waybill"] else None,
            "core_outcome": CoreOutcome(row["core_outcome"]) if row["core_outcome"] else None,
        },
        steps=tuple(steps),
    )
