"""Listings: inspected, priced by the model's guide, published."""

from dataclasses import dataclass
from decimal import Decimal

import grpc
from ironloop.marketplace.v1 import inspections_pb2, listings_pb2, listings_pb2_grpc

from infra.local.client import Actor
from infra.local.demo.attributes import ask_fen_of
from infra.local.demo.fleet import FleetMachine
from infra.local.demo.scene import Scene, document, fen, request_id
from services.kit import wire
from services.kit.amounts import yuan

LISTED_MAX = 3  # enough to show the market; the rest waits for the pool


@dataclass(frozen=True, slots=True)
class Listed:
    """A published listing.

    Attributes:
        guide_fen: The median of its price guide.
    """

    listing: str
    fleet_machine: FleetMachine
    guide_fen: int


async def list_machines(scene: Scene, machines: list[FleetMachine]) -> list[Listed]:
    """Draft, inspect, price by the model's guide and publish listings.

    A machine that the model does not value without review stays a draft.
    """
    published = []
    for machine in machines:
        try:
            published.append(await _list_machine(scene, machine))
        except grpc.aio.AioRpcError as refusal:
            if refusal.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
            scene.narrator.tell("marketplace", f"refuses a listing: {refusal.details()}")
    return published


async def _list_machine(scene: Scene, machine: FleetMachine) -> Listed:
    manufacturer = scene.cast.manufacturer
    published = await publish(
        scene,
        manufacturer,
        scene.machines[machine.equipment_id],
        reference=machine.equipment_id,
        hours=machine.hours_meter,
        content=listings_pb2.ListingContent(
            format=listings_pb2.LISTING_FORMAT_FIXED,
            ask=wire.money(machine.template.replacement_cost_fen // 2),
            price_override_reason="a first ask before the guide is known",
            description=f"{machine.make} {machine.model}",
            lien_disclosure=listings_pb2.LienDisclosure(statement="no liens"),
        ),
    )
    guide_fen = fen(published.price_guide.fmv.q50)
    ask_fen = ask_fen_of(machine.equipment_id, guide_fen)
    await manufacturer.stub(listings_pb2_grpc.ListingServiceStub).RepriceListing(
        listings_pb2.RepriceListingRequest(
            request_id=request_id(), name=published.name, ask=wire.money(ask_fen)
        )
    )
    scene.narrator.tell(
        "manufacturer",
        f"lists {machine.make} {machine.model} of {machine.build_year}, "
        f"{machine.hours_meter:,.0f} h, for {yuan(ask_fen)}; guide {yuan(guide_fen)}, "
        f"grade {published.price_guide.grade}",
    )
    return Listed(published.name, machine, guide_fen)


async def publish(
    scene: Scene,
    seller: Actor,
    machine: str,
    *,
    reference: str,
    hours: Decimal,
    content: listings_pb2.ListingContent,
    disposal: str = "",
) -> listings_pb2.Listing:
    """Draft a listing, have it inspected, and publish it; papers and region are the demo's."""
    selling = seller.stub(listings_pb2_grpc.ListingServiceStub)
    content.region = "Hunan"
    content.photos.append(document("photos", reference, "image/jpeg"))
    content.title_proofs.append(document("titles", reference, "application/pdf"))
    drafted = await selling.CreateListing(
        listings_pb2.CreateListingRequest(
            request_id=request_id(),
            machine=machine,
            reference=reference,
            content=content,
            disposal=disposal,
        )
    )
    await selling.SubmitListing(
        listings_pb2.SubmitListingRequest(request_id=request_id(), name=drafted.name)
    )
    await scene.cast.inspector.stub(listings_pb2_grpc.ListingServiceStub).RecordInspection(
        inspections_pb2.RecordInspectionRequest(
            request_id=request_id(),
            listing=drafted.name,
            inspect_date=wire.date(await scene.time.today()),
            grade=inspections_pb2.CONDITION_GRADE_GOOD,
            hours_meter=wire.decimal(hours),
            report=document("inspections", reference, "application/pdf"),
        )
    )
    published = await selling.PublishListing(
        listings_pb2.PublishListingRequest(request_id=request_id(), name=drafted.name)
    )
    scene.valuations[published.price_guide.valuation] = seller
    return published
