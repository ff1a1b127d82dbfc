"""Fleet pages taken in: read, each row matched to its machine, stored in one batch."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from services.iso15143.errors import PageRefused
from services.iso15143.model import Header, Page, Problem
from services.iso15143.reader import read_page
from services.kit.principals import Principal
from services.kit.runtime import Runtime
from services.maintenance import machine_clients, machine_store
from services.maintenance.errors import DocumentRefused
from services.maintenance.fleet_rows import ReadMachine, rows_of
from services.maintenance.machine_model import NamedMachine
from services.maintenance.telemetry_intake import Intake
from services.maintenance.telemetry_model import Unit

# A party whose page names machines not known here is asked for at marketplace at most this often.
REFRESHED_EVERY_S = 2.0
UNITS_MAX = 20_000  # remembered, about 10 MiB
INLINE_BYTES_MAX = 256 * 1024  # a page of 100 machines; larger ones are read beside the loop


class Outcome(StrEnum):
    """What happened to a row."""

    TAKEN = "TAKEN"
    UNKNOWN_MACHINE = "UNKNOWN_MACHINE"
    UNREADABLE = "UNREADABLE"
    AMBIGUOUS = "AMBIGUOUS"


@dataclass(slots=True)
class RowReport:
    """What happened to one machine's row."""

    equipment_id: str
    outcome: Outcome
    machine: str = ""
    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    faults: int = 0
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class ImportReport:
    """How an import went; `problems` are those of the page outside its rows."""

    rows: list[RowReport]
    problems: list[Problem]
    next_href: str


class FleetDesk:
    """Takes fleet pages in for whoever may see the machines."""

    def __init__(self, runtime: Runtime, intake: Intake) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._intake = intake
        self._refreshed_at_s: dict[str, float] = {}
        self._units: dict[UUID, Unit] = {}

    async def take(
        self, document: bytes, *, viewer: Principal, idle_in_minutes: bool | None = None
    ) -> ImportReport:
        """Take a page of the machines that a viewer owns or has; sent again, it changes nothing.

        Raises:
            DocumentRefused: The page as a whole cannot be read.
        """
        page = await _read(document, idle_in_minutes=idle_in_minutes)
        headers = [equipment.header for equipment in page.fleet.equipment]
        found = await self._match(headers, viewer)
        now = self._runtime.clock.now()
        assumed_at = min(page.fleet.snapshot_time or now, now)
        reports, read = [], dict[UUID, ReadMachine]()
        for equipment, machines in zip(page.fleet.equipment, found, strict=True):
            report = _report_of(equipment.header, machines)
            reports.append(report)
            if report.outcome is not Outcome.TAKEN:
                continue
            machine_id = machines[0].id
            machine = rows_of(machine_id, equipment, assumed_at=assumed_at, now=now)
            report.problems += (
                Problem(report.equipment_id, element, why) for element, why in machine.problems
            )
            if machine_id in read:  # a page may name a machine twice
                read[machine_id].rows.extend(machine.rows)
                read[machine_id].faults.extend(machine.faults)
            else:
                read[machine_id] = machine
        await self._store(read, reports, dict(zip(map(id, reports), found, strict=True)))
        return _sorted_out(page, reports)

    async def _store(
        self,
        read: dict[UUID, ReadMachine],
        reports: Sequence[RowReport],
        machines: dict[int, list[NamedMachine]],
    ) -> None:
        if not read:
            return
        rows = [row for machine in read.values() for row in machine.rows]
        faults = [fault for machine in read.values() for fault in machine.faults]
        units = {
            machine_id: machine.unit
            for machine_id, machine in read.items()
            if self._units.get(machine_id) != machine.unit
        }
        stored = await self._intake.store(rows, faults, units=units)
        self._remember(units)
        for report in reports:
            if report.outcome is Outcome.TAKEN:
                machine_id = machines[id(report)][0].id
                # Where a machine stands twice on the page, its first row shows the counts.
                report.accepted = stored.accepted.pop(machine_id, 0)
                report.duplicate = stored.duplicate.pop(machine_id, 0)
                report.quarantined = stored.quarantined.pop(machine_id, 0)
                report.faults = stored.faults.pop(machine_id, 0)

    def _remember(self, units: dict[UUID, Unit]) -> None:
        """Remember how senders know machines, which nearly never changes from page to page."""
        if len(self._units) > UNITS_MAX:
            self._units.clear()
        self._units |= units

    async def _match(
        self, headers: Sequence[Header], viewer: Principal
    ) -> list[list[NamedMachine]]:
        """Return the machines of each header; one that is new here is read from marketplace."""
        found = await self._find(headers, viewer)
        if all(found) or not viewer.party or not self._may_refresh(viewer.party):
            return found
        await machine_clients.refresh_fleet(self._runtime, viewer.party)
        return await self._find(headers, viewer)

    def _may_refresh(self, party: str) -> bool:
        now_s = time.monotonic()
        if now_s - self._refreshed_at_s.get(party, -REFRESHED_EVERY_S) < REFRESHED_EVERY_S:
            return False
        self._refreshed_at_s[party] = now_s
        return True

    async def _find(self, headers: Sequence[Header], viewer: Principal) -> list[list[NamedMachine]]:
        numbers = {number for header in headers for number in _numbers(header)}
        async with self._database.read() as connection:
            rows = await machine_store.find_by_numbers(connection, sorted(numbers), viewer=viewer)
        by_number: dict[str, dict[UUID, NamedMachine]] = defaultdict(dict)
        for number, machine in rows:
            by_number[number][machine.id] = machine
        return [_chosen(header, by_number) for header in headers]


async def _read(document: bytes, *, idle_in_minutes: bool | None) -> Page:
    try:
        if len(document) <= INLINE_BYTES_MAX:
            return read_page(document, idle_in_minutes=idle_in_minutes)
        return await asyncio.to_thread(read_page, document, idle_in_minutes=idle_in_minutes)
    except PageRefused as error:
        raise DocumentRefused(str(error)) from error


def _numbers(header: Header) -> Iterable[str]:
    """Return what a machine may be found by, the surest first, in upper case."""
    stated = (header.pin, header.serial_number, header.equipment_id)
    return [number.upper() for number in stated if number]


def _chosen(header: Header, by_number: dict[str, dict[UUID, NamedMachine]]) -> list[NamedMachine]:
    """Return the machines that a header's surest known number names; more than one is too many.

    Serial numbers of different makes may be the same: where the sender states the make, it decides.
    """
    for number in _numbers(header):
        machines = list(by_number.get(number, {}).values())
        if len(machines) > 1 and header.oem_name:
            make = header.oem_name.upper()
            machines = [one for one in machines if one.make.upper() == make] or machines
        if machines:
            return machines
    return []


def _report_of(header: Header, machines: Sequence[NamedMachine]) -> RowReport:
    if not machines:
        return RowReport(header.equipment_id, Outcome.UNKNOWN_MACHINE)
    if len(machines) > 1:
        return RowReport(header.equipment_id, Outcome.AMBIGUOUS)
    return RowReport(header.equipment_id, Outcome.TAKEN, machines[0].name)


def _sorted_out(page: Page, reports: list[RowReport]) -> ImportReport:
    """Give each problem of the page to its row; rows without a machine's name get their own."""
    by_id = {report.equipment_id: report for report in reports}
    rest = []
    places: list[tuple[int, RowReport]] = []
    for problem in page.problems:
        if report := by_id.get(problem.machine):
            report.problems.append(problem)
        elif problem.machine.startswith("#"):
            row = RowReport(problem.machine, Outcome.UNREADABLE, problems=[problem])
            places.append((int(problem.machine[1:]), row))
        else:
            rest.append(problem)
    for place, row in places:  # in the order of the page, so each finds its own place
        reports.insert(place, row)
    return ImportReport(reports, rest, page.fleet.next_href or "")
