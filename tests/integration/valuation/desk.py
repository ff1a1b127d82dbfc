"""What tests do at the valuation desk: register machines, have them valued, read the outbox."""

import secrets
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, cast
from uuid import uuid4

from google.protobuf.message import Message
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.valuation.v1 import (
    valuation_events_pb2,
    valuation_pb2,
    valuation_pb2_grpc,
)

from infra.local.client import Actor
from services.kit import wire
from services.valuation.definition import DEFINITION as VALUATION
from tests.support.world import World

EVENTS = {
    message.DESCRIPTOR.full_name: message
    for message in (
        valuation_events_pb2.ValuationIssued,
        valuation_events_pb2.ValuationSuperseded,
        valuation_events_pb2.ValuationRevoked,
    )
}


@dataclass(frozen=True, slots=True)
class Desk:
    """A world in which machines are valued."""

    world: World

    def of(self, actor: Actor) -> "valuation_pb2_grpc.ValuationServiceAsyncStub":
        """Return valuation as an actor calls it."""
        stub: Any = actor.stub(valuation_pb2_grpc.ValuationServiceStub)
        return cast("valuation_pb2_grpc.ValuationServiceAsyncStub", stub)

    async def restart(self, **settings: Any) -> None:
        """Stop valuation and start it again on the database it had."""
        if "valuation" in self.world.running:
            await self.world.stop("valuation")
        await self.world.start(VALUATION, **settings)
        await self.world.channel("valuation").channel_ready()

    async def machine(self, seller: Actor, **facts: Any) -> str:
        """Register a machine of a seller; facts that are not stated are an excavator's."""
        stated: dict[str, Any] = {
            "serial_number": f"SN{secrets.token_hex(6)}",
            "make": "SANY",
            "model": "SY215C",
            "equipment_class": machines_pb2.EQUIPMENT_CLASS_HYDRAULIC_EXCAVATOR,
            "build_year": 2022,
            "hours_meter": wire.decimal(Decimal("3250.5")),
            "replacement_cost": wire.money(1_200_000_00),
        } | facts
        stub: Any = seller.stub(machines_pb2_grpc.MachineServiceStub)
        made = await cast("machines_pb2_grpc.MachineServiceAsyncStub", stub).CreateMachine(
            machines_pb2.CreateMachineRequest(
                request_id=request_id(), facts=machines_pb2.MachineFacts(**stated)
            )
        )
        return made.name

    async def value(self, actor: Actor, machine: str, **fields: Any) -> valuation_pb2.Valuation:
        """Have a registered machine valued for the actor's party."""
        return await self.of(actor).CreateValuation(
            valuation_pb2.CreateValuationRequest(
                **({"request_id": request_id(), "machine": machine} | fields)
            )
        )

    async def get(self, actor: Actor, name: str) -> valuation_pb2.Valuation:
        """Return a valuation as it stands."""
        return await self.of(actor).GetValuation(valuation_pb2.GetValuationRequest(name=name))

    async def replay(self, actor: Actor, name: str) -> valuation_pb2.ReplayValuationResponse:
        """Recompute a valuation."""
        return await self.of(actor).ReplayValuation(valuation_pb2.ReplayValuationRequest(name=name))

    async def approve(self, actor: Actor, name: str, **fields: Any) -> valuation_pb2.Valuation:
        """Issue a valuation that is in review."""
        return await self.of(actor).ApproveValuation(
            valuation_pb2.ApproveValuationRequest(
                **({"request_id": request_id(), "name": name, "reason": "looked at"} | fields)
            )
        )

    async def revoke(self, actor: Actor, name: str, **fields: Any) -> valuation_pb2.Valuation:
        """Take an issued valuation back."""
        return await self.of(actor).RevokeValuation(
            valuation_pb2.RevokeValuationRequest(
                **({"request_id": request_id(), "name": name, "reason": "wrong hours"} | fields)
            )
        )

    async def events(self, subject: str) -> list[Message]:
        """Return a subject's events in the order in which they will be published."""
        async with self.world.running["valuation"].runtime.database.read() as connection:
            rows = await connection.fetch(
                "select headers, payload from outbox where key = $1 order by seq", subject
            )
        return [EVENTS[row["headers"]["ce_type"]].FromString(row["payload"]) for row in rows]


def specification(**facts: Any) -> valuation_pb2.Specification:
    """Return a machine by its facts."""
    stated: dict[str, Any] = {
        "make": "XCMG",
        "model": "LW500",
        "equipment_class": "WHEEL_LOADER",
        "build_year": 2020,
        "hours_meter": wire.decimal(Decimal(5_000)),
        "replacement_cost": wire.money(400_000_00),
    } | facts
    return valuation_pb2.Specification(**stated)


def request_id() -> str:
    """Return a new request id."""
    return str(uuid4())


def fen(value: Any) -> int:
    """Return an amount of the contract in fen."""
    return wire.fen(value, field="amount")


def day(year: int, month: int, day_of_month: int) -> Any:
    """Return a date as the contract has it."""
    return wire.date(date(year, month, day_of_month))
