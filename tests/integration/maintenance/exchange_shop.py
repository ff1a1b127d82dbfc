"""What the tests of exchange repairs stand on: a workshop, a remanufacturer, and ways to die."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ironloop.maintenance.v1 import exchanges_pb2 as pb
from ironloop.maintenance.v1 import work_orders_pb2
from ironloop.remanufacturing.v1 import families_pb2, reman_pb2

from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.service import ServiceDefinition
from services.maintenance.definition import DEFINITION as MAINTENANCE
from tests.integration.maintenance.workshop import Shop, exchanges, number, request_id
from tests.integration.remanufacturing import shop as reman_shop
from tests.support import money
from tests.support.world import World

DEPOSIT_FEN = reman_shop.DEPOSIT
PRICE_FEN = reman_shop.PRICE
LABOUR_FEN = 240_00


@dataclass(frozen=True, slots=True)
class ExchangeShop:
    """A workshop whose customer has a component exchanged."""

    shop: Shop
    reman: reman_shop.Shop

    @classmethod
    async def open(cls, world: World) -> "ExchangeShop":
        """Register an owner with money, a workshop and a remanufacturer."""
        shop = await Shop.open(world)
        await money.fund(world, shop.owner.party, DEPOSIT_FEN + PRICE_FEN + LABOUR_FEN)
        return cls(shop, await reman_shop.open_shop(world))

    async def family(self, *, stocked: int = 1) -> families_pb2.PartFamily:
        """Add a family of engines with units in stock."""
        family = await self.reman.family()
        for _ in range(stocked):
            await self.reman.stocked(family)
        return family

    async def order(self, **values: Any) -> work_orders_pb2.WorkOrder:
        """Return an order on which the technician works, on a machine at 1,000 h."""
        machine = await self.shop.machine()
        await self.shop.read_meter(machine, "1000")
        return await self.shop.started(machine, **values)

    def request(self, order: str, family: str, **values: Any) -> pb.RequestExchangeRequest:
        """Return the request by which an order asks for a unit."""
        return pb.RequestExchangeRequest(
            request_id=request_id(), work_order=order, part_family=family, **values
        )

    async def requested(self, order: str, family: str) -> pb.Exchange:
        """Return an exchange whose deposit is charged."""
        return await exchanges(self.shop.owner).RequestExchange(self.request(order, family))

    async def ship(self, exchange: str) -> pb.Exchange:
        """Have the remanufacturer send the unit."""
        return await exchanges(self.reman.foreman).ShipExchange(
            pb.ShipExchangeRequest(
                request_id=request_id(), name=exchange, waybill=reman_shop.DOCUMENT
            )
        )

    def removal(self, exchange: str) -> dict[str, Any]:
        """Return what a completion says of an exchange."""
        taken_out = work_orders_pb2.Removal(exchange=exchange, removed_serial="OLD-ENGINE-1")
        return {"removals": [taken_out], "hours": number(1001)}

    async def read(self, exchange: str) -> pb.Exchange:
        """Return an exchange as it stands."""
        request = pb.GetExchangeRequest(name=exchange)
        return await exchanges(self.shop.owner).GetExchange(request, wait_for_ready=True)

    async def until(self, exchange: str, state: pb.ExchangeState.ValueType) -> pb.Exchange:
        """Return an exchange once it is in a state."""

        async def look() -> pb.ExchangeState.ValueType:
            return (await self.read(exchange)).state

        await reman_shop.eventually(look, state)
        return await self.read(exchange)

    async def unit(self, unit: str) -> reman_pb2.Unit:
        """Return a unit as its maker sees it."""
        return await reman_shop.reman(self.reman.foreman).GetUnit(
            reman_pb2.GetUnitRequest(name=unit), wait_for_ready=True
        )

    async def wallet(self) -> int:
        """Return what the owner's wallet holds, in fen."""
        return await self.shop.balance(self.shop.owner.party)


@dataclass(slots=True)
class Halt:
    """Stops maintenance dead at one step of one kind of saga, before or after the step's call.

    Attributes:
        reached: Set once a saga hangs there.
    """

    kind: str
    step: str
    after_call: bool
    reached: asyncio.Event

    def definition(self) -> ServiceDefinition:
        """Return maintenance as it hangs at the step."""
        return replace(MAINTENANCE, sagas=self._halted(MAINTENANCE.sagas))

    def _halted(self, kinds: Sequence[SagaKind]) -> list[SagaKind]:
        return [
            replace(kind, steps=tuple(self._gate(step) for step in kind.steps))
            if kind.kind == self.kind
            else kind
            for kind in kinds
        ]

    def _gate(self, step: Step) -> Step:
        if step.name != self.step:
            return step

        async def call(runtime: Runtime, saga: Saga) -> Facts:
            if self.after_call and step.call:
                await step.call(runtime, saga)
            self.reached.set()
            await asyncio.Event().wait()
            raise AssertionError("nobody sets that event")

        return replace(step, call=call)


def halt_points(kinds: Sequence[SagaKind]) -> list[tuple[str, str, bool]]:
    """Return (kind, step, after its call) of every point at which one of the sagas may die."""
    return [
        (kind.kind, step.name, after_call)
        for kind in kinds
        for step in kind.steps
        for after_call in ((False, True) if step.call else (False,))
    ]
