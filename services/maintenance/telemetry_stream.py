"""A stream of readings taken in: batches are committed while the next ones are read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from ironloop.maintenance.v1 import telemetry_pb2

from services.kit.errors import DomainError
from services.kit.ids import parse_name
from services.kit.principals import Principal
from services.kit.runtime import Runtime
from services.maintenance import machine_clients, machine_store
from services.maintenance.fault_model import ControllerReport, FaultReport
from services.maintenance.telemetry_intake import Intake
from services.maintenance.telemetry_model import TelemetryElement, TelemetryRow
from services.maintenance.telemetry_wire import RowReader, RowRefused

BATCH_ROWS = 5_000  # one commit; smaller ones cost more a row, larger ones gain nothing
PROBLEMS_MAX = 100  # of a stream, as the contract says
MACHINES_MAX = 100_000  # remembered of a stream
ASKED_MAX = 200  # machines of a stream that marketplace is asked for

UNKNOWN = "is not a machine that you own or have"

pb = telemetry_pb2


@dataclass(slots=True)
class Totals:
    """How a stream went."""

    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    refused: int = 0
    faults: int = 0
    problems: list[pb.ReadingProblem] = field(default_factory=list)


class TelemetryStream:
    """One stream; one batch is being committed while the next is read."""

    def __init__(self, runtime: Runtime, intake: Intake, *, viewer: Principal) -> None:
        self._runtime = runtime
        self._intake = intake
        self._viewer = viewer
        self._machines: dict[str, UUID | None] = {}
        self._asked = 0
        self._refreshed = False
        self._rows: list[TelemetryRow] = []
        self._faults: list[FaultReport | ControllerReport] = []
        self._totals = Totals()

    async def run(self, requests: AsyncIterator[pb.IngestTelemetryRequest]) -> Totals:
        """Take everything in, and return how it went.

        Raises:
            DatabaseUnavailable, Contention: A batch could not be stored; the ones before it were.
        """
        storing: asyncio.Task[None] | None = None
        try:
            async for request in requests:
                await self._read(request)
                if len(self._rows) + len(self._faults) < BATCH_ROWS:
                    continue
                if storing is not None:
                    await storing
                storing = asyncio.create_task(self._store(self._rows, self._faults))
                self._rows, self._faults = [], []
            if storing is not None:
                await storing
        except BaseException:
            if storing is not None:  # what was begun ends before the call does
                await asyncio.gather(storing, return_exceptions=True)
            raise
        if self._rows or self._faults:
            await self._store(self._rows, self._faults)
        return self._totals

    async def _store(
        self, rows: list[TelemetryRow], faults: list[FaultReport | ControllerReport]
    ) -> None:
        stored = await self._intake.store(rows, faults)
        totals = self._totals
        totals.accepted += stored.accepted.total()
        totals.duplicate += stored.duplicate.total()
        totals.quarantined += stored.quarantined.total()
        totals.faults += stored.faults.total()

    async def _read(self, request: pb.IngestTelemetryRequest) -> None:
        await self._know(request)
        reader = RowReader(self._runtime.clock.now())
        self._take(request.readings, reader.reading, self._rows)
        self._take(request.faults, reader.fault, self._faults)
        self._take(request.frames, reader.frame, self._faults)

    def _take(self, rows: Iterable[Any], read: Callable[[UUID, Any], Any], into: list[Any]) -> None:
        machines = self._machines
        for row in rows:
            machine_id = machines.get(row.machine)
            try:
                if machine_id is None:
                    raise RowRefused(UNKNOWN)
                into.append(read(machine_id, row))
            except RowRefused as refusal:
                self._refuse(row, str(refusal))

    def _refuse(self, row: Any, why: str) -> None:
        self._totals.refused += 1
        if len(self._totals.problems) < PROBLEMS_MAX:
            self._totals.problems.append(
                pb.ReadingProblem(
                    machine=row.machine[:200], element=_element_of(row), description=why
                )
            )

    async def _know(self, request: pb.IngestTelemetryRequest) -> None:
        """Find the machines of a message that the stream has not named before."""
        if len(self._machines) > MACHINES_MAX:
            self._machines.clear()
        known = self._machines
        new = {ref for row in request.readings if (ref := row.machine) not in known}
        new |= {ref for row in request.faults if (ref := row.machine) not in known}
        new |= {ref for row in request.frames if (ref := row.machine) not in known}
        if not new:
            return
        ids = {ref: found for ref in new if (found := _id_of(ref)) is not None}
        numbers = {ref: number for ref in new if (number := _number_of(ref))}
        seen = await self._find_ids(set(ids.values()))
        for machine_id in set(ids.values()) - seen.keys():
            if self._asked < ASKED_MAX:
                self._asked += 1
                await self._ask(machine_id)
        if set(ids.values()) - seen.keys() and self._asked:
            seen = await self._find_ids(set(ids.values()))
        by_number = await self._find_numbers(set(numbers.values()))
        if set(numbers.values()) - by_number.keys() and self._viewer.party and not self._refreshed:
            self._refreshed = True
            await machine_clients.refresh_fleet(self._runtime, self._viewer.party)
            by_number = await self._find_numbers(set(numbers.values()))
        for ref in new:
            if ref in ids:
                self._machines[ref] = seen.get(ids[ref])
            else:
                self._machines[ref] = by_number.get(numbers.get(ref, ""))

    async def _ask(self, machine_id: UUID) -> None:
        try:
            await machine_clients.ensure_known(self._runtime, machine_id)
        except DomainError:
            return  # it stays unknown; the row says so

    async def _find_ids(self, machine_ids: set[UUID]) -> dict[UUID, UUID]:
        """Return the ids of machines that the viewer sees, each as the driver makes it.

        The driver's own ids hash and travel several times as fast as Python's.
        """
        if not machine_ids:
            return {}
        async with self._runtime.database.read() as connection:
            found = await machine_store.find_machines_seen(
                connection, sorted(machine_ids), viewer=self._viewer
            )
        return {machine_id: machine_id for machine_id in found}

    async def _find_numbers(self, numbers: set[str]) -> dict[str, UUID]:
        """Return the one machine that carries each number."""
        if not numbers:
            return {}
        async with self._runtime.database.read() as connection:
            found = await machine_store.find_by_numbers(
                connection, sorted(numbers), viewer=self._viewer
            )
        by_number: dict[str, set[UUID]] = {}
        for number, machine in found:
            by_number.setdefault(number, set()).add(machine.id)
        return {number: next(iter(ids)) for number, ids in by_number.items() if len(ids) == 1}


def _id_of(ref: str) -> UUID | None:
    if not ref.startswith("machines/"):
        return None
    try:
        return parse_name(ref, "machines")
    except DomainError:
        return None


def _number_of(ref: str) -> str:
    kind, _, number = ref.partition("/")
    is_number = kind in {"pin", "serial"} and number.isprintable() and len(number) <= 100
    return number.upper() if is_number else ""


def _element_of(row: Any) -> str:
    if isinstance(row, pb.ReadingRow):
        number = int(row.element)
        is_known = 0 < number <= max(TelemetryElement)
        return TelemetryElement(number).name if is_known else str(number)
    return "DM1" if isinstance(row, pb.Dm1Frame) else "FAULT"
