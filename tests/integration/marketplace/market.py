"""A market for tests: sellers, buyers and technicians, and how a listing comes on offer."""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import grpc
from google.type import decimal_pb2
from ironloop.common.v1 import common_pb2
from ironloop.marketplace.v1 import (
    inspections_pb2,
    listings_pb2,
    listings_pb2_grpc,
    machines_pb2,
    machines_pb2_grpc,
    offers_pb2,
)
from ironloop.valuation.v1 import valuation_pb2, valuation_pb2_grpc

from infra.local.client import Actor
from services.kit import wire
from services.kit.clock import BusinessClock
from services.kit.ids import name, new_id
from tests.support.world import World

YUAN = 100
WORTH_FEN = 400_000 * YUAN

_serials = itertools.count(100_001)


def rid() -> str:
    """Return a new request id."""
    return str(uuid4())


def order_name() -> str:
    """Return the name of some order."""
    return name("orders", new_id())


def document(kind: str = "photo") -> common_pb2.Document:
    """Return a document of some content."""
    return common_pb2.Document(
        uri=f"https://files.example/{uuid4()}.jpg",
        sha256=uuid4().hex * 2,
        media_type="image/jpeg" if kind == "photo" else "application/pdf",
    )


def facts(**changes: Any) -> machines_pb2.MachineFacts:
    """Return the facts of a wheel loader with a serial number of its own."""
    stated: dict[str, Any] = {
        "serial_number": f"LW{next(_serials)}",
        "make": "XCMG",
        "model": "LW500FN",
        "equipment_class": machines_pb2.EQUIPMENT_CLASS_WHEEL_LOADER,
        "build_year": 2021,
        "hours_meter": decimal_pb2.Decimal(value="3250.5"),
        "replacement_cost": wire.money(600_000 * YUAN),
    }
    return machines_pb2.MachineFacts(**stated | changes)


def content(**changes: Any) -> listings_pb2.ListingContent:
    """Return what a seller writes, complete, asking what the machine is worth."""
    stated: dict[str, Any] = {
        "format": listings_pb2.LISTING_FORMAT_FIXED,
        "ask": wire.money(WORTH_FEN),
        "region": "Hunan",
        "description": "one owner, 长沙, bucket 3.0 m3",
        "photos": [document()],
        "title_proofs": [document("proof")],
        "lien_disclosure": listings_pb2.LienDisclosure(has_liens=False),
    }
    return listings_pb2.ListingContent(**stated | changes)


def machines(actor: Actor) -> "machines_pb2_grpc.MachineServiceAsyncStub":
    """Return the machine service as an actor calls it."""
    return actor.stub(machines_pb2_grpc.MachineServiceStub)


def listings(actor: Actor) -> "listings_pb2_grpc.ListingServiceAsyncStub":
    """Return the listing service as an actor calls it."""
    return actor.stub(listings_pb2_grpc.ListingServiceStub)


async def registered(owner: Actor, **changes: Any) -> machines_pb2.Machine:
    """Register a machine."""
    return await machines(owner).CreateMachine(
        machines_pb2.CreateMachineRequest(request_id=rid(), facts=facts(**changes))
    )


async def drafted(
    seller: Actor, machine: machines_pb2.Machine, **changes: Any
) -> listings_pb2.Listing:
    """Draft a listing."""
    return await listings(seller).CreateListing(
        listings_pb2.CreateListingRequest(
            request_id=rid(), machine=machine.name, content=content(**changes)
        )
    )


async def submitted(
    seller: Actor, machine: machines_pb2.Machine, **changes: Any
) -> listings_pb2.Listing:
    """Draft and submit a listing."""
    draft = await drafted(seller, machine, **changes)
    return await listings(seller).SubmitListing(
        listings_pb2.SubmitListingRequest(request_id=rid(), name=draft.name)
    )


async def inspected(
    seller: Actor,
    technician: Actor,
    machine: machines_pb2.Machine,
    *,
    inspect_date: date | None = None,
    **changes: Any,
) -> listings_pb2.Listing:
    """Bring a listing as far as its inspection."""
    listing = await submitted(seller, machine, **changes)
    await inspect(technician, listing, inspect_date=inspect_date)
    return await listings(seller).GetListing(listings_pb2.GetListingRequest(name=listing.name))


async def inspect(
    technician: Actor,
    listing: listings_pb2.Listing,
    *,
    inspect_date: date | None = None,
    hours: str = "3260",
    grade: inspections_pb2.ConditionGrade.ValueType = inspections_pb2.CONDITION_GRADE_GOOD,
) -> inspections_pb2.Inspection:
    """Record an inspection of the present day, wherever the world's clock stands."""
    return await listings(technician).RecordInspection(
        inspections_pb2.RecordInspectionRequest(
            request_id=rid(),
            listing=listing.name,
            inspect_date=wire.date(inspect_date or BusinessClock().today()),
            grade=grade,
            hours_meter=decimal_pb2.Decimal(value=hours),
            report=document("report"),
        )
    )


async def publish(seller: Actor, listing: listings_pb2.Listing) -> listings_pb2.Listing:
    """Publish an inspected listing."""
    return await listings(seller).PublishListing(
        listings_pb2.PublishListingRequest(request_id=rid(), name=listing.name)
    )


async def published(
    seller: Actor, technician: Actor, machine: machines_pb2.Machine | None = None, **changes: Any
) -> listings_pb2.Listing:
    """Bring a listing of a new machine on offer."""
    machine = machine or await registered(seller)
    return await publish(seller, await inspected(seller, technician, machine, **changes))


async def reserve(
    world: World, listing: listings_pb2.Listing, *, order: str, buyer: Actor
) -> listings_pb2.Listing:
    """Hold a listing for an order, as procurement does."""
    return await listings(world.service("procurement")).ReserveListing(
        listings_pb2.ReserveListingRequest(
            request_id=rid(), name=listing.name, order=order, buyer=buyer.party
        )
    )


async def sell(
    world: World, listing: listings_pb2.Listing, *, order: str, buyer: Actor
) -> listings_pb2.Listing:
    """Move the title to an order's buyer and complete the sale, as procurement does."""
    procurement = world.service("procurement")
    await machines(procurement).TransferTitle(
        machines_pb2.TransferTitleRequest(
            request_id=rid(),
            name=listing.machine,
            from_party=listing.seller,
            to_party=buyer.party,
            reference=order,
        )
    )
    return await listings(procurement).CompleteListingSale(
        listings_pb2.CompleteListingSaleRequest(request_id=rid(), name=listing.name, order=order)
    )


async def register_lien(
    world: World, machine: str, holder: Actor, **changes: Any
) -> machines_pb2.Lien:
    """Register a lien, as finance does."""
    stated: dict[str, Any] = {
        "request_id": rid(),
        "machine": machine,
        "holder": holder.party,
        "reference": name("draws", new_id()),
        "registry_no": "ZDW-2026-0001",
        "secured_amount": wire.money(300_000 * YUAN),
    }
    return await machines(world.service("finance")).RegisterLien(
        machines_pb2.RegisterLienRequest(**stated | changes)
    )


async def offer(
    buyer: Actor, listing: listings_pb2.Listing, *, amount_fen: int
) -> offers_pb2.Offer:
    """Make an offer."""
    return await listings(buyer).MakeOffer(
        offers_pb2.MakeOfferRequest(
            request_id=rid(), listing=listing.name, amount=wire.money(amount_fen)
        )
    )


@dataclass(slots=True)
class Valuer(valuation_pb2_grpc.ValuationServiceServicer):
    """Stands where valuation stands, on its port, and values every machine at what a test says.

    Attributes:
        worth_fen: The median fair market value of the next valuations.
        state: Their state.
        refuses: The reason for which the next one is refused, or "".
        made: Every valuation by name.
    """

    worth_fen: int = WORTH_FEN
    state: int = valuation_pb2.VALUATION_STATE_ISSUED
    refuses: str = ""
    made: dict[str, valuation_pb2.Valuation] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)

    async def CreateValuation(  # noqa: N802
        self, request: valuation_pb2.CreateValuationRequest, context: Any
    ) -> valuation_pb2.Valuation:
        """Value a machine, once a request id."""
        if self.refuses:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, self.refuses)
        if request.request_id not in self.asked:
            now = datetime.now(UTC)
            part = {"q05": 80, "q10": 85, "q50": 100, "q90": 115, "q95": 120}
            valuation = valuation_pb2.Valuation(
                name=name("valuations", new_id()),
                state=self.state,  # type: ignore[arg-type]
                party=request.party,
                machine=request.machine,
                as_of=wire.date(now.date()),
                fmv=common_pb2.Quantiles(
                    **{q: wire.money(self.worth_fen * of // 100) for q, of in part.items()}
                ),
                grade=valuation_pb2.GRADE_B,
                create_time=wire.instant(now),
            )
            self.made[valuation.name] = valuation
            self.asked[request.request_id] = valuation.name
        return self.made[self.asked[request.request_id]]

    async def GetValuation(  # noqa: N802
        self, request: valuation_pb2.GetValuationRequest, context: Any
    ) -> valuation_pb2.Valuation:
        """Return a valuation made before."""
        return self.made[request.name]


async def open_valuer(world: World) -> tuple[Valuer, grpc.aio.Server]:
    """Serve a valuer where the world's services look for valuation."""
    valuer = Valuer()  # type: ignore[abstract]  # marketplace calls the two rpcs it has
    server = grpc.aio.server()
    valuation_pb2_grpc.add_ValuationServiceServicer_to_server(valuer, server)
    server.add_insecure_port(f"127.0.0.1:{world.ports['valuation']}")
    await server.start()
    return valuer, server
