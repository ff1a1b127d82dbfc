"""A lease from its signatures to its first day, against the real marketplace and settlement."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from ironloop.leasing.v1 import endings_pb2, programmes_pb2
from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc

from services.kit import wire
from tests.integration.leasing.fleet import (
    DEPOSIT_FEN,
    FEE_FEN,
    PRICE_FEN,
    RESIDUAL_FEN,
    Fleet,
    fen,
    leases,
    programme_terms,
    programmes,
    request_id,
)
from tests.support.refusals import refused


async def test_a_wrong_hash_is_not_signed(fleet: Fleet) -> None:
    lease = await fleet.quote()
    await fleet.apply(lease)
    await fleet.approve(lease)
    with refused("TERMS_CHANGED") as refusal:
        await leases(fleet.lessee).SignLease(
            pb.SignLeaseRequest(request_id=request_id(), name=lease.name, terms_sha256="0" * 64)
        )
    assert refusal.metadata["terms_sha256"] == lease.terms_sha256


async def test_the_second_signature_makes_it_signed(fleet: Fleet) -> None:
    lease = await fleet.quote()
    await fleet.apply(lease)
    approved = await fleet.approve(lease)
    assert approved.state == pb.LEASE_STATE_APPROVED
    once = await fleet.sign(lease, fleet.lessee)
    assert once.state == pb.LEASE_STATE_APPROVED
    with refused("ALREADY_SIGNED"):
        await fleet.sign(lease, fleet.lessee)
    twice = await fleet.sign(lease, fleet.lessor)
    assert twice.state == pb.LEASE_STATE_SIGNED
    assert [signature.signer for signature in twice.signatures] == [
        fleet.lessee.subject,
        fleet.lessor.subject,
    ]
    (signed,) = await fleet.events(lease.name)
    assert signed.terms_sha256 == lease.terms_sha256


async def test_activation_needs_delivery_registry_number_and_money(fleet: Fleet) -> None:
    lease = await fleet.signed()
    with refused("DELIVERY_NOT_ACCEPTED"):
        await fleet.activate(lease)
    await fleet.accept(lease)
    with refused("DELIVERY_ACCEPTED"):
        await fleet.accept(lease)
    with refused("REGISTRY_NUMBER_MISSING"):
        await fleet.activate(lease, registry_no="")
    await fleet.fund(fleet.lessee, DEPOSIT_FEN + FEE_FEN - 1)
    with refused("INSUFFICIENT_FUNDS"):
        await fleet.activate(lease)
    still = await fleet.read(lease)
    assert still.state == pb.LEASE_STATE_SIGNED
    assert await fleet.balance(fleet.lessee) == DEPOSIT_FEN + FEE_FEN - 1
    await fleet.fund(fleet.lessee, 1)
    assert (await fleet.activate(lease)).state == pb.LEASE_STATE_ACTIVE


async def test_an_active_lease_holds_machine_deposit_and_schedule(fleet: Fleet) -> None:
    lease = await fleet.active()
    assert lease.registry_no == "ZD-2026-1"
    assert lease.standing == pb.LEASE_STANDING_CURRENT
    assert fen(lease.outstanding_principal) == PRICE_FEN
    assert fen(lease.deposit_held) == DEPOSIT_FEN == await fleet.deposit(lease)
    assert await fleet.balance(fleet.lessor) == FEE_FEN
    assert await fleet.balance(fleet.lessee) == 0
    machine = await fleet.look_up(lease.terms.machine)
    assert machine.custody == machines_pb2.CUSTODY_ON_LEASE
    assert machine.custodian == fleet.lessee.party
    assert machine.title_holder == fleet.lessor.party
    schedule = await fleet.schedule(lease)
    assert schedule.revision == 1
    assert [fen(item.interest) for item in schedule.instalments[:2]] == [500_000, 490_467]
    assert fen(schedule.instalments[35].balance) == RESIDUAL_FEN
    assert {item.owner for item in schedule.instalments} == {fleet.lessor.party}
    assert {item.state for item in schedule.instalments} == {pb.INSTALMENT_STATE_SCHEDULED}
    for item in schedule.instalments:
        due, payable = (
            wire.to_date(item.due_date, field=""),
            wire.to_date(item.payable_date, field=""),
        )
        assert due <= payable <= due + timedelta(9)
        assert payable.weekday() < 5 or payable.year in (2025, 2026)
    _signed, activated = await fleet.events(lease.name)
    assert len(activated.schedule) == 36
    assert fen(activated.financed_amount) == PRICE_FEN
    assert (await fleet.read(lease)).event_sequence == 2


async def test_a_lease_in_advance_is_payable_on_its_first_day(fleet: Fleet) -> None:
    made = await programmes(fleet.lessor).CreateLeaseProgramme(
        programmes_pb2.CreateLeaseProgrammeRequest(
            request_id=request_id(),
            terms=programme_terms(payment_timing=programmes_pb2.PAYMENT_TIMING_ADVANCE),
        )
    )
    lease = await fleet.active(programme=made.name)
    assert fen(lease.figures.payment) == 2_394_672
    first = await fleet.instalment(lease, 1)
    assert first.due_date == lease.start_date
    await fleet.until_payable(lease, 1)
    await fleet.world.until_at_rest()
    await fleet.fund(fleet.lessee, 2_394_672)
    (paid,) = (await fleet.pay(lease)).instalments
    assert (fen(paid.paid_interest), fen(paid.paid_principal)) == (0, 2_394_672)
    assert fen((await fleet.instalment(lease, 2)).interest) == 488_027
    assert fen((await fleet.read(lease)).outstanding_principal) == 97_605_328


@pytest.mark.parametrize(
    "statement",
    [
        "update instalment set paid_interest_fen = interest_fen + 1",
        "update instalment set paid_principal_fen = -1",
        "update instalment set owner = 'parties/other'",
        "update lease set machine = (select machine from lease where state = 'SIGNED' limit 1)"
        " where state = 'ACTIVE'",
        "update lease set registry_no = '' where state = 'ACTIVE'",
        "update lease set state = 'BUYOUT_QUOTED' where state = 'ACTIVE'",
    ],
)
async def test_the_database_carries_the_rules_too(fleet: Fleet, statement: str) -> None:
    await fleet.active()
    await fleet.signed()
    connection = await asyncpg.connect(fleet.world.dsn("leasing"))
    try:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_machine_is_in_one_live_lease(fleet: Fleet) -> None:
    machine = await fleet.machine()
    first, second = await fleet.quote(machine), await fleet.quote(machine)
    await fleet.apply(first)
    await fleet.apply(second)
    await fleet.approve(first)
    with refused("MACHINE_LEASED"):
        await fleet.approve(second)
    assert (await fleet.read(second)).state == pb.LEASE_STATE_APPLIED


async def test_of_two_approvals_at_once_one_wins(fleet: Fleet) -> None:
    machine = await fleet.machine()
    quoted = [await fleet.quote(machine), await fleet.quote(machine)]
    for lease in quoted:
        await fleet.apply(lease)
    outcomes = await asyncio.gather(
        *(fleet.approve(lease) for lease in quoted), return_exceptions=True
    )
    assert sorted(isinstance(outcome, pb.Lease) for outcome in outcomes) == [False, True]
    states = [(await fleet.read(lease)).state for lease in quoted]
    assert sorted(states) == [pb.LEASE_STATE_APPLIED, pb.LEASE_STATE_APPROVED]
    winner = quoted[states.index(pb.LEASE_STATE_APPROVED)]
    assert (await fleet.look_up(machine)).reservation.reference == winner.name


async def test_approval_needs_the_title(fleet: Fleet) -> None:
    lease = await fleet.quote()
    await fleet.apply(lease)
    buyer = await fleet.world.party("BUYER")
    marketplace = fleet.world.service("procurement").stub(machines_pb2_grpc.MachineServiceStub)
    await marketplace.TransferTitle(
        machines_pb2.TransferTitleRequest(
            request_id=request_id(),
            name=lease.terms.machine,
            from_party=fleet.lessor.party,
            to_party=buyer.party,
            reference="orders/1",
        )
    )
    with refused("LESSOR_LACKS_TITLE"):
        await fleet.approve(lease)
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_APPLIED


async def test_a_cancelled_lease_releases_its_machine(fleet: Fleet) -> None:
    lease = await fleet.signed()
    reserved = await fleet.look_up(lease.terms.machine)
    assert reserved.reservation.reference == lease.name
    cancelled = await leases(fleet.lessee).CancelLease(
        pb.CancelLeaseRequest(request_id=request_id(), name=lease.name, reason="no site")
    )
    assert (cancelled.state, cancelled.reason) == (pb.LEASE_STATE_CANCELLED, "no site")
    machine = await fleet.look_up(lease.terms.machine)
    assert machine.custody == machines_pb2.CUSTODY_AVAILABLE
    with refused("TRANSITION_REFUSED"):
        await fleet.accept(lease)


async def test_an_application_may_be_declined(fleet: Fleet) -> None:
    lease = await fleet.apply(await fleet.quote())
    declined = await leases(fleet.lessor).DeclineLease(
        pb.DeclineLeaseRequest(
            request_id=request_id(), name=lease.name, etag=lease.etag, reason="credit"
        )
    )
    assert declined.state == pb.LEASE_STATE_DECLINED
    with refused("TRANSITION_REFUSED"):
        await fleet.approve(lease)


async def test_an_old_etag_is_refused(fleet: Fleet) -> None:
    quoted = await fleet.quote()
    await fleet.apply(quoted)
    with refused("ETAG_MISMATCH"):
        await leases(fleet.lessor).ApproveLease(
            pb.ApproveLeaseRequest(request_id=request_id(), name=quoted.name, etag=quoted.etag)
        )


async def test_each_side_does_its_own(fleet: Fleet) -> None:
    lease = await fleet.quote()
    with refused("PERMISSION_DENIED"):
        await leases(fleet.lessor).ApplyForLease(
            pb.ApplyForLeaseRequest(request_id=request_id(), name=lease.name)
        )


async def test_a_stranger_finds_nothing(fleet: Fleet) -> None:
    lease = await fleet.active()
    stranger = await fleet.world.party("LESSEE", "LESSOR", "FUNDER")
    stub = leases(stranger)
    write: dict[str, Any] = {"request_id": request_id(), "name": lease.name}
    calls: list[tuple[Any, Any]] = [
        (stub.GetLease, pb.GetLeaseRequest(name=lease.name)),
        (stub.GetSchedule, pb.GetScheduleRequest(name=lease.name)),
        (stub.GetUsage, pb.GetUsageRequest(name=lease.name)),
        (stub.ApplyForLease, pb.ApplyForLeaseRequest(**write)),
        (stub.ApproveLease, pb.ApproveLeaseRequest(**write)),
        (stub.CancelLease, pb.CancelLeaseRequest(**write, reason="x")),
        (stub.PayInstalment, pb.PayInstalmentRequest(**write)),
        (stub.QuoteBuyout, pb.QuoteBuyoutRequest(**write)),
        (stub.BuyOutLease, pb.BuyOutLeaseRequest(**write)),
        (stub.ReturnLease, pb.ReturnLeaseRequest(**write)),
        (stub.RestructureLease, pb.LeaseCommandRequest(**write)),
        (stub.DeclareDefault, endings_pb2.DeclareDefaultRequest(**write)),
    ]
    for call, request in calls:
        with refused("NOT_FOUND"):
            await call(request)
    assert not (await stub.ListLeases(pb.ListLeasesRequest())).leases
    assert not (await stub.ListInstalments(pb.ListInstalmentsRequest())).instalments


@pytest.mark.parametrize(
    ("command", "reason"),
    [("RestructureLease", "RESTRUCTURING_REFUSED"), ("ResetRate", "RATE_RESET_REFUSED")],
)
async def test_what_is_never_done_is_refused(fleet: Fleet, command: str, reason: str) -> None:
    lease = await fleet.quote()
    with refused(reason):
        await getattr(leases(fleet.lessor), command)(
            pb.LeaseCommandRequest(request_id=request_id(), name=lease.name)
        )


async def test_leases_are_listed_by_page(fleet: Fleet) -> None:
    quoted = [(await fleet.quote()).name for _ in range(3)]
    listed: list[str] = []
    token = ""
    while True:
        page = await leases(fleet.lessee).ListLeases(
            pb.ListLeasesRequest(page_size=2, page_token=token, state=pb.LEASE_STATE_QUOTED)
        )
        listed += [lease.name for lease in page.leases]
        token = page.next_page_token
        if not token:
            break
    assert listed == quoted[::-1]


async def test_what_is_not_activated_in_time_expires(fleet: Fleet) -> None:
    quoted, signed = await fleet.quote(), await fleet.signed()
    await fleet.world.advance_days(31)
    assert (await fleet.read(quoted)).state == pb.LEASE_STATE_EXPIRED
    assert (await fleet.read(signed)).state == pb.LEASE_STATE_SIGNED
    await fleet.world.advance_days(30)
    assert (await fleet.read(signed)).state == pb.LEASE_STATE_EXPIRED
    machine = await fleet.look_up(signed.terms.machine)
    assert machine.custody == machines_pb2.CUSTODY_AVAILABLE
