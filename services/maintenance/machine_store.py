"""All SQL of the copy of machines."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.maintenance.machine_model import MonitoredMachine, NamedMachine

_COLUMNS = """
    id, event_sequence, registry_sequence, pin, serial_number, make, model, equipment_class,
    title_holder, custodian, custody, lease, create_time, update_time
"""


async def find_machine(connection: Connection, machine_id: UUID) -> MonitoredMachine | None:
    """Return a machine, whoever asks."""
    row = await connection.fetchrow(
        f"select {_COLUMNS} from monitored_machine where id = $1", machine_id
    )
    return None if row is None else _machine(row)


async def find_machine_seen(
    connection: Connection, machine_id: UUID, *, viewer: Principal
) -> MonitoredMachine | None:
    """Return a machine that the viewer owns or has; any for one who sees all."""
    row = await connection.fetchrow(
        f"""
        select {_COLUMNS} from monitored_machine
        where id = $1 and ($2 or title_holder = $3 or custodian = $3)
        """,
        machine_id,
        viewer.sees_all,
        viewer.party or None,
    )
    return None if row is None else _machine(row)


async def lock_machine(connection: Connection, machine_id: UUID) -> MonitoredMachine | None:
    """Return a machine, locked for change: for its next event, above all."""
    row = await connection.fetchrow(
        f"select {_COLUMNS} from monitored_machine where id = $1 for no key update", machine_id
    )
    return None if row is None else _machine(row)


async def lock_machines(
    connection: Connection, machine_ids: Sequence[UUID]
) -> dict[UUID, MonitoredMachine]:
    """Return machines by id, locked in the order of their ids."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from monitored_machine where id = any ($1::uuid[])
        order by id for no key update
        """,
        machine_ids,
    )
    return {row["id"]: _machine(row) for row in rows}


async def find_machines_seen(
    connection: Connection, machine_ids: Sequence[UUID], *, viewer: Principal
) -> dict[UUID, MonitoredMachine]:
    """Return those of some machines that the viewer owns or has, by id."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from monitored_machine
        where id = any ($1::uuid[]) and ($2 or title_holder = $3 or custodian = $3)
        """,
        machine_ids,
        viewer.sees_all,
        viewer.party or None,
    )
    return {row["id"]: _machine(row) for row in rows}


async def find_by_numbers(
    connection: Connection, numbers: Sequence[str], *, viewer: Principal
) -> list[tuple[str, NamedMachine]]:
    """Return (number, machine) of those whose PIN, serial number or equipment id is asked for.

    Args:
        numbers: In upper case; a machine may come more than once.
    """
    rows = await connection.fetch(
        """
        select m.id, m.make, m.pin, m.serial_number, u.equipment_id
        from (
            select id as machine_id from monitored_machine
            where upper(pin) = any ($1::text[]) and pin <> ''
            union
            select id from monitored_machine
            where upper(serial_number) = any ($1::text[]) and serial_number <> ''
            union
            select machine_id from fleet_unit where upper(equipment_id) = any ($1::text[])
        ) as found
        cross join lateral (
            select id, make, pin, serial_number from monitored_machine
            where id = found.machine_id and ($2 or title_holder = $3 or custodian = $3)
            offset 0) as m
        left join fleet_unit u on u.machine_id = found.machine_id
        """,
        numbers,
        viewer.sees_all,
        viewer.party or None,
    )
    asked = set(numbers)
    found = []
    for machine_id, make, *carried in rows:
        machine = NamedMachine(machine_id, make)
        upper = {number.upper() for number in carried if number}
        found += [(number, machine) for number in upper & asked]
    return found


async def list_page(
    connection: Connection, *, viewer: Principal, offset: int, limit: int
) -> list[MonitoredMachine]:
    """Return some of the machines that the viewer owns or has, by id.

    The standard pages by number, so earlier pages are counted over again: they are index rows.
    """
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from monitored_machine
        where $1 or title_holder = $2 or custodian = $2
        order by id offset $3 limit $4
        """,
        viewer.sees_all,
        viewer.party or None,
        offset,
        limit,
    )
    return [_machine(row) for row in rows]


async def count_seen(connection: Connection, *, viewer: Principal) -> int:
    """Return how many machines the viewer owns or has."""
    count: int = await connection.fetchval(
        "select count(*) from monitored_machine where $1 or title_holder = $2 or custodian = $2",
        viewer.sees_all,
        viewer.party or None,
    )
    return count


async def save_copy(connection: Connection, machine: MonitoredMachine) -> None:
    """Write what the registry says of a machine, unless a newer copy is there."""
    await connection.execute(
        """
        insert into monitored_machine (
            id, registry_sequence, pin, serial_number, make, model, equipment_class, title_holder,
            custodian, custody, lease, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
        on conflict (id) do update set
            registry_sequence = excluded.registry_sequence, pin = excluded.pin,
            serial_number = excluded.serial_number, make = excluded.make, model = excluded.model,
            equipment_class = excluded.equipment_class, title_holder = excluded.title_holder,
            custodian = excluded.custodian, custody = excluded.custody, lease = excluded.lease,
            update_time = excluded.update_time
        where monitored_machine.registry_sequence < excluded.registry_sequence
        """,
        machine.id,
        machine.registry_sequence,
        machine.pin,
        machine.serial_number,
        machine.make,
        machine.model,
        machine.equipment_class,
        machine.title_holder,
        machine.custodian,
        machine.custody,
        machine.lease,
        machine.update_time,
    )


async def note_title(
    connection: Connection, machine_id: UUID, *, holder: str, sequence: int, at: datetime
) -> None:
    """Note who owns a machine, unless the copy is newer."""
    await connection.execute(
        """
        update monitored_machine
        set title_holder = $2, registry_sequence = $3, update_time = $4
        where id = $1 and registry_sequence < $3
        """,
        machine_id,
        holder,
        sequence,
        at,
    )


async def note_facts(
    connection: Connection, machine_id: UUID, *, make: str, model: str, sequence: int, at: datetime
) -> None:
    """Note a machine's corrected make and model, unless the copy is newer."""
    await connection.execute(
        """
        update monitored_machine
        set make = $2, model = $3, registry_sequence = $4, update_time = $5
        where id = $1 and registry_sequence < $4
        """,
        machine_id,
        make,
        model,
        sequence,
        at,
    )


async def note_custody(
    connection: Connection,
    machine_id: UUID,
    *,
    custody: str,
    custodian: str,
    lease: str | None,
    sequence: int,
    at: datetime,
) -> None:
    """Note how a machine is held, unless the copy is newer; a lease of None stays as it is."""
    await connection.execute(
        """
        update monitored_machine
        set custody = $2, custodian = $3, lease = coalesce($4, lease), registry_sequence = $5,
            update_time = $6
        where id = $1 and registry_sequence < $5
        """,
        machine_id,
        custody,
        custodian,
        lease,
        sequence,
        at,
    )


async def add_events(connection: Connection, counts: Mapping[UUID, int]) -> dict[UUID, int]:
    """Count events of locked machines; return each one's last sequence, by id."""
    rows = await connection.fetch(
        """
        update monitored_machine m set event_sequence = event_sequence + added.events
        from unnest($1::uuid[], $2::bigint[]) as added (id, events)
        where m.id = added.id returning m.id, m.event_sequence
        """,
        list(counts),
        list(counts.values()),
    )
    return {row["id"]: row["event_sequence"] for row in rows}


def _machine(row: Row) -> MonitoredMachine:
    return MonitoredMachine(**{column: row[column] for column in MonitoredMachine.__slots__})
