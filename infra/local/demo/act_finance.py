"""Finance: an offer against a machine, drawn, serviced, and repaid out of factored instalments."""

import asyncio
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

from ironloop.common.v1 import common_pb2
from ironloop.finance.v1 import (
    finance_pb2,
    finance_pb2_grpc,
    receivables_pb2,
    receivables_pb2_grpc,
    subordinations_pb2,
)

from infra.local.client import Actor
from infra.local.demo.act_trade import Purchase
from infra.local.demo.scene import Scene, fen, request_id
from services.kit import wire
from services.kit.amounts import yuan

FACILITY_LIMIT_FEN = 500_000_000
FACILITY_RATE = Decimal("0.052")
DRAW_MONTHS = 36
LATER_MONTHS = 24
SECOND_PART = 5  # the financier leaves a fifth of what the machine carries to the second lender
CONSENT_DAYS = 30
HOURS_PER_YEAR = 1_500
FACTORING_RATE = Decimal("0.048")


async def draw_on(scene: Scene, purchase: Purchase) -> finance_pb2.Draw:
    """Grant the dealer a facility, offer by loan to value, and draw against the machine."""
    facility = await _grant(scene, scene.cast.financier)
    offer = await _accepted(
        scene,
        purchase,
        facility,
        term_months=DRAW_MONTHS,
        purchase_money=True,
    )
    scene.narrator.tell(
        "financier",
        f"offers {yuan(fen(offer.amount))} on a price of {yuan(purchase.price_fen)}: OLV q10 "
        f"{yuan(fen(offer.valuation.olv_q10))}, haircut {offer.haircut.value}, cap "
        f"{offer.ltv_cap.value}, grade {offer.valuation.grade}; cover at worst "
        f"{offer.cover.worst_ratio.value} in month {offer.cover.worst_month}",
    )
    draw = await _drawn(scene, offer)
    scene.narrator.tell(
        "dealer", f"draws {yuan(fen(draw.principal))}; lien {draw.registry_no} registered first"
    )
    return draw


async def borrow_again(scene: Scene, purchase: Purchase) -> list[finance_pb2.Draw]:
    """Borrow on a leased machine whose first draw is repaid: from the financier, who ranks first.

    It leaves a part of what the machine carries, and consents to the second lender behind it.

    Returns:
        The senior draw and the junior one.
    """
    facility, other = await asyncio.gather(
        _grant(scene, scene.cast.financier), _grant(scene, scene.cast.second_lender)
    )
    most = await _offered(scene, purchase, facility, term_months=LATER_MONTHS)
    await _withdraw(scene, most)
    first = await _accepted(
        scene,
        purchase,
        facility,
        term_months=LATER_MONTHS,
        amount_fen=fen(most.amount) * (SECOND_PART - 1) // SECOND_PART,
    )
    senior = await _drawn(scene, first)
    consent = await _consent(scene, senior)
    second = await _accepted(
        scene, purchase, other, term_months=LATER_MONTHS, subordination=consent.name
    )
    junior = await _drawn(scene, second)
    for draw in (senior, junior):
        behind = f", behind {yuan(fen(draw.senior))}" if draw.subordination else ""
        scene.narrator.tell(
            "dealer",
            f"draws {yuan(fen(draw.principal))} from the {scene.cast.name_of(draw.funder)} on the "
            f"leased machine{behind}; loan to value {draw.loan_to_value.value}",
        )
    return [senior, junior]


async def _consent(scene: Scene, senior: finance_pb2.Draw) -> subordinations_pb2.Subordination:
    """Let the financier consent to a lien of the second lender behind its own."""
    expire_time = await scene.time.now() + timedelta(days=CONSENT_DAYS)
    consent = await scene.cast.financier.stub(
        finance_pb2_grpc.FinanceServiceStub
    ).ConsentSubordination(
        subordinations_pb2.ConsentSubordinationRequest(
            request_id=request_id(),
            draw=senior.name,
            junior_funder=scene.cast.second_lender.party,
            senior_cap=senior.principal,
            expire_time=wire.instant(expire_time),
        )
    )
    scene.narrator.tell(
        "financier",
        f"consents to a lien of the second lender behind its own {yuan(fen(consent.senior_cap))}",
    )
    return consent


async def _withdraw(scene: Scene, offer: finance_pb2.Offer) -> None:
    """Let the dealer take an offer back that only showed what the machine carries."""
    await scene.cast.dealer.stub(finance_pb2_grpc.FinanceServiceStub).WithdrawOffer(
        finance_pb2.WithdrawOfferRequest(request_id=request_id(), name=offer.name)
    )


async def service_draws(scene: Scene, draws: Iterable[finance_pb2.Draw]) -> None:
    """Let the dealer pay what has fallen due of its draws."""
    today = await scene.time.today()
    await asyncio.gather(*(_service(scene, draw.name, today) for draw in draws))


async def _service(scene: Scene, draw: str, today: date) -> None:
    dealer = scene.cast.dealer.stub(finance_pb2_grpc.FinanceServiceStub)
    schedule = await dealer.GetDrawSchedule(finance_pb2.GetDrawScheduleRequest(name=draw))
    due_fen = sum(
        fen(part)
        for line in schedule.instalments
        if wire.to_date(line.due_date, field="due_date") <= today
        for part in (line.interest, line.principal, line.penalty)
    )
    paid_fen = sum(
        fen(part)
        for line in schedule.instalments
        for part in (line.interest_paid, line.principal_paid, line.penalty_paid)
    )
    if due_fen > paid_fen:
        await dealer.RepayDraw(
            finance_pb2.RepayDrawRequest(
                request_id=request_id(), name=draw, amount=wire.money(due_fen - paid_fen)
            )
        )


async def _grant(scene: Scene, lender: Actor) -> finance_pb2.Facility:
    """Let a lender grant the dealer a facility."""
    return await lender.stub(finance_pb2_grpc.FinanceServiceStub).CreateFacility(
        finance_pb2.CreateFacilityRequest(
            request_id=request_id(),
            borrower=scene.cast.dealer.party,
            limit=wire.money(FACILITY_LIMIT_FEN),
            nominal_rate=wire.decimal(FACILITY_RATE),
            day_count=common_pb2.DAY_COUNT_ACT_365F,
            basis=common_pb2.VALUE_BASIS_OLV,
        )
    )


async def _accepted(
    scene: Scene,
    purchase: Purchase,
    facility: finance_pb2.Facility,
    *,
    term_months: int,
    amount_fen: int = 0,
    purchase_money: bool = False,
    subordination: str = "",
) -> finance_pb2.Offer:
    """Let the dealer ask for an offer on a machine, and accept it."""
    offer = await _offered(
        scene,
        purchase,
        facility,
        term_months=term_months,
        amount_fen=amount_fen,
        purchase_money=purchase_money,
        subordination=subordination,
    )
    await scene.cast.dealer.stub(finance_pb2_grpc.FinanceServiceStub).AcceptOffer(
        finance_pb2.AcceptOfferRequest(request_id=request_id(), name=offer.name)
    )
    return offer


async def _offered(
    scene: Scene,
    purchase: Purchase,
    facility: finance_pb2.Facility,
    *,
    term_months: int,
    amount_fen: int = 0,
    purchase_money: bool = False,
    subordination: str = "",
) -> finance_pb2.Offer:
    """Let the dealer ask for an offer on a machine; 0 asks for as much as the policy allows."""
    return await scene.cast.dealer.stub(finance_pb2_grpc.FinanceServiceStub).RequestOffer(
        finance_pb2.RequestOfferRequest(
            request_id=request_id(),
            facility=facility.name,
            machine=purchase.machine,
            purchase_price=wire.money(purchase.price_fen),
            requested_amount=wire.money(amount_fen) if amount_fen else None,
            term_months=term_months,
            hours_per_year=HOURS_PER_YEAR,
            purchase_money=purchase_money,
            subordination=subordination,
        )
    )


async def _drawn(scene: Scene, offer: finance_pb2.Offer) -> finance_pb2.Draw:
    dealer = scene.cast.dealer.stub(finance_pb2_grpc.FinanceServiceStub)
    return await dealer.DrawOffer(
        finance_pb2.DrawOfferRequest(request_id=request_id(), name=offer.name)
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
