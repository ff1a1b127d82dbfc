"""Draws: headroom, lien and payout, and what goes wrong on the way."""

import asyncio

import grpc
import pytest
from ironloop.finance.v1 import finance_events_pb2, finance_pb2
from ironloop.marketplace.v1 import machines_pb2
from ironloop.valuation.v1 import valuation_pb2

from services.finance.definition import DEFINITION as FINANCE
from services.finmath.dates import add_months
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.finance.draw_calls import day, pay_off, quote, repay
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
