"""Draws: headroom, lien and payout, servicing to the last fen, and what goes wrong on the way."""

import asyncio
from datetime import date, timedelta
from decimal import Decimal

import grpc
import pytest
from ironloop.common.v1 import common_pb2
from ironloop.finance.v1 import finance_events_pb2, finance_pb2
from ironloop.marketplace.v1 import machines_pb2
from ironloop.valuation.v1 import valuation_pb2

from infra.local.client import Actor
from services.finance.definition import DEFINITION as FINANCE
from services.finmath.dates import add_months
from services.kit import wire
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.finance.lending import (
    WE_7_FEN,
    Lending,
    eventually,
    fen,
    finance,
    insisted,
    machines,
    rid,
)
from tests.support.refusals import refused, status_of

EDGE_FEN = 1_000_000_00


def day(value: object) -> date:
    return wire.to_date(value, field="date")


async def repay(actor: Actor, draw: str, amount_fen: int, *, request: str = "") -> finance_pb2.Draw:
    return await finance(actor).RepayDraw(
        finance_pb2.RepayDrawRequest(
            request_id=request or rid(), name=draw, amount=wire.money(amount_fen)
        )
    )


async def pay_off(actor: Actor, draw: str) -> finance_pb2.Draw:
    return await finance(actor).PayOffDraw(
        finance_pb2.PayOffDrawRequest(request_id=rid(), name=draw)
    )


async def quote(actor: Actor, draw: str) -> finance_pb2.DrawPayoff:
    return await finance(actor).QuoteDrawPayoff(finance_pb2.QuoteDrawPayoffRequest(name=draw))


async def test_a_draw_registers_the_lien_then_pays_then_is_drawn(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=EDGE_FEN), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    machine = await lending.machine(dealer)
    offer = await lending.accepted(dealer, facility, machine, purchase_money=True)

    draw = await lending.draw(dealer, offer)

    assert draw.state == finance_pb2.DRAW_STATE_ACTIVE
    assert fen(draw.outstanding) == WE_7_FEN
    assert await lending.balance(dealer) == WE_7_FEN
    assert await lending.balance(funder) == EDGE_FEN - WE_7_FEN
    assert await lending.legs(dealer, purpose=draw.name) == [("DRAW", WE_7_FEN)]
    [lien] = (await lending.look_up(machine)).liens
    assert (lien.name, lien.holder, lien.reference) == (draw.lien, funder.party, draw.name)
    assert (lien.priority, lien.purchase_money) == (1, True)
    assert lien.registry_no == draw.registry_no
    assert fen(lien.secured_amount) == WE_7_FEN
    assert await lending.headroom(facility, funder) == {
        "outstanding": WE_7_FEN,
        "reserved": 0,
        "available": 1_000_000_00 - WE_7_FEN,
    }
    seen = await finance(dealer).GetOffer(finance_pb2.GetOfferRequest(name=offer.name))
    assert (seen.state, seen.draw) == (finance_pb2.OFFER_STATE_DRAWN, draw.name)
    told = await lending.events(offer.name)
    assert [type(event) for event in told] == [
        finance_events_pb2.OfferMade,
        finance_events_pb2.OfferAccepted,
        finance_events_pb2.OfferDrawn,
    ]
    assert [event.sequence for event in told] == [1, 2, 3]
    assert (draw.loan_to_value.value, draw.collateral_state) == (
        "0.8500",
        finance_pb2.COLLATERAL_STATE_COMPLIANT,
    )
    lines = await lending.schedule(funder, draw.name)
    assert len(lines) == 36
    assert sum(fen(line.principal) for line in lines) == WE_7_FEN
    assert day(lines[35].contract_date) == add_months(day(draw.start_date), 36)


async def test_two_draws_race_for_the_last_headroom_and_one_wins(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=9_000_000_00), await lending.dealer()
    facility = await lending.facility(funder, dealer, limit_fen=WE_7_FEN + 100_00)
    offers = [await lending.accepted(dealer, facility) for _ in range(4)]

    outcomes = await asyncio.gather(
        *(lending.draw(dealer, offer) for offer in offers), return_exceptions=True
    )

    drawn = [outcome for outcome in outcomes if isinstance(outcome, finance_pb2.Draw)]
    assert len(drawn) == 1
    for outcome in outcomes:
        if isinstance(outcome, grpc.aio.AioRpcError):
            assert "HEADROOM_EXCEEDED" in str(status_of(outcome))
    assert await lending.headroom(facility, dealer) == {
        "outstanding": WE_7_FEN,
        "reserved": 0,
        "available": 100_00,
    }
    assert await lending.balance(dealer) == WE_7_FEN


async def test_a_retried_draw_pays_once(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=EDGE_FEN), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    offer = await lending.accepted(dealer, facility)
    request = finance_pb2.DrawOfferRequest(request_id=rid(), name=offer.name)

    first = await finance(dealer).DrawOffer(request)
    again = await finance(dealer).DrawOffer(request)

    assert again == first
    assert await lending.balance(dealer) == WE_7_FEN
    with refused("TRANSITION_REFUSED"):
        await lending.draw(dealer, offer)


async def test_the_same_offer_drawn_twice_at_once_is_drawn_once(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=EDGE_FEN), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    offer = await lending.accepted(dealer, facility)

    outcomes = await asyncio.gather(
        *(lending.draw(dealer, offer) for _ in range(3)), return_exceptions=True
    )

    assert sum(isinstance(outcome, finance_pb2.Draw) for outcome in outcomes) == 1
    assert await lending.balance(dealer) == WE_7_FEN


async def test_without_funds_a_draw_is_refused_its_lien_released_and_the_offer_kept(
    lending: Lending,
) -> None:
    funder, dealer = await lending.funder(fen=WE_7_FEN - 1), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    machine = await lending.machine(dealer)
    offer = await lending.accepted(dealer, facility, machine)

    with refused("INSUFFICIENT_FUNDS"):
        await lending.draw(dealer, offer)

    assert await lending.liens(machine) == []
    assert (await lending.headroom(facility, funder))["reserved"] == 0
    listed = await finance(dealer).ListDraws(finance_pb2.ListDrawsRequest(machine=machine))
    assert [draw.state for draw in listed.draws] == [finance_pb2.DRAW_STATE_CANCELLED]
    seen = await finance(dealer).GetOffer(finance_pb2.GetOfferRequest(name=offer.name))
    assert (seen.state, seen.draw) == (finance_pb2.OFFER_STATE_ACCEPTED, "")

    # With one fen more it goes through, under a lien and transfers of its own.
    await lending.fund(funder, 1)
    draw = await lending.draw(dealer, offer)
    assert await lending.liens(machine) == [draw.lien]
    assert await lending.balance(funder) == 0


async def test_a_service_stopped_between_lien_and_money_finishes_after_its_restart(
    lending: Lending,
) -> None:
    funder, dealer = await lending.funder(fen=EDGE_FEN), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    machine = await lending.machine(dealer)
    offer = await lending.accepted(dealer, facility, machine)
    request = finance_pb2.DrawOfferRequest(request_id=rid(), name=offer.name)

    await lending.world.stop("settlement")
    call = asyncio.ensure_future(finance(dealer).DrawOffer(request))

    async def lien_count() -> int:
        return len(await lending.liens(machine))

    await eventually(lien_count, 1)
    await lending.world.stop("finance")
    with pytest.raises(grpc.aio.AioRpcError):
        await call
    await lending.world.start(SETTLEMENT)
    await lending.world.start(FINANCE)

    draw = await insisted(lambda: finance(dealer).DrawOffer(request))
    assert draw.state == finance_pb2.DRAW_STATE_ACTIVE
    await insisted(lambda: lending.balance(dealer))  # the test's own channel is back too
    await lending.world.until_at_rest()
    assert await lending.liens(machine) == [draw.lien]
    assert await lending.legs(dealer, purpose=draw.name) == [("DRAW", WE_7_FEN)]
    assert await lending.balance(funder) == EDGE_FEN - WE_7_FEN


async def test_a_machine_sold_since_the_offer_is_not_drawn_on(lending: Lending) -> None:
    funder, dealer, buyer = (
        await lending.funder(fen=EDGE_FEN),
        await lending.dealer(),
        await lending.dealer(),
    )
    facility = await lending.facility(funder, dealer)
    machine = await lending.machine(dealer)
    offer = await lending.accepted(dealer, facility, machine)
    await machines(lending.world.service("procurement")).TransferTitle(
        machines_pb2.TransferTitleRequest(
            request_id=rid(),
            name=machine,
            from_party=dealer.party,
            to_party=buyer.party,
            reference="orders/1",
        )
    )
    with refused("TITLE_MOVED"):
        await lending.draw(dealer, offer)
    assert (await lending.headroom(facility, funder))["available"] == 1_000_000_00


async def test_a_revoked_valuation_is_not_drawn_on(lending: Lending) -> None:
    assert lending.valuer is not None
    funder, dealer = await lending.funder(fen=EDGE_FEN), await lending.dealer()
    machine = await lending.machine(dealer)
    offer = await lending.accepted(dealer, await lending.facility(funder, dealer), machine)
    for made in lending.valuer.made.values():
        if made.machine == machine:
            made.state = valuation_pb2.VALUATION_STATE_REVOKED
    with refused("VALUATION_NOT_ISSUED"):
        await lending.draw(dealer, offer)
    assert await lending.liens(machine) == []


async def test_a_facility_with_a_draw_is_not_closed(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=EDGE_FEN), await lending.dealer()
    draw = await lending.drawn(funder, dealer)
    close = finance_pb2.CloseFacilityRequest(request_id=rid(), name=draw.facility)
    with refused("FACILITY_IN_USE"):
        await finance(funder).CloseFacility(close)


async def test_other_parties_see_no_draw_and_pay_on_none(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=EDGE_FEN), await lending.dealer()
    draw = await lending.drawn(funder, dealer)
    stranger = await lending.world.party("FUNDER", "LESSOR")

    with refused("NOT_FOUND"):
        await lending.see(stranger, draw.name)
    with refused("NOT_FOUND"):
        await lending.schedule(stranger, draw.name)
    with refused("NOT_FOUND"):
        await lending.payments(stranger, draw.name)
    with refused("NOT_FOUND"):
        await quote(stranger, draw.name)
    with refused("NOT_FOUND"):
        await repay(stranger, draw.name, 1)
    with refused("NOT_FOUND"):
        await pay_off(stranger, draw.name)
    with refused("NOT_FOUND"):
        await finance(stranger).GetExpectedLoss(finance_pb2.GetExpectedLossRequest(name=draw.name))
    with refused("NOT_FOUND"):
        await finance(stranger).DeclareDefault(
            finance_pb2.DeclareDefaultRequest(request_id=rid(), name=draw.name)
        )
    assert not (await finance(stranger).ListDraws(finance_pb2.ListDrawsRequest())).draws
    with refused("PERMISSION_DENIED"):
        await repay(funder, draw.name, 1)
    with refused("NOT_IN_DEFAULT"):
        await finance(funder).DeclareDefault(
            finance_pb2.DeclareDefaultRequest(request_id=rid(), name=draw.name)
        )


async def test_a_draw_is_serviced_from_its_first_instalment_to_its_last_fen(
    lending: Lending,
) -> None:
    funder, dealer = await lending.funder(fen=EDGE_FEN), await lending.dealer()
    await lending.fund(dealer, 50_000_00)
    machine = await lending.machine(dealer)
    draw = await lending.drawn(funder, dealer, machine=machine)
    lines = await lending.schedule(dealer, draw.name)

    await lending.world.advance_to(day(lines[0].due_date))
    request = rid()
    paid = await repay(dealer, draw.name, 14_193_16, request=request)
    assert await repay(dealer, draw.name, 14_193_16, request=request) == paid
    assert fen(paid.outstanding) == fen(lines[0].balance)
    assert await lending.legs(dealer, purpose=draw.name) == [
        ("DRAW", WE_7_FEN),
        ("DRAW_INTEREST", -fen(lines[0].interest)),
        ("DRAW_REPAYMENT", -fen(lines[0].principal)),
    ]
    [payment] = await lending.payments(funder, draw.name)
    assert payment.kind == finance_pb2.DRAW_PAYMENT_KIND_REPAYMENT
    assert (fen(payment.interest), fen(payment.principal)) == (
        fen(lines[0].interest),
        fen(lines[0].principal),
    )

    # A prepayment lowers the instalments that come, at the same rate and term.
    await repay(dealer, draw.name, 100_000_00)
    after = await lending.schedule(dealer, draw.name)
    assert len(after) == 36
    assert fen(after[1].interest) + fen(after[1].principal) < 14_193_16

    owed = await quote(dealer, draw.name)
    with refused("AMOUNT_ABOVE_PAYOFF") as refusal:
        await repay(dealer, draw.name, fen(owed.amount) + 1)
    assert refusal.metadata["payoff_fen"] == str(fen(owed.amount))
    closed = await pay_off(dealer, draw.name)

    assert closed.state == finance_pb2.DRAW_STATE_REPAID
    assert fen(closed.outstanding) == 0
    assert await lending.liens(machine) == []
    offer = await finance(dealer).GetOffer(finance_pb2.GetOfferRequest(name=draw.offer))
    assert offer.state == finance_pb2.OFFER_STATE_REPAID
    facility = await finance(funder).GetFacility(finance_pb2.GetFacilityRequest(name=draw.facility))
    assert fen(facility.available) == 1_000_000_00
    payments = await lending.payments(funder, draw.name)
    assert sum(fen(payment.principal) for payment in payments) == WE_7_FEN
    interest_fen = sum(fen(payment.interest) for payment in payments)
    assert await lending.balance(funder) == EDGE_FEN + interest_fen
    assert await lending.balance(dealer) == 50_000_00 - interest_fen
    sequences = [event.sequence for event in await lending.events(draw.name)]
    assert sequences == [1, 2, 3]
    with refused("TRANSITION_REFUSED"):
        await pay_off(dealer, draw.name)
    # The freed machine can be lent on again.
    again = await finance(funder).GetFacility(finance_pb2.GetFacilityRequest(name=draw.facility))
    await lending.draw(dealer, await lending.accepted(dealer, again, machine))


async def test_a_payment_without_funds_changes_nothing(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=EDGE_FEN), await lending.dealer()
    draw = await lending.drawn(funder, dealer)
    wallet = await lending.wallet(dealer)
    await lending.transfer(wallet, await lending.wallet(funder), WE_7_FEN, purpose="")

    with refused("INSUFFICIENT_FUNDS"):
        await repay(dealer, draw.name, 1_000_00)

    assert not await lending.payments(dealer, draw.name)
    await lending.fund(dealer, 1_000_00)
    paid = await repay(dealer, draw.name, 1_000_00)
    assert fen(paid.outstanding) == WE_7_FEN - 1_000_00


async def test_two_payments_at_once_are_taken_one_after_the_other(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=EDGE_FEN), await lending.dealer()
    draw = await lending.drawn(funder, dealer)

    requests = [rid() for _ in range(4)]
    await asyncio.gather(
        *(
            insisted(lambda request=request: repay(dealer, draw.name, 1_000_00, request=request))  # type: ignore[misc]
            for request in requests
        )
    )

    assert len(await lending.payments(dealer, draw.name)) == 4
    assert fen((await lending.see(dealer, draw.name)).outstanding) == WE_7_FEN - 4_000_00


async def test_an_unpaid_instalment_ages_and_costs_a_penalty(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=EDGE_FEN), await lending.dealer()
    draw = await lending.drawn(
        funder, dealer, requested_amount=wire.money(360_000_00), term_months=12
    )
    [first, *_] = await lending.schedule(dealer, draw.name)
    instalment_fen = fen(first.interest) + fen(first.principal)
    due_on = day(first.due_date)

    await lending.world.advance_to(due_on + timedelta(days=1))
    late = await lending.see(funder, draw.name)
    assert (late.days_past_due, fen(late.overdue)) == (1, instalment_fen)
    await lending.world.advance_to(due_on + timedelta(days=30))
    loss = await finance(funder).GetExpectedLoss(finance_pb2.GetExpectedLossRequest(name=draw.name))
    assert (loss.stage, loss.bucket) == (2, 1)
    await lending.world.advance_to(due_on + timedelta(days=31))

    told = [
        event
        for event in await lending.events(draw.name)
        if isinstance(event, finance_events_pb2.DrawOverdue)
    ]
    assert [(event.days_past_due, event.stage) for event in told] == [(1, 1), (31, 2)]
    owed = await quote(dealer, draw.name)
    penalty_fen = round(Decimal(instalment_fen) * 31 * Decimal("0.0005"))
    assert abs(fen(owed.penalty) - penalty_fen) <= 500_00  # the second line may be late by a day
    assert fen(owed.penalty) >= penalty_fen
    await repay(dealer, draw.name, fen(owed.penalty) + instalment_fen)
    [payment] = await lending.payments(dealer, draw.name)
    assert fen(payment.penalty) == fen(owed.penalty)
    codes = [code for code, _ in await lending.legs(dealer, purpose=draw.name)]
    assert codes == ["DRAW", "DRAW_FEE", "DRAW_INTEREST", "DRAW_REPAYMENT"]


@pytest.mark.parametrize("day_count", [common_pb2.DAY_COUNT_ACT_360, common_pb2.DAY_COUNT_30_360])
async def test_interest_between_due_dates_follows_the_facilitys_day_count(
    lending: Lending, day_count: common_pb2.DayCount.ValueType
) -> None:
    funder, dealer = await lending.funder(fen=EDGE_FEN), await lending.dealer()
    facility = await lending.facility(funder, dealer, day_count=day_count)
    draw = await lending.draw(dealer, await lending.accepted(dealer, facility))
    start, on = day(draw.start_date), day(draw.start_date) + timedelta(days=10)
    owed = await finance(dealer).QuoteDrawPayoff(
        finance_pb2.QuoteDrawPayoffRequest(name=draw.name, as_of_date=wire.date(on))
    )
    days = 10
    if day_count == common_pb2.DAY_COUNT_30_360:
        days = (on.month - start.month) * 30 + min(on.day, 30) - min(start.day, 30)
        days += 360 * (on.year - start.year)
    expected = Decimal(WE_7_FEN) * Decimal("0.066") * days / 360
    assert abs(fen(owed.accrued_interest) - expected) <= Decimal("0.5")
    with refused("INVALID_FIELD"):
        await finance(dealer).QuoteDrawPayoff(
            finance_pb2.QuoteDrawPayoffRequest(
                name=draw.name, as_of_date=wire.date(start - timedelta(days=1))
            )
        )


async def test_the_ledger_is_balanced_after_all_this(lending: Lending) -> None:
    assert await lending.is_balanced()
