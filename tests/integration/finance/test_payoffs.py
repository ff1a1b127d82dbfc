"""Payoff of a draw inside another service's settlement: quote, transfer, settle."""

import asyncio
from datetime import date, timedelta

import pytest
from ironloop.finance.v1 import finance_pb2

from infra.local.client import Actor
from services.kit import wire
from services.kit.ids import new_id
from tests.integration.finance.lending import WE_7_FEN, Lending, fen, finance, insisted, rid
from tests.support.refusals import refused

PLENTY_FEN = 1_000_000_00


async def payoffs(
    lending: Lending, machine: str, on: date | None = None
) -> list[finance_pb2.Payoff]:
    quoted = await finance(lending.world.service("procurement")).QuotePayoff(
        finance_pb2.QuotePayoffRequest(
            machine=machine, as_of=wire.date(on or lending.world.today())
        )
    )
    return list(quoted.payoffs)


async def settle(
    lending: Lending, draw: str, transfer: str, *, request: str = ""
) -> finance_pb2.Draw:
    return await finance(lending.world.service("leasing")).SettlePayoff(
        finance_pb2.SettlePayoffRequest(
            request_id=request or rid(), draw=draw, transfer_id=transfer
        )
    )


def account(payoff: finance_pb2.Payoff) -> int:
    return int(payoff.pay_to_account.removeprefix("accounts/"))


async def test_a_sale_pays_a_draw_off_and_frees_the_machine(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    machine = await lending.machine(dealer)
    draw = await lending.drawn(funder, dealer, machine=machine)
    await lending.fund(dealer, 10_000_00)

    on = lending.world.today() + timedelta(days=10)
    await lending.world.advance_to(on)
    [payoff] = await payoffs(lending, machine, on)

    assert (payoff.draw, payoff.lien, payoff.funder) == (draw.name, draw.lien, funder.party)
    assert payoff.purpose == draw.name
    assert account(payoff) == await lending.wallet(funder)
    assert fen(payoff.amount) == WE_7_FEN + round(WE_7_FEN * 0.066 * 10 / 365)
    transfer = await lending.transfer(
        await lending.wallet(dealer), account(payoff), fen(payoff.amount), purpose=payoff.purpose
    )
    closed = await settle(lending, draw.name, transfer)

    assert closed.state == finance_pb2.DRAW_STATE_REPAID
    assert await lending.liens(machine) == []
    assert await payoffs(lending, machine, on) == []
    [payment] = await lending.payments(dealer, draw.name)
    assert payment.kind == finance_pb2.DRAW_PAYMENT_KIND_SETTLEMENT
    assert payment.transfer_id == transfer
    assert fen(payment.principal) == WE_7_FEN
    # The same again, under the same request or another one, changes nothing.
    again = await settle(lending, draw.name, transfer)
    assert (again.state, fen(again.outstanding)) == (finance_pb2.DRAW_STATE_REPAID, 0)
    assert len(await lending.payments(dealer, draw.name)) == 1
    with refused("TRANSITION_REFUSED"):
        await settle(lending, draw.name, str(new_id()))


async def test_a_machine_without_a_draw_needs_no_payoff(lending: Lending) -> None:
    dealer = await lending.dealer()
    assert await payoffs(lending, await lending.machine(dealer)) == []


async def test_a_settlement_is_checked_against_its_transfer(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    machine = await lending.machine(dealer)
    draw = await lending.drawn(funder, dealer, machine=machine)
    await lending.fund(dealer, 3_000_000_00)
    [payoff] = await payoffs(lending, machine)
    wallet, owed_fen = await lending.wallet(dealer), fen(payoff.amount)
    stranger = await lending.wallet(await lending.funder(fen=1))

    with refused("TRANSFER_NOT_FOUND"):
        await settle(lending, draw.name, str(new_id()))
    elsewhere = await lending.transfer(wallet, stranger, owed_fen, purpose=draw.name)
    with refused("TRANSFER_MISMATCH") as refusal:
        await settle(lending, draw.name, elsewhere)
    assert refusal.metadata["field"] == "credit_account"
    unnamed = await lending.transfer(wallet, account(payoff), owed_fen, purpose="orders/1")
    with refused("TRANSFER_MISMATCH") as refusal:
        await settle(lending, draw.name, unnamed)
    assert refusal.metadata["field"] == "purpose"
    short = await lending.transfer(wallet, account(payoff), owed_fen - 1, purpose=draw.name)
    with refused("PAYOFF_SHORT") as refusal:
        await settle(lending, draw.name, short)
    assert refusal.metadata["owed_fen"] == str(owed_fen)

    # Nothing of it touched the draw, and a right transfer still settles it.
    assert await lending.liens(machine) == [draw.lien]
    right = await lending.transfer(wallet, account(payoff), owed_fen, purpose=draw.name)
    assert (await settle(lending, draw.name, right)).state == finance_pb2.DRAW_STATE_REPAID


async def test_what_was_paid_above_the_debt_goes_back_to_the_borrower(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    machine = await lending.machine(dealer)
    draw = await lending.drawn(funder, dealer, machine=machine)
    [payoff] = await payoffs(lending, machine)
    # Between quote and settlement the borrower pays an instalment of its own accord.
    await finance(dealer).RepayDraw(
        finance_pb2.RepayDrawRequest(request_id=rid(), name=draw.name, amount=wire.money(50_000_00))
    )
    await lending.fund(dealer, 100_000_00)
    transfer = await lending.transfer(
        await lending.wallet(dealer), account(payoff), fen(payoff.amount), purpose=draw.name
    )

    closed = await settle(lending, draw.name, transfer)

    assert closed.state == finance_pb2.DRAW_STATE_REPAID
    assert await lending.balance(dealer) == 100_000_00
    assert await lending.balance(funder) == PLENTY_FEN
    [settlement, _] = await lending.payments(funder, draw.name)
    assert fen(settlement.excess) == 50_000_00


async def test_two_settlements_of_one_transfer_at_once_close_once(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    machine = await lending.machine(dealer)
    draw = await lending.drawn(funder, dealer, machine=machine)
    [payoff] = await payoffs(lending, machine)
    transfer = await lending.transfer(
        await lending.wallet(dealer), account(payoff), fen(payoff.amount), purpose=draw.name
    )

    requests = [rid() for _ in range(3)]
    closed = await asyncio.gather(
        *(
            insisted(lambda request=request: settle(lending, draw.name, transfer, request=request))  # type: ignore[misc]
            for request in requests
        )
    )

    assert {draw.state for draw in closed} == {finance_pb2.DRAW_STATE_REPAID}
    assert len(await lending.payments(dealer, draw.name)) == 1


@pytest.mark.parametrize("role", ["FUNDER", "LESSOR"])
async def test_payoffs_are_for_services_alone(lending: Lending, role: str) -> None:
    actor: Actor = await lending.world.party(role)
    with refused("PERMISSION_DENIED"):
        await finance(actor).QuotePayoff(
            finance_pb2.QuotePayoffRequest(
                machine="machines/00000000-0000-7000-8000-000000000000",
                as_of=wire.date(lending.world.today()),
            )
        )
    with refused("NOT_FOUND"):
        await settle(lending, f"draws/{new_id()}", str(new_id()))


async def test_any_date_may_be_asked_for(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    machine = await lending.machine(dealer)
    await lending.drawn(funder, dealer, machine=machine)
    for on in (date(1900, 1, 1), date(2200, 12, 31)):
        [payoff] = await payoffs(lending, machine, on)
        assert fen(payoff.amount) >= WE_7_FEN
