"""The marketplace service as data."""

import grpc
from ironloop.marketplace.v1 import (
    listings_pb2,
    listings_pb2_grpc,
    machines_pb2,
    machines_pb2_grpc,
)

from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition
from services.marketplace import (
    consumers,
    custody_handlers,
    listing_events,
    listing_handlers,
    machine_events,
    offer_handlers,
    publishing_sagas,
)
from services.marketplace.listing_closing import EXPIRY_TIMER
from services.marketplace.listing_rpc import ListingRpc
from services.marketplace.machine_rpc import MachineRpc
from services.marketplace.settings import MarketplaceSettings


async def assemble(runtime: Runtime) -> Room:
    """Build the servicers of machines and listings."""

    def register(server: grpc.aio.Server) -> None:
        machines_pb2_grpc.add_MachineServiceServicer_to_server(MachineRpc(runtime), server)
        listings_pb2_grpc.add_ListingServiceServicer_to_server(ListingRpc(runtime), server)

    return Room(register)


DEFINITION = ServiceDefinition(
    name="marketplace",
    settings=MarketplaceSettings,
    proto_services=[
        machines_pb2.DESCRIPTOR.services_by_name["MachineService"],
        listings_pb2.DESCRIPTOR.services_by_name["ListingService"],
    ],
    assemble=assemble,
    produces=(*machine_events.PRODUCES, *listing_events.PRODUCES),
    consumes=consumers.CONSUMES,
    sagas=(publishing_sagas.PUBLISHING, publishing_sagas.RENEWING),
    timers={
        custody_handlers.RESERVATION_TIMER: custody_handlers.expire_reservation,
        publishing_sagas.GUIDE_TIMER: publishing_sagas.renew_guide,
        EXPIRY_TIMER: listing_handlers.expire_listing,
        offer_handlers.OFFER_TIMER: offer_handlers.expire_offer,
    },
)
