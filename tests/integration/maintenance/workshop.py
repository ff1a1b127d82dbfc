"""What the tests of plans, work orders and exchanges stand on: an owner, a workshop, machines."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID, uuid4

import grpc
from google.protobuf.message import Message
from google.type import decimal_pb2
from ironloop.maintenance.v1 import (
    exchanges_pb2_grpc,
    faults_pb2,
    faults_pb2_grpc,
    health_pb2,
    health_pb2_grpc,
    meters_pb2,
    meters_pb2_grpc,
    plans_pb2_grpc,
    work_orders_pb2_grpc,
)
from ironloop.maintenance.v1 import work_orders_pb2 as pb
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.settlement.v1 import settlement_pb2

from infra.local.client import Actor
from services.kit import wire
from tests.support import money
from tests.support.world import World

Event = TypeVar("Event", bound=Message)


def request_id() -> str:
    """Return a new request id."""
    return str(uuid4())


def number(text: str | int) -> decimal_pb2.Decimal:
    """Return a number as the contract takes it."""
    return wire.decimal(Decimal(text))


def orders(actor: Actor) -> "work_orders_pb2_grpc.WorkOrderServiceAsyncStub":
    """Return an actor's stub of work orders."""
    return actor.stub(work_orders_pb2_grpc.WorkOrderServiceStub)


def plans(actor: Actor) -> "plans_pb2_grpc.PlanServiceAsyncStub":
    """Return an actor's stub of plans."""
    return actor.stub(plans_pb2_grpc.PlanServiceStub)


def exchanges(actor: Actor) -> "exchanges_pb2_grpc.ExchangeServiceAsyncStub":
    """Return an actor's stub of exchanges."""
    return actor.stub(exchanges_pb2_grpc.ExchangeServiceStub)


def part(amount_fen: int, **values: Any) -> pb.WorkPart:
    """Return one filter at a price."""
    return pb.WorkPart(
        **{
            "part_number": "60082694",
            "description": "Oil filter",
            "quantity": number(1),
            "unit_price": wire.money(amount_fen),
        }
        | values
    )


@dataclass(frozen=True, slots=True)
class Shop:
    """A world in which machines are mended.

    Attributes:
        owner: Owns the machines and pays.
        technician: Works at the workshop.
        foreman: Of the same workshop.
    """

    world: World
    owner: Actor
    technician: Actor
    foreman: Actor

    @classmethod
    async def open(cls, world: World) -> "Shop":
        """Register an owner and a workshop with two people."""
        technician = await world.party("TECHNICIAN")
        return cls(
            world,
            await world.party("SELLER", "BUYER", "LESSOR"),
            technician,
            await world.user(technician.party, "TECHNICIAN"),
        )

    async def machine(self, **facts: Any) -> str:
        """Register a machine of the owner's and return its name."""
        stated: dict[str, Any] = {
            "make": "SANY",
            "model": "SY215C",
            "serial_number": secrets.token_hex(8),
            "equipment_class": machines_pb2.EQUIPMENT_CLASS_HYDRAULIC_EXCAVATOR,
            "build_year": 2025,
        } | facts
        made = await self.owner.stub(machines_pb2_grpc.MachineServiceStub).CreateMachine(
            machines_pb2.CreateMachineRequest(
                request_id=request_id(), facts=machines_pb2.MachineFacts(**stated)
            )
        )
        return made.name

    async def look_up(self, machine: str) -> machines_pb2.Machine:
        """Return a machine as the register has it."""
        stub = self.world.operator.stub(machines_pb2_grpc.MachineServiceStub)
        return await stub.GetMachine(machines_pb2.GetMachineRequest(name=machine))

    async def health(self, machine: str) -> health_pb2.MachineHealth:
        """Return a machine's health as its owner sees it."""
        stub = self.owner.stub(health_pb2_grpc.HealthServiceStub)
        return await stub.GetMachineHealth(health_pb2.GetMachineHealthRequest(machine=machine))

    async def read_meter(self, machine: str, hours: str) -> None:
        """Have a reading of a machine's hour meter accepted, far enough after the last one."""
        stub = self.world.service("leasing").stub(meters_pb2_grpc.MeterServiceStub)
        at = self.world.running["maintenance"].runtime.clock.now() - timedelta(days=60)
        last = await self._last_reading(machine)
        if last is not None:
            rise_hours = int(Decimal(hours) - Decimal(last.hours.value))
            at = wire.to_instant(last.reading_time, field="reading_time")
            at += timedelta(hours=max(1, rise_hours))
        reading = await stub.ReportMeterReading(
            meters_pb2.ReportMeterReadingRequest(
                request_id=request_id(),
                machine=machine,
                hours=number(hours),
                reading_time=wire.instant(at),
            )
        )
        assert reading.state == meters_pb2.METER_READING_STATE_ACCEPTED

    async def fault(self, machine: str, *, spn: int = 100) -> faults_pb2.Fault:
        """Have a machine report a STOP fault."""
        stub = self.world.operator.stub(faults_pb2_grpc.FaultServiceStub)
        return await stub.SimulateFault(
            faults_pb2.SimulateFaultRequest(
                request_id=request_id(),
                machine=machine,
                code=faults_pb2.FaultCode(spn=spn, fmi=1, source_address=0),
                severity=faults_pb2.FAULT_SEVERITY_STOP,
            )
        )

    async def fault_state(self, fault: str) -> faults_pb2.FaultState.ValueType:
        """Return where a fault stands."""
        stub = self.owner.stub(faults_pb2_grpc.FaultServiceStub)
        return (await stub.GetFault(faults_pb2.GetFaultRequest(name=fault))).state

    async def draft(self, machine: str, **values: Any) -> pb.WorkOrder:
        """Draft a corrective order of the owner's."""
        asked: dict[str, Any] = {
            "title": "Engine does not start",
            "work_class": pb.WORK_CLASS_CORRECTIVE,
            "workshop": self.technician.party,
        } | values
        return await orders(self.owner).CreateWorkOrder(
            pb.CreateWorkOrderRequest(request_id=request_id(), machine=machine, **asked)
        )

    async def opened(self, machine: str, **values: Any) -> pb.WorkOrder:
        """Draft an order and release it to the workshop."""
        order = await self.draft(machine, **values)
        return await orders(self.owner).OpenWorkOrder(
            pb.OpenWorkOrderRequest(request_id=request_id(), name=order.name)
        )

    async def started(self, machine: str, **values: Any) -> pb.WorkOrder:
        """Return an order on which the technician works."""
        order = await self.opened(machine, **values)
        return await self.start(order.name)

    async def start(self, order: str) -> pb.WorkOrder:
        """Assign an open order to the technician, who begins."""
        return await self.start_as(self.technician, order)

    async def start_as(self, technician: Actor, order: str) -> pb.WorkOrder:
        """Have somebody take an open order and begin."""
        stub = orders(technician)
        await stub.AssignWorkOrder(
            pb.AssignWorkOrderRequest(
                request_id=request_id(), name=order, technician=technician.subject
            )
        )
        return await stub.StartWorkOrder(
            pb.StartWorkOrderRequest(request_id=request_id(), name=order)
        )

    def completion(self, order: str, **values: Any) -> pb.CompleteWorkOrderRequest:
        """Return a report of two hours' labour at 120.00."""
        stated: dict[str, Any] = {
            "findings": "Starter replaced",
            "labour": [self.labour("2", 120_00)],
        } | values
        return pb.CompleteWorkOrderRequest(request_id=request_id(), name=order, **stated)

    def labour(self, hours: str, rate_fen: int, **values: Any) -> pb.WorkLabour:
        """Return the technician's labour."""
        return pb.WorkLabour(
            technician=self.technician.subject,
            hours=number(hours),
            hourly_rate=wire.money(rate_fen),
            **values,
        )

    async def complete(self, order: str, **values: Any) -> pb.WorkOrder:
        """Report an order as done."""
        return await orders(self.technician).CompleteWorkOrder(self.completion(order, **values))

    async def verify(self, order: str, *, by: Actor | None = None) -> pb.WorkOrder:
        """Have the owner, or somebody else, verify an order."""
        return await orders(by or self.owner).VerifyWorkOrder(
            pb.VerifyWorkOrderRequest(request_id=request_id(), name=order)
        )

    async def invoice(self, order: str, *, by: Actor | None = None) -> pb.WorkOrder:
        """Have the owner, or somebody else, invoice an order."""
        return await orders(by or self.owner).InvoiceWorkOrder(
            pb.InvoiceWorkOrderRequest(request_id=request_id(), name=order)
        )

    async def read(self, order: str) -> pb.WorkOrder:
        """Return an order as it stands."""
        return await orders(self.owner).GetWorkOrder(pb.GetWorkOrderRequest(name=order))

    async def events(self, kind: type[Event], key: str) -> list[Event]:
        """Return the events of one type and key that wait in the outbox."""
        database = self.world.running["maintenance"].runtime.database
        async with database.read() as connection:
            rows = await connection.fetch(
                """
                select payload from outbox where key = $1 and headers ->> 'ce_type' = $2
                order by seq
                """,
                key,
                kind.DESCRIPTOR.full_name,
            )
        return [kind.FromString(row["payload"]) for row in rows]

    async def sequences(self, key: str) -> list[int]:
        """Return the sequences of everything that was told of a key, in order."""
        database = self.world.running["maintenance"].runtime.database
        async with database.read() as connection:
            rows = await connection.fetch(
                "select headers ->> 'ce_sequence' as sequence from outbox where key = $1 "
                "order by seq",
                key,
            )
        return [int(row["sequence"]) for row in rows]

    async def balance(self, party: str) -> int:
        """Return what a party's wallet holds, in fen."""
        accounts = await money.ledger(self.world).ListAccounts(
            settlement_pb2.ListAccountsRequest(owner=party, kind=settlement_pb2.ACCOUNT_KIND_WALLET)
        )
        return sum(wire.fen(account.balance, field="balance") for account in accounts.accounts)

    async def _last_reading(self, machine: str) -> meters_pb2.MeterReading | None:
        stub = self.owner.stub(meters_pb2_grpc.MeterServiceStub)
        request = meters_pb2.ListMeterReadingsRequest(machine=machine, page_size=1)
        try:
            return next(iter((await stub.ListMeterReadings(request)).readings), None)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:  # maintenance has not heard of it
                raise
        return None

    def hours_ago(self, hours: int) -> Any:
        """Return an instant some hours ago, domain time."""
        now = self.world.running["maintenance"].runtime.clock.now()
        return wire.instant(now - timedelta(hours=hours))


def uuid_of(name: str) -> UUID:
    """Return the id in a resource name."""
    return UUID(name.partition("/")[2])
