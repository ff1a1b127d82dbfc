"""What becomes of reported faults, and what people do with them; the machine is locked first."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.maintenance import fault_store, machine_store
from services.maintenance.announcer import Announcer
from services.maintenance.fault_model import (
    COUNT_MAX,
    ControllerReport,
    Fault,
    FaultReport,
    FaultState,
)
from services.maintenance.lifecycle import FAULT


async def report(
    tx: Transaction, announcer: Announcer, reports: Sequence[FaultReport | ControllerReport]
) -> Counter[UUID]:
    """Raise, count up or clear the faults that locked machines report; return changes by machine.

    While a fault is open, the same code only counts up; a graver report makes it graver, which is
    told like a new one. What was told before, or lies before the last clearing, changes nothing.
    """
    board = await _Board.load(tx, announcer, reports)
    changed: Counter[UUID] = Counter()
    for one in sorted(reports, key=lambda report: report.at):
        if isinstance(one, ControllerReport):
            for part in board.parts_of(one):
                changed[one.machine_id] += await board.take(part)
        else:
            changed[one.machine_id] += await board.take(one)
    await board.write()
    return +changed


class _Board:
    """The faults of the machines that a batch of reports is about."""

    def __init__(
        self,
        tx: Transaction,
        announcer: Announcer,
        present: Sequence[Fault],
        known_until: dict[tuple[UUID, str], datetime],
    ) -> None:
        self._tx = tx
        self._announcer = announcer
        self._open = {(fault.machine_id, fault.code.key): fault for fault in present}
        self._known_until = known_until
        self._changed: dict[UUID, Fault] = {}

    @classmethod
    async def load(
        cls,
        tx: Transaction,
        announcer: Announcer,
        reports: Sequence[FaultReport | ControllerReport],
    ) -> "_Board":
        single = [
            part
            for one in reports
            for part in (one.reports if isinstance(one, ControllerReport) else (one,))
        ]
        keys = {(one.machine_id, one.code.key) for one in single}
        present = await fault_store.lock_open(tx.connection, {one.machine_id for one in reports})
        known_until = await fault_store.last_told(tx.connection, sorted(keys))
        return cls(tx, announcer, present, known_until)

    def parts_of(self, report: ControllerReport) -> list[FaultReport]:
        """Return what a controller says of each fault: active, or gone as it leaves it out."""
        gone = [
            FaultReport(fault.machine_id, fault.code, fault.severity, report.at, is_gone=True)
            for fault in self._open.values()
            if report.leaves_out(fault)
        ]
        return [*gone, *report.reports]

    async def take(self, report: FaultReport) -> bool:
        """Apply one report; False where it changes nothing."""
        key = (report.machine_id, report.code.key)
        fault = self._open.get(key)
        if fault is None:
            known_until = self._known_until.get(key)
            if report.is_gone or (known_until is not None and report.at <= known_until):
                return False
            await self._raise(report)
            return True
        if report.at <= fault.last_report_time:
            return False
        if report.is_gone:
            await self._clear(fault, report.at)
        else:
            await self._count_up(fault, report)
        return True

    async def write(self) -> None:
        """Write what has changed."""
        if self._changed:
            ordered = [self._changed[fault_id] for fault_id in sorted(self._changed)]
            await fault_store.save_faults(self._tx.connection, ordered)

    async def _raise(self, report: FaultReport) -> None:
        fault = new_fault(
            report,
            sequence=self._announcer.next_sequence(report.machine_id),
            now=self._tx.now,
        )
        self._keep(fault)
        await self._announcer.fault_raised(fault, open_stops=self._stops(fault.machine_id))

    async def _count_up(self, fault: Fault, report: FaultReport) -> None:
        FAULT.next(fault.state, "report", subject=fault.name)
        is_graver = report.severity.rank > fault.severity.rank
        counted = replace(
            fault,
            version=fault.version + 1,
            severity=report.severity if is_graver else fault.severity,
            lamps=report.lamps or fault.lamps,
            count=min(max(fault.count + 1, report.occurrences), COUNT_MAX),
            description=report.description or fault.description,
            last_report_time=report.at,
            update_time=self._tx.now,
        )
        if is_graver:
            sequence = self._announcer.next_sequence(fault.machine_id)
            counted = replace(counted, event_sequence=sequence)
        self._keep(counted)
        if is_graver:
            await self._announcer.fault_raised(counted, open_stops=self._stops(fault.machine_id))

    async def _clear(self, fault: Fault, at: datetime) -> None:
        cleared = cleared_fault(
            fault,
            at=at,
            cleared_by="",
            sequence=self._announcer.next_sequence(fault.machine_id),
            now=self._tx.now,
        )
        self._changed[cleared.id] = cleared
        key = (fault.machine_id, fault.code.key)
        del self._open[key]
        self._known_until[key] = at
        stops = self._stops(fault.machine_id)
        await self._announcer.fault_cleared(cleared, at=at, open_stops=stops)

    def _keep(self, fault: Fault) -> None:
        self._changed[fault.id] = self._open[fault.machine_id, fault.code.key] = fault

    def _stops(self, machine_id: UUID) -> int:
        return sum(fault.stops for fault in self._open.values() if fault.machine_id == machine_id)


def new_fault(report: FaultReport, *, sequence: int, now: datetime) -> Fault:
    """Return the fault that a report raises."""
    return Fault(
        id=new_id(),
        version=1,
        event_sequence=sequence,
        state=FaultState.ACTIVE,
        machine_id=report.machine_id,
        code=report.code,
        severity=report.severity,
        lamps=report.lamps,
        count=max(1, report.occurrences),
        description=report.description,
        raise_time=report.at,
        last_report_time=report.at,
        clear_time=None,
        cleared_by="",
        acknowledged_by="",
        work_order="",
        create_time=now,
        update_time=now,
    )


def cleared_fault(
    fault: Fault, *, at: datetime, cleared_by: str, sequence: int, now: datetime
) -> Fault:
    """Return a fault as it is once it is gone.

    Raises:
        TransitionRefused: It is cleared already.
    """
    step = FAULT.next(fault.state, "clear", subject=fault.name)
    return replace(
        fault,
        version=fault.version + 1,
        event_sequence=sequence,
        state=step.target,
        clear_time=at,
        cleared_by=cleared_by,
        update_time=now,
    )


async def simulate(tx: Transaction, asked: FaultReport) -> Fault:
    """Have a machine report a fault; return it as it then stands.

    Raises:
        NotFound: There is no such machine.
    """
    machines = await machine_store.lock_machines(tx.connection, [asked.machine_id])
    if not machines:
        raise NotFound(name("machines", asked.machine_id))
    announcer = Announcer(tx, machines)
    await report(tx, announcer, [asked])
    await announcer.close()
    present = await fault_store.lock_open(tx.connection, [asked.machine_id])
    return next(fault for fault in present if fault.code.key == asked.code.key)


async def acknowledge(tx: Transaction, fault_id: UUID, *, etag: str, viewer: Principal) -> Fault:
    """Note that somebody has seen a fault.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
    """
    fault, _ = await _lock(tx, fault_id, viewer=viewer)
    check_etag(etag, fault.version)
    step = FAULT.next(fault.state, "acknowledge", subject=fault.name)
    seen = replace(
        fault,
        version=fault.version + 1,
        state=step.target,
        acknowledged_by=viewer.actor,
        update_time=tx.now,
    )
    await fault_store.save_faults(tx.connection, [seen])
    return seen


async def clear(tx: Transaction, fault_id: UUID, *, etag: str, viewer: Principal) -> Fault:
    """Clear a fault that was put right.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
    """
    fault, announcer = await _lock(tx, fault_id, viewer=viewer)
    check_etag(etag, fault.version)
    (cleared,) = await clear_faults(tx, announcer, [fault], cleared_by=viewer.actor)
    await announcer.close()
    return cleared


async def clear_faults(
    tx: Transaction, announcer: Announcer, faults: Collection[Fault], *, cleared_by: str
) -> list[Fault]:
    """Clear locked faults of a locked machine, and tell of each; the announcer is left open.

    Raises:
        TransitionRefused: One of them is cleared already.
    """
    gone = []
    for fault in faults:
        cleared = cleared_fault(
            fault,
            at=tx.now,
            cleared_by=cleared_by,
            sequence=announcer.next_sequence(fault.machine_id),
            now=tx.now,
        )
        await fault_store.save_faults(tx.connection, [cleared])
        stops = await fault_store.count_open_stops(tx.connection, fault.machine_id)
        await announcer.fault_cleared(cleared, at=tx.now, open_stops=stops)
        gone.append(cleared)
    return gone


async def _lock(tx: Transaction, fault_id: UUID, *, viewer: Principal) -> tuple[Fault, Announcer]:
    """Return a fault of a machine that the viewer owns or has, both locked.

    Raises:
        NotFound: There is none.
    """
    seen = await fault_store.find_fault_seen(tx.connection, fault_id, viewer=viewer)
    if seen is None:
        raise NotFound(name("faults", fault_id))
    machines = await machine_store.lock_machines(tx.connection, [seen.machine_id])
    fault = await fault_store.lock_fault(tx.connection, fault_id)
    if fault is None or not machines[fault.machine_id].is_seen_by(viewer):
        raise NotFound(name("faults", fault_id))
    return fault, Announcer(tx, machines)
