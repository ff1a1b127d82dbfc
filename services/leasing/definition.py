"""The leasing service as data."""

import grpc
from ironloop.leasing.v1 import (
    leasing_pb2,
    leasing_pb2_grpc,
    programmes_pb2,
    programmes_pb2_grpc,
)

from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition
from services.leasing import handlers, instalment_handlers, term_handlers
from services.leasing.announcements import PRODUCES
from services.leasing.payment_sagas import PAYMENT, PREPAYMENT
from services.leasing.programme_rpc import ProgrammeRpc
from services.leasing.purchase_sagas import BUYOUT, PURCHASE
from services.leasing.rpc import LeasingRpc
from services.leasing.sagas import ACTIVATION, APPROVAL, RELEASE, RETURN, RETURN_CONFIRMATION
from services.leasing.settings import LeasingSettings


async def assemble(runtime: Runtime) -> Room:
    """Build the service."""

    def register(server: grpc.aio.Server) -> None:
        leasing_pb2_grpc.add_LeasingServiceServicer_to_server(LeasingRpc(runtime), server)
        programmes_pb2_grpc.add_ProgrammeServiceServicer_to_server(ProgrammeRpc(runtime), server)

    return Room(register)


DEFINITION = ServiceDefinition(
    name="leasing",
    settings=LeasingSettings,
    proto_services=[
        leasing_pb2.DESCRIPTOR.services_by_name["LeasingService"],
        programmes_pb2.DESCRIPTOR.services_by_name["ProgrammeService"],
    ],
    assemble=assemble,
    produces=PRODUCES,
    sagas=(
        APPROVAL,
        ACTIVATION,
        RELEASE,
        RETURN,
        RETURN_CONFIRMATION,
        PAYMENT,
        PREPAYMENT,
        BUYOUT,
        PURCHASE,
    ),
    timers={
        handlers.EXPIRY: handlers.expire,
        instalment_handlers.AGENDA: instalment_handlers.keep_agenda,
        term_handlers.BUYOUT_LAPSE: term_handlers.lapse_buyout,
        term_handlers.MATURITY: term_handlers.mature,
        term_handlers.ELECTION: term_handlers.lapse_election,
    },
)
