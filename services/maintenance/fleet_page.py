"""Fleets as pages of ISO 15143-3: what a viewer's machines show now, and in a span of time."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.iso15143.elements import Element
from services.iso15143.model import Equipment, Fleet, Header, Link, Series
from services.kit.connection import Connection
from services.kit.principals import Principal
from services.maintenance import fault_store, machine_store, telemetry_store
from services.maintenance.fault_model import Fault
from services.maintenance.fleet_rows import (
    ELEMENT_TAGS,
    equipment_of,
    fault_element,
    header_of,
    reading_of,
)
from services.maintenance.machine_model import MonitoredMachine

PAGE = 100  # machines, by the standard
SERIES_PAGE = 1_000  # readings
VERSION = "1"


async def fleet_page(
    connection: Connection, number: int, *, viewer: Principal, base_url: str, now: datetime
) -> Fleet | None:
    """Return a page of the machines that a viewer owns or has; None where there is none."""
    total = await machine_store.count_seen(connection, viewer=viewer)
    last = max(1, -(-total // PAGE))
    if not 1 <= number <= last:
        return None
    machines = await machine_store.list_page(
        connection, viewer=viewer, offset=(number - 1) * PAGE, limit=PAGE
    )
    return Fleet(
        equipment=await equipment(connection, machines),
        links=_links(f"{base_url}/Fleet", number, last),
        version=VERSION,
        snapshot_time=now,
    )


async def equipment(
    connection: Connection, machines: Sequence[MonitoredMachine]
) -> tuple[Equipment, ...]:
    """Return machines with their latest readings and their open faults."""
    ids = [machine.id for machine in machines]
    rows = await telemetry_store.latest(connection, ids)
    headers = await headers_of(connection, machines)
    faults: dict[UUID, list[Fault]] = {machine_id: [] for machine_id in ids}
    for fault in await fault_store.list_open(connection, ids):
        faults[fault.machine_id].append(fault)
    return tuple(
        equipment_of(headers[machine.id], rows[machine.id], faults[machine.id])
        for machine in machines
    )


async def headers_of(
    connection: Connection, machines: Sequence[MonitoredMachine]
) -> dict[UUID, Header]:
    """Return how machines are known: as their sender does, else as the registry does."""
    units = await telemetry_store.find_units(connection, [machine.id for machine in machines])
    return {
        machine.id: header_of(units[machine.id]) if machine.id in units else _registered(machine)
        for machine in machines
    }


async def series_page(
    connection: Connection,
    machine: MonitoredMachine,
    element: Element,
    *,
    since: datetime,
    until: datetime,
    number: int,
    path: str,
) -> Series | None:
    """Return a page of a machine's readings of an element; None where there is none.

    Args:
        path: The address of the series without its page.
    """
    offset = (number - 1) * SERIES_PAGE
    header = (await headers_of(connection, [machine]))[machine.id]
    if element.tag in ELEMENT_TAGS:
        rows = await telemetry_store.list_span(
            connection,
            machine.id,
            ELEMENT_TAGS[element.tag].value,
            since=since,
            until=until,
            offset=offset,
            limit=SERIES_PAGE + 1,
        )
        readings = [reading_of(row) for row in rows]
    else:
        faults = await fault_store.list_span(
            connection, machine.id, since=since, until=until, offset=offset, limit=SERIES_PAGE + 1
        )
        readings = [fault_element(fault) for fault in faults]
    if number > 1 and not readings:
        return None
    links = [Link("self", f"{path}/{number}")]
    if number > 1:
        links.append(Link("prev", f"{path}/{number - 1}"))
    if len(readings) > SERIES_PAGE:
        links.append(Link("next", f"{path}/{number + 1}"))
    return Series(element.tag, tuple(readings[:SERIES_PAGE]), header, tuple(links), VERSION)


def _links(base: str, number: int, last: int) -> tuple[Link, ...]:
    links = [Link("self", f"{base}/{number}"), Link("first", f"{base}/1")]
    if number > 1:
        links.append(Link("prev", f"{base}/{number - 1}"))
    if number < last:
        links.append(Link("next", f"{base}/{number + 1}"))
    return (*links, Link("last", f"{base}/{last}"))


def _registered(machine: MonitoredMachine) -> Header:
    return Header(
        equipment_id=machine.serial_number or machine.pin or str(machine.id),
        oem_name=machine.make or None,
        model=machine.model or None,
        serial_number=machine.serial_number or None,
        pin=machine.pin or None,
    )
