"""A draw from its first instalment to its last fen: payments, ageing, penalty, interest."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from ironloop.common.v1 import common_pb2
from ironloop.finance.v1 import finance_events_pb2, finance_pb2

from services.kit import wire
from tests.integration.finance.draw_calls import day, pay_off, quote, repay
from tests.integration.finance.lending import (
    WE_7_FEN,
    Lending,
    fen,
    finance,
    insisted,
    rid,
)
from tests.support.refusals import refused

EDGE_FEN = 1_000_000_00


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
