"""All SQL of draws, their schedules and payments."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from services.finance.draw_model import CollateralState, Draw, DrawState, EnforcedBy, Instalment
from services.finance.payment_model import Payment, PaymentKind
from services.finmath.day_count import DayCount
from services.kit.connection import Connection, Row
from services.kit.principals import Principal


async def insert_draw(connection: Connection, draw: Draw) -> bool:
    """Write a new draw; False where its offer has one."""
    written = await connection.fetchval(
        """
        insert into draw
            (id, state, offer_id, facility_id, funder, borrower, machine, principal_fen,
             balloon_fen, nominal_rate, day_count, term_months, outstanding_fen, policy_version,
             valuation, haircut, collateral_fen, olv_median_fen, watch_line, maintenance_cap,
             penalty_daily_rate, penalty_cap, collateral_state, registry_no, hours_per_year,
             subordination_id, senior_draw_id, senior_cap_fen, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $29)
        on conflict (offer_id) where state <> 'CANCELLED' do nothing returning true
        """,
        draw.id,
        draw.state,
        draw.offer_id,
        draw.facility_id,
        draw.funder,
        draw.borrower,
        draw.machine,
        draw.principal_fen,
        draw.balloon_fen,
        draw.nominal_rate,
        draw.day_count,
        draw.term_months,
        draw.outstanding_fen,
        draw.policy_version,
        draw.valuation,
        draw.haircut,
        draw.collateral_fen,
        draw.olv_median_fen,
        draw.watch_line,
        draw.maintenance_cap,
        draw.penalty_daily_rate,
        draw.penalty_cap,
        draw.collateral_state,
        draw.registry_no,
        draw.hours_per_year,
        draw.subordination_id,
        draw.senior_draw_id,
        draw.senior_cap_fen,
        draw.create_time,
    )
    return bool(written)


async def find_draw(connection: Connection, draw_id: UUID, *, viewer: Principal) -> Draw | None:
    """Return a draw that the viewer may see: as its funder or borrower, or any."""
    row = await connection.fetchrow(
        "select * from draw where id = $1 and ($2 or funder = $3 or borrower = $3)",
        draw_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else draw_of(row)


async def get_draw(connection: Connection, draw_id: UUID) -> Draw:
    """Return a draw that is known to exist."""
    row = await connection.fetchrow("select * from draw where id = $1", draw_id)
    assert row is not None
    return draw_of(row)


async def lock_draw(connection: Connection, draw_id: UUID) -> Draw:
    """Return a draw that is known to exist, locked for change."""
    row = await connection.fetchrow("select * from draw where id = $1 for no key update", draw_id)
    assert row is not None
    return draw_of(row)


async def lock_draw_of(connection: Connection, draw_id: UUID, *, party: str) -> Draw | None:
    """Return a draw of a party, as its funder or borrower, locked for change."""
    row = await connection.fetchrow(
        "select * from draw where id = $1 and (funder = $2 or borrower = $2) for no key update",
        draw_id,
        party,
    )
    return None if row is None else draw_of(row)


async def get_draw_of_funder(connection: Connection, draw_id: UUID, *, funder: str) -> Draw | None:
    """Return a funder's own draw."""
    row = await connection.fetchrow(
        "select * from draw where id = $1 and funder = $2", draw_id, funder
    )
    return None if row is None else draw_of(row)


async def lock_live_draws(connection: Connection, machine: str) -> list[Draw]:
    """Return the draws that bind a machine or are being worked on, oldest first, locked."""
    rows = await connection.fetch(
        """
        select * from draw
        where machine = $1 and (state in ('PENDING', 'ACTIVE') or held_by <> ''
            or (state = 'DEFAULTED' and secured))
        order by id for no key update
        """,
        machine,
    )
    return [draw_of(row) for row in rows]


async def list_live_draws(connection: Connection, machine: str) -> list[Draw]:
    """Return the draws that bind a machine or are being worked on, oldest first."""
    rows = await connection.fetch(
        """
        select * from draw
        where machine = $1 and (state in ('PENDING', 'ACTIVE') or held_by <> ''
            or (state = 'DEFAULTED' and secured))
        order by id
        """,
        machine,
    )
    return [draw_of(row) for row in rows]


async def has_shortfall(connection: Connection, facility_id: UUID) -> bool:
    """Whether a draw on a facility is in shortfall, enforcement or default."""
    found: bool = await connection.fetchval(
        """
        select exists (
            select from draw where facility_id = $1 and (state = 'DEFAULTED' or (
                state = 'ACTIVE' and collateral_state in ('SHORTFALL', 'ENFORCEMENT'))))
        """,
        facility_id,
    )
    return found


async def list_draws(
    connection: Connection,
    *,
    viewer: Principal,
    state: str | None,
    facility_id: UUID | None,
    machine: str | None,
    collateral_state: str | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Draw]:
    """Return draws that the viewer may see, the newest first, after a (create_time, id)."""
    rows = await connection.fetch(
        """
        select * from draw
        where ($1 or funder = $2 or borrower = $2)
          and ($3::text is null or state = $3)
          and ($4::uuid is null or facility_id = $4)
          and ($5::text is null or machine = $5)
          and ($6::text is null or collateral_state = $6)
          and ($7::timestamptz is null or (create_time, id) < ($7, $8::uuid))
        order by create_time desc, id desc limit $9
        """,
        viewer.sees_all,
        viewer.party,
        state,
        facility_id,
        machine,
        collateral_state,
        *(after or (None, None)),
        limit,
    )
    return [draw_of(row) for row in rows]


async def update_draw(connection: Connection, draw: Draw, *, at: datetime, events: int = 0) -> Draw:
    """Write what changes of a locked draw; takes `events` event sequences."""
    row = await connection.fetchrow(
        """
        update draw set state = $2, start_on = $3, maturity_on = $4, outstanding_fen = $5,
            lien = $6, transfer_id = $7, valuation = $8, collateral_fen = $9, olv_median_fen = $10,
            collateral_state = $11, cure_by = $12, overdue_bucket = $13, calendar_version = $14,
            held_by = $15, secured = $16, equipment_class = $17, valued_hours = $18,
            valued_compliance = $19, breach_month = $20, shortfall_cause = $21, enforced_by = $22,
            top_up_fen = $23, senior_fen = $24, lien_first = $25, lien_time = $26,
            lien_place = $27, version = version + 1, event_sequence = event_sequence + $28,
            update_time = $29
        where id = $1 returning *
        """,
        draw.id,
        draw.state,
        draw.start_on,
        draw.maturity_on,
        draw.outstanding_fen,
        draw.lien,
        draw.transfer_id,
        draw.valuation,
        draw.collateral_fen,
        draw.olv_median_fen,
        draw.collateral_state,
        draw.cure_by,
        draw.overdue_bucket,
        draw.calendar_version,
        draw.held_by,
        draw.secured,
        draw.equipment_class,
        draw.valued_hours,
        draw.valued_compliance,
        draw.breach_month,
        draw.shortfall_cause,
        draw.enforced_by,
        draw.top_up_fen,
        draw.senior_fen,
        draw.lien_first,
        draw.lien_time,
        draw.lien_place,
        events,
        at,
    )
    assert row is not None
    return draw_of(row)


async def list_instalments(connection: Connection, draw_id: UUID) -> list[Instalment]:
    """Return a draw's schedule by number."""
    return (await list_instalments_of(connection, [draw_id])).get(draw_id, [])


async def list_instalments_of(
    connection: Connection, draw_ids: Sequence[UUID]
) -> dict[UUID, list[Instalment]]:
    """Return the schedules of several draws, each by number."""
    rows = await connection.fetch(
        "select * from draw_instalment where draw_id = any($1::uuid[]) order by draw_id, number",
        draw_ids,
    )
    schedules: dict[UUID, list[Instalment]] = {}
    for row in rows:
        line = Instalment(**{field.name: row[field.name] for field in fields(Instalment)})
        schedules.setdefault(row["draw_id"], []).append(line)
    return schedules


async def write_instalments(
    connection: Connection, draw_id: UUID, lines: Sequence[Instalment]
) -> None:
    """Replace a draw's schedule."""
    await connection.execute("delete from draw_instalment where draw_id = $1", draw_id)
    await connection.executemany(
        """
        insert into draw_instalment
            (draw_id, number, contract_on, due_on, interest_fen, principal_fen, balance_fen,
             penalty_fen, penalty_until, interest_paid_fen, principal_paid_fen, penalty_paid_fen)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        [(draw_id, *(getattr(line, field.name) for field in fields(Instalment))) for line in lines],
    )


async def insert_payment(connection: Connection, payment: Payment) -> None:
    """Keep a payment; its transfer counts once."""
    await connection.execute(
        """
        insert into draw_payment
            (id, draw_id, kind, transfer_id, amount_fen, penalty_fen, interest_fen, principal_fen,
             excess_fen, business_date, create_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        *(getattr(payment, field.name) for field in fields(Payment)),
    )


async def is_settled_by(connection: Connection, draw_id: UUID, transfer_id: str) -> bool:
    """Whether a transfer was recorded as a payment on a draw."""
    found: bool = await connection.fetchval(
        "select exists (select from draw_payment where draw_id = $1 and transfer_id = $2)",
        draw_id,
        transfer_id,
    )
    return found


async def get_excess(connection: Connection, transfer_id: str) -> int:
    """Return what a recorded transfer paid above the debt, in fen."""
    excess_fen: int | None = await connection.fetchval(
        "select excess_fen from draw_payment where transfer_id = $1", transfer_id
    )
    assert excess_fen is not None
    return excess_fen


async def list_payments(
    connection: Connection, draw_id: UUID, *, after: tuple[Any, ...] | None, limit: int
) -> list[Payment]:
    """Return a draw's payments, the newest first, after a (create_time, id)."""
    rows = await connection.fetch(
        """
        select * from draw_payment
        where draw_id = $1 and ($2::timestamptz is null or (create_time, id) < ($2, $3::uuid))
        order by create_time desc, id desc limit $4
        """,
        draw_id,
        *(after or (None, None)),
        limit,
    )
    return [Payment(**{**row, "kind": PaymentKind(row["kind"])}) for row in rows]


def draw_of(row: Row) -> Draw:
    """Return the draw of a row."""
    return Draw(
        **{
            **row,
            "state": DrawState(row["state"]),
            "day_count": DayCount(row["day_count"]),
            "collateral_state": CollateralState(row["collateral_state"]),
            "enforced_by": EnforcedBy(row["enforced_by"]),
        }
    )
