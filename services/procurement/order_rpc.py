"""The contract of orders: protobuf to arguments and back, nothing else."""

from typing import Any

from ironloop.procurement.v1 import orders_pb2, orders_pb2_grpc

from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.procurement import (
    dispute_handlers,
    order_handlers,
    order_store,
    policy_store,
    settlement_handlers,
    unwind_handlers,
)
from services.procurement.order_model import DisputeOutcome
from services.procurement.order_wire import (
    address_from_wire,
    document_from_wire,
    order_to_wire,
    policy_to_wire,
)

_SIDES: dict[orders_pb2.OrderSide.ValueType, tuple[str, ...]] = {
    orders_pb2.ORDER_SIDE_UNSPECIFIED: (),
    orders_pb2.ORDER_SIDE_BUYER: ("BUYER",),
    orders_pb2.ORDER_SIDE_SELLER: ("SELLER",),
}


class OrderRpc(orders_pb2_grpc.OrderServiceServicer):
    """Serves ironloop.procurement.v1.OrderService."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def CreateOrder(
        self, request: orders_pb2.CreateOrderRequest, context: Any
    ) -> orders_pb2.Order:
        """Order listed machines."""

        async def begin(tx: Transaction) -> Saga:
            return await order_handlers.begin_order(
                tx,
                listings=request.listings,
                address=address_from_wire(request.delivery_address),
                expected_total_fen=(
                    wire.fen(request.expected_total, field="expected_total", positive=True)
                    if request.HasField("expected_total")
                    else None
                ),
            )

        return await self._saga(request, begin)

    async def GetOrder(self, request: orders_pb2.GetOrderRequest, context: Any) -> orders_pb2.Order:
        """Return an order that the caller may see."""
        return order_to_wire(
            await order_handlers.get_order(
                self._database, parse_name(request.name, "orders"), viewer=principal()
            )
        )

    async def ListOrders(
        self, request: orders_pb2.ListOrdersRequest, context: Any
    ) -> orders_pb2.ListOrdersResponse:
        """List the orders that the caller may see, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await order_store.list_orders(
                connection,
                viewer=principal(),
                sides=_SIDES[request.side],
                state=(
                    wire.enum_name(orders_pb2.OrderState, request.state, prefix="ORDER_STATE_")
                    if request.state
                    else None
                ),
                pool_id=(
                    parse_name(request.pool, "demandPools", field="pool") if request.pool else None
                ),
                after=page.after[0] if page.after else None,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda order: (order.id,))
        return orders_pb2.ListOrdersResponse(
            orders=[order_to_wire(order) for order in kept], next_page_token=token
        )

    async def ConfirmOrder(
        self, request: orders_pb2.ConfirmOrderRequest, context: Any
    ) -> orders_pb2.Order:
        """Confirm an order."""

        async def work(tx: Transaction) -> orders_pb2.Order:
            order_id = parse_name(request.name, "orders")
            return order_to_wire(await order_handlers.confirm(tx, order_id, etag=request.etag))

        return await self._commands.run(request, work)

    async def FundOrder(
        self, request: orders_pb2.FundOrderRequest, context: Any
    ) -> orders_pb2.Order:
        """Pay an order's total into its escrow."""

        async def begin(tx: Transaction) -> Saga:
            order_id = parse_name(request.name, "orders")
            return await order_handlers.begin_funding(tx, order_id, etag=request.etag)

        return await self._saga(request, begin)

    async def DispatchOrder(
        self, request: orders_pb2.DispatchOrderRequest, context: Any
    ) -> orders_pb2.Order:
        """Send an order's machines off."""

        async def work(tx: Transaction) -> orders_pb2.Order:
            return order_to_wire(
                await order_handlers.dispatch(
                    tx,
                    parse_name(request.name, "orders"),
                    etag=request.etag,
                    document=document_from_wire(request.dispatch_document),
                )
            )

        return await self._commands.run(request, work)

    async def DeliverOrder(
        self, request: orders_pb2.DeliverOrderRequest, context: Any
    ) -> orders_pb2.Order:
        """Record a delivery."""

        async def begin(tx: Transaction) -> Saga:
            return await order_handlers.begin_delivery(
                tx,
                parse_name(request.name, "orders"),
                etag=request.etag,
                proof=document_from_wire(request.delivery_proof),
            )

        return await self._saga(request, begin)

    async def AcceptOrder(
        self, request: orders_pb2.AcceptOrderRequest, context: Any
    ) -> orders_pb2.Order:
        """Accept a delivery."""

        async def work(tx: Transaction) -> orders_pb2.Order:
            order_id = parse_name(request.name, "orders")
            return order_to_wire(await order_handlers.accept(tx, order_id, etag=request.etag))

        return await self._commands.run(request, work)

    async def DisputeOrder(
        self, request: orders_pb2.DisputeOrderRequest, context: Any
    ) -> orders_pb2.Order:
        """Dispute a delivery."""

        async def work(tx: Transaction) -> orders_pb2.Order:
            claims_allowance = request.claim == orders_pb2.DISPUTE_OUTCOME_ALLOWANCE
            return order_to_wire(
                await dispute_handlers.dispute(
                    tx,
                    parse_name(request.name, "orders"),
                    etag=request.etag,
                    reason=request.reason,
                    claim=_outcome(request.claim),
                    claimed_allowance_fen=(
                        wire.fen(
                            request.claimed_allowance, field="claimed_allowance", positive=True
                        )
                        if claims_allowance
                        else 0
                    ),
                    documents=[document_from_wire(document) for document in request.documents],
                )
            )

        return await self._commands.run(request, work)

    async def ResolveDispute(
        self, request: orders_pb2.ResolveDisputeRequest, context: Any
    ) -> orders_pb2.Order:
        """End a dispute with an allowance or a return."""
        if request.outcome == orders_pb2.DISPUTE_OUTCOME_RETURN:

            async def begin(tx: Transaction) -> Saga:
                order_id = parse_name(request.name, "orders")
                return await dispute_handlers.begin_return(tx, order_id, etag=request.etag)

            return await self._saga(request, begin)

        async def work(tx: Transaction) -> orders_pb2.Order:
            return order_to_wire(
                await dispute_handlers.grant_allowance(
                    tx,
                    parse_name(request.name, "orders"),
                    etag=request.etag,
                    allowance_fen=wire.fen(request.allowance, field="allowance"),
                )
            )

        return await self._commands.run(request, work)

    async def CancelOrder(
        self, request: orders_pb2.CancelOrderRequest, context: Any
    ) -> orders_pb2.Order:
        """Cancel an order and refund what was funded."""

        async def begin(tx: Transaction) -> Saga:
            order_id = parse_name(request.name, "orders")
            return await unwind_handlers.begin_cancel(tx, order_id, etag=request.etag)

        return await self._saga(request, begin)

    async def RetrySettlement(
        self, request: orders_pb2.RetrySettlementRequest, context: Any
    ) -> orders_pb2.Order:
        """Try to settle a blocked order anew."""

        async def work(tx: Transaction) -> orders_pb2.Order:
            order_id = parse_name(request.name, "orders")
            return order_to_wire(
                await settlement_handlers.retry_settlement(tx, order_id, etag=request.etag)
            )

        return await self._commands.run(request, work)

    async def PublishTradePolicy(
        self, request: orders_pb2.PublishTradePolicyRequest, context: Any
    ) -> orders_pb2.TradePolicy:
        """Put a new version of the trade policy in force."""

        async def work(tx: Transaction) -> orders_pb2.TradePolicy:
            return policy_to_wire(
                await settlement_handlers.publish_policy(
                    tx,
                    fee_rate=wire.to_decimal(request.platform_fee_rate, field="platform_fee_rate"),
                    payment_days=request.payment_days,
                    acceptance_business_days=request.acceptance_business_days,
                )
            )

        return await self._commands.run(request, work)

    async def ListTradePolicies(
        self, request: orders_pb2.ListTradePoliciesRequest, context: Any
    ) -> orders_pb2.ListTradePoliciesResponse:
        """List the versions of the trade policy."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await policy_store.list_policies(
                connection, below=page.after[0] if page.after else None, limit=page.limit + 1
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda policy: (policy.version,))
        return orders_pb2.ListTradePoliciesResponse(
            policies=[policy_to_wire(policy) for policy in kept], next_page_token=token
        )

    async def _saga(self, request: Any, begin: Any) -> orders_pb2.Order:
        order: orders_pb2.Order = await self._commands.run_saga(request, begin)
        return order


def _outcome(outcome: orders_pb2.DisputeOutcome.ValueType) -> DisputeOutcome:
    return DisputeOutcome(
        wire.enum_name(orders_pb2.DisputeOutcome, outcome, prefix="DISPUTE_OUTCOME_")
    )
