"""Events of machines that are locked: each gets its machine's next sequence."""

from collections import Counter
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from ironloop.maintenance.v1 import faults_pb2, meters_pb2
from ironloop.maintenance.v1 import maintenance_events_pb2 as events

from services.kit import wire
from services.kit.transaction import Transaction
from services.maintenance import machine_store
from services.maintenance.fault_model import Fault
from services.maintenance.machine_model import MonitoredMachine
from services.maintenance.meter_model import MeterReading

PRODUCES = (events.MeterReadingAccepted, events.FaultRaised, events.FaultCleared)


class Announcer:
    """Counts and emits the events of some locked machines; `close` writes the counts down."""

    def __init__(self, tx: Transaction, machines: dict[UUID, MonitoredMachine]) -> None:
        self.machines = machines
        self._tx = tx
        self._added: Counter[UUID] = Counter()

    async def close(self) -> None:
        """Write how far each machine's sequence has come."""
        if self._added:
            await machine_store.add_events(self._tx.connection, self._added)
            self._added.clear()

    def next_sequence(self, machine_id: UUID) -> int:
        """Return the sequence of a machine's next event."""
        self._added[machine_id] += 1
        return self.machines[machine_id].event_sequence + self._added[machine_id]

    async def meter_read(
        self,
        reading: MeterReading,
        *,
        previous: Decimal | None,
        idle: Decimal | None,
    ) -> None:
        """Tell of accepted hours; the reading carries its sequence."""
        machine = self.machines[reading.machine_id]
        assert reading.life is not None
        await self._tx.emit(
            events.MeterReadingAccepted(
                machine=machine.name,
                sequence=reading.event_sequence,
                reading=reading.name,
                hours=wire.decimal(reading.life),
                previous_hours=None if previous is None else wire.decimal(previous),
                idle_hours=None if idle is None else wire.decimal(idle),
                source=wire.enum_number(
                    meters_pb2.ReadingSource, reading.source.value, prefix="READING_SOURCE_"
                ),
                reading_time=wire.instant(reading.read_at),
                reference=reading.reference,
                title_holder=machine.title_holder,
            )
        )

    async def fault_raised(self, fault: Fault, *, open_stops: int) -> None:
        """Tell of a fault that is new or has become graver; it carries its sequence."""
        machine, code = self.machines[fault.machine_id], fault.code
        await self._tx.emit(
            events.FaultRaised(
                machine=machine.name,
                sequence=fault.event_sequence,
                fault=fault.name,
                spn=code.spn,
                fmi=code.fmi,
                source_address=code.source_address,
                oem_code=code.oem_code,
                severity=_severity(fault),
                count=fault.count,
                raise_time=wire.instant(fault.raise_time),
                title_holder=machine.title_holder,
                open_stop_faults=open_stops,
            )
        )

    async def fault_cleared(self, fault: Fault, *, at: datetime, open_stops: int) -> None:
        """Tell that a fault is gone; it carries its sequence."""
        machine = self.machines[fault.machine_id]
        await self._tx.emit(
            events.FaultCleared(
                machine=machine.name,
                sequence=fault.event_sequence,
                fault=fault.name,
                severity=_severity(fault),
                clear_time=wire.instant(at),
                cleared_by=fault.cleared_by,
                title_holder=machine.title_holder,
                open_stop_faults=open_stops,
            )
        )


def _severity(fault: Fault) -> faults_pb2.FaultSeverity.ValueType:
    number: faults_pb2.FaultSeverity.ValueType = wire.enum_number(
        faults_pb2.FaultSeverity, fault.severity.value, prefix="FAULT_SEVERITY_"
    )
    return number
