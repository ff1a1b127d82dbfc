"""The remanufacturing service as data."""

import grpc
from ironloop.remanufacturing.v1 import (
    cores_pb2,
    cores_pb2_grpc,
    families_pb2,
    families_pb2_grpc,
    passports_pb2,
    passports_pb2_grpc,
    reman_pb2,
    reman_pb2_grpc,
)
from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as events

from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition
from services.remanufacturing import closing_handlers, core_handlers
from services.remanufacturing.consumers import CONSUMES
from services.remanufacturing.core_rpc import CoreRpc
from services.remanufacturing.core_sagas import CORE_SAGAS
from services.remanufacturing.family_rpc import PartFamilyRpc
from services.remanufacturing.passport_rpc import PassportRpc
from services.remanufacturing.reman_rpc import RemanRpc
from services.remanufacturing.settings import RemanufacturingSettings
from services.remanufacturing.unit_sagas import UNIT_SAGAS


async def assemble(runtime: Runtime) -> Room:
    """Build the service's servicers."""

    def register(server: grpc.aio.Server) -> None:
        families_pb2_grpc.add_PartFamilyServiceServicer_to_server(PartFamilyRpc(runtime), server)
        cores_pb2_grpc.add_CoreServiceServicer_to_server(CoreRpc(runtime), server)
        reman_pb2_grpc.add_RemanServiceServicer_to_server(RemanRpc(runtime), server)
        passports_pb2_grpc.add_PassportServiceServicer_to_server(PassportRpc(runtime), server)

    return Room(register)


DEFINITION = ServiceDefinition(
    name="remanufacturing",
    settings=RemanufacturingSettings,
    proto_services=[
        families_pb2.DESCRIPTOR.services_by_name["PartFamilyService"],
        cores_pb2.DESCRIPTOR.services_by_name["CoreService"],
        reman_pb2.DESCRIPTOR.services_by_name["RemanService"],
        passports_pb2.DESCRIPTOR.services_by_name["PassportService"],
    ],
    assemble=assemble,
    produces=(
        events.CoreDepositCharged,
        events.CoreReturnAuthorised,
        events.CoreReceived,
        events.CoreGraded,
        events.CoreCredited,
        events.CoreForfeited,
        events.CoreRejected,
        events.CoreReturnCancelled,
        events.RemanOrderMoved,
        events.RemanCertified,
        events.RemanScrapped,
        events.UnitStocked,
        events.UnitReserved,
        events.UnitInstalled,
        events.UnitSold,
        events.ComponentInstalled,
    ),
    consumes=CONSUMES,
    sagas=(*CORE_SAGAS, *UNIT_SAGAS),
    timers={core_handlers.FORFEITURE_TIMER: closing_handlers.forfeit_when_due},
)
