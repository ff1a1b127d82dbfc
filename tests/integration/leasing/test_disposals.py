"""Disposals: opened at a value, unsold, and settled by WE-17 to the fen, end to end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from ironloop.finance.v1 import finance_pb2
from ironloop.leasing.v1 import claims_pb2, disposals_pb2, programmes_pb2
from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc, marketplace_events_pb2
from ironloop.settlement.v1 import settlement_pb2

from services.kit import wire
from services.kit.clock import start_of
from services.kit.ids import name, new_id
from services.kit.principals import enter, service_principal
from services.leasing import consumers
from services.leasing.definition import DEFINITION as LEASING
from services.maintenance.definition import DEFINITION as MAINTENANCE
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.finance.valuer import Valuer, open_valuer
from tests.integration.leasing import ends
from tests.integration.leasing.ends import disposals
from tests.integration.leasing.fleet import (
    Fleet,
    fen,
    programme_terms,
    programmes,
    request_id,
)
from tests.integration.leasing.lenders import Lenders, open_lenders
from tests.integration.leasing.test_restarts import start_again, until_step
from tests.support import money
from tests.support.refusals import refused
from tests.support.world import World

WE_17_DEBT_FEN = 46_506_667  # what the senior and the junior are owed, and 20,000.00


@dataclass(frozen=True, slots=True)
class Sale:
    """A fleet whose machines are sold, with lenders on them."""

    fleet: Fleet
    lenders: Lenders
    valuer: Valuer

    async def repossessed(self, **changes: Any) -> pb.Lease:
        """Return a repossessed lease at no interest, no penalty and no deposit."""
        plain = {"nominal_rate": wire.decimal(Decimal(0))}
        for rate in ("fee_rate", "deposit_rate", "penalty_daily_rate"):
            plain[rate] = wire.decimal(Decimal(0))
        programme = await programmes(self.fleet.lessor).CreateLeaseProgramme(
            programmes_pb2.CreateLeaseProgrammeRequest(
                request_id=request_id(), terms=programme_terms(**plain | changes)
            )
        )
        lease = await self.fleet.active(
            programme=programme.name,
            financed_amount=wire.money(WE_17_DEBT_FEN),
            residual=wire.money(0),
            guaranteed_residual=wire.money(0),
            term_months=6,
        )
        await ends.default(self.fleet, lease)
        return await ends.repossess(self.fleet, lease)

    async def open(self, lease: pb.Lease) -> disposals_pb2.Disposal:
        """Open the disposal of WE-17."""
        return await ends.open_disposal(self.fleet, lease)

    async def settle(
        self, disposal: disposals_pb2.Disposal, price_fen: int, *, order: str = "", key: str = ""
    ) -> disposals_pb2.Disposal:
        """Settle a disposal out of the escrow of an order, as procurement does."""
        order = order or name("orders", uuid4())
        await self.hold(disposal, order)
        escrow = await self.escrow(order, price_fen)
        return await disposals(self.fleet.world.service("procurement")).SettleDisposal(
            disposals_pb2.SettleDisposalRequest(
                request_id=key or request_id(),
                disposal=disposal.name,
                order=order,
                escrow_account=f"accounts/{escrow}",
                price=wire.money(price_fen),
            )
        )

    async def hold(self, disposal: disposals_pb2.Disposal, order: str) -> None:
        """Hold a disposal's machine for an order, where nobody holds it."""
        machine = await self.fleet.look_up(disposal.machine)
        if machine.custody == machines_pb2.CUSTODY_AVAILABLE:
            world = self.fleet.world
            marketplace = world.service("procurement").stub(machines_pb2_grpc.MachineServiceStub)
            await marketplace.ReserveMachine(
                machines_pb2.ReserveMachineRequest(
                    request_id=request_id(),
                    name=disposal.machine,
                    reference=order,
                    party=self.fleet.lessee.party,
                    expire_time=wire.instant(start_of(world.today() + timedelta(days=30))),
                )
            )

    async def escrow(self, order: str, price_fen: int) -> int:
        """Return an order's escrow account, filled once."""
        world = self.fleet.world
        kind = settlement_pb2.ACCOUNT_KIND_ESCROW
        answer = await money.ledger(world).CreateAccounts(
            settlement_pb2.CreateAccountsRequest(
                accounts=[settlement_pb2.NewAccount(kind=kind, reference=order)]
            )
        )
        account = answer.accounts[0]
        if not fen(account.balance) and price_fen:
            buyer = await world.party("BUYER")
            await money.fund(world, buyer.party, price_fen)
            wallet = await money.wallet_of(world, buyer.party)
            await money.transfer(
                world,
                wallet,
                account.number,
                price_fen,
                code=settlement_pb2.TRANSFER_CODE_ESCROW_FUND,
            )
        return account.number

    async def read(self, disposal: disposals_pb2.Disposal) -> disposals_pb2.Disposal:
        """Return a disposal as it stands."""
        return await disposals(self.fleet.lessor).GetDisposal(
            disposals_pb2.GetDisposalRequest(name=disposal.name)
        )

    async def held(self, **which: Any) -> int:
        """Return what accounts hold, in fen."""
        found = await money.ledger(self.fleet.world).ListAccounts(
            settlement_pb2.ListAccountsRequest(**which)
        )
        return sum(fen(account.balance) for account in found.accounts)

    async def funders(self, *payoffs: finance_pb2.Payoff) -> list[int]:
        """Return what the funders of draws have, in fen."""
        wallet = settlement_pb2.ACCOUNT_KIND_WALLET
        return [await self.held(owner=payoff.funder, kind=wallet) for payoff in payoffs]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def parts(world: World) -> AsyncIterator[tuple[World, Lenders, Valuer]]:
    """Return the module's world, whose lenders and values are those of the worked examples."""
    await world.start(SETTLEMENT, MARKETPLACE, MAINTENANCE, LEASING)
    lenders, finance = await open_lenders(world)
    valuer, valuation = await open_valuer(world)
    yield world, lenders, valuer
    for server in (finance, valuation):
        await server.stop(0)


@pytest_asyncio.fixture(loop_scope="session")
async def sale(parts: tuple[World, Lenders, Valuer]) -> Sale:
    """Return a new fleet in the module's world, nothing lent on its machines."""
    world, lenders, valuer = parts
    lenders.payoffs.clear()
    return Sale(await Fleet.open(world), lenders, valuer)


async def lend_we_17(sale: Sale) -> tuple[finance_pb2.Payoff, finance_pb2.Payoff]:
    """Put the draws of WE-17 on the machines: a senior and, listed before it, a junior."""
    world = sale.fleet.world
    junior = await sale.lenders.lend(world, principal_fen=6_000_000, priority=2)
    senior = await sale.lenders.lend(
        world, interest_fen=316_667, principal_fen=38_000_000, penalty_fen=190_000
    )
    return senior, junior


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


async def test_a_machine_has_one_open_disposal(sale: Sale) -> None:
    lease = await sale.repossessed()
    disposal = await sale.open(lease)
    with refused("DISPOSAL_OPEN"):
        await sale.open(lease)
    stranger = await sale.fleet.world.party("LESSOR", "LESSEE", "FUNDER")
    with refused("NOT_FOUND"):
        await disposals(stranger).GetDisposal(disposals_pb2.GetDisposalRequest(name=disposal.name))
    assert not (
        await disposals(stranger).ListDisposals(disposals_pb2.ListDisposalsRequest())
    ).disposals
    cancel = disposals_pb2.CancelDisposalRequest(request_id=request_id(), name=disposal.name)
    with refused("NOT_FOUND"):
        await disposals(stranger).CancelDisposal(cancel)
    cancelled = await disposals(sale.fleet.lessor).CancelDisposal(cancel)
    assert cancelled.state == disposals_pb2.DISPOSAL_STATE_CANCELLED
    with refused("TRANSITION_REFUSED"):
        await sale.settle(disposal, 50_000_000)
    again = await sale.open(lease)
    listed = await disposals(sale.fleet.lessee).ListDisposals(
        disposals_pb2.ListDisposalsRequest(lease=lease.name)
    )
    assert [each.name for each in listed.disposals] == [again.name, disposal.name]


async def test_the_price_of_another_machine_settles_nothing(sale: Sale) -> None:
    disposal = await sale.open(await sale.repossessed())
    await sale.hold(disposal, name("orders", uuid4()))
    # An order whose listing names this disposal, and whose machine is another one.
    with refused("MACHINE_NOT_SOLD"):
        await sale.settle(disposal, 100)
    assert (await sale.read(disposal)).state == disposals_pb2.DISPOSAL_STATE_OPEN
    event = marketplace_events_pb2.AuctionClosed(
        auction=name("auctions", new_id()),
        disposal=disposal.name,
        machine=name("machines", new_id()),
    )
    database = sale.fleet.world.running["leasing"].runtime.database
    enter(service_principal("leasing"), "events")
    await database.run(lambda tx: consumers.note_auction(tx, event))
    assert (await sale.read(disposal)).unsold_count == 0


async def test_an_empty_escrow_moves_nothing(sale: Sale) -> None:
    lease = await sale.repossessed()
    disposal = await sale.open(lease)
    order = name("orders", uuid4())
    escrow = await sale.escrow(order, 0)
    await sale.hold(disposal, order)
    request = disposals_pb2.SettleDisposalRequest(
        request_id=request_id(),
        disposal=disposal.name,
        order=order,
        escrow_account=f"accounts/{escrow}",
        price=wire.money(50_000_000),
    )
    with refused("INSUFFICIENT_FUNDS"):
        await disposals(sale.fleet.world.service("procurement")).SettleDisposal(request)
    # The order's next attempt, once the money is there, is a call of its own.
    settled = await sale.settle(disposal, 50_000_000, order=order)
    assert settled.order == order


@pytest.mark.parametrize("stopped", ["settlement", "leasing"])
async def test_a_settlement_goes_on_after_a_restart(sale: Sale, stopped: str) -> None:
    fleet = sale.fleet
    senior, _ = await lend_we_17(sale)
    disposal = await sale.open(await sale.repossessed())
    order = name("orders", uuid4())
    escrow = await sale.escrow(order, 50_000_000)
    await sale.hold(disposal, order)
    request = disposals_pb2.SettleDisposalRequest(
        request_id=request_id(),
        disposal=disposal.name,
        order=order,
        escrow_account=f"accounts/{escrow}",
        price=wire.money(50_000_000),
    )
    stub = disposals(fleet.world.service("procurement"))
    await fleet.world.stop("settlement")
    call = asyncio.ensure_future(stub.SettleDisposal(request))
    await until_step(fleet, "lease_disposal_settlement", 1)
    if stopped == "leasing":
        await fleet.world.stop("leasing")
        with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
            await call
        await start_again(fleet.world, LEASING, SETTLEMENT)
    else:
        await start_again(fleet.world, SETTLEMENT)
        await call
    settled = await stub.SettleDisposal(request)
    assert settled.state == disposals_pb2.DISPOSAL_STATE_SETTLED
    assert await sale.funders(senior) == [38_506_667]
    assert await fleet.balance(fleet.lessee) == 1_443_333


async def test_a_settlement_killed_after_the_money_moved_is_finished(sale: Sale) -> None:
    fleet = sale.fleet
    senior, junior = await lend_we_17(sale)
    lease = await sale.repossessed()
    disposal = await sale.open(lease)
    sale.lenders.is_away = True
    order = name("orders", uuid4())
    call = asyncio.ensure_future(sale.settle(disposal, 50_000_000, order=order))
    await until_step(fleet, "lease_disposal_settlement", 2)
    with refused("LEASE_BUSY"):
        await ends.close(fleet, lease)
    await fleet.world.stop("leasing")
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        await call
    sale.lenders.is_away = False
    await start_again(fleet.world, LEASING)
    settled = await sale.settle(disposal, 50_000_000, order=order)
    assert settled.state == disposals_pb2.DISPOSAL_STATE_SETTLED
    assert await sale.funders(senior, junior) == [38_506_667, 6_000_000]
    assert await fleet.balance(fleet.lessee) == 1_443_333
    assert await money.is_balanced(fleet.world)


async def test_a_carrier_that_does_not_exist_is_not_paid(sale: Sale) -> None:
    lease = await sale.repossessed()
    with refused("NOT_FOUND"):
        await disposals(sale.fleet.lessor).OpenDisposal(
            disposals_pb2.OpenDisposalRequest(
                request_id=request_id(), lease=lease.name, carrier=name("parties", new_id())
            )
        )
