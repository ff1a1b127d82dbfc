"""The settlement service as data."""

import gc

import grpc
from ironloop.settlement.v1 import (
    ecny_pb2,
    ecny_pb2_grpc,
    payments_pb2,
    payments_pb2_grpc,
    settlement_pb2,
    settlement_pb2_grpc,
)

from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition
from services.settlement import (
    ecny_handlers,
    partitions,
    payment_moves,
    posting,
    rails,
    statement_handlers,
    status_handlers,
)
from services.settlement.ecny_rpc import EcnyRpc
from services.settlement.engine import Engine
from services.settlement.events import PRODUCES
from services.settlement.payment_rpc import PaymentRpc
from services.settlement.rpc import SettlementRpc
from services.settlement.settings import SettlementSettings

# A batch makes tens of thousands of tuples that die with it and hold no cycles; at the default of
# 700 the collector looks through them over and over, an eighth of the posting's time.
COLLECTED_AFTER = (200_000, 20, 100)


async def assemble(runtime: Runtime) -> Room:
    """Build the service: its engine, and the partitions that the next months need."""
    gc.set_threshold(*COLLECTED_AFTER)
    settings = runtime.settings
    assert isinstance(settings, SettlementSettings)
    await runtime.database.run(partitions.make_ahead)
    engine = Engine(runtime.database, queued_max=settings.lane_queued_max)
    await engine.look_around()

    def register(server: grpc.aio.Server) -> None:
        settlement_pb2_grpc.add_SettlementServiceServicer_to_server(
            SettlementRpc(runtime, engine), server
        )
        payments_pb2_grpc.add_PaymentServiceServicer_to_server(PaymentRpc(runtime), server)
        ecny_pb2_grpc.add_EcnyServiceServicer_to_server(EcnyRpc(runtime), server)

    return Room(register, background=[engine.lanes.run])


DEFINITION = ServiceDefinition(
    name="settlement",
    settings=SettlementSettings,
    proto_services=[
        settlement_pb2.DESCRIPTOR.services_by_name["SettlementService"],
        payments_pb2.DESCRIPTOR.services_by_name["PaymentService"],
        ecny_pb2.DESCRIPTOR.services_by_name["EcnyService"],
    ],
    assemble=assemble,
    produces=PRODUCES,
    timers={
        posting.EXPIRY_TIMER: posting.expire_holds,
        partitions.TIMER: partitions.on_timer,
        rails.NOTICE_TIMER: status_handlers.on_rail_notice,
        payment_moves.RELEASE_TIMER: ecny_handlers.on_release_expired,
        statement_handlers.AGE_TIMER: statement_handlers.on_line_aged,
    },
)
