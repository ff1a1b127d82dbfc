"""All SQL of faults."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.maintenance.fault_model import Fault, FaultCode, FaultState, Lamp, Severity

_COLUMNS = """
    id, version, event_sequence, state, machine_id, code, spn, fmi, source_address, oem_code,
    severity, lamps, count, description, raise_time, last_report_time, clear_time, cleared_by,
    acknowledged_by, work_order, create_time, update_time
"""
_SEEN = """
    exists (select from monitored_machine m where m.id = machine_id
            and ({sees_all} or m.title_holder = {party} or m.custodian = {party}))
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which faults a listing asks for; None and False ask for any."""

    machine_id: UUID | None = None
    state: FaultState | None = None
    open_only: bool = False
    severity: Severity | None = None
    spn: int | None = None
    fmi: int | None = None
    source_address: int | None = None


async def lock_open(connection: Connection, machine_ids: Collection[UUID]) -> list[Fault]:
    """Return the open faults of machines, locked; the machines are locked before them."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from fault
        where machine_id = any ($1::uuid[]) and state <> 'CLEARED'
        order by id for no key update
        """,
        list(machine_ids),
    )
    return [_fault(row) for row in rows]


async def lock_fault(connection: Connection, fault_id: UUID) -> Fault | None:
    """Return a fault, locked; its machine is locked before it."""
    row = await connection.fetchrow(
        f"select {_COLUMNS} from fault where id = $1 for no key update", fault_id
    )
    return None if row is None else _fault(row)


async def lock_faults(connection: Connection, fault_ids: Collection[UUID]) -> list[Fault]:
    """Return faults, locked in the order of their ids; their machine is locked before them."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from fault where id = any ($1::uuid[]) order by id for no key update
        """,
        list(fault_ids),
    )
    return [_fault(row) for row in rows]


async def find_fault_seen(
    connection: Connection, fault_id: UUID, *, viewer: Principal
) -> Fault | None:
    """Return a fault of a machine that the viewer owns or has."""
    row = await connection.fetchrow(
        f"""
        select {_COLUMNS} from fault
        where id = $1 and {_SEEN.format(sees_all="$2", party="$3")}
        """,
        fault_id,
        viewer.sees_all,
        viewer.party or None,
    )
    return None if row is None else _fault(row)


async def last_told(
    connection: Connection, keys: Collection[tuple[UUID, str]]
) -> dict[tuple[UUID, str], datetime]:
    """Return until when cleared faults of these machines and codes are known, by both."""
    rows = await connection.fetch(
        """
        select f.machine_id, f.code, max(greatest(f.clear_time, f.last_report_time)) as known_until
        from unnest($1::uuid[], $2::text[]) as asked (machine_id, code)
        join fault f on f.machine_id = asked.machine_id and f.code = asked.code
        where f.state = 'CLEARED' group by f.machine_id, f.code
        """,
        [machine_id for machine_id, _ in keys],
        [code for _, code in keys],
    )
    return {(row["machine_id"], row["code"]): row["known_until"] for row in rows}


async def count_open_stops(connection: Connection, machine_id: UUID) -> int:
    """Return how many open faults of a machine have severity STOP."""
    count: int = await connection.fetchval(
        """
        select count(*) from fault
        where machine_id = $1 and state <> 'CLEARED' and severity = 'STOP'
        """,
        machine_id,
    )
    return count


async def list_faults(
    connection: Connection,
    wanted: Wanted,
    *,
    viewer: Principal,
    after: UUID | None,
    limit: int,
) -> list[Fault]:
    """Return the faults of one machine, or of all that the viewer sees, the newest first."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from fault
        where ($1::uuid is null or machine_id = $1) and ($2::text is null or state = $2)
            and (not $3 or state <> 'CLEARED') and ($4::text is null or severity = $4)
            and ($5::int is null or spn = $5) and ($6::int is null or fmi = $6)
            and ($7::int is null or source_address = $7)
            and {_SEEN.format(sees_all="$8", party="$9")}
            and ($10::uuid is null or id < $10)
        order by id desc limit $11
        """,
        wanted.machine_id,
        None if wanted.state is None else wanted.state.value,
        wanted.open_only,
        None if wanted.severity is None else wanted.severity.value,
        wanted.spn,
        wanted.fmi,
        wanted.source_address,
        viewer.sees_all,
        viewer.party or None,
        after,
        limit,
    )
    return [_fault(row) for row in rows]


async def list_open(connection: Connection, machine_ids: Sequence[UUID]) -> list[Fault]:
    """Return the open faults of some machines, by machine and age."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from fault
        where machine_id = any ($1::uuid[]) and state <> 'CLEARED' order by machine_id, id
        """,
        machine_ids,
    )
    return [_fault(row) for row in rows]


async def list_span(
    connection: Connection,
    machine_id: UUID,
    *,
    since: datetime,
    until: datetime,
    offset: int,
    limit: int,
) -> list[Fault]:
    """Return some of a machine's faults last reported in a span of time, the oldest first."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from fault
        where machine_id = $1 and last_report_time >= $2 and last_report_time < $3
        order by last_report_time, id offset $4 limit $5
        """,
        machine_id,
        since,
        until,
        offset,
        limit,
    )
    return [_fault(row) for row in rows]


async def save_faults(connection: Connection, faults: Sequence[Fault]) -> None:
    """Write faults, new ones too."""
    await connection.executemany(
        f"""
        insert into fault ({_COLUMNS})
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
            $19, $20, $21, $22)
        on conflict (id) do update set
            version = excluded.version, event_sequence = excluded.event_sequence,
            state = excluded.state, severity = excluded.severity, lamps = excluded.lamps,
            count = excluded.count, description = excluded.description,
            last_report_time = excluded.last_report_time, clear_time = excluded.clear_time,
            cleared_by = excluded.cleared_by, acknowledged_by = excluded.acknowledged_by,
            work_order = excluded.work_order, update_time = excluded.update_time
        """,
        [_values(fault) for fault in faults],
    )


def _values(fault: Fault) -> tuple[Any, ...]:
    code = fault.code
    return (
        fault.id,
        fault.version,
        fault.event_sequence,
        fault.state.value,
        fault.machine_id,
        code.key,
        code.spn,
        code.fmi,
        code.source_address,
        code.oem_code,
        fault.severity.value,
        [lamp.value for lamp in fault.lamps],
        fault.count,
        fault.description,
        fault.raise_time,
        fault.last_report_time,
        fault.clear_time,
        fault.cleared_by,
        fault.acknowledged_by,
        fault.work_order,
        fault.create_time,
        fault.update_time,
    )


def _fault(row: Row) -> Fault:
    return Fault(
        id=row["id"],
        version=row["version"],
        event_sequence=row["event_sequence"],
        state=FaultState(row["state"]),
        machine_id=row["machine_id"],
        code=FaultCode(row["spn"], row["fmi"], row["source_address"], row["oem_code"]),
        severity=Severity(row["severity"]),
        lamps=tuple(Lamp(lamp) for lamp in row["lamps"]),
        count=row["count"],
        description=row["description"],
        raise_time=row["raise_time"],
        last_report_time=row["last_report_time"],
        clear_time=row["clear_time"],
        cleared_by=row["cleared_by"],
        acknowledged_by=row["acknowledged_by"],
        work_order=row["work_order"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
