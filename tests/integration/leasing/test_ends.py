"""How a lease ends: early buyout, purchase, extension, return; title and custody move with it."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc

from services.kit import wire
from tests.integration.leasing.fleet import (
    DEPOSIT_FEN,
    PRICE_FEN,
    RESIDUAL_FEN,
    Fleet,
    fen,
    leases,
    request_id,
)
from tests.support.refusals import refused

RENT_FEN = 2_406_645


def day(value: Any) -> date:
    return wire.to_date(value, field="date")


async def quote_buyout(fleet: Fleet, lease: pb.Lease, *, as_of: date | None = None) -> pb.Lease:
    return await leases(fleet.lessee).QuoteBuyout(
        pb.QuoteBuyoutRequest(
            request_id=request_id(),
            name=lease.name,
            as_of_date=wire.date(as_of) if as_of else None,
        )
    )


async def buy_out(fleet: Fleet, lease: pb.Lease) -> pb.Lease:
    return await leases(fleet.lessee).BuyOutLease(
        pb.BuyOutLeaseRequest(request_id=request_id(), name=lease.name)
    )


async def short_lease(fleet: Fleet, **changes: Any) -> pb.Lease:
    """Return an active lease of two months that is paid up and has matured."""
    lease = await fleet.active(term_months=2, **changes)
    for number in (1, 2):
        await fleet.until_payable(lease, number)
        instalment = await fleet.instalment(lease, number)
        await fleet.fund(fleet.lessee, fen(instalment.interest) + fen(instalment.principal))
        await fleet.pay(lease)
    await fleet.world.advance_days(4)  # over the weekend that may stand before the maturity
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_MATURED
    return lease


async def test_a_buyout_costs_principal_interest_to_the_day_and_fee(fleet: Fleet) -> None:
    lease = await fleet.active()
    await fleet.until_payable(lease, 1)
    await fleet.fund(fleet.lessee, RENT_FEN)
    await fleet.pay(lease)
    ten_days_on = day((await fleet.instalment(lease, 1)).due_date) + timedelta(days=10)
    quoted = await quote_buyout(fleet, lease, as_of=ten_days_on)
    quote = quoted.buyout_quote
    assert quoted.state == pb.LEASE_STATE_BUYOUT_QUOTED
    assert fen(quote.due_amount) == 0
    assert fen(quote.principal) == 98_093_355
    assert fen(quote.accrued_interest) == 161_249
    assert fen(quote.fee) == 980_934
    assert fen(quote.total) == 98_093_355 + 161_249 + 980_934
    assert fen(quote.deposit_refund) == DEPOSIT_FEN

    total_fen = fen(quote.total)
    await fleet.fund(fleet.lessee, total_fen - DEPOSIT_FEN - 1)
    with refused("INSUFFICIENT_FUNDS"):
        await buy_out(fleet, lease)
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_BUYOUT_QUOTED
    assert await fleet.deposit(lease) == DEPOSIT_FEN
    await fleet.fund(fleet.lessee, 1)
    lessor_had = await fleet.balance(fleet.lessor)
    bought = await buy_out(fleet, lease)
    assert bought.state == pb.LEASE_STATE_BOUGHT_OUT
    assert (fen(bought.outstanding_principal), fen(bought.deposit_held)) == (0, 0)
    assert await fleet.balance(fleet.lessee) == 0
    assert await fleet.balance(fleet.lessor) == lessor_had + total_fen
    assert await fleet.deposit(lease) == 0
    machine = await fleet.look_up(lease.terms.machine)
    assert machine.title_holder == machine.custodian == fleet.lessee.party
    assert machine.custody == machines_pb2.CUSTODY_AVAILABLE
    schedule = await fleet.schedule(lease)
    assert {item.state for item in schedule.instalments[1:]} == {pb.INSTALMENT_STATE_PAID_OFF}
    last = (await fleet.events(lease.name))[-1]
    assert fen(last.total) == total_fen
    assert list(last.shares[0].numbers) == list(range(2, 37))
    with refused("TRANSITION_REFUSED"):
        await fleet.pay(lease)


async def test_a_buyout_of_a_factored_lease_pays_each_owner(fleet: Fleet) -> None:
    lease = await fleet.active()
    funder = await fleet.world.party("FUNDER")
    await fleet.assign(lease, funder.party, 1, 36, reference="factorings/1")
    await fleet.until_payable(lease, 1)
    await fleet.world.advance_days(1)
    quoted = await quote_buyout(fleet, lease)
    total_fen = fen(quoted.buyout_quote.total)
    overdue = await fleet.instalment(lease, 1)
    assert fen(quoted.buyout_quote.due_amount) == RENT_FEN + fen(overdue.penalty)
    await fleet.fund(fleet.lessee, total_fen - DEPOSIT_FEN)
    lessor_had = await fleet.balance(fleet.lessor)
    await buy_out(fleet, lease)
    coming_fen = PRICE_FEN - 1_906_645 - RESIDUAL_FEN
    funders_fen = RENT_FEN + fen(overdue.penalty) + coming_fen
    assert await fleet.balance(funder) == funders_fen
    assert await fleet.balance(fleet.lessor) == lessor_had + total_fen - funders_fen
    assert (await fleet.instalment(lease, 1)).state == pb.INSTALMENT_STATE_PAID
    last = (await fleet.events(lease.name))[-1]
    assert {share.owner for share in last.shares} == {funder.party, fleet.lessor.party}
    assert sum(fen(share.amount) for share in last.shares) == total_fen


async def test_a_buyout_quote_lapses_at_the_end_of_its_day(fleet: Fleet) -> None:
    lease = await fleet.active()
    await quote_buyout(fleet, lease)
    await fleet.world.advance_days(1)
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_ACTIVE
    with refused("TRANSITION_REFUSED"):
        await buy_out(fleet, lease)
    next_day = day((await fleet.instalment(lease, 1)).payable_date)
    for as_of in (fleet.world.today() - timedelta(1), next_day + timedelta(1)):
        with refused("INVALID_FIELD"):
            await quote_buyout(fleet, lease, as_of=as_of)


async def test_a_payment_lets_a_buyout_quote_lapse(fleet: Fleet) -> None:
    lease = await fleet.active()
    await fleet.until_payable(lease, 1)
    await quote_buyout(fleet, lease)
    await fleet.fund(fleet.lessee, RENT_FEN)
    await fleet.pay(lease)
    now = await fleet.read(lease)
    assert now.state == pb.LEASE_STATE_ACTIVE
    assert not now.HasField("buyout_quote")


async def test_a_lien_that_no_payoff_frees_stops_a_buyout(fleet: Fleet) -> None:
    lease = await fleet.active()
    holder = await fleet.world.party("FUNDER")
    registry = fleet.world.service("finance").stub(machines_pb2_grpc.MachineServiceStub)
    await registry.RegisterLien(
        machines_pb2.RegisterLienRequest(
            request_id=request_id(),
            machine=lease.terms.machine,
            holder=holder.party,
            reference="draws/1",
            registry_no="ZD-1",
            secured_amount=wire.money(100),
        )
    )
    quoted = await quote_buyout(fleet, lease)
    await fleet.fund(fleet.lessee, fen(quoted.buyout_quote.total))
    with refused("LIENS_ACTIVE"):
        await buy_out(fleet, lease)
    assert await fleet.balance(fleet.lessee) == fen(quoted.buyout_quote.total)
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_BUYOUT_QUOTED


async def test_a_matured_lease_is_purchased_for_the_residual(fleet: Fleet) -> None:
    lease = await short_lease(fleet)
    stub = leases(fleet.lessee)
    with refused("INSUFFICIENT_FUNDS"):
        await stub.PurchaseLease(pb.PurchaseLeaseRequest(request_id=request_id(), name=lease.name))
    await fleet.fund(fleet.lessee, RESIDUAL_FEN - DEPOSIT_FEN)
    bought = await stub.PurchaseLease(
        pb.PurchaseLeaseRequest(request_id=request_id(), name=lease.name)
    )
    assert bought.state == pb.LEASE_STATE_PURCHASED
    assert await fleet.balance(fleet.lessee) == 0
    assert (await fleet.look_up(lease.terms.machine)).title_holder == fleet.lessee.party
    assert type((await fleet.events(lease.name))[-1]).__name__ == "LeasePurchased"


async def test_an_unpaid_lease_matures_and_cannot_be_purchased(fleet: Fleet) -> None:
    lease = await fleet.active(term_months=1)
    await fleet.until_payable(lease, 1)
    await fleet.world.advance_days(4)
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_MATURED
    purchase = pb.PurchaseLeaseRequest(request_id=request_id(), name=lease.name)
    with refused("INSTALMENT_UNPAID"):
        await leases(fleet.lessee).PurchaseLease(purchase)
    owed = await fleet.instalment(lease, 1)
    owed_fen = fen(owed.interest) + fen(owed.principal) + fen(owed.penalty)
    await fleet.fund(fleet.lessee, owed_fen + RESIDUAL_FEN)
    await fleet.pay(lease)
    purchase.request_id = request_id()
    bought = await leases(fleet.lessee).PurchaseLease(purchase)
    assert bought.state == pb.LEASE_STATE_PURCHASED


async def test_an_extension_runs_within_the_signed_terms(fleet: Fleet) -> None:
    lease = await short_lease(fleet)
    stub = leases(fleet.lessee)
    with refused("INVALID_FIELD"):
        await stub.ExtendLease(
            pb.ExtendLeaseRequest(request_id=request_id(), name=lease.name, months=7)
        )
    schedule = await stub.ExtendLease(
        pb.ExtendLeaseRequest(request_id=request_id(), name=lease.name, months=2)
    )
    added = schedule.instalments[2:]
    assert [item.number for item in added] == [3, 4]
    assert fen(added[0].interest) == 125_000  # a month at 0.5 % on the residual
    assert sum(fen(item.principal) for item in added) == RESIDUAL_FEN // 2
    extended = await fleet.read(lease)
    assert extended.state == pb.LEASE_STATE_EXTENDED
    assert fen(extended.residual) == RESIDUAL_FEN // 2
    assert fen(extended.outstanding_principal) == RESIDUAL_FEN
    assert day(extended.maturity_date) > day(lease.maturity_date)
    await fleet.until_payable(lease, 4)
    await fleet.fund(fleet.lessee, RESIDUAL_FEN)
    await fleet.pay(lease)
    await fleet.world.advance_days(4)
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_MATURED


async def test_a_machine_comes_back(fleet: Fleet) -> None:
    lease = await short_lease(fleet)
    await leases(fleet.lessee).ReturnLease(
        pb.ReturnLeaseRequest(request_id=request_id(), name=lease.name)
    )
    machine = await fleet.look_up(lease.terms.machine)
    assert machine.custody == machines_pb2.CUSTODY_IN_TRANSIT
    returned = await confirm_return(fleet, lease)
    assert returned.state == pb.LEASE_STATE_RETURNED
    assert fen(returned.deposit_held) == DEPOSIT_FEN
    machine = await fleet.look_up(lease.terms.machine)
    assert machine.custody == machines_pb2.CUSTODY_AVAILABLE
    assert machine.custodian == fleet.lessor.party
    last = (await fleet.events(lease.name))[-1]
    assert last.condition == "worn bucket teeth"
    assert Decimal(last.hours_meter.value) == 300
    # Another lease of the machine has to wait for the inspection.
    again = await fleet.quote(lease.terms.machine)
    await fleet.apply(again)
    with refused("MACHINE_LEASED"):
        await fleet.approve(again)


async def test_without_an_election_the_return_is_due(fleet: Fleet) -> None:
    lease = await short_lease(fleet)
    await fleet.world.advance_days(16)
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_RETURN_PENDING
    returned = await confirm_return(fleet, lease)
    assert returned.state == pb.LEASE_STATE_RETURNED


async def confirm_return(fleet: Fleet, lease: pb.Lease) -> pb.Lease:
    return await leases(fleet.lessor).ConfirmReturn(
        pb.ConfirmReturnRequest(
            request_id=request_id(),
            name=lease.name,
            hours_meter=wire.decimal(Decimal(300)),
            condition="worn bucket teeth",
        )
    )
