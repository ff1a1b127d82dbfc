"""Finance: an offer against a machine, drawn, serviced, and repaid out of factored instalments."""

from decimal import Decimal

from ironloop.common.v1 import common_pb2
from ironloop.finance.v1 import (
    finance_pb2,
    finance_pb2_grpc,
    receivables_pb2,
    receivables_pb2_grpc,
)

from infra.local.demo.act_trade import Purchase
from infra.local.demo.scene import Scene, fen, request_id
from services.kit import wire
from services.kit.amounts import yuan

FACILITY_LIMIT_FEN = 500_000_000
FACILITY_RATE = Decimal("0.052")
DRAW_MONTHS = 36
HOURS_PER_YEAR = 1_500
FACTORING_RATE = Decimal("0.048")


async def draw_on(scene: Scene, purchase: Purchase) -> finance_pb2.Draw:
    """Grant the dealer a facility, offer by loan to value, and draw against the machine."""
    funder = scene.cast.financier.stub(finance_pb2_grpc.FinanceServiceStub)
    dealer = scene.cast.dealer.stub(finance_pb2_grpc.FinanceServiceStub)
    facility = await funder.CreateFacility(
        finance_pb2.CreateFacilityRequest(
            request_id=request_id(),
            borrower=scene.cast.dealer.party,
            limit=wire.money(FACILITY_LIMIT_FEN),
            nominal_rate=wire.decimal(FACILITY_RATE),
            day_count=common_pb2.DAY_COUNT_ACT_365F,
            basis=common_pb2.VALUE_BASIS_OLV,
        )
    )
    offer = await dealer.RequestOffer(
        finance_pb2.RequestOfferRequest(
            request_id=request_id(),
            facility=facility.name,
            machine=purchase.machine,
            purchase_price=wire.money(purchase.price_fen),
            term_months=DRAW_MONTHS,
            hours_per_year=HOURS_PER_YEAR,
            purchase_money=True,
        )
    )
    scene.narrator.tell(
        "financier",
        f"offers {yuan(fen(offer.amount))} on a price of {yuan(purchase.price_fen)}: OLV q10 "
        f"{yuan(fen(offer.valuation.olv_q10))}, haircut {offer.haircut.value}, cap "
        f"{offer.ltv_cap.value}, grade {offer.valuation.grade}; cover at worst "
        f"{offer.cover.worst_ratio.value} in month {offer.cover.worst_month}",
    )
    await dealer.AcceptOffer(
        finance_pb2.AcceptOfferRequest(request_id=request_id(), name=offer.name)
    )
    draw = await dealer.DrawOffer(
        finance_pb2.DrawOfferRequest(request_id=request_id(), name=offer.name)
    )
    scene.narrator.tell(
        "dealer", f"draws {yuan(fen(draw.principal))}; lien {draw.registry_no} registered first"
    )
    return draw


async def service_draw(scene: Scene, draw: finance_pb2.Draw, number: int) -> None:
    """Let the dealer pay instalment `number` of its draw, which is due."""
    dealer = scene.cast.dealer.stub(finance_pb2_grpc.FinanceServiceStub)
    schedule = await dealer.GetDrawSchedule(finance_pb2.GetDrawScheduleRequest(name=draw.name))
    line = schedule.instalments[number - 1]
    await dealer.RepayDraw(
        finance_pb2.RepayDrawRequest(
            request_id=request_id(),
            name=draw.name,
            amount=wire.money(fen(line.interest) + fen(line.principal)),
        )
    )


async def factor_tail(
    scene: Scene, lease: str, *, from_number: int, to_number: int
) -> receivables_pb2.Factoring:
    """Sell the lease's tail to the financier; the price repays the draw first."""
    debtor = scene.cast.lessee.stub(receivables_pb2_grpc.ReceivableServiceStub)
    seller = scene.cast.dealer.stub(receivables_pb2_grpc.ReceivableServiceStub)
    funder = scene.cast.financier.stub(receivables_pb2_grpc.ReceivableServiceStub)
    await debtor.ConfirmReceivables(
        receivables_pb2.ConfirmReceivablesRequest(
            request_id=request_id(), lease=lease, from_number=from_number, to_number=to_number
        )
    )
    scene.narrator.tell("lessee", f"confirms instalments {from_number} to {to_number} (确权)")
    offered = await seller.OfferFactoring(
        receivables_pb2.OfferFactoringRequest(
            request_id=request_id(),
            lease=lease,
            from_number=from_number,
            to_number=to_number,
            nominal_rate=wire.decimal(FACTORING_RATE),
            funder=scene.cast.financier.party,
        )
    )
    factored = await funder.AcceptFactoring(
        receivables_pb2.AcceptFactoringRequest(request_id=request_id(), name=offered.name)
    )
    scene.narrator.tell(
        "financier",
        f"buys {yuan(fen(factored.gross))} of instalments for {yuan(fen(factored.price))} at "
        f"{FACTORING_RATE:.2%}: {yuan(fen(factored.draw_repaid))} repays the draw, "
        f"{yuan(fen(factored.lessor_proceeds))} goes to the dealer",
    )
    await scene.time.until_at_rest()
    repaid = await scene.cast.dealer.stub(finance_pb2_grpc.FinanceServiceStub).GetDraw(
        finance_pb2.GetDrawRequest(name=factored.draw)
    )
    scene.checks["factoring repaid the draw first"] = (
        repaid.state == finance_pb2.DRAW_STATE_REPAID
        and fen(factored.draw_repaid) + fen(factored.lessor_proceeds) == fen(factored.price)
    )
    return factored
