"""The leasing service as data."""

import grpc
from ironloop.leasing.v1 import (
    claims_pb2,
    claims_pb2_grpc,
    disposals_pb2,
    disposals_pb2_grpc,
    leasing_pb2,
    leasing_pb2_grpc,
    programmes_pb2,
    programmes_pb2_grpc,
)
from ironloop.maintenance.v1 import maintenance_events_pb2
from ironloop.marketplace.v1 import marketplace_events_pb2

from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition
from services.leasing import consumers, handlers, instalment_handlers, term_handlers
from services.leasing.activation_sagas import ACTIVATION
from services.leasing.announcements import PRODUCES
from services.leasing.approval_sagas import APPROVAL, RELEASE
from services.leasing.claim_rpc import ClaimRpc
from services.leasing.claim_sagas import CLAIM_PAYMENT
from services.leasing.closing_sagas import CLOSING
from services.leasing.disposal_rpc import DisposalRpc
from services.leasing.disposal_sagas import DISPOSAL_OPENING, DISPOSAL_REVALUATION
from services.leasing.disposal_settlement import DISPOSAL_SETTLEMENT
from services.leasing.inspection_sagas import INSPECTION
from services.leasing.loss_sagas import LOSS_PAYMENT
from services.leasing.payment_sagas import PAYMENT, PREPAYMENT
from services.leasing.programme_rpc import ProgrammeRpc
from services.leasing.purchase_sagas import BUYOUT, PURCHASE
from services.leasing.repossession_sagas import REPOSSESSION
from services.leasing.return_sagas import RETURN, RETURN_CONFIRMATION
from services.leasing.rpc import LeasingRpc
from services.leasing.settings import LeasingSettings


async def assemble(runtime: Runtime) -> Room:
    """Build the service."""

    def register(server: grpc.aio.Server) -> None:
        leasing_pb2_grpc.add_LeasingServiceServicer_to_server(LeasingRpc(runtime), server)
        programmes_pb2_grpc.add_ProgrammeServiceServicer_to_server(ProgrammeRpc(runtime), server)
        claims_pb2_grpc.add_ClaimServiceServicer_to_server(ClaimRpc(runtime), server)
        disposals_pb2_grpc.add_DisposalServiceServicer_to_server(DisposalRpc(runtime), server)

    return Room(register)


DEFINITION = ServiceDefinition(
    name="leasing",
    settings=LeasingSettings,
    proto_services=[
        leasing_pb2.DESCRIPTOR.services_by_name["LeasingService"],
        programmes_pb2.DESCRIPTOR.services_by_name["ProgrammeService"],
        claims_pb2.DESCRIPTOR.services_by_name["ClaimService"],
        disposals_pb2.DESCRIPTOR.services_by_name["DisposalService"],
    ],
    assemble=assemble,
    produces=PRODUCES,
    consumes={
        maintenance_events_pb2.MeterReadingAccepted: consumers.keep_hours,
        marketplace_events_pb2.AuctionClosed: consumers.note_auction,
    },
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
        REPOSSESSION,
        LOSS_PAYMENT,
        INSPECTION,
        CLOSING,
        CLAIM_PAYMENT,
        DISPOSAL_OPENING,
        DISPOSAL_REVALUATION,
        DISPOSAL_SETTLEMENT,
    ),
    timers={
        handlers.EXPIRY: handlers.expire,
        instalment_handlers.AGENDA: instalment_handlers.keep_agenda,
        term_handlers.BUYOUT_LAPSE: term_handlers.lapse_buyout,
        term_handlers.MATURITY: term_handlers.mature,
        term_handlers.ELECTION: term_handlers.lapse_election,
    },
)
