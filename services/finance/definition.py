"""The finance service as data."""

import grpc
from ironloop.finance.v1 import (
    finance_events_pb2,
    finance_pb2,
    finance_pb2_grpc,
    receivables_pb2,
    receivables_pb2_grpc,
    watch_pb2,
    watch_pb2_grpc,
)

from services.finance import (
    collateral_handlers,
    consumers,
    draw_handlers,
    factoring_handlers,
    offer_handlers,
    revaluation_handlers,
    subordination_handlers,
    watch_consumers,
)
from services.finance.disposal_saga import DISPOSAL_CLAIM
from services.finance.draw_saga import DRAW_OFFER
from services.finance.factoring_saga import FACTORING_ACCEPTANCE, FACTORING_RETURN
from services.finance.offer_saga import OFFER_REQUEST
from services.finance.payment_saga import DRAW_PAYMENT, DRAW_SETTLEMENT
from services.finance.receivable_rpc import ReceivableRpc
from services.finance.revaluation_saga import REVALUATION
from services.finance.rpc import FinanceRpc
from services.finance.settings import FinanceSettings
from services.finance.top_up_saga import TOP_UP, TOP_UP_RELEASE
from services.finance.watch_rpc import WatchRpc
from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition


async def assemble(runtime: Runtime) -> Room:
    """Build the service."""

    def register(server: grpc.aio.Server) -> None:
        finance_pb2_grpc.add_FinanceServiceServicer_to_server(FinanceRpc(runtime), server)
        receivables_pb2_grpc.add_ReceivableServiceServicer_to_server(ReceivableRpc(runtime), server)
        watch_pb2_grpc.add_WatchServiceServicer_to_server(WatchRpc(runtime), server)

    return Room(register)


DEFINITION = ServiceDefinition(
    name="finance",
    settings=FinanceSettings,
    proto_services=[
        finance_pb2.DESCRIPTOR.services_by_name["FinanceService"],
        receivables_pb2.DESCRIPTOR.services_by_name["ReceivableService"],
        watch_pb2.DESCRIPTOR.services_by_name["WatchService"],
    ],
    assemble=assemble,
    produces=(
        finance_events_pb2.FacilityOpened,
        finance_events_pb2.FacilityStateChanged,
        finance_events_pb2.OfferMade,
        finance_events_pb2.OfferAccepted,
        finance_events_pb2.OfferLapsed,
        finance_events_pb2.OfferDrawn,
        finance_events_pb2.OfferRepaid,
        finance_events_pb2.DrawPaid,
        finance_events_pb2.DrawOverdue,
        finance_events_pb2.DrawDefaulted,
        finance_events_pb2.CollateralShortfall,
        finance_events_pb2.CollateralCured,
        finance_events_pb2.CollateralEnforced,
        finance_events_pb2.SubordinationGiven,
        finance_events_pb2.SubordinationUsed,
        finance_events_pb2.SubordinationEnded,
        finance_events_pb2.ReceivableConfirmed,
        finance_events_pb2.ReceivableAssigned,
        finance_events_pb2.ReceivableFunded,
        finance_events_pb2.ReceivableSettled,
        finance_events_pb2.ReceivableAssignmentCancelled,
    ),
    consumes={**consumers.CONSUMES, **watch_consumers.CONSUMES},
    sagas=(
        OFFER_REQUEST,
        DRAW_OFFER,
        DRAW_PAYMENT,
        DRAW_SETTLEMENT,
        DISPOSAL_CLAIM,
        REVALUATION,
        TOP_UP,
        TOP_UP_RELEASE,
        FACTORING_ACCEPTANCE,
        FACTORING_RETURN,
    ),
    timers={
        offer_handlers.EXPIRY: offer_handlers.expire_offer,
        subordination_handlers.EXPIRY: subordination_handlers.expire,
        draw_handlers.AGEING: draw_handlers.age_by_timer,
        collateral_handlers.CURE: collateral_handlers.enforce_by_timer,
        collateral_handlers.REVALUE: revaluation_handlers.order_by_timer,
        factoring_handlers.EXPIRY: factoring_handlers.run_out,
    },
)
