"""SQL of remanufacturing orders. One is seen by its remanufacturer, and who sees every party's."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.remanufacturing.certificate_model import (
    BenchRun,
    Certificate,
    Measurement,
    RemanClass,
    Savings,
)
from services.remanufacturing.order_model import (
    Document,
    OrderState,
    Record,
    RemanOrder,
    RemanStep,
    StepKind,
)
from services.remanufacturing.part_model import Disposition, OrderPart
from services.remanufacturing.stored import number_or_none, plain

# An order's record travels with its row, so that a page of orders is one query.
_WHOLE_ORDER = """
    o.*,
    (select jsonb_agg(to_jsonb(s) order by s.number)
     from reman_step s where s.order_id = o.id) as steps,
    (select jsonb_agg(to_jsonb(r) order by r.number)
     from bench_run r where r.order_id = o.id) as runs
"""


async def insert_order(connection: Connection, order: RemanOrder) -> bool:
    """Write a new order; False where its core return has one."""
    written = await connection.fetchval(
        """
        insert into reman_order
            (id, version, event_sequence, state, remanufacturer, family_id, family_version,
             component, core_return, part_number, prior_serial_number, prior_hours, parts,
             scrap_reason, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, '', $14, $14)
        on conflict (core_return) where core_return <> '' do nothing returning true
        """,
        order.id,
        order.version,
        order.event_sequence,
        order.state,
        order.remanufacturer,
        order.family_id,
        order.family_version,
        order.component,
        order.core_return,
        order.part_number,
        order.prior_serial_number,
        order.prior_hours,
        _plain_parts(order),
        order.create_time,
    )
    return bool(written)


async def find_order(
    connection: Connection, order_id: UUID, *, viewer: Principal
) -> RemanOrder | None:
    """Return an order that the viewer may see."""
    row = await connection.fetchrow(
        f"""
        select {_WHOLE_ORDER} from reman_order o
        where o.id = $1 and ($2 or o.remanufacturer = $3)
        """,
        order_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _order(row)


async def lock_order(
    connection: Connection, order_id: UUID, *, viewer: Principal
) -> RemanOrder | None:
    """Return an order that the viewer may see, locked for change."""
    # The record is read in a statement of its own: one that waits for the row lock would show it
    # as it was before it waited.
    locked = await connection.fetchval(
        """
        select id from reman_order where id = $1 and ($2 or remanufacturer = $3)
        for no key update
        """,
        order_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if locked is None else await find_order(connection, order_id, viewer=viewer)


async def get_locked(connection: Connection, order_id: UUID) -> RemanOrder:
    """Return the order of a unit, locked for change, whoever asks for the unit."""
    await connection.execute("select from reman_order where id = $1 for no key update", order_id)
    row = await connection.fetchrow(
        f"select {_WHOLE_ORDER} from reman_order o where o.id = $1", order_id
    )
    assert row is not None, "a unit has its order"
    return _order(row)


async def list_orders(
    connection: Connection,
    *,
    viewer: Principal,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[RemanOrder]:
    """Return orders that the viewer may see, the newest first, after an id; without their parts,
    steps and runs, which would make a page of them large.
    """
    # Two statements, so that each has an index that serves it.
    is_seen = "$1::text is not null" if viewer.sees_all else "remanufacturer = $1"
    rows = await connection.fetch(
        f"""
        select *, null::jsonb as steps, null::jsonb as runs from (
            select id, version, event_sequence, state, remanufacturer, family_id, family_version,
                component, core_return, part_number, prior_serial_number, prior_hours,
                '[]'::jsonb as parts, certificate, scrap_reason, create_time, update_time
            from reman_order
            where {is_seen} and ($2::text is null or state = $2)
              and ($3::uuid is null or id < $3)
            order by id desc limit $4) as page
        order by id desc
        """,
        viewer.party,
        state,
        after,
        limit,
    )
    return [_order(row) for row in rows]


async def update_order(connection: Connection, order: RemanOrder) -> None:
    """Write what may change of an order, its steps and runs left out."""
    certificate = order.certificate
    await connection.execute(
        """
        update reman_order set version = $2, event_sequence = $3, state = $4, parts = $5,
            certificate = $6, label_no = $7, scrap_reason = $8, update_time = $9
        where id = $1
        """,
        order.id,
        order.version,
        order.event_sequence,
        order.state,
        _plain_parts(order),
        plain(asdict(certificate)) if certificate else None,
        certificate.label_no if certificate else None,
        order.scrap_reason,
        order.update_time,
    )


async def insert_step(connection: Connection, order_id: UUID, step: RemanStep) -> None:
    """Write a recorded step."""
    await connection.execute(
        "insert into reman_step values ($1, $2, $3, $4, $5, $6, $7)",
        order_id,
        step.number,
        step.kind,
        step.record.note,
        [asdict(document) for document in step.record.documents],
        step.recorder,
        step.record_time,
    )


async def insert_run(connection: Connection, order_id: UUID, run: BenchRun) -> None:
    """Write a run of a test."""
    await connection.execute(
        "insert into bench_run values ($1, $2, $3, $4, $5)",
        order_id,
        run.number,
        [plain(asdict(each)) for each in run.measurements],
        run.tester,
        run.test_time,
    )


async def next_label_no(connection: Connection, on: date) -> str:
    """Return a new label number, for example "IL-RM-2026-0000012"."""
    serial: int = await connection.fetchval("select nextval('label_serial')")
    return f"IL-RM-{on.year}-{serial:07d}"


def _plain_parts(order: RemanOrder) -> list[Any]:
    return [plain(asdict(part)) for part in order.parts]


def _order(row: Row) -> RemanOrder:
    return RemanOrder(
        id=row["id"],
        version=row["version"],
        event_sequence=row["event_sequence"],
        state=OrderState(row["state"]),
        remanufacturer=row["remanufacturer"],
        family_id=row["family_id"],
        family_version=row["family_version"],
        component=row["component"],
        core_return=row["core_return"],
        part_number=row["part_number"],
        prior_serial_number=row["prior_serial_number"],
        prior_hours=row["prior_hours"],
        parts=tuple(_part(part) for part in row["parts"]),
        create_time=row["create_time"],
        update_time=row["update_time"],
        steps=tuple(_step(step) for step in row["steps"] or ()),
        test_runs=tuple(_run(run) for run in row["runs"] or ()),
        certificate=_certificate(row["certificate"]),
        scrap_reason=row["scrap_reason"],
    )


def _part(stored: Mapping[str, Any]) -> OrderPart:
    disposition = stored["disposition"]
    return OrderPart(
        **{
            **stored,
            "mass_kg": Decimal(stored["mass_kg"]),
            "disposition": Disposition(disposition) if disposition else None,
        }
    )


def _step(stored: Mapping[str, Any]) -> RemanStep:
    return RemanStep(
        number=stored["number"],
        kind=StepKind(stored["kind"]),
        record=Record(
            note=stored["note"],
            documents=tuple(Document(**document) for document in stored["documents"]),
        ),
        recorder=stored["recorder"],
        record_time=datetime.fromisoformat(stored["record_time"]),
    )


def _run(stored: Mapping[str, Any]) -> BenchRun:
    return BenchRun(
        number=stored["number"],
        measurements=tuple(_measurement(each) for each in stored["measurements"]),
        tester=stored["tester"],
        test_time=datetime.fromisoformat(stored["test_time"]),
    )


def _measurement(stored: Mapping[str, Any]) -> Measurement:
    return Measurement(
        **{
            **stored,
            "value": Decimal(stored["value"]),
            "lower": number_or_none(stored["lower"]),
            "upper": number_or_none(stored["upper"]),
        }
    )


def _certificate(stored: Mapping[str, Any] | None) -> Certificate | None:
    if stored is None:
        return None
    savings = stored["savings"]
    return Certificate(
        **{
            **stored,
            "reman_class": RemanClass(stored["reman_class"]),
            "savings": Savings(
                material_kg=Decimal(savings["material_kg"]),
                material_share=Decimal(savings["material_share"]),
                co2_kg=Decimal(savings["co2_kg"]),
                cost_fen=savings["cost_fen"],
            ),
            "certify_time": datetime.fromisoformat(stored["certify_time"]),
        }
    )
