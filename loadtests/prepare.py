"""What each scenario finds in the stack before its load begins."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ironloop.marketplace.v1 import (
    inspections_pb2,
    listings_pb2,
    listings_pb2_grpc,
    machines_pb2,
    machines_pb2_grpc,
)
from ironloop.settlement.v1 import settlement_pb2
from rich.progress import Progress

from infra.local.business_time import BusinessTime
from infra.local.client import Actor
from infra.local.demo.act_lease import lease_out, publish_programme
from infra.local.demo.act_trade import Purchase
from infra.local.demo.cast import Addresses, Cast
from infra.local.demo.narrator import Narrator
from infra.local.demo.scene import Scene, document, request_id
from loadtests import hammer
from loadtests.money import open_accounts
from loadtests.people import People
from loadtests.seed import Seeded, SeedMachine, seed, seed_accounts
from services.kit import wire

WALLETS = 10_000
LEASES = 16  # each takes one payment at a time
LEASE_PRICE_FEN = 100_000_000
_NO_PAGE: Any = None  # a lease asks for the machine's name and price alone


class Silence(Narrator):
    """A narrator who says nothing: the demo's acts are used, its story is not told."""

    def tell(self, who: str, what: str) -> None:
        """Print nothing."""


@dataclass(slots=True)
class Stage:
    """Where a scenario is prepared.

    Attributes:
        size: How many machines the scenario may count on.
        names: Machines and orders that the checker looks at, filled by the preparation.
    """

    addresses: Addresses
    people: People
    time: BusinessTime
    size: int
    progress: Progress
    names: dict[str, list[str]] = field(default_factory=dict)

    async def seeded(self) -> Seeded:
        """Seed the stack to the wanted size."""
        today = await self.time.today()
        return await seed(self.people, self.size, today=today, progress=self.progress)


async def ledger(stage: Stage) -> dict[str, Any]:
    """Open wallets with money in them, and the platform's fee account, which will be hot."""
    operator = await stage.people.operator()
    _, wallets = await seed_accounts(stage.people, WALLETS, progress=stage.progress)
    fee = settlement_pb2.NewAccount(
        kind=settlement_pb2.ACCOUNT_KIND_PLATFORM_FEE, reference="ironloop/load"
    )
    [fees] = await open_accounts(operator, [fee])
    return {"operator": operator.token, "wallets": wallets, "fees": fees.number}


async def valuer(stage: Stage) -> dict[str, Any]:
    """Sign a funder in, who has machines valued."""
    await stage.people.register("funder", "FUNDER")
    [funder] = await stage.people.sign_in(["funder"])
    return {"valuer": funder.token}


async def fleet(stage: Stage) -> dict[str, Any]:
    """Register machines, and wait until maintenance knows them; they report from 20 days ago."""
    seeded = await stage.seeded()
    await stage.time.until_at_rest()
    operator = await stage.people.operator()
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=20)
    return {
        "operator": operator.token,
        "telemetry_machines": [name for names in seeded.machines.values() for name in names],
        "telemetry_start": start.isoformat(),
    }


async def leases(stage: Stage) -> dict[str, Any]:
    """Let leases run until their first instalments are due."""
    seeded = await stage.seeded()
    seller = seeded.sellers[0]
    lessor, lessee = await stage.people.sign_in([seller, seeded.buyers[0]])
    scene = _scene(stage, await stage.people.operator(), lessor=lessor, lessee=lessee)
    programme = await publish_programme(scene)
    free = await _available(lessor, seeded.machines[seller])
    if len(free) < LEASES:
        raise ValueError(
            f"{len(free)} machines are free for {LEASES} leases; take a larger SIZE, or a fresh "
            "stack (rm -r .local/load)"
        )
    task = stage.progress.add_task("leases", total=LEASES)
    payable_on: list[date] = []
    signed = []
    for machine in free[:LEASES]:
        lease = await lease_out(scene, programme, Purchase(machine, _NO_PAGE, LEASE_PRICE_FEN))
        signed.append(lease.name)
        payable_on.append(lease.payable_on[0])
        stage.progress.advance(task)
    await stage.time.advance_to(max(payable_on))
    # Tokens are of real time, but a new one costs nothing.
    [lessee] = await stage.people.sign_in([seeded.buyers[0]])
    return {"leases": signed, "lessee": lessee.token}


async def retries(stage: Stage) -> dict[str, Any]:
    """Prepare whatever is retried: transfers, payments, valuations."""
    return await leases(stage) | await ledger(stage) | await valuer(stage)


async def hot_listing(stage: Stage) -> dict[str, Any]:
    """Publish three listings: one that all order, one for which all make offers, one for bids."""
    seeded = await stage.seeded()
    await stage.people.register("inspector", "TECHNICIAN")
    name = seeded.sellers[0]
    seller, inspector = await stage.people.sign_in([name, "inspector"])
    buyers = await stage.people.sign_in(seeded.buyers)
    free = await _available(seller, seeded.machines[name])
    facts = dict(zip(seeded.machines[name], seeded.fleet[name], strict=True))
    listed = []
    for machine, terms in zip(
        free,
        (
            listings_pb2.LISTING_FORMAT_FIXED,
            listings_pb2.LISTING_FORMAT_OFFER,
            listings_pb2.LISTING_FORMAT_TIMED_AUCTION,
        ),
        strict=False,
    ):
        listed.append(await _publish(stage, seller, inspector, machine, facts[machine], terms))
    if len(listed) < 3:
        raise ValueError("fewer than three machines are free; take a larger SIZE")
    stage.names["machines"] = free[:3]
    auction = await hammer.open_lot(seller, buyers, listed[2])
    return {
        "hot_auction": auction.name,
        "least_bid_fen": wire.fen(auction.minimum_bid, field="minimum_bid"),
        "seller": seller.token,
        "buyers": [buyer.token for buyer in buyers],
        "hot_listing": listed[0],
        "offer_listing": listed[1],
    }


async def _available(owner: Actor, machines: list[str]) -> list[str]:
    """Return the machines that are neither listed, reserved nor leased."""
    listings = owner.stub(listings_pb2_grpc.ListingServiceStub)
    taken = {
        listing.machine
        for listing in (
            await listings.ListListings(listings_pb2.ListListingsRequest(page_size=200))
        ).listings
    }
    registry = owner.stub(machines_pb2_grpc.MachineServiceStub)
    free = []
    for name in machines:
        machine = await registry.GetMachine(machines_pb2.GetMachineRequest(name=name))
        is_free = machine.custody == machines_pb2.CUSTODY_AVAILABLE
        if is_free and machine.title_holder == owner.party and name not in taken:
            free.append(name)
        if len(free) == LEASES:
            break
    return free


async def _publish(
    stage: Stage,
    seller: Actor,
    inspector: Actor,
    machine: str,
    facts: SeedMachine,
    terms: listings_pb2.ListingFormat.ValueType,
) -> str:
    """Draft, submit, inspect and publish a listing."""
    own = seller.stub(listings_pb2_grpc.ListingServiceStub)
    drafted = await own.CreateListing(
        listings_pb2.CreateListingRequest(
            request_id=request_id(),
            machine=machine,
            reference=f"{facts.serial_number} {request_id()[:8]}",
            content=listings_pb2.ListingContent(
                format=terms,
                ask=wire.money(facts.template.replacement_cost_fen // 2),
                price_override_reason="a load needs no guide",
                region="Hunan",
                description="hot",
                photos=[document("photos", facts.serial_number, "image/jpeg")],
                title_proofs=[document("titles", facts.serial_number, "application/pdf")],
                lien_disclosure=listings_pb2.LienDisclosure(statement="no liens"),
            ),
        )
    )
    await own.SubmitListing(
        listings_pb2.SubmitListingRequest(request_id=request_id(), name=drafted.name)
    )
    await inspector.stub(listings_pb2_grpc.ListingServiceStub).RecordInspection(
        inspections_pb2.RecordInspectionRequest(
            request_id=request_id(),
            listing=drafted.name,
            inspect_date=wire.date(await stage.time.today()),
            grade=inspections_pb2.CONDITION_GRADE_GOOD,
            hours_meter=wire.decimal(facts.hours_meter),
            report=document("inspections", facts.serial_number, "application/pdf"),
        )
    )
    await own.PublishListing(
        listings_pb2.PublishListingRequest(request_id=request_id(), name=drafted.name)
    )
    return drafted.name


def _scene(stage: Stage, operator: Actor, *, lessor: Actor, lessee: Actor) -> Scene:
    """Return a scene for the demo's acts, in which one party plays each part that is needed."""
    cast = Cast(
        manufacturer=lessor,
        dealer=lessor,
        lessee=lessee,
        financier=lessor,
        inspector=lessor,
        buyers=(lessee, lessee),
        operator=operator,
        second_lender=lessor,
        bidder=lessee,
        foreman=lessor,
        technician=lessor,
        remanufacturer=lessor,
        certifier=lessor,
    )
    return Scene(cast=cast, time=stage.time, narrator=Silence(), page=b"", fleet=[])
