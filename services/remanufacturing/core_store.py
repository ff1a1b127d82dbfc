"""SQL of core returns. One is seen by its payer, its remanufacturer, and who sees every party's."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.remanufacturing.core_model import Core, CoreReturn, CoreState, Grade, Grading
from services.remanufacturing.family_store import grade_code
from services.remanufacturing.stored import plain


async def insert_core_return(connection: Connection, core_return: CoreReturn) -> None:
    """Write a core return whose deposit is paid."""
    await connection.execute(
        """
        insert into core_return
            (id, version, event_sequence, state, party, remanufacturer, machine, work_order,
             family_id, family_version, deposit_fen, deposit_account, deposit_on, rma_number,
             reject_reason, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, '', '', $14, $14)
        """,
        core_return.id,
        core_return.version,
        core_return.event_sequence,
        core_return.state,
        core_return.party,
        core_return.remanufacturer,
        core_return.machine,
        core_return.work_order,
        core_return.family_id,
        core_return.family_version,
        core_return.deposit_fen,
        core_return.deposit_account,
        core_return.deposit_on,
        core_return.create_time,
    )


async def find_core_return(
    connection: Connection, core_return_id: UUID, *, viewer: Principal, lock: bool = False
) -> CoreReturn | None:
    """Return a core return that the viewer may see, locked for change where asked."""
    row = await connection.fetchrow(
        f"""
        select * from core_return
        where id = $1 and ($2 or party = $3 or remanufacturer = $3)
        {"for no key update" if lock else ""}
        """,
        core_return_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _core_return(row)


async def list_core_returns(
    connection: Connection,
    *,
    viewer: Principal,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[CoreReturn]:
    """Return core returns that the viewer may see, the newest first, after an id."""
    rows = await connection.fetch(
        """
        select * from core_return where id in (
            (select id from core_return
             where $1 and ($3::text is null or state = $3) and ($4::uuid is null or id < $4)
             order by id desc limit $5)
            union all
            (select id from core_return
             where not $1 and party = $2 and ($3 is null or state = $3)
               and ($4 is null or id < $4)
             order by id desc limit $5)
            union all
            (select id from core_return
             where not $1 and remanufacturer = $2 and ($3 is null or state = $3)
               and ($4 is null or id < $4)
             order by id desc limit $5))
        order by id desc limit $5
        """,
        viewer.sees_all,
        viewer.party,
        state,
        after,
        limit,
    )
    return [_core_return(row) for row in rows]


async def update_core_return(connection: Connection, core_return: CoreReturn) -> None:
    """Write what may change of a core return."""
    core = core_return.core
    await connection.execute(
        """
        update core_return set version = $2, event_sequence = $3, state = $4, rma_number = $5,
            core_part_number = $6, core_serial_number = $7, core_hours = $8, received_on = $9,
            grading = $10, credit_fen = $11, return_freight_fen = $12, reject_reason = $13,
            closing_txn = $14, update_time = $15
        where id = $1
        """,
        core_return.id,
        core_return.version,
        core_return.event_sequence,
        core_return.state,
        core_return.rma_number,
        core.part_number if core else None,
        core.serial_number if core else None,
        core.hours if core else None,
        core.received_on if core else None,
        plain(asdict(core_return.grading)) if core_return.grading else None,
        core_return.credit_fen,
        core_return.return_freight_fen,
        core_return.reject_reason,
        core_return.closing_txn,
        core_return.update_time,
    )


async def next_rma_number(connection: Connection, on: date) -> str:
    """Return a new RMA number, for example "RMA-2026-0000012"."""
    serial: int = await connection.fetchval("select nextval('rma_serial')")
    return f"RMA-{on.year}-{serial:07d}"


def _core_return(row: Row) -> CoreReturn:
    return CoreReturn(
        id=row["id"],
        version=row["version"],
        event_sequence=row["event_sequence"],
        state=CoreState(row["state"]),
        party=row["party"],
        remanufacturer=row["remanufacturer"],
        machine=row["machine"],
        work_order=row["work_order"],
        family_id=row["family_id"],
        family_version=row["family_version"],
        deposit_fen=row["deposit_fen"],
        deposit_account=row["deposit_account"],
        deposit_on=row["deposit_on"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        rma_number=row["rma_number"],
        core=_core(row),
        grading=_grading(row["grading"]),
        credit_fen=row["credit_fen"],
        return_freight_fen=row["return_freight_fen"],
        reject_reason=row["reject_reason"],
        closing_txn=row["closing_txn"],
    )


def _core(row: Row) -> Core | None:
    if row["received_on"] is None:
        return None
    return Core(
        part_number=row["core_part_number"],
        serial_number=row["core_serial_number"],
        hours=row["core_hours"],
        received_on=row["received_on"],
    )


def _grading(stored: Mapping[str, Any] | None) -> Grading | None:
    if stored is None:
        return None
    return Grading(
        **{
            **stored,
            "grade": Grade(stored["grade"]),
            "codes": tuple(grade_code(code) for code in stored["codes"]),
            "grade_time": datetime.fromisoformat(stored["grade_time"]),
        }
    )
