"""What the tests of telemetry, meters and faults stand on: an owner with machines in the field."""

import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.message import Message
from ironloop.maintenance.v1 import (
    faults_pb2_grpc,
    meters_pb2,
    meters_pb2_grpc,
    telemetry_pb2,
    telemetry_pb2_grpc,
)
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc

from infra.local.client import Actor
from services.iso15143.model import Equipment, Fleet, Header
from services.iso15143.writer import write_page
from services.kit import wire
from services.kit.contract import event_of
from services.kit.ids import new_id
from tests.support.world import World

pb = telemetry_pb2
HOURS = pb.TELEMETRY_ELEMENT_CUMULATIVE_OPERATING_HOURS
Sent = TypeVar("Sent", bound=Message)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rid() -> str:
    """Return a new request id."""
    return str(new_id())


def telemetry(actor: Actor) -> "telemetry_pb2_grpc.TelemetryServiceAsyncStub":
    """Return an actor's stub of telemetry."""
    return actor.stub(telemetry_pb2_grpc.TelemetryServiceStub)


def meters(actor: Actor) -> "meters_pb2_grpc.MeterServiceAsyncStub":
    """Return an actor's stub of meters."""
    return actor.stub(meters_pb2_grpc.MeterServiceStub)


def faults(actor: Actor) -> "faults_pb2_grpc.FaultServiceAsyncStub":
    """Return an actor's stub of faults."""
    return actor.stub(faults_pb2_grpc.FaultServiceStub)


def us(moment: datetime) -> int:
    """Return an instant as rows of a stream state it."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Field:
    """An owner's machines in the field.

    Attributes:
        start: Midnight three days ago, from which the tests' readings are counted.
    """

    world: World
    owner: Actor
    start: datetime

    @classmethod
    async def open(cls, world: World) -> "Field":
        """Return a new owner in a world."""
        now = world.running["maintenance"].runtime.clock.now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(world, await world.party("SELLER", "LESSOR"), midnight - timedelta(days=3))

    def at(self, hours: float) -> datetime:
        """Return an instant some hours after the start."""
        return self.start + timedelta(hours=hours)

    async def machine(self, **values: Any) -> machines_pb2.Machine:
        """Register a machine of the owner."""
        stated: dict[str, Any] = {
            "serial_number": f"SN-{secrets.token_hex(5)}",
            "make": "Northwind",
            "model": "NW 220",
            "equipment_class": machines_pb2.EQUIPMENT_CLASS_HYDRAULIC_EXCAVATOR,
        } | values
        stub = self.owner.stub(machines_pb2_grpc.MachineServiceStub)
        return await stub.CreateMachine(
            machines_pb2.CreateMachineRequest(
                request_id=rid(), facts=machines_pb2.MachineFacts(**stated)
            )
        )

    async def send(
        self,
        *rows: pb.ReadingRow,
        faults: Sequence[pb.FaultRow] = (),
        frames: Sequence[pb.Dm1Frame] = (),
        by: Actor | None = None,
    ) -> pb.IngestTelemetryResponse:
        """Send a stream of one message."""
        message = pb.IngestTelemetryRequest(readings=rows, faults=faults, frames=frames)
        answer: pb.IngestTelemetryResponse = await telemetry(by or self.owner).IngestTelemetry(
            stream([message])
        )
        return answer

    async def hours(self, machine: str, *readings: tuple[float, str]) -> pb.IngestTelemetryResponse:
        """Have a machine send (hours after the start, what its hour meter shows)."""
        return await self.send(*(self.row(machine, at, shown) for at, shown in readings))

    def row(self, machine: str, at: float, value: str, **values: Any) -> pb.ReadingRow:
        """Return a reading, of operating hours where nothing else is said."""
        stated = {"element": HOURS, "read_at_us": us(self.at(at))} | values
        return pb.ReadingRow(machine=machine, value=value, **stated)

    async def meter(self, machine: str, kind: int = meters_pb2.METER_KIND_HOURS) -> Any:
        """Return a machine's meter."""
        return await meters(self.owner).GetMeter(
            meters_pb2.GetMeterRequest(machine=machine, kind=kind)  # type: ignore[arg-type]
        )

    async def report(
        self, machine: str, shown: str, *, at: float, by: Actor | None = None, **values: Any
    ) -> meters_pb2.MeterReading:
        """Report what an hour meter shows."""
        reading: meters_pb2.MeterReading = await meters(by or self.owner).ReportMeterReading(
            meters_pb2.ReportMeterReadingRequest(
                **{
                    "request_id": rid(),
                    "machine": machine,
                    "hours": wire.decimal(Decimal(shown)),
                    "reading_time": wire.instant(self.at(at)),
                }
                | values
            )
        )
        return reading

    async def readings(self, machine: str, **values: Any) -> list[meters_pb2.MeterReading]:
        """Return a machine's meter readings, the newest first."""
        answer = await meters(self.owner).ListMeterReadings(
            meters_pb2.ListMeterReadingsRequest(machine=machine, **values)
        )
        return list(answer.readings)

    async def events(self, machine: str) -> list[Message]:
        """Return what maintenance told of a machine, in order; its sequences have no gap."""
        produced = self.world.running["maintenance"].definition.produces
        types = {event.DESCRIPTOR.full_name: event for event in produced}
        topic = event_of(types["ironloop.maintenance.v1.FaultRaised"].DESCRIPTOR).topic
        database = self.world.running["maintenance"].runtime.database
        async with database.read() as connection:
            rows = await connection.fetch(
                "select headers, payload from outbox where topic = $1 and key = $2 order by seq",
                topic,
                machine,
            )
        told = [types[row["headers"]["ce_type"]].FromString(row["payload"]) for row in rows]
        assert [event.sequence for event in told] == list(range(1, len(told) + 1))  # type: ignore[attr-defined]
        return told

    async def take(
        self, *equipment: Equipment, by: Actor | None = None, document: bytes = b""
    ) -> pb.ImportFleetSnapshotResponse:
        """Import a page."""
        page = document or write_page(Fleet(equipment, snapshot_time=self.at(1)))
        answer: pb.ImportFleetSnapshotResponse = await telemetry(
            by or self.owner
        ).ImportFleetSnapshot(pb.ImportFleetSnapshotRequest(document=page))
        return answer


def header_of(machine: machines_pb2.Machine, **values: Any) -> Header:
    """Return a machine's header as a sender writes it."""
    stated = {
        "equipment_id": f"EQ-{machine.serial_number}",
        "oem_name": machine.make,
        "serial_number": machine.serial_number,
    } | values
    return Header(**stated)


def machine_id(machine: machines_pb2.Machine) -> UUID:
    """Return a machine's id."""
    return UUID(machine.uid)


async def stream(messages: Iterable[Sent]) -> AsyncIterator[Sent]:
    """Return messages as a stream."""
    for message in messages:
        yield message
