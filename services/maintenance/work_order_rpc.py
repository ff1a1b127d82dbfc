"""The contract of work orders: protobuf to arguments and back, nothing else."""

from collections.abc import Awaitable, Callable
from typing import Any

from ironloop.maintenance.v1 import work_orders_pb2 as pb
from ironloop.maintenance.v1 import work_orders_pb2_grpc

from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.maintenance import (
    completion_handlers,
    machine_clients,
    shop_clients,
    work_course_handlers,
    work_order_handlers,
    work_order_store,
)
from services.maintenance.work_order_arguments import report_of, request_of
from services.maintenance.work_order_model import HoldReason, WorkOrder
from services.maintenance.work_order_wire import work_order_to_wire


class WorkOrderRpc(work_orders_pb2_grpc.WorkOrderServiceServicer):
    """Serves ironloop.maintenance.v1.WorkOrderService."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def CreateWorkOrder(
        self, request: pb.CreateWorkOrderRequest, context: Any
    ) -> pb.WorkOrder:
        """Draft a work order."""
        asked = request_of(request)
        await machine_clients.ensure_known(self._runtime, asked.machine_id, viewer=principal())
        return await self._run(request, lambda tx: work_order_handlers.create_work_order(tx, asked))

    async def GetWorkOrder(self, request: pb.GetWorkOrderRequest, context: Any) -> pb.WorkOrder:
        """Return a work order that the caller may see."""
        order_id = parse_name(request.name, "workOrders")
        return work_order_to_wire(
            await work_order_handlers.get_work_order(self._database, order_id, viewer=principal())
        )

    async def ListWorkOrders(
        self, request: pb.ListWorkOrdersRequest, context: Any
    ) -> pb.ListWorkOrdersResponse:
        """List the work orders that the caller may see, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await work_order_store.list_work_orders(
                connection,
                viewer=principal(),
                machine_id=(
                    parse_name(request.machine, "machines", field="machine")
                    if request.machine
                    else None
                ),
                state=(
                    wire.enum_name(pb.WorkOrderState, request.state, prefix="WORK_ORDER_STATE_")
                    if request.state
                    else None
                ),
                after=page.after[0] if page.after else None,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
        return pb.ListWorkOrdersResponse(
            work_orders=[work_order_to_wire(row) for row in kept], next_page_token=token
        )

    async def OpenWorkOrder(self, request: pb.OpenWorkOrderRequest, context: Any) -> pb.WorkOrder:
        """Release a draft."""
        order_id = parse_name(request.name, "workOrders")
        return await self._run(
            request,
            lambda tx: work_order_handlers.open_work_order(
                tx, order_id, etag=request.etag, workshop=request.workshop
            ),
        )

    async def AssignWorkOrder(
        self, request: pb.AssignWorkOrderRequest, context: Any
    ) -> pb.WorkOrder:
        """Give an order to a technician."""
        order_id = parse_name(request.name, "workOrders")
        known: pb.WorkOrder | None = await self._commands.find_answer(request)
        if known is not None:
            return known
        works_for = await shop_clients.technicians_party(self._runtime, request.technician)
        return await self._run(
            request,
            lambda tx: work_course_handlers.assign(
                tx,
                order_id,
                etag=request.etag,
                technician=request.technician,
                works_for=works_for,
            ),
        )

    async def StartWorkOrder(self, request: pb.StartWorkOrderRequest, context: Any) -> pb.WorkOrder:
        """Begin the work."""
        order_id = parse_name(request.name, "workOrders")
        return await self._saga(
            request, lambda tx: work_course_handlers.begin_start(tx, order_id, etag=request.etag)
        )

    async def HoldWorkOrder(self, request: pb.HoldWorkOrderRequest, context: Any) -> pb.WorkOrder:
        """Stop the work for a time."""
        order_id = parse_name(request.name, "workOrders")
        reason = HoldReason(wire.enum_name(pb.HoldReason, request.reason, prefix="HOLD_REASON_"))
        return await self._run(
            request,
            lambda tx: work_course_handlers.hold(
                tx, order_id, etag=request.etag, reason=reason, note=request.note
            ),
        )

    async def ResumeWorkOrder(
        self, request: pb.ResumeWorkOrderRequest, context: Any
    ) -> pb.WorkOrder:
        """Go on with the work."""
        order_id = parse_name(request.name, "workOrders")
        return await self._run(
            request, lambda tx: work_course_handlers.resume(tx, order_id, etag=request.etag)
        )

    async def CompleteWorkOrder(
        self, request: pb.CompleteWorkOrderRequest, context: Any
    ) -> pb.WorkOrder:
        """Report work as done."""
        order_id, report = parse_name(request.name, "workOrders"), report_of(request)
        return await self._run(
            request,
            lambda tx: completion_handlers.complete(tx, order_id, report, etag=request.etag),
        )

    async def VerifyWorkOrder(
        self, request: pb.VerifyWorkOrderRequest, context: Any
    ) -> pb.WorkOrder:
        """Confirm what was done."""
        order_id = parse_name(request.name, "workOrders")
        return await self._saga(
            request,
            lambda tx: completion_handlers.begin_verification(tx, order_id, etag=request.etag),
        )

    async def ApproveCost(self, request: pb.ApproveCostRequest, context: Any) -> pb.WorkOrder:
        """State up to how much may be invoiced."""
        order_id = parse_name(request.name, "workOrders")
        approved_fen = wire.fen(request.approved_cost, field="approved_cost")
        return await self._run(
            request,
            lambda tx: work_course_handlers.approve_cost(
                tx, order_id, etag=request.etag, approved_cost_fen=approved_fen
            ),
        )

    async def InvoiceWorkOrder(
        self, request: pb.InvoiceWorkOrderRequest, context: Any
    ) -> pb.WorkOrder:
        """Invoice and pay the work."""
        order_id = parse_name(request.name, "workOrders")
        return await self._saga(
            request,
            lambda tx: completion_handlers.begin_invoice(tx, order_id, etag=request.etag),
        )

    async def CloseWorkOrder(self, request: pb.CloseWorkOrderRequest, context: Any) -> pb.WorkOrder:
        """Put an order away."""
        order_id = parse_name(request.name, "workOrders")
        return await self._run(
            request, lambda tx: completion_handlers.close(tx, order_id, etag=request.etag)
        )

    async def CancelWorkOrder(
        self, request: pb.CancelWorkOrderRequest, context: Any
    ) -> pb.WorkOrder:
        """Give an order up."""
        order_id = parse_name(request.name, "workOrders")
        return await self._saga(
            request,
            lambda tx: completion_handlers.begin_cancel(
                tx, order_id, etag=request.etag, reason=request.reason
            ),
        )

    async def _run(
        self, request: Any, handle: Callable[[Transaction], Awaitable[WorkOrder]]
    ) -> pb.WorkOrder:
        async def work(tx: Transaction) -> pb.WorkOrder:
            return work_order_to_wire(await handle(tx))

        return await self._commands.run(request, work)

    async def _saga(
        self, request: Any, begin: Callable[[Transaction], Awaitable[Saga]]
    ) -> pb.WorkOrder:
        order: pb.WorkOrder = await self._commands.run_saga(request, begin)
        return order
