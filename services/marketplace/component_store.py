"""All SQL of components: those in place, and their history without overlap."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.kit.connection import Connection, Row
from services.marketplace.component_model import Component, ComponentInterval, ManufactureClass


async def components_of(
    connection: Connection, machine_ids: Sequence[UUID]
) -> dict[UUID, list[Component]]:
    """Return what is installed in each of these machines, by kind and position."""
    rows = await connection.fetch(
        """
        select * from component_interval
        where machine_id = any ($1::uuid[]) and end_time is null
        order by machine_id, kind, position
        """,
        machine_ids,
    )
    found: dict[UUID, list[Component]] = defaultdict(list)
    for row in rows:
        found[row["machine_id"]].append(_component(row))
    return found


async def put_in_place(
    connection: Connection, machine_id: UUID, component: Component, *, reference: str, at: datetime
) -> None:
    """End the interval in a locked machine's place, if one runs, and begin the component's.

    Where the clock stands still the next begins a microsecond later, so that none is empty.
    """
    start_time = await connection.fetchval(
        """
        update component_interval
        set end_time = greatest($4, start_time + interval '1 microsecond')
        where machine_id = $1 and kind = $2 and position = $3 and end_time is null
        returning end_time
        """,
        machine_id,
        component.kind,
        component.position,
        at,
    )
    await connection.execute(
        """
        insert into component_interval
            (machine_id, number, kind, position, serial_number, manufacture_class, installed_on,
             hours_at_install, label_no, unit, reference, start_time)
        select $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
        from component_interval where machine_id = $1
        """,
        machine_id,
        component.kind,
        component.position,
        component.serial_number,
        component.manufacture_class,
        component.installed_on,
        component.hours_at_install,
        component.label_no,
        component.unit,
        reference,
        start_time or at,
    )


async def list_intervals(
    connection: Connection, machine_id: UUID, *, after: int, limit: int
) -> list[ComponentInterval]:
    """Return the history of a machine's components, the first one first, after a number."""
    rows = await connection.fetch(
        """
        select * from component_interval
        where machine_id = $1 and number > $2 order by number limit $3
        """,
        machine_id,
        after,
        limit,
    )
    return [
        ComponentInterval(
            row["number"], _component(row), row["reference"], row["start_time"], row["end_time"]
        )
        for row in rows
    ]


def _component(row: Row) -> Component:
    return Component(
        kind=row["kind"],
        position=row["position"],
        serial_number=row["serial_number"],
        manufacture_class=ManufactureClass(row["manufacture_class"]),
        installed_on=row["installed_on"],
        hours_at_install=row["hours_at_install"],
        label_no=row["label_no"],
        unit=row["unit"],
    )
