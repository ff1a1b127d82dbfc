"""SQL of work orders.

A work order is seen by its payer, its workshop, by who owns or has its machine, and by whoever
sees every party's rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.maintenance.work_order_model import (
    Completion,
    Held,
    HoldReason,
    WorkClass,
    WorkCost,
    WorkLabour,
    WorkOrder,
    WorkOrderState,
    WorkPart,
    WorkPlace,
)


async def insert_work_order(connection: Connection, order: WorkOrder) -> None:
    """Write a new work order with its planned parts."""
    await connection.execute(
        """
        insert into work_order (id, version, event_sequence, state, machine_id, title, work_class,
            work_place, payer, workshop, technician, fault_ids, plan_id, plan_items, warranty_of,
            approved_cost_fen, down_since, hold_note, in_shop, findings, completer, verifier,
            cancel_reason, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', $11, $12, $13, $14, $15, $16, '',
            false, '', '', '', '', $17, $17)
        """,
        order.id,
        order.version,
        order.event_sequence,
        order.state,
        order.machine_id,
        order.title,
        order.work_class,
        order.work_place,
        order.payer,
        order.workshop,
        order.fault_ids,
        order.plan_id,
        order.plan_items,
        order.warranty_of,
        order.approved_cost_fen,
        order.down_since,
        order.create_time,
    )
    await _insert_parts(connection, order.id, order.planned_parts, is_planned=True)


async def find_work_order(
    connection: Connection, order_id: UUID, *, viewer: Principal
) -> WorkOrder | None:
    """Return a work order that the viewer may see."""
    rows = await connection.fetch(
        """
        select w.* from work_order w join monitored_machine m on m.id = w.machine_id
        where w.id = $1 and ($2 or $3 in (w.payer, w.workshop, m.title_holder, m.custodian))
        """,
        order_id,
        viewer.sees_all,
        viewer.party or None,
    )
    return next(iter(await _whole(connection, rows)), None)


async def lock_work_order(connection: Connection, order_id: UUID) -> WorkOrder | None:
    """Return a work order, locked for change, as its last change left it."""
    locked = await connection.fetch(
        "select * from work_order where id = $1 for no key update", order_id
    )
    return next(iter(await _whole(connection, locked)), None)


async def list_work_orders(
    connection: Connection,
    *,
    viewer: Principal,
    machine_id: UUID | None,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[WorkOrder]:
    """Return work orders that the viewer may see, the newest first, after an id."""
    rows = await connection.fetch(
        """
        select w.* from work_order w where w.id in (
            (select id from work_order
             where $1 and ($3::uuid is null or machine_id = $3) and ($4::text is null or state = $4)
               and ($5::uuid is null or id < $5) order by id desc limit $6)
            union all
            (select id from work_order
             where not $1 and payer = $2 and ($3 is null or machine_id = $3)
               and ($4 is null or state = $4) and ($5 is null or id < $5)
             order by id desc limit $6)
            union all
            (select id from work_order
             where not $1 and workshop = $2 and ($3 is null or machine_id = $3)
               and ($4 is null or state = $4) and ($5 is null or id < $5)
             order by id desc limit $6)
            union all
            (select o.id from monitored_machine m join work_order o on o.machine_id = m.id
             where not $1 and (m.title_holder = $2 or m.custodian = $2)
               and ($3 is null or o.machine_id = $3)
               and ($4 is null or o.state = $4) and ($5 is null or o.id < $5)
             order by o.id desc limit $6))
        order by w.id desc limit $6
        """,
        viewer.sees_all,
        viewer.party or None,
        machine_id,
        state,
        after,
        limit,
    )
    return await _whole(connection, rows)


async def update_work_order(connection: Connection, order: WorkOrder) -> None:
    """Write what may change of a work order, its lines left out."""
    done = order.completion
    await connection.execute(
        """
        update work_order set version = $2, event_sequence = $3, state = $4, technician = $5,
            approved_cost_fen = $6, hold_reason = $7, hold_note = $8, held_before = $9,
            in_shop = $10, hours = $11, downtime_hours = $12, findings = $13, parts_fen = $14,
            labour_fen = $15, warranty_fen = $16, units_fen = $17, completer = $18,
            complete_time = $19, warranty_end = $20, warranty_hours_end = $21, verifier = $22,
            verify_time = $23, txn = $24, invoice_time = $25, cancel_reason = $26,
            update_time = $27, workshop = $28
        where id = $1
        """,
        order.id,
        order.version,
        order.event_sequence,
        order.state,
        order.technician,
        order.approved_cost_fen,
        order.hold_reason,
        order.hold_note,
        asdict(order.held_before) if order.held_before else None,
        order.in_shop,
        done.hours if done else None,
        done.downtime_hours if done else None,
        done.findings if done else "",
        done.cost.parts_fen if done else None,
        done.cost.labour_fen if done else None,
        done.cost.warranty_fen if done else None,
        done.cost.units_fen if done else None,
        done.completer if done else "",
        done.complete_time if done else None,
        done.warranty_end if done else None,
        done.warranty_hours_end if done else None,
        order.verifier,
        order.verify_time,
        order.txn,
        order.invoice_time,
        order.cancel_reason,
        order.update_time,
        order.workshop,
    )


async def insert_lines(connection: Connection, order_id: UUID, done: Completion) -> None:
    """Write the parts and labour that a work order took."""
    await _insert_parts(connection, order_id, done.parts, is_planned=False)
    await connection.executemany(
        """
        insert into work_labour
            (work_order_id, number, technician, hours, hourly_rate_fen, under_warranty)
        values ($1, $2, $3, $4, $5, $6)
        """,
        [
            (order_id, number, one.technician, one.hours, one.hourly_rate_fen, one.under_warranty)
            for number, one in enumerate(done.labour, 1)
        ],
    )


async def sum_failures(
    connection: Connection, machine_id: UUID, *, after: datetime, until: datetime
) -> tuple[int, Decimal]:
    """Return how often a machine failed in a time, and for how long that had it down, in hours.

    A failure is a completed corrective work order that had the machine down; a repair under the
    warranty of an earlier one is a failure of its own.
    """
    row = await connection.fetchrow(
        """
        select count(*) as failures, coalesce(sum(downtime_hours), 0) as downtime_hours
        from work_order
        where machine_id = $1 and work_class = 'CORRECTIVE' and complete_time > $2
          and complete_time <= $3 and downtime_hours > 0
        """,
        machine_id,
        after,
        until,
    )
    assert row is not None
    return row["failures"], row["downtime_hours"]


async def _insert_parts(
    connection: Connection, order_id: UUID, parts: Iterable[WorkPart], *, is_planned: bool
) -> None:
    await connection.executemany(
        """
        insert into work_part (work_order_id, is_planned, number, part_number, description,
            quantity, unit_price_fen, under_warranty, serial_number)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        [
            (
                order_id,
                is_planned,
                number,
                part.part_number,
                part.description,
                part.quantity,
                part.unit_price_fen,
                part.under_warranty,
                part.serial_number,
            )
            for number, part in enumerate(parts, 1)
        ],
    )


async def _whole(connection: Connection, rows: Sequence[Row]) -> list[WorkOrder]:
    """Return work orders with their lines: two more queries, however many orders."""
    ids = [row["id"] for row in rows]
    if not ids:
        return []
    parts: dict[tuple[UUID, bool], list[WorkPart]] = {}
    for row in await connection.fetch(
        """
        select * from work_part where work_order_id = any($1::uuid[])
        order by work_order_id, is_planned, number
        """,
        ids,
    ):
        line = WorkPart(**{field: row[field] for field in WorkPart.__slots__})
        parts.setdefault((row["work_order_id"], row["is_planned"]), []).append(line)
    labour: dict[UUID, list[WorkLabour]] = {}
    for row in await connection.fetch(
        """
        select * from work_labour where work_order_id = any($1::uuid[])
        order by work_order_id, number
        """,
        ids,
    ):
        worked = WorkLabour(**{field: row[field] for field in WorkLabour.__slots__})
        labour.setdefault(row["work_order_id"], []).append(worked)
    return [
        _work_order(
            row,
            planned=parts.get((row["id"], True), []),
            parts=parts.get((row["id"], False), []),
            labour=labour.get(row["id"], []),
        )
        for row in rows
    ]


def _work_order(
    row: Row,
    *,
    planned: Sequence[WorkPart],
    parts: Sequence[WorkPart],
    labour: Sequence[WorkLabour],
) -> WorkOrder:
    return WorkOrder(
        id=row["id"],
        version=row["version"],
        event_sequence=row["event_sequence"],
        state=WorkOrderState(row["state"]),
        machine_id=row["machine_id"],
        title=row["title"],
        work_class=WorkClass(row["work_class"]),
        work_place=WorkPlace(row["work_place"]),
        payer=row["payer"],
        workshop=row["workshop"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        technician=row["technician"],
        fault_ids=tuple(row["fault_ids"]),
        plan_id=row["plan_id"],
        plan_items=tuple(row["plan_items"]),
        warranty_of=row["warranty_of"],
        planned_parts=tuple(planned),
        approved_cost_fen=row["approved_cost_fen"],
        down_since=row["down_since"],
        hold_reason=HoldReason(row["hold_reason"]) if row["hold_reason"] else None,
        hold_note=row["hold_note"],
        held_before=Held(**row["held_before"]) if row["held_before"] else None,
        in_shop=row["in_shop"],
        completion=_completion(row, parts, labour) if row["complete_time"] else None,
        verifier=row["verifier"],
        verify_time=row["verify_time"],
        txn=row["txn"],
        invoice_time=row["invoice_time"],
        cancel_reason=row["cancel_reason"],
    )


def _completion(row: Row, parts: Sequence[WorkPart], labour: Sequence[WorkLabour]) -> Completion:
    return Completion(
        hours=row["hours"],
        downtime_hours=row["downtime_hours"],
        findings=row["findings"],
        parts=tuple(parts),
        labour=tuple(labour),
        cost=WorkCost(
            parts_fen=row["parts_fen"],
            labour_fen=row["labour_fen"],
            warranty_fen=row["warranty_fen"],
            units_fen=row["units_fen"],
        ),
        completer=row["completer"],
        complete_time=row["complete_time"],
        warranty_end=row["warranty_end"],
        warranty_hours_end=row["warranty_hours_end"],
    )
