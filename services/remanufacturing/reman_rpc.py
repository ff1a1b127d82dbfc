"""The contract of orders and units: protobuf to arguments and back, nothing else."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from ironloop.remanufacturing.v1 import reman_pb2, reman_pb2_grpc

from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.remanufacturing import (
    order_handlers,
    order_store,
    queue_handlers,
    unit_handlers,
    unit_store,
)
from services.remanufacturing.figures_wire import hours_from_wire
from services.remanufacturing.order_model import RemanOrder
from services.remanufacturing.order_wire import (
    decision_from_wire,
    order_to_wire,
    record_from_wire,
    work_from_wire,
)
from services.remanufacturing.unit_model import Unit
from services.remanufacturing.unit_wire import unit_to_wire


class RemanRpc(reman_pb2_grpc.RemanServiceServicer):
    """Serves ironloop.remanufacturing.v1.RemanService."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def CreateRemanOrder(
        self, request: reman_pb2.CreateRemanOrderRequest, context: Any
    ) -> reman_pb2.RemanOrder:
        """Queue a core."""
        return await self._order(
            request,
            lambda tx: queue_handlers.create_order(
                tx,
                family_id=parse_name(request.part_family, "partFamilies", field="part_family"),
                core_return_id=(
                    parse_name(request.core_return, "coreReturns", field="core_return")
                    if request.core_return
                    else None
                ),
                part_number=request.part_number,
                serial_number=request.serial_number,
                hours=(
                    hours_from_wire(request.hours, field="hours")
                    if request.HasField("hours")
                    else None
                ),
            ),
        )

    async def RecordIncomingInspection(
        self, request: reman_pb2.RecordIncomingInspectionRequest, context: Any
    ) -> reman_pb2.RemanOrder:
        """Record a core as it came in."""
        return await self._order(
            request, lambda tx: order_handlers.inspect_incoming(tx, **_step_of(request))
        )

    async def RecordDisassembly(
        self, request: reman_pb2.RecordDisassemblyRequest, context: Any
    ) -> reman_pb2.RemanOrder:
        """Record that a core was taken apart."""
        return await self._order(
            request,
            lambda tx: order_handlers.disassemble(
                tx, **_step_of(request), missing=request.missing_positions
            ),
        )

    async def RecordCleaning(
        self, request: reman_pb2.RecordCleaningRequest, context: Any
    ) -> reman_pb2.RemanOrder:
        """Record that parts were cleaned."""
        return await self._order(request, lambda tx: order_handlers.clean(tx, **_step_of(request)))

    async def RecordInspection(
        self, request: reman_pb2.RecordInspectionRequest, context: Any
    ) -> reman_pb2.RemanOrder:
        """Record what becomes of each part."""
        return await self._order(
            request,
            lambda tx: order_handlers.inspect(
                tx,
                **_step_of(request),
                decisions=[decision_from_wire(decision) for decision in request.decisions],
            ),
        )

    async def RecordRework(
        self, request: reman_pb2.RecordReworkRequest, context: Any
    ) -> reman_pb2.RemanOrder:
        """Record rework and replacements."""
        return await self._order(
            request,
            lambda tx: order_handlers.rework(
                tx,
                **_step_of(request),
                works=[work_from_wire(work, number) for number, work in enumerate(request.works)],
            ),
        )

    async def RecordAssembly(
        self, request: reman_pb2.RecordAssemblyRequest, context: Any
    ) -> reman_pb2.RemanOrder:
        """Record that a component was put together."""
        return await self._order(
            request, lambda tx: order_handlers.assemble(tx, **_step_of(request))
        )

    async def RecordTest(
        self, request: reman_pb2.RecordTestRequest, context: Any
    ) -> reman_pb2.RemanOrder:
        """Record a test."""
        return await self._order(
            request,
            lambda tx: order_handlers.test(
                tx,
                **_step_of(request),
                values=[
                    (each.code, wire.to_decimal(each.value, field=f"values[{number}].value"))
                    for number, each in enumerate(request.values)
                ],
            ),
        )

    async def CertifyOrder(
        self, request: reman_pb2.CertifyOrderRequest, context: Any
    ) -> reman_pb2.RemanOrder:
        """Certify a component."""
        return await self._order(
            request,
            lambda tx: order_handlers.certify(
                tx,
                **_step_of(request),
                warranty_months=request.warranty_months,
                warranty_hours=(
                    request.warranty_hours if request.HasField("warranty_hours") else None
                ),
                serial_number=request.serial_number,
            ),
        )

    async def StockUnit(self, request: reman_pb2.StockUnitRequest, context: Any) -> reman_pb2.Unit:
        """Put a component in stock."""
        return await self._unit(
            request,
            lambda tx: unit_handlers.stock(
                tx,
                _order_id(request),
                etag=request.etag,
                price_fen=wire.fen(request.price, field="price", positive=True),
                location=request.location,
            ),
        )

    async def ScrapOrder(
        self, request: reman_pb2.ScrapOrderRequest, context: Any
    ) -> reman_pb2.RemanOrder:
        """Give an order up."""
        return await self._order(
            request,
            lambda tx: order_handlers.scrap(
                tx, _order_id(request), etag=request.etag, why=request.reason
            ),
        )

    async def GetRemanOrder(
        self, request: reman_pb2.GetRemanOrderRequest, context: Any
    ) -> reman_pb2.RemanOrder:
        """Return an order that the caller may see."""
        return order_to_wire(
            await order_handlers.get_order(self._database, _order_id(request), viewer=principal())
        )

    async def ListRemanOrders(
        self, request: reman_pb2.ListRemanOrdersRequest, context: Any
    ) -> reman_pb2.ListRemanOrdersResponse:
        """List the orders that the caller may see, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await order_store.list_orders(
                connection,
                viewer=principal(),
                state=(
                    wire.enum_name(
                        reman_pb2.RemanOrderState, request.state, prefix="REMAN_ORDER_STATE_"
                    )
                    if request.state
                    else None
                ),
                after=page.after[0] if page.after else None,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda order: (order.id,))
        return reman_pb2.ListRemanOrdersResponse(
            reman_orders=[order_to_wire(order) for order in kept], next_page_token=token
        )

    async def GetUnit(self, request: reman_pb2.GetUnitRequest, context: Any) -> reman_pb2.Unit:
        """Return a unit that the caller made or bought."""
        return unit_to_wire(
            await unit_handlers.get_unit(
                self._database, parse_name(request.name, "units"), viewer=principal()
            )
        )

    async def ListUnits(
        self, request: reman_pb2.ListUnitsRequest, context: Any
    ) -> reman_pb2.ListUnitsResponse:
        """List units, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await unit_store.list_units(
                connection,
                viewer=principal(),
                family_id=(
                    parse_name(request.part_family, "partFamilies", field="part_family")
                    if request.part_family
                    else None
                ),
                state=(
                    wire.enum_name(reman_pb2.UnitState, request.state, prefix="UNIT_STATE_")
                    if request.state
                    else None
                ),
                after=page.after[0] if page.after else None,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda unit: (unit.id,))
        return reman_pb2.ListUnitsResponse(
            units=[unit_to_wire(unit) for unit in kept], next_page_token=token
        )

    async def ReserveUnit(
        self, request: reman_pb2.ReserveUnitRequest, context: Any
    ) -> reman_pb2.Unit:
        """Hold a unit."""
        return await self._unit(
            request,
            lambda tx: unit_handlers.reserve(
                tx,
                parse_name(request.part_family, "partFamilies", field="part_family"),
                reference=request.reference,
            ),
        )

    async def ReleaseUnit(
        self, request: reman_pb2.ReleaseUnitRequest, context: Any
    ) -> reman_pb2.Unit:
        """End a hold."""
        return await self._unit(
            request,
            lambda tx: unit_handlers.release(
                tx, parse_name(request.name, "units"), reference=request.reference
            ),
        )

    async def InstallUnit(
        self, request: reman_pb2.InstallUnitRequest, context: Any
    ) -> reman_pb2.Unit:
        """Install a unit in a machine."""

        async def begin(tx: Transaction) -> Saga:
            return await unit_handlers.begin_installation(
                tx,
                parse_name(request.unit, "units", field="unit"),
                machine=request.machine,
                work_order=request.work_order,
                reference=request.reference or request.work_order,
                hours=hours_from_wire(request.hours, field="hours"),
                position=request.position,
                removed_serial_number=request.removed_serial,
            )

        unit: reman_pb2.Unit = await self._commands.run_saga(request, begin)
        return unit

    async def BuyUnit(self, request: reman_pb2.BuyUnitRequest, context: Any) -> reman_pb2.Unit:
        """Buy a unit in stock."""

        async def begin(tx: Transaction) -> Saga:
            return await unit_handlers.begin_purchase(
                tx,
                parse_name(request.name, "units"),
                expected_fen=wire.fen(
                    request.expected_price, field="expected_price", positive=True
                ),
            )

        unit: reman_pb2.Unit = await self._commands.run_saga(request, begin)
        return unit

    async def _order(
        self, request: Any, command: Callable[[Transaction], Awaitable[RemanOrder]]
    ) -> reman_pb2.RemanOrder:
        async def work(tx: Transaction) -> reman_pb2.RemanOrder:
            return order_to_wire(await command(tx))

        return await self._commands.run(request, work)

    async def _unit(
        self, request: Any, command: Callable[[Transaction], Awaitable[Unit]]
    ) -> reman_pb2.Unit:
        async def work(tx: Transaction) -> reman_pb2.Unit:
            return unit_to_wire(await command(tx))

        return await self._commands.run(request, work)


def _order_id(request: Any) -> UUID:
    return parse_name(request.name, "remanOrders")


def _step_of(request: Any) -> dict[str, Any]:
    """Return what every step of an order is told: the order, its etag, and what there is to say."""
    return {
        "order_id": _order_id(request),
        "etag": request.etag,
        "record": record_from_wire(request.record),
    }
