"""Leasing: a programme, two leases signed and active, instalments month by month, a buyout."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from ironloop.common.v1 import common_pb2
from ironloop.leasing.v1 import (
    leasing_pb2,
    leasing_pb2_grpc,
    programmes_pb2,
    programmes_pb2_grpc,
)
from ironloop.marketplace.v1 import (
    listings_pb2,
    listings_pb2_grpc,
    machines_pb2,
    machines_pb2_grpc,
)

from infra.local.demo.act_list import publish
from infra.local.demo.act_trade import Purchase
from infra.local.demo.scene import Scene, fen, request_id
from services.kit import wire
from services.kit.amounts import yuan

TERM_MONTHS = 36
RESIDUAL_RATE = Decimal("0.25")
HOURS_PER_YEAR = 1_500
BUYOUT_AFTER_DAYS = 10
EXCESS_HOUR_FEN = 8_500


@dataclass(frozen=True, slots=True)
class SignedLease:
    """A lease that runs, with the day each instalment is payable."""

    name: str
    machine: str
    started_on: date
    matures_on: date
    payable_on: tuple[date, ...]


async def publish_programme(scene: Scene) -> str:
    """Let the dealer publish its terms; return the programme's name."""
    programmes = scene.cast.dealer.stub(programmes_pb2_grpc.ProgrammeServiceStub)
    rate = {
        "nominal_rate": "0.06",
        "fee_rate": "0.02",
        "deposit_rate": "0.10",
        "residual_rate_min": "0",
        "residual_rate_max": "0.40",
        "buyout_fee_rate": "0.01",
        "penalty_daily_rate": "0.0005",
        "penalty_cap_rate": "0.20",
        "extension_residual_rate": "0",
    }
    programme = await programmes.CreateLeaseProgramme(
        programmes_pb2.CreateLeaseProgrammeRequest(
            request_id=request_id(),
            terms=programmes_pb2.ProgrammeTerms(
                title="Used machines, 6 %, in arrears",
                payment_timing=programmes_pb2.PAYMENT_TIMING_ARREARS,
                day_count=common_pb2.DAY_COUNT_ACT_365F,
                term_months_min=12,
                term_months_max=60,
                amount_min=wire.money(1_000_000),
                amount_max=wire.money(500_000_000),
                hours_per_year=HOURS_PER_YEAR,
                excess_hour_rate=wire.money(EXCESS_HOUR_FEN),
                extension_months_max=12,
                initial_direct_cost=wire.money(0),
                economic_life_months=120,
                **{name: wire.decimal(Decimal(text)) for name, text in rate.items()},
            ),
        )
    )
    scene.narrator.tell("dealer", "publishes a lease programme: 6 % nominal, fee 2 %, deposit 10 %")
    return programme.name


async def offer_for_lease(scene: Scene, programme: str, purchase: Purchase) -> None:
    """Let the dealer list a machine for lease, and the lessee find it."""
    machine = purchase.fleet_machine
    listing = await publish(
        scene,
        scene.cast.dealer,
        purchase.machine,
        reference=machine.equipment_id,
        hours=machine.hours_meter,
        content=listings_pb2.ListingContent(
            format=listings_pb2.LISTING_FORMAT_LEASE,
            lease_programme=programme,
            ask=wire.money(purchase.price_fen),
            price_override_reason="what the dealer paid for it",
            description=f"{machine.make} {machine.model}",
            lien_disclosure=listings_pb2.LienDisclosure(statement="no liens"),
        ),
    )
    found = await scene.cast.lessee.stub(listings_pb2_grpc.ListingServiceStub).SearchListings(
        listings_pb2.SearchListingsRequest(format=listings_pb2.LISTING_FORMAT_LEASE)
    )
    assert listing.name in {one.name for one in found.listings}, found
    scene.narrator.tell(
        "lessee",
        f"finds {machine.make} {machine.model} for lease, at a price of "
        f"{yuan(purchase.price_fen)}, among {len(found.listings)}",
    )


async def lease_out(scene: Scene, programme: str, purchase: Purchase) -> SignedLease:
    """Quote, apply, approve, sign on both sides, deliver, activate."""
    lessee = scene.cast.lessee.stub(leasing_pb2_grpc.LeasingServiceStub)
    lessor = scene.cast.dealer.stub(leasing_pb2_grpc.LeasingServiceStub)
    residual_fen = int(purchase.price_fen * RESIDUAL_RATE)
    quoted = await lessee.QuoteLease(
        leasing_pb2.QuoteLeaseRequest(
            request_id=request_id(),
            programme=programme,
            machine=purchase.machine,
            financed_amount=wire.money(purchase.price_fen),
            residual=wire.money(residual_fen),
            guaranteed_residual=wire.money(residual_fen),
            term_months=TERM_MONTHS,
        )
    )
    figures, name = quoted.figures, quoted.name
    scene.narrator.tell(
        "lessee",
        f"is quoted {yuan(fen(figures.payment))} a month for {TERM_MONTHS} months: nominal "
        f"{_percent(figures.nominal_rate.value)}, effective "
        f"{_percent(figures.effective_rate.value)}, with fee and deposit "
        f"{_percent(figures.all_in_effective_rate.value)}; in all {yuan(fen(figures.total_cost))}",
    )
    await lessee.ApplyForLease(leasing_pb2.ApplyForLeaseRequest(request_id=request_id(), name=name))
    approved = await lessor.ApproveLease(
        leasing_pb2.ApproveLeaseRequest(request_id=request_id(), name=name)
    )
    for side in (lessee, lessor):
        await side.SignLease(
            leasing_pb2.SignLeaseRequest(
                request_id=request_id(), name=name, terms_sha256=approved.terms_sha256
            )
        )
    await lessee.AcceptDelivery(
        leasing_pb2.AcceptDeliveryRequest(request_id=request_id(), name=name)
    )
    active = await lessor.ActivateLease(
        leasing_pb2.ActivateLeaseRequest(
            request_id=request_id(), name=name, registry_no=f"ZDW-{quoted.uid[:8]}"
        )
    )
    assert active.state == leasing_pb2.LEASE_STATE_ACTIVE, active
    kind = "finance" if figures.classification.is_finance_lease else "operating"
    scene.narrator.tell(
        "dealer", f"activates the {kind} lease, signed over {approved.terms_sha256[:12]}…"
    )
    schedule = await lessee.GetSchedule(leasing_pb2.GetScheduleRequest(name=name))
    payable_on = tuple(
        wire.to_date(line.payable_date, field="payable_date") for line in schedule.instalments
    )
    matures_on = wire.to_date(active.maturity_date, field="maturity_date")
    started_on = wire.to_date(active.start_date, field="start_date")
    return SignedLease(name, purchase.machine, started_on, matures_on, payable_on)


async def buy_out(scene: Scene, lease: SignedLease) -> None:
    """Buy the other lease out early; the title goes to the lessee."""
    await scene.time.advance_to(await scene.time.today() + timedelta(days=BUYOUT_AFTER_DAYS))
    lessee = scene.cast.lessee.stub(leasing_pb2_grpc.LeasingServiceStub)
    quoted = await lessee.QuoteBuyout(
        leasing_pb2.QuoteBuyoutRequest(request_id=request_id(), name=lease.name)
    )
    quote = quoted.buyout_quote
    await lessee.BuyOutLease(
        leasing_pb2.BuyOutLeaseRequest(request_id=request_id(), name=lease.name)
    )
    await scene.time.until_at_rest()
    machine = await scene.cast.lessee.stub(machines_pb2_grpc.MachineServiceStub).GetMachine(
        machines_pb2.GetMachineRequest(name=lease.machine)
    )
    scene.checks["the buyout moved the title to the lessee"] = (
        machine.title_holder == scene.cast.lessee.party
    )
    scene.narrator.tell(
        "lessee",
        f"buys a machine out for {yuan(fen(quote.total))}: principal {yuan(fen(quote.principal))}, "
        f"interest {yuan(fen(quote.accrued_interest))}, fee {yuan(fen(quote.fee))}",
    )


def _percent(rate: str) -> str:
    return f"{Decimal(rate):.4%}"
