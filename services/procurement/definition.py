"""The procurement service as data."""

import grpc
from ironloop.procurement.v1 import orders_pb2, orders_pb2_grpc, pools_pb2, pools_pb2_grpc
from ironloop.procurement.v1 import procurement_events_pb2 as events

from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition
from services.procurement import (
    consumers,
    order_handlers,
    pool_handlers,
    settlement_handlers,
    unwind_handlers,
)
from services.procurement.order_rpc import OrderRpc
from services.procurement.order_sagas import ORDER_SAGAS
from services.procurement.pool_rpc import PoolRpc
from services.procurement.pool_sagas import POOL_SAGAS
from services.procurement.settings import ProcurementSettings
from services.procurement.settlement_sagas import SETTLEMENT_SAGA
from services.procurement.win_sagas import WIN_SAGA


async def assemble(runtime: Runtime) -> Room:
    """Build the service's servicers."""

    def register(server: grpc.aio.Server) -> None:
        orders_pb2_grpc.add_OrderServiceServicer_to_server(OrderRpc(runtime), server)
        pools_pb2_grpc.add_PoolServiceServicer_to_server(PoolRpc(runtime), server)

    return Room(register)


DEFINITION = ServiceDefinition(
    name="procurement",
    settings=ProcurementSettings,
    proto_services=[
        orders_pb2.DESCRIPTOR.services_by_name["OrderService"],
        pools_pb2.DESCRIPTOR.services_by_name["PoolService"],
    ],
    assemble=assemble,
    produces=(
        events.OrderCreated,
        events.OrderConfirmed,
        events.OrderFunded,
        events.OrderDispatched,
        events.OrderDelivered,
        events.OrderAccepted,
        events.OrderDisputed,
        events.OrderSettlementBlocked,
        events.OrderSettled,
        events.OrderReturned,
        events.OrderCancelled,
        events.DemandPoolOpened,
        events.DemandPoolLocked,
        events.DemandPoolAwarded,
        events.DemandPoolOrdered,
        events.DemandPoolFailed,
    ),
    consumes=consumers.CONSUMES,
    sagas=(*ORDER_SAGAS, WIN_SAGA, SETTLEMENT_SAGA, *POOL_SAGAS),
    timers={
        order_handlers.PAYMENT_TIMER: unwind_handlers.cancel_unpaid,
        order_handlers.ACCEPTANCE_TIMER: order_handlers.accept_when_due,
        settlement_handlers.SETTLEMENT_TIMER: settlement_handlers.retry_when_due,
        pool_handlers.JOINING_TIMER: pool_handlers.close_joining,
        pool_handlers.QUOTING_TIMER: pool_handlers.close_quoting,
    },
)
