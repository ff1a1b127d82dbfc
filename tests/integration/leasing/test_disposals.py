"""Disposals: opened at a value, unsold, and settled by WE-17 to the fen, end to end."""

from decimal import Decimal
from uuid import uuid4

from ironloop.leasing.v1 import claims_pb2, disposals_pb2
from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.marketplace.v1 import marketplace_events_pb2
from ironloop.settlement.v1 import settlement_pb2

from services.kit import wire
from services.kit.ids import name, new_id
from services.kit.principals import enter, service_principal
from services.leasing import consumers
from tests.integration.leasing import ends
from tests.integration.leasing.ends import disposals
from tests.integration.leasing.fleet import (
    fen,
    request_id,
)
from tests.integration.leasing.sale import WE_17_DEBT_FEN, Sale, lend_we_17
from tests.support import money
from tests.support.refusals import refused


async def test_we_17_the_surplus_is_the_lessees(sale: Sale) -> None:
    fleet = sale.fleet
    senior, junior = await lend_we_17(sale)
    disposal = await sale.open(await sale.repossessed())
    assert fen(disposal.debt) == WE_17_DEBT_FEN
    assert disposal.beneficiary == fleet.lessee.party
    fees_fen = await sale.held(kind=settlement_pb2.ACCOUNT_KIND_PLATFORM_FEE)
    key = request_id()
    order = name("orders", uuid4())
    settled = await sale.settle(disposal, 50_000_000, order=order, key=key)
    assert settled.state == disposals_pb2.DISPOSAL_STATE_SETTLED
    assert [fen(line.paid) for line in settled.lines] == [
        1_250_000,
        800_000,
        316_667,
        38_000_000,
        190_000,
        6_000_000,
        2_000_000,
    ]
    assert fen(settled.surplus) == 1_443_333
    assert not settled.claims
    assert await fleet.balance(fleet.lessee) == 1_443_333
    assert await fleet.balance(fleet.lessor) == 800_000 + 2_000_000
    assert await sale.funders(senior, junior) == [38_506_667, 6_000_000]
    now_fen = await sale.held(kind=settlement_pb2.ACCOUNT_KIND_PLATFORM_FEE)
    assert now_fen - fees_fen == 1_250_000
    kind = settlement_pb2.ACCOUNT_KIND_CLEARING_SALE
    assert await sale.held(reference=disposal.name, kind=kind) == 0
    assert await money.is_balanced(fleet.world)
    assert sale.lenders.parts(senior) == (316_667, 38_000_000, 190_000, 0)
    assert sale.lenders.parts(junior) == (0, 6_000_000, 0, 0)
    assert len(sale.lenders.settled[senior.draw].transfer_ids) == 3
    # Repeated, with the same id or another one: the disposal as it is.
    assert await sale.settle(disposal, 50_000_000, order=order, key=key) == settled
    assert await sale.settle(disposal, 50_000_000, order=order) == settled
    with refused("TRANSITION_REFUSED"):
        await sale.settle(disposal, 50_000_000)


async def test_we_17_what_is_short_is_a_claim(sale: Sale) -> None:
    fleet = sale.fleet
    senior, junior = await lend_we_17(sale)
    lease = await sale.repossessed()
    disposal = await sale.open(lease)
    settled = await sale.settle(disposal, 40_000_000)
    assert [(fen(line.paid), fen(line.short)) for line in settled.lines] == [
        (1_000_000, 0),
        (800_000, 0),
        (316_667, 0),
        (37_883_333, 116_667),
        (0, 190_000),
        (0, 6_000_000),
        (0, 2_000_000),
    ]
    assert fen(settled.surplus) == 0
    assert sale.lenders.parts(senior) == (316_667, 37_883_333, 0, 306_667)
    assert sale.lenders.parts(junior) == (0, 0, 0, 6_000_000)
    assert not sale.lenders.settled[junior.draw].transfer_ids
    (claim,) = settled.claims
    owed = await ends.claim(fleet.lessee, claim)
    assert owed.kind == claims_pb2.CLAIM_KIND_DISPOSAL_SHORTFALL
    assert (owed.creditor, owed.debtor) == (fleet.lessor.party, fleet.lessee.party)
    assert fen(owed.amount) == 116_667 + 190_000 + 6_000_000 + 2_000_000
    assert owed.reference == disposal.name
    # Its instalments are over: paid as far as the price went, the rest is the claim.
    schedule = (await fleet.schedule(lease)).instalments
    states = {item.state for item in schedule}
    assert pb.INSTALMENT_STATE_WRITTEN_OFF in states
    assert states <= {
        pb.INSTALMENT_STATE_PAID,
        pb.INSTALMENT_STATE_PAID_OFF,
        pb.INSTALMENT_STATE_WRITTEN_OFF,
    }
    left_fen = sum(fen(item.principal) - fen(item.paid_principal) for item in schedule)
    assert left_fen == fen(owed.amount)
    told = (await fleet.events(lease.name))[-1]
    assert [fen(line.short) for line in told.lines] == [fen(x.short) for x in settled.lines]
    assert (await ends.close(fleet, lease)).state == pb.LEASE_STATE_CLOSED


async def test_a_machine_is_sold_or_leased_out_again_but_not_both(sale: Sale) -> None:
    fleet = sale.fleet
    lease = await ends.matured(fleet)
    await ends.returned(fleet, lease)
    await ends.inspect(fleet, lease)
    again = await fleet.quote(lease.terms.machine)
    await fleet.apply(again)
    disposal = await sale.open(lease)
    with refused("DISPOSAL_OPEN"):
        await fleet.approve(again)
    await disposals(fleet.lessor).CancelDisposal(
        disposals_pb2.CancelDisposalRequest(request_id=request_id(), name=disposal.name)
    )
    await fleet.approve(again)
    with refused("MACHINE_LEASED"):
        await sale.open(lease)


async def test_a_deposit_pays_the_shortfall_when_the_lease_is_closed(sale: Sale) -> None:
    fleet = sale.fleet
    lease = await sale.repossessed(deposit_rate=wire.decimal(Decimal("0.1")))
    deposit_fen = fen(lease.deposit_held)
    settled = await sale.settle(await sale.open(lease), 45_000_000)
    (claim,) = settled.claims
    short_fen = fen((await ends.claim(fleet.lessor, claim)).amount)
    assert short_fen == WE_17_DEBT_FEN - (45_000_000 - 1_125_000 - 800_000)
    await ends.close(fleet, lease)
    assert (await ends.claim(fleet.lessor, claim)).state == claims_pb2.CLAIM_STATE_PAID
    assert await fleet.balance(fleet.lessee) == deposit_fen - short_fen
    assert await fleet.deposit(lease) == 0


async def test_an_assignee_is_paid_before_the_lessor(sale: Sale) -> None:
    fleet = sale.fleet
    lease = await sale.repossessed()
    bought = await fleet.world.party("FUNDER")
    database = fleet.world.running["leasing"].runtime.database
    async with database.read() as connection:  # sold before the default, as finance had it done
        await connection.execute(
            "update instalment set owner = $2, assignment = 'factorings/1'"
            " where lease_id = $1 and number > 3",
            lease.uid,
            bought.party,
        )
    principal_fen = sum(
        fen(item.principal) for item in (await fleet.schedule(lease)).instalments[3:]
    )
    settled = await sale.settle(await sale.open(lease), 30_000_000)
    net_fen = 30_000_000 - 750_000 - 800_000
    assert await fleet.balance(bought) == principal_fen
    assert await fleet.balance(fleet.lessor) == 800_000 + net_fen - principal_fen
    assert [line.claimant for line in settled.lines][-2:] == [
        disposals_pb2.DISPOSAL_CLAIMANT_ASSIGNEE,
        disposals_pb2.DISPOSAL_CLAIMANT_LESSOR_RESIDUAL,
    ]
    seen = await disposals(bought).GetDisposal(disposals_pb2.GetDisposalRequest(name=settled.name))
    assert seen == settled


async def test_the_surplus_of_a_returned_machine_is_the_lessors(sale: Sale) -> None:
    fleet = sale.fleet
    await lend_we_17(sale)
    lease = await ends.matured(fleet)
    await ends.returned(fleet, lease)
    with refused("TRANSITION_REFUSED"):
        await sale.open(lease)
    await ends.inspect(fleet, lease)
    before_fen = await fleet.balance(fleet.lessor)
    disposal = await sale.open(lease)
    assert disposal.beneficiary == fleet.lessor.party
    assert fen(disposal.debt) == fen(lease.residual)
    with refused("DISPOSAL_PENDING"):
        await ends.close(fleet, lease)
    settled = await sale.settle(disposal, 50_000_000)
    lent_fen = 316_667 + 38_000_000 + 190_000 + 6_000_000
    assert not settled.claims
    assert fen(settled.surplus) == 50_000_000 - 1_250_000 - 800_000 - lent_fen
    assert await fleet.balance(fleet.lessor) - before_fen == 800_000 + fen(settled.surplus)
    assert (await ends.close(fleet, lease)).state == pb.LEASE_STATE_CLOSED


async def test_the_lessee_makes_good_the_residual_that_it_guaranteed(sale: Sale) -> None:
    fleet = sale.fleet
    lease = await ends.matured(fleet)
    await ends.returned(fleet, lease)
    await ends.inspect(fleet, lease)
    settled = await sale.settle(await sale.open(lease), 10_000_000)
    (claim,) = settled.claims
    owed = await ends.claim(fleet.lessee, claim)
    assert owed.kind == claims_pb2.CLAIM_KIND_RESIDUAL_GUARANTEE
    net_fen = 10_000_000 - 250_000 - 800_000
    assert fen(owed.amount) == fen(lease.terms.guaranteed_residual) - net_fen


async def unsold(sale: Sale, disposal: disposals_pb2.Disposal) -> disposals_pb2.Disposal:
    """Let an auction of a disposal close without a buyer, and wait for what follows."""
    event = marketplace_events_pb2.AuctionClosed(
        auction=name("auctions", new_id()), disposal=disposal.name, machine=disposal.machine
    )
    database = sale.fleet.world.running["leasing"].runtime.database
    enter(service_principal("leasing"), "events")
    await database.run(lambda tx: consumers.note_auction(tx, event))
    await sale.fleet.world.until_at_rest()
    return await sale.read(disposal)


async def test_unsold_twice_the_machine_is_valued_anew_and_the_reserve_lowered(sale: Sale) -> None:
    disposal = await sale.open(await sale.repossessed())
    assert fen(disposal.reserve) == 60_000_000  # the forced liquidation value's median
    once = await unsold(sale, disposal)
    assert (once.unsold_count, fen(once.reserve)) == (1, 60_000_000)
    twice = await unsold(sale, disposal)
    assert (twice.unsold_count, fen(twice.reserve)) == (2, 54_000_000)
    assert twice.valuation != disposal.valuation
    assert twice.policy_version == 1
    # A new table holds from the next valuation on.
    published = await disposals(sale.fleet.world.operator).PublishDisposalPolicy(
        disposals_pb2.PublishDisposalPolicyRequest(
            request_id=request_id(),
            steps=[
                disposals_pb2.ReserveStep(unsold_count=0, reserve_share=wire.decimal(Decimal(1))),
                disposals_pb2.ReserveStep(
                    unsold_count=4, reserve_share=wire.decimal(Decimal("0.5"))
                ),
            ],
        )
    )
    assert published.version == 2
    await disposals(sale.fleet.lessor).RecordUnsold(
        disposals_pb2.RecordUnsoldRequest(request_id=request_id(), name=disposal.name)
    )
    last = await unsold(sale, disposal)
    assert (last.unsold_count, fen(last.reserve), last.policy_version) == (4, 30_000_000, 2)
    current = await disposals(sale.fleet.lessee).GetDisposalPolicy(
        disposals_pb2.GetDisposalPolicyRequest(name="disposalPolicies/current")
    )
    assert current == published
