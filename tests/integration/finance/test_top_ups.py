"""Cash that cures a shortfall: held for the funder, given free, or taken after a disposal."""

import asyncio

import pytest
from ironloop.finance.v1 import finance_pb2, watch_pb2
from ironloop.settlement.v1 import settlement_pb2

from infra.local.client import Actor
from services.kit import wire
from tests.integration.finance.lending import (
    WE_7_FEN,
    Lending,
    eventually,
    fen,
    finance,
    insisted,
    rid,
)
from tests.integration.finance.test_defaults import close
from tests.integration.finance.test_payoffs import payoffs
from tests.integration.finance.valuer import OLV_Q10_FEN
from tests.integration.finance.watching import shortfalls, stop_fault, watch, watched_draw
from tests.support import money
from tests.support.refusals import refused

PLENTY_FEN = 1_000_000_00


async def top_up(dealer: Actor, draw: str, amount_fen: int) -> finance_pb2.Draw:
    return await watch(dealer).TopUpDraw(
        watch_pb2.TopUpDrawRequest(request_id=rid(), draw=draw, amount=wire.money(amount_fen))
    )


async def release(dealer: Actor, draw: str) -> finance_pb2.Draw:
    return await watch(dealer).ReleaseTopUp(
        watch_pb2.ReleaseTopUpRequest(request_id=rid(), draw=draw)
    )


async def available(lending: Lending, party: Actor) -> int:
    """Return what a party's wallet could pay, in fen."""
    account = await money.ledger(lending.world).GetAccount(
        settlement_pb2.GetAccountRequest(name=f"accounts/{await lending.wallet(party)}")
    )
    return fen(account.available)


async def short_draw(lending: Lending, funder: Actor, dealer: Actor) -> finance_pb2.Draw:
    """Bring a draw of WE-7 into shortfall: 500,000.00 of OLV q10 instead of 640,000.00."""
    draw = await watched_draw(lending, funder, dealer)
    assert lending.valuer is not None
    lending.valuer.olv_q10_fen = 500_000_00
    await stop_fault(lending, draw.machine)

    async def state() -> finance_pb2.CollateralState.ValueType:
        return (await lending.see(funder, draw.name)).collateral_state

    await eventually(state, finance_pb2.COLLATERAL_STATE_SHORTFALL)
    return await lending.see(funder, draw.name)


@pytest.fixture(autouse=True)
def _usual_values(lending: Lending) -> None:
    assert lending.valuer is not None
    lending.valuer.olv_q10_fen = OLV_Q10_FEN


async def test_a_top_up_cures_is_held_and_is_released_once_it_is_not_needed(
    lending: Lending,
) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await short_draw(lending, funder, dealer)
    [shortfall] = await shortfalls(funder, draw.name)
    before_fen = await lending.balance(dealer)

    topped = await top_up(dealer, draw.name, fen(shortfall.paydown))

    assert topped.collateral_state == finance_pb2.COLLATERAL_STATE_CURED
    assert fen(topped.top_up) == fen(shortfall.paydown)
    assert fen(topped.outstanding) == WE_7_FEN
    assert topped.loan_to_value.value == "0.9000"
    assert await lending.balance(dealer) == before_fen
    assert await available(lending, dealer) == before_fen - fen(shortfall.paydown)
    with refused("TOP_UP_NEEDED"):
        await release(dealer, draw.name)
    with refused("INVALID_FIELD"):
        await top_up(dealer, draw.name, WE_7_FEN)
    with refused("NOT_FOUND"):
        await release(await lending.dealer(), draw.name)

    assert lending.valuer is not None
    lending.valuer.olv_q10_fen = OLV_Q10_FEN
    await stop_fault(lending, draw.machine)

    async def collateral() -> int:
        return fen((await lending.see(funder, draw.name)).collateral_value)

    await eventually(collateral, OLV_Q10_FEN * 85 // 100)
    freed = await release(dealer, draw.name)
    assert fen(freed.top_up) == 0
    assert freed.collateral_state != finance_pb2.COLLATERAL_STATE_SHORTFALL
    assert await available(lending, dealer) == before_fen


async def test_a_top_up_needs_the_money_and_leaves_the_draw_free_without(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await short_draw(lending, funder, dealer)
    other = await lending.world.party("SELLER")
    await lending.transfer(
        await lending.wallet(dealer), await lending.wallet(other), WE_7_FEN, purpose="spent"
    )
    with refused("INSUFFICIENT_FUNDS"):
        await top_up(dealer, draw.name, 10_000_00)
    await lending.fund(dealer, 10_000_00)
    tops = await asyncio.gather(
        *(insisted(lambda: top_up(dealer, draw.name, 4_000_00)) for _ in range(2))
    )
    assert sorted(fen(one.top_up) for one in tops) == [4_000_00, 8_000_00]
    assert await available(lending, dealer) == 2_000_00


async def test_the_last_fen_frees_the_top_up_too(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await short_draw(lending, funder, dealer)
    await lending.fund(dealer, 100_000_00)
    await top_up(dealer, draw.name, 50_000_00)
    await finance(dealer).PayOffDraw(
        finance_pb2.PayOffDrawRequest(request_id=rid(), name=draw.name)
    )
    assert await available(lending, dealer) == 100_000_00
    assert fen((await lending.see(dealer, draw.name)).top_up) == 0


@pytest.mark.parametrize("short_fen", [30_000_00, 70_000_00])
async def test_a_disposal_that_falls_short_takes_the_top_up(
    lending: Lending, short_fen: int
) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await short_draw(lending, funder, dealer)
    await top_up(dealer, draw.name, 50_000_00)
    [payoff] = await payoffs(lending, draw.machine)
    buyer = await lending.world.party("BUYER")
    await lending.fund(buyer, WE_7_FEN)

    closed, _ = await close(
        lending, payoff, buyer, principal=fen(payoff.amount) - short_fen, short=short_fen
    )

    left_fen = max(0, short_fen - 50_000_00)
    assert fen(closed.outstanding) == left_fen
    assert closed.state == (
        finance_pb2.DRAW_STATE_DEFAULTED if left_fen else finance_pb2.DRAW_STATE_REPAID
    )
    assert closed.claim.state == (
        finance_pb2.CLAIM_STATE_OPEN if left_fen else finance_pb2.CLAIM_STATE_PAID
    )
    assert await available(lending, dealer) == WE_7_FEN - min(short_fen, 50_000_00)
    assert await lending.balance(funder) == PLENTY_FEN - left_fen
    kinds = [payment.kind for payment in await lending.payments(dealer, draw.name)]
    assert kinds[0] == finance_pb2.DRAW_PAYMENT_KIND_TOP_UP
    assert await lending.liens(draw.machine) == []
    assert await lending.is_balanced()
    # The top-up had cured it; the default overtakes nothing that is open.
    assert watch_pb2.SHORTFALL_STATE_OPEN not in [
        one.state for one in await shortfalls(funder, draw.name)
    ]
