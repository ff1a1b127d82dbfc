"""All SQL of machines as they are; what they were is in `history_store`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ironloop.options.v1 import options_pb2

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.marketplace.machine_model import (
    Custody,
    EquipmentClass,
    Facts,
    Machine,
    MachineLifecycle,
    Reservation,
    identity_of,
)

_COLUMNS = """
    id, version, event_sequence, id_scheme, check_status, pin, serial_number, make, model,
    equipment_class, build_year, hours_meter, hours_time, replacement_cost_fen, title_holder,
    title_since, lifecycle, custody, custodian, reservation_reference, reservation_party,
    reservation_expire_time, lease_reference, create_time, update_time
"""
_INSERTED = """
    id, id_scheme, check_status, pin, serial_number, make, model, equipment_class, build_year,
    hours_meter, hours_time, replacement_cost_fen, title_holder, title_since, lifecycle, custody,
    custodian, create_time, update_time
"""


async def insert_machines(connection: Connection, machines: Sequence[Machine]) -> set[UUID]:
    """Write new machines with their first title and custody; return those that were free to be.

    One is left out where its PIN, or its make and serial number, are registered.
    """
    rows = await connection.fetch(
        f"""
        insert into machine ({_INSERTED})
        select * from unnest(
            $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::int[], $10::numeric[], $11::timestamptz[], $12::bigint[], $13::text[],
            $14::timestamptz[], $15::text[], $16::text[], $17::text[], $18::timestamptz[],
            $18::timestamptz[])
        on conflict do nothing returning id
        """,
        *_columns_of([_row_of(machine) for machine in machines], width=18),
    )
    written = {row["id"] for row in rows}
    made = [machine for machine in machines if machine.id in written]
    first = [(m.id, m.title_holder, m.name, m.create_time) for m in made]
    columns = _columns_of(first, width=4)
    await connection.execute(
        """
        insert into title_interval (machine_id, number, holder, reference, start_time)
        select id, 1, holder, reference, start_time
        from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
            as first (id, holder, reference, start_time)
        """,
        *columns,
    )
    await connection.execute(
        """
        insert into custody_interval (machine_id, number, custody, holder, reference, start_time)
        select id, 1, 'AVAILABLE', holder, reference, start_time
        from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
            as first (id, holder, reference, start_time)
        """,
        *columns,
    )
    return written


async def find_machine(connection: Connection, machine_id: UUID) -> Machine | None:
    """Return a machine, whoever asks."""
    row = await connection.fetchrow(f"select {_COLUMNS} from machine where id = $1", machine_id)
    return None if row is None else _machine(row)


async def lock_machine(connection: Connection, machine_id: UUID) -> Machine | None:
    """Return a machine, locked for change; it is locked before any listing of it."""
    row = await connection.fetchrow(
        f"select {_COLUMNS} from machine where id = $1 for no key update", machine_id
    )
    return None if row is None else _machine(row)


async def lock_machine_of(
    connection: Connection, machine_id: UUID, *, viewer: Principal, custodian: bool
) -> Machine | None:
    """Return a machine, locked, that the caller may change.

    That is one that the caller's party owns, or has where `custodian`; any for a service.
    """
    row = await connection.fetchrow(
        f"""
        select {_COLUMNS} from machine
        where id = $1 and ($2 or title_holder = $3 or ($4 and custodian = $3))
        for no key update
        """,
        machine_id,
        viewer.holds(options_pb2.ROLE_SERVICE),
        viewer.party,
        custodian,
    )
    return None if row is None else _machine(row)


async def find_machine_seen(
    connection: Connection, machine_id: UUID, *, viewer: Principal, inspects: bool
) -> Machine | None:
    """Return a machine that the viewer may see; a technician (`inspects`) sees submitted ones."""
    row = await connection.fetchrow(
        f"""
        select {_COLUMNS} from machine m
        where id = $1 and (
            $2 or title_holder = $3 or custodian = $3 or reservation_party = $3
            or exists (select from lien where machine_id = m.id and holder = $3
                       and state = 'ACTIVE')
            or exists (select from listing where machine_id = m.id and (state = 'PUBLISHED'
                       or ($4 and state in ('SUBMITTED', 'INSPECTED')))))
        """,
        machine_id,
        viewer.sees_all,
        viewer.party,
        inspects,
    )
    return None if row is None else _machine(row)


async def lock_machines(
    connection: Connection, *, ids: Sequence[UUID], keys: Sequence[tuple[str, ...]]
) -> list[Machine]:
    """Return the machines with these ids or numbers, locked in the order of their ids.

    Args:
        keys: ("pin", PIN) or ("serial", MAKE, SERIAL), upper case.
    """
    serials = [key[1:] for key in keys if key[0] == "serial"]
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from machine
        where id in (
            select id from machine where id = any ($1::uuid[])
            union all
            select id from machine where pin = any ($2::text[])
            union all
            select m.id from unnest($3::text[], $4::text[]) as asked (make, serial)
            join machine m on upper(m.make) = asked.make and upper(m.serial_number) = asked.serial)
        order by id for no key update
        """,
        ids,
        [key[1] for key in keys if key[0] == "pin"],
        [make for make, _ in serials],
        [serial for _, serial in serials],
    )
    return [_machine(row) for row in rows]


async def list_by_title(
    connection: Connection, *, party: str, after: UUID | None, limit: int
) -> list[Machine]:
    """Return the machines that a party owns, the newest first, after an id."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from machine
        where title_holder = $1 and ($2::uuid is null or id < $2) order by id desc limit $3
        """,
        party,
        after,
        limit,
    )
    return [_machine(row) for row in rows]


async def list_by_custody(
    connection: Connection, *, party: str, after: UUID | None, limit: int
) -> list[Machine]:
    """Return the machines that a party has, the newest first, after an id."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from machine
        where custodian = $1 and ($2::uuid is null or id < $2) order by id desc limit $3
        """,
        party,
        after,
        limit,
    )
    return [_machine(row) for row in rows]


async def list_all(connection: Connection, *, after: UUID | None, limit: int) -> list[Machine]:
    """Return every machine, the newest first, after an id."""
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from machine
        where $1::uuid is null or id < $1 order by id desc limit $2
        """,
        after,
        limit,
    )
    return [_machine(row) for row in rows]


async def update_machine(connection: Connection, machine: Machine, *, at: datetime) -> Machine:
    """Write what may change of a locked machine; takes the next event sequence."""
    reservation = machine.reservation
    facts = machine.facts
    row = await connection.fetchrow(
        f"""
        update machine set model = $2, equipment_class = $3, build_year = $4, hours_meter = $5,
            hours_time = $6, replacement_cost_fen = $7, title_holder = $8, title_since = $9,
            lifecycle = $10, custody = $11, custodian = $12, reservation_reference = $13,
            reservation_party = $14, reservation_expire_time = $15, lease_reference = $16,
            version = version + 1, event_sequence = event_sequence + 1, update_time = $17
        where id = $1 returning {_COLUMNS}
        """,
        machine.id,
        facts.model,
        facts.equipment_class,
        facts.build_year,
        facts.hours_meter,
        machine.hours_time,
        facts.replacement_cost_fen,
        machine.title_holder,
        machine.title_since,
        machine.lifecycle,
        machine.custody,
        machine.custodian,
        reservation.reference if reservation else None,
        reservation.party if reservation else None,
        reservation.expire_time if reservation else None,
        machine.lease_reference,
        at,
    )
    assert row is not None
    return _machine(row)


def _row_of(machine: Machine) -> tuple[Any, ...]:
    identity, facts = machine.identity, machine.facts
    return (
        machine.id,
        identity.scheme,
        identity.check_status,
        identity.pin,
        identity.serial_number,
        facts.make,
        facts.model,
        facts.equipment_class,
        facts.build_year,
        facts.hours_meter,
        machine.hours_time,
        facts.replacement_cost_fen,
        machine.title_holder,
        machine.title_since,
        machine.lifecycle,
        machine.custody,
        machine.custodian,
        machine.create_time,
    )


def _columns_of(rows: Sequence[tuple[Any, ...]], *, width: int) -> list[list[Any]]:
    """Turn rows into one list a column, as unnest takes them."""
    return [[row[place] for row in rows] for place in range(width)]


def _machine(row: Row) -> Machine:
    reference = row["reservation_reference"]
    return Machine(
        id=row["id"],
        version=row["version"],
        event_sequence=row["event_sequence"],
        identity=identity_of(
            id_scheme=row["id_scheme"],
            check_status=row["check_status"],
            pin=row["pin"],
            serial_number=row["serial_number"],
        ),
        facts=Facts(
            make=row["make"],
            model=row["model"],
            equipment_class=EquipmentClass(row["equipment_class"]),
            build_year=row["build_year"],
            hours_meter=row["hours_meter"],
            replacement_cost_fen=row["replacement_cost_fen"],
        ),
        hours_time=row["hours_time"],
        title_holder=row["title_holder"],
        title_since=row["title_since"],
        lifecycle=MachineLifecycle(row["lifecycle"]),
        custody=Custody(row["custody"]),
        custodian=row["custodian"],
        reservation=None
        if reference is None
        else Reservation(reference, row["reservation_party"], row["reservation_expire_time"]),
        lease_reference=row["lease_reference"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
