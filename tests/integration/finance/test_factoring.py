"""Factoring of lease instalments: confirmation, assignment, notice, price, and its ends."""

import asyncio
from decimal import Decimal

import asyncpg
import grpc
from ironloop.finance.v1 import finance_pb2, receivables_pb2

from infra.local.client import Actor
from services.finmath.discount import present_value
from services.finmath.schedule import annuity_schedule
from services.kit import wire
from tests.integration.finance.leases import Rental, accept, cancel, receivables
from tests.integration.finance.lending import Lending, fen, finance, rid
from tests.support.refusals import refused

PLENTY_FEN = 2_000_000_00
WE_1 = annuity_schedule(1_000_000_00, Decimal("0.06"), months=36, residual_fen=250_000_00)


async def draw_on(
    lending: Lending, rental: Rental, funder: Actor, *, amount_fen: int
) -> finance_pb2.Draw:
    """Let the lessor draw on its leased machine."""
    facility = await lending.facility(funder, rental.lessor)
    offer = await lending.accepted(
        rental.lessor,
        facility,
        rental.machine,
        requested_amount=wire.money(amount_fen),
        term_months=24,
    )
    return await lending.draw(rental.lessor, offer)


async def test_sold_instalments_repay_the_draw_first_to_the_fen(factoring: Lending) -> None:
    rental = await Rental.begin(factoring, months=36)
    funder = await factoring.funder(fen=PLENTY_FEN)
    draw = await draw_on(factoring, rental, funder, amount_fen=300_000_00)
    await rental.confirm(1, 36)
    lessor_fen, funder_fen = (
        await factoring.balance(rental.lessor),
        await factoring.balance(funder),
    )
    owed = await finance(rental.lessor).QuoteDrawPayoff(
        finance_pb2.QuoteDrawPayoffRequest(name=draw.name)
    )
    payoff_fen = fen(owed.amount)

    offer = await rental.offer(funder, 1, 36)
    # WE-1's instalments at WE-5's rate.
    rows = WE_1.rows
    price_fen = present_value([(row.number, row.payment_fen) for row in rows], Decimal("0.048"))
    assert fen(offer.gross) == sum(row.payment_fen for row in rows)
    assert fen(offer.price) == price_fen
    assert fen(offer.discount) == fen(offer.gross) - price_fen
    sold = await accept(funder, offer)

    assert sold.state == receivables_pb2.FACTORING_STATE_FUNDED
    assert fen(sold.draw_repaid) == payoff_fen
    assert fen(sold.lessor_proceeds) == price_fen - payoff_fen
    assert sold.draw == draw.name
    # J4: the price to the lessor, out of it the draw back to its funder, every leg explicit.
    assert await factoring.legs(rental.lessor, purpose=offer.name) == [("FACTORING", price_fen)]
    repaid = await factoring.legs(funder, purpose=draw.name)
    assert sum(amount for _, amount in repaid) == payoff_fen - 300_000_00
    assert await factoring.balance(rental.lessor) == lessor_fen + price_fen - payoff_fen
    assert await factoring.balance(funder) == funder_fen - price_fen + payoff_fen
    closed = await factoring.see(funder, draw.name)
    assert (closed.state, fen(closed.outstanding)) == (finance_pb2.DRAW_STATE_REPAID, 0)
    assert await factoring.liens(rental.machine) == []
    [payment] = await factoring.payments(funder, draw.name)
    assert payment.kind == finance_pb2.DRAW_PAYMENT_KIND_FACTORING

    # The instalments are the funder's at leasing and here; the debtor has notice.
    assert await rental.owners() == [funder.party] * 36
    lines = await rental.receivables()
    assert [line.owner for line in lines] == await rental.owners()
    assert {line.state for line in lines} == {receivables_pb2.RECEIVABLE_STATE_FUNDED}
    [notice] = (
        await receivables(rental.lessee).ListAssignmentNotices(
            receivables_pb2.ListAssignmentNoticesRequest(lease=rental.lease)
        )
    ).notices
    assert (notice.assignor, notice.assignee) == (rental.lessor.party, funder.party)
    assert (notice.from_number, notice.to_number, notice.withdrawn) == (1, 36, False)
    assert notice.registry_no == sold.registry_no
    assert notice.registry_no.startswith("STUB-")

    # The first instalment goes to the funder, in two payments.
    before_fen = await factoring.balance(funder)
    await rental.until_payable(1)
    await rental.pay(number=1, amount_fen=10_000_00)
    await factoring.world.until_at_rest()
    assert (await rental.states())[0] == "COLLECTING"
    await rental.pay()
    await factoring.world.until_at_rest()
    assert (await rental.states())[0] == "SETTLED"
    assert await factoring.balance(funder) == before_fen + fen(lines[0].amount)
    assert await factoring.is_balanced()


async def test_a_price_below_the_payoff_repays_a_part_and_keeps_the_lien(
    factoring: Lending,
) -> None:
    rental = await Rental.begin(factoring)
    lender, buyer = await factoring.funder(fen=PLENTY_FEN), await factoring.funder(fen=PLENTY_FEN)
    draw = await draw_on(factoring, rental, lender, amount_fen=400_000_00)
    await rental.confirm(1, 1)
    lessor_fen = await factoring.balance(rental.lessor)

    sold = await accept(buyer, await rental.offer(buyer, 1, 1))

    assert fen(sold.draw_repaid) == fen(sold.price)
    assert fen(sold.lessor_proceeds) == 0
    assert await factoring.balance(rental.lessor) == lessor_fen
    assert await factoring.balance(buyer) == PLENTY_FEN - fen(sold.price)
    after = await factoring.see(lender, draw.name)
    assert after.state == finance_pb2.DRAW_STATE_ACTIVE
    assert fen(after.outstanding) == 400_000_00 - fen(sold.price)
    assert await factoring.liens(rental.machine) == [draw.lien]
    # Nobody holds the draw any more: its borrower can go on paying.
    await finance(rental.lessor).RepayDraw(
        finance_pb2.RepayDrawRequest(request_id=rid(), name=draw.name, amount=wire.money(1_000_00))
    )


async def test_an_instalment_is_offered_or_assigned_once(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder, other = await factoring.funder(fen=PLENTY_FEN), await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(1, 6)

    outcomes = await asyncio.gather(
        *(rental.offer(party, 1, 4) for party in (funder, other, funder)), return_exceptions=True
    )
    won = [done for done in outcomes if isinstance(done, receivables_pb2.Factoring)]
    assert len(won) == 1
    with refused("ALREADY_ASSIGNED") as refusal:
        await rental.offer(other, 4, 6)
    assert (refusal.metadata["number"], refusal.code) == ("4", grpc.StatusCode.ALREADY_EXISTS)
    buyer = funder if won[0].funder == funder.party else other
    await accept(buyer, won[0])
    with refused("ALREADY_ASSIGNED"):
        await rental.offer(other, 1, 1)
    # What was not offered is still free, and a repeated acceptance is refused.
    await accept(other, await rental.offer(other, 5, 6))
    with refused("TRANSITION_REFUSED"):
        await accept(buyer, won[0])
    assert await rental.states() == ["FUNDED"] * 6


async def test_a_retried_acceptance_pays_once(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(1, 3)
    offer = await rental.offer(funder, 1, 3)
    request = receivables_pb2.AcceptFactoringRequest(request_id=rid(), name=offer.name)

    first = await receivables(funder).AcceptFactoring(request)
    again = await receivables(funder).AcceptFactoring(request)

    assert again == first
    assert await factoring.balance(funder) == PLENTY_FEN - fen(offer.price)


async def test_what_changed_at_leasing_since_it_was_priced_is_not_paid_for(
    factoring: Lending,
) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(1, 2)
    offer = await rental.offer(funder, 1, 2)
    # Finance's copy lags behind leasing, as it does while an event is on its way.
    connection = await asyncpg.connect(factoring.world.dsn("finance"))
    await connection.execute(
        "update receivable set amount_fen = amount_fen + 1 where lease = $1 and number = 2",
        rental.lease,
    )
    await connection.close()

    with refused("RECEIVABLE_NOT_ELIGIBLE") as refusal:
        await accept(funder, offer)

    assert refusal.metadata["number"] == "2"
    assert await rental.owners() == [rental.lessor.party] * 6
    assert await factoring.balance(funder) == PLENTY_FEN
    assert (await cancel(funder, offer)).state == receivables_pb2.FACTORING_STATE_CANCELLED


async def test_without_cash_the_instalments_stay_assigned_until_it_comes(
    factoring: Lending,
) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder()
    draw_funder = await factoring.funder(fen=PLENTY_FEN)
    draw = await draw_on(factoring, rental, draw_funder, amount_fen=100_000_00)
    await rental.confirm(1, 2)
    offer = await rental.offer(funder, 1, 2)

    with refused("INSUFFICIENT_FUNDS"):
        await accept(funder, offer)

    assert await rental.states() == ["ASSIGNED"] * 2 + ["CREATED"] * 4
    assert (await rental.owners())[:2] == [funder.party] * 2
    assert fen((await factoring.see(draw_funder, draw.name)).outstanding) == 100_000_00
    with refused("TRANSITION_REFUSED"):
        await cancel(rental.lessor, offer)
    await factoring.fund(funder, fen(offer.price))
    sold = await accept(funder, offer)
    assert sold.state == receivables_pb2.FACTORING_STATE_FUNDED
    assert await factoring.balance(funder) == 0
    assert (await factoring.see(draw_funder, draw.name)).state == finance_pb2.DRAW_STATE_REPAID


async def test_no_cash_in_a_day_gives_the_instalments_back(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder()
    await rental.confirm(1, 3)
    assigned, offered = await rental.offer(funder, 1, 2), await rental.offer(funder, 3, 3)
    with refused("INSUFFICIENT_FUNDS"):
        await accept(funder, assigned)

    await factoring.world.advance_days(2)

    assert await rental.states() == ["CONFIRMED"] * 3 + ["CREATED"] * 3
    assert await rental.owners() == [rental.lessor.party] * 6
    assert [line.owner for line in await rental.receivables()] == [rental.lessor.party] * 6
    for offer in (assigned, offered):
        seen = await receivables(funder).GetFactoring(
            receivables_pb2.GetFactoringRequest(name=offer.name)
        )
        assert seen.state == receivables_pb2.FACTORING_STATE_CANCELLED
    [notice] = (
        await receivables(rental.lessee).ListAssignmentNotices(
            receivables_pb2.ListAssignmentNoticesRequest()
        )
    ).notices
    assert notice.withdrawn
    with refused("TRANSITION_REFUSED"):
        await accept(funder, assigned)
    # Free again for whoever pays.
    buyer = await factoring.funder(fen=PLENTY_FEN)
    await accept(buyer, await rental.offer(buyer, 1, 3))
    assert (await rental.owners())[:3] == [buyer.party] * 3


async def test_an_offer_taken_back_frees_its_instalments(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(1, 2)
    for side in (rental.lessor, funder):
        offer = await rental.offer(funder, 1, 2)
        assert (await rental.states())[:2] == ["OFFERED"] * 2
        assert (await cancel(side, offer)).state == receivables_pb2.FACTORING_STATE_CANCELLED
        assert (await rental.states())[:2] == ["CONFIRMED"] * 2
        with refused("TRANSITION_REFUSED"):
            await accept(funder, offer)
