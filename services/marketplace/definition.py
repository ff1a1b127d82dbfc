"""The marketplace service as data."""

import grpc
from ironloop.marketplace.v1 import (
    auctions_pb2,
    auctions_pb2_grpc,
    listings_pb2,
    listings_pb2_grpc,
    machines_pb2,
    machines_pb2_grpc,
)

from services.kit.request_batches import RequestBatches
from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition
from services.marketplace import (
    auction_events,
    auction_handlers,
    bid_handlers,
    consumers,
    custody_handlers,
    deposit_sagas,
    listing_events,
    listing_handlers,
    machine_events,
    offer_handlers,
    publishing_sagas,
    win_sagas,
)
from services.marketplace.auction_rpc import AuctionRpc
from services.marketplace.listing_closing import EXPIRY_TIMER
from services.marketplace.listing_rpc import ListingRpc
from services.marketplace.machine_rpc import MachineRpc
from services.marketplace.settings import MarketplaceSettings


async def assemble(runtime: Runtime) -> Room:
    """Build the servicers of machines, listings and auctions."""
    bids = RequestBatches(
        runtime.database,
        service=runtime.service,
        secret=runtime.settings.page_token_key.get_secret_value(),
        work=bid_handlers.place_bids,
    )
    auctions = AuctionRpc(runtime, bids)

    def register(server: grpc.aio.Server) -> None:
        machines_pb2_grpc.add_MachineServiceServicer_to_server(MachineRpc(runtime), server)
        listings_pb2_grpc.add_ListingServiceServicer_to_server(
            ListingRpc(runtime, auctions), server
        )
        auctions_pb2_grpc.add_AuctionServiceServicer_to_server(auctions, server)

    return Room(register)


DEFINITION = ServiceDefinition(
    name="marketplace",
    settings=MarketplaceSettings,
    proto_services=[
        machines_pb2.DESCRIPTOR.services_by_name["MachineService"],
        listings_pb2.DESCRIPTOR.services_by_name["ListingService"],
        auctions_pb2.DESCRIPTOR.services_by_name["AuctionService"],
    ],
    assemble=assemble,
    produces=(*machine_events.PRODUCES, *listing_events.PRODUCES, *auction_events.PRODUCES),
    consumes=consumers.CONSUMES,
    sagas=(
        publishing_sagas.PUBLISHING,
        publishing_sagas.RENEWING,
        deposit_sagas.PLACING,
        deposit_sagas.RELEASING,
        win_sagas.SETTLING,
    ),
    timers={
        custody_handlers.RESERVATION_TIMER: custody_handlers.expire_reservation,
        publishing_sagas.GUIDE_TIMER: publishing_sagas.renew_guide,
        EXPIRY_TIMER: listing_handlers.expire_listing,
        offer_handlers.OFFER_TIMER: offer_handlers.expire_offer,
        auction_handlers.OPEN_TIMER: auction_handlers.open_when_due,
        auction_handlers.CLOSE_TIMER: auction_handlers.close_when_due,
    },
)
