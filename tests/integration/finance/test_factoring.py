"""Factoring of lease instalments: confirmation, assignment, notice, price, and its ends."""

import asyncio
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

import asyncpg
import grpc
import pytest
from ironloop.finance.v1 import finance_pb2, receivables_pb2
from ironloop.leasing.v1 import leasing_events_pb2, leasing_pb2

from infra.local.client import Actor
from services.finance import consumers
from services.finmath.discount import present_value
from services.finmath.schedule import annuity_schedule
from services.kit import wire
from services.leasing.definition import DEFINITION as LEASING
from tests.integration.finance.leases import Rental, accept, cancel, leasing, receivables
from tests.integration.finance.lending import Lending, eventually, fen, finance, insisted, rid
from tests.integration.finance.watching import hear
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


async def test_only_what_is_confirmed_and_in_one_piece_is_sold(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder()
    await rental.confirm(2, 4)

    with refused("TRANSITION_REFUSED"):
        await rental.offer(funder, 1, 4)
    with refused("NOT_FOUND"):
        await rental.offer(funder, 4, 7)
    with refused("INVALID_FIELD"):
        await rental.offer(funder, 4, 3)
    with refused("INVALID_FIELD"):
        await rental.offer(rental.lessee, 2, 3)
    with refused("INVALID_FIELD"):
        await rental.offer(funder, 2, 3, nominal_rate=wire.decimal(Decimal("0.5")))


async def test_one_debtor_is_at_most_a_quarter_of_a_facility(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(1, 6)
    instalment_fen = fen((await rental.receivables())[0].amount)
    facility = await factoring.facility(funder, rental.lessor, limit_fen=9 * instalment_fen)

    first = await rental.offer(funder, 1, 1, facility=facility.name)
    second = await rental.offer(funder, 2, 2, facility=facility.name)
    with refused("CONCENTRATION_EXCEEDED"):
        await rental.offer(funder, 3, 3, facility=facility.name)
    await accept(funder, first)
    with refused("CONCENTRATION_EXCEEDED"):
        await rental.offer(funder, 3, 3, facility=facility.name)
    await cancel(rental.lessor, second)
    await rental.offer(funder, 3, 3, facility=facility.name)
    other = await factoring.funder()
    with refused("NOT_FOUND"):
        await rental.offer(other, 4, 4, facility=facility.name)


async def portfolio_from(lending: Lending, yuan: int) -> None:
    """Publish from which amount on a funder's portfolio is held to its debtors' shares."""
    admin = await lending.world.party("ADMIN")
    current = await finance(admin).GetPolicy(finance_pb2.GetPolicyRequest(name="policies/current"))
    year, number = current.version.split(".")
    await finance(admin).PublishPolicy(
        finance_pb2.PublishPolicyRequest(
            request_id=rid(),
            version=f"{year}.{int(number) + 1}",
            values=[
                finance_pb2.PolicyValue(
                    parameter=finance_pb2.POLICY_PARAMETER_PORTFOLIO_CONCENTRATION_FROM,
                    value=wire.decimal(Decimal(yuan)),
                )
            ],
        )
    )


async def test_without_a_facility_a_debtor_is_at_most_a_quarter_of_what_the_funder_holds(
    factoring: Lending,
) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(1, 6)
    instalment_fen = fen((await rental.receivables())[0].amount)
    await portfolio_from(factoring, 9 * instalment_fen // 100)
    try:
        with refused("CONCENTRATION_EXCEEDED"):
            await rental.offer(funder, 1, 3)
        first, second = await rental.offer(funder, 1, 1), await rental.offer(funder, 2, 2)
        # What is offered and not accepted takes no share: anybody can offer.
        third = await rental.offer(funder, 3, 3)
        await accept(funder, first)
        await accept(funder, second)
        with refused("CONCENTRATION_EXCEEDED"):
            await accept(funder, third)
        with refused("CONCENTRATION_EXCEEDED"):
            await rental.offer(funder, 4, 4)
        # Another debtor has a share of its own, and one that grows with the whole.
        other = await Rental.begin(factoring)
        await other.confirm(1, 2)
        await accept(funder, await other.offer(funder, 1, 2))
        with refused("CONCENTRATION_EXCEEDED"):
            await accept(funder, third)
    finally:
        await portfolio_from(factoring, 10_000_000)
    # An offer is held to the policy that it cites; one made anew, to the new policy.
    await cancel(rental.lessor, third)
    again = await accept(funder, await rental.offer(funder, 3, 3))
    assert again.state == receivables_pb2.FACTORING_STATE_FUNDED


async def test_other_parties_see_nothing_of_it(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder()
    stranger = await factoring.world.party("LESSOR", "LESSEE", "FUNDER")
    await rental.confirm(1, 2)
    offer = await rental.offer(funder, 1, 2)
    line = (await rental.receivables())[0]

    attempts: list[Awaitable[Any]] = [
        receivables(stranger).GetReceivable(receivables_pb2.GetReceivableRequest(name=line.name)),
        receivables(stranger).GetFactoring(receivables_pb2.GetFactoringRequest(name=offer.name)),
        rental.confirm(1, 2, by=stranger),
        rental.offer(funder, 1, 2, by=stranger),
        accept(stranger, offer),
        cancel(stranger, offer),
        receivables(stranger).DisputeReceivable(
            receivables_pb2.DisputeReceivableRequest(request_id=rid(), name=line.name)
        ),
    ]
    for attempt in attempts:
        with refused("NOT_FOUND"):
            await attempt
    assert not await rental.receivables(stranger)
    assert not (
        await receivables(stranger).ListFactorings(receivables_pb2.ListFactoringsRequest())
    ).factorings
    assert not (
        await receivables(stranger).ListAssignmentNotices(
            receivables_pb2.ListAssignmentNoticesRequest()
        )
    ).notices
    # The debtor sees what it owes, not what its debt was sold for.
    assert len(await rental.receivables(rental.lessee)) == 6
    with refused("PERMISSION_DENIED"):
        await receivables(rental.lessee).GetFactoring(
            receivables_pb2.GetFactoringRequest(name=offer.name)
        )


@pytest.mark.parametrize("command", ["DisputeReceivable", "DiluteReceivable", "ClaimRecourse"])
async def test_what_is_not_built_says_so(factoring: Lending, command: str) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(1, 1)
    await accept(funder, await rental.offer(funder, 1, 1))
    line = (await rental.receivables())[0]
    side = {
        "DisputeReceivable": rental.lessee,
        "DiluteReceivable": rental.lessor,
        "ClaimRecourse": funder,
    }[command]
    request = getattr(receivables_pb2, f"{command}Request")(request_id=rid(), name=line.name)
    with refused("NOT_YET_AVAILABLE"):
        await getattr(receivables(side), command)(request)


async def test_a_prepaid_lease_is_signed_anew_and_its_open_offer_ends(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder()
    await rental.confirm(1, 3)
    before = await rental.receivables()
    offer = await rental.offer(funder, 3, 3)

    await leasing(rental.lessee).PrepayLease(
        leasing_pb2.PrepayLeaseRequest(
            request_id=rid(), name=rental.lease, principal=wire.money(100_000_00)
        )
    )

    await eventually(rental.states, ["CREATED"] * 6)
    after = await rental.receivables()
    assert all(fen(new.amount) < fen(old.amount) for new, old in zip(after, before, strict=True))
    seen = await receivables(funder).GetFactoring(
        receivables_pb2.GetFactoringRequest(name=offer.name)
    )
    assert seen.state == receivables_pb2.FACTORING_STATE_CANCELLED


async def test_a_buyout_closes_what_is_left_and_settles_the_factoring(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(4, 6)
    sold = await accept(funder, await rental.offer(funder, 4, 6))

    await leasing(rental.lessee).QuoteBuyout(
        leasing_pb2.QuoteBuyoutRequest(request_id=rid(), name=rental.lease)
    )
    await leasing(rental.lessee).BuyOutLease(
        leasing_pb2.BuyOutLeaseRequest(request_id=rid(), name=rental.lease)
    )

    await eventually(rental.states, ["SETTLED"] * 6)
    seen = await receivables(funder).GetFactoring(
        receivables_pb2.GetFactoringRequest(name=sold.name)
    )
    assert seen.state == receivables_pb2.FACTORING_STATE_SETTLED


async def test_what_a_lease_ends_with_is_owed_no_more(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(1, 6)
    sold = await accept(funder, await rental.offer(funder, 4, 5))
    open_offer = await rental.offer(funder, 6, 6)
    ends: list[tuple[Any, Any, list[int]]] = [
        (
            consumers.close_written_off,
            leasing_events_pb2.InstalmentWrittenOff(lease=rental.lease, number=1),
            [1],
        ),
        (
            consumers.close_disposed,
            leasing_events_pb2.DisposalSettled(
                lease=rental.lease,
                shares=[leasing_events_pb2.OwnerShare(owner=funder.party, numbers=[4, 5])],
            ),
            [1, 4, 5],
        ),
        (
            consumers.close_receivables,
            leasing_events_pb2.LeaseClosed(lease=rental.lease),
            [1, 2, 3, 4, 5, 6],
        ),
    ]
    for handler, event, settled in ends:
        await hear(factoring, handler, event)
        states = await rental.states()
        assert [n for n, state in enumerate(states, start=1) if state == "SETTLED"] == settled

    async def state(factoring_name: str) -> int:
        seen = await receivables(funder).GetFactoring(
            receivables_pb2.GetFactoringRequest(name=factoring_name)
        )
        return seen.state

    assert await state(sold.name) == receivables_pb2.FACTORING_STATE_SETTLED
    assert await state(open_offer.name) == receivables_pb2.FACTORING_STATE_CANCELLED


async def test_a_service_away_while_assigning_is_waited_for(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(1, 2)
    offer = await rental.offer(funder, 1, 2)
    request = receivables_pb2.AcceptFactoringRequest(request_id=rid(), name=offer.name)

    await factoring.world.stop("leasing")
    call = asyncio.ensure_future(receivables(funder).AcceptFactoring(request))
    with refused("FACTORING_BUSY"):
        await _until_busy(factoring, rental, offer)
    await factoring.world.start(LEASING)
    sold = await insisted(lambda: call)

    assert sold.state == receivables_pb2.FACTORING_STATE_FUNDED
    assert await insisted(rental.owners) == [funder.party] * 2 + [rental.lessor.party] * 4
    assert await factoring.balance(funder) == PLENTY_FEN - fen(offer.price)


async def _until_busy(lending: Lending, rental: Rental, offer: receivables_pb2.Factoring) -> None:
    async def held() -> bool:
        async with lending.world.running["finance"].runtime.database.read() as connection:
            return bool(
                await connection.fetchval(
                    "select held_by <> '' from factoring where 'factorings/' || id = $1",
                    offer.name,
                )
            )

    await eventually(held, True)
    await cancel(rental.lessor, offer)
