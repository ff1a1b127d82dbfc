"""Arrears, notice, default, cure and repossession."""

from datetime import timedelta

from ironloop.leasing.v1 import claims_pb2, endings_pb2
from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc

from services.kit import wire
from tests.integration.leasing import ends
from tests.integration.leasing.fleet import Fleet, fen, leases, request_id
from tests.support.refusals import refused


async def test_arrears_pass_through_their_buckets(fleet: Fleet) -> None:
    lease = await fleet.active()
    assert (await fleet.read(lease)).arrears_bucket == endings_pb2.ARREARS_BUCKET_NONE
    await fleet.until_payable(lease, 1)
    payable_on = fleet.world.today()
    seen = []
    for days in (1, 31, 61, 91):
        await fleet.world.advance_to(payable_on + timedelta(days=days))
        late = await fleet.read(lease)
        assert wire.to_date(late.overdue_since_date, field="") == payable_on
        assert (await fleet.instalment(lease, 1)).bucket == late.arrears_bucket
        seen.append(late.arrears_bucket)
    assert seen == [
        endings_pb2.ARREARS_BUCKET_DAYS_1_TO_30,
        endings_pb2.ARREARS_BUCKET_DAYS_31_TO_60,
        endings_pb2.ARREARS_BUCKET_DAYS_61_TO_90,
        endings_pb2.ARREARS_BUCKET_OVER_90_DAYS,
    ]
    told = [
        event.bucket
        for event in await fleet.events(lease.name)
        if type(event).__name__ == "InstalmentOverdue" and event.number == 1
    ]
    assert told == seen
    # More than 90 days need no notice.
    defaulted = await ends.declare(fleet, lease)
    assert defaulted.state == pb.LEASE_STATE_DEFAULTED
    last = (await fleet.events(lease.name))[-1]
    assert last.cause == endings_pb2.DEFAULT_CAUSE_OVER_90_DAYS
    assert last.days_past_due == 91


async def test_two_missed_make_a_default_ten_days_after_notice(fleet: Fleet) -> None:
    lease = await fleet.active()
    with refused("NOTHING_OVERDUE"):
        await ends.notice(fleet, lease)
    await ends.miss(fleet, lease, 2)
    with refused("NOT_IN_DEFAULT"):
        await ends.declare(fleet, lease)
    await ends.notice(fleet, lease)
    await fleet.world.advance_days(9)
    with refused("NOT_IN_DEFAULT"):
        await ends.declare(fleet, lease)
    await fleet.world.advance_days(1)
    with refused("PERMISSION_DENIED"):
        await leases(fleet.lessee).DeclareDefault(
            endings_pb2.DeclareDefaultRequest(request_id=request_id(), name=lease.name)
        )
    defaulted = await ends.declare(fleet, lease)
    assert defaulted.state == pb.LEASE_STATE_DEFAULTED
    assert defaulted.standing == pb.LEASE_STANDING_ARREARS


async def test_what_is_paid_ends_the_notice(fleet: Fleet) -> None:
    lease = await fleet.active()
    await ends.miss(fleet, lease, 2)
    assert (await ends.notice(fleet, lease)).HasField("default_notice_date")
    await fleet.fund(fleet.lessee, 10_000_000)
    await fleet.pay(lease)
    assert not (await fleet.read(lease)).HasField("default_notice_date")


async def test_a_default_is_cured_by_paying_what_is_due(fleet: Fleet) -> None:
    lease = await fleet.active(term_months=4)
    await ends.default(fleet, lease)
    with refused("INSTALMENT_UNPAID"):
        await ends.cure(fleet, lease)
    await fleet.fund(fleet.lessee, 100_000_000)
    await fleet.pay(lease)
    cured = await ends.cure(fleet, lease)
    assert cured.state == pb.LEASE_STATE_ACTIVE
    assert not cured.HasField("default_date")
    # The term ends again, on its own day.
    for number in (3, 4):
        await fleet.until_payable(lease, number)
        await fleet.pay(lease)
    await fleet.world.advance_days(4)
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_MATURED


async def test_a_term_does_not_end_under_a_default(fleet: Fleet) -> None:
    lease = await fleet.active(term_months=3)
    await ends.default(fleet, lease)
    await fleet.world.advance_days(60)
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_DEFAULTED
    await fleet.fund(fleet.lessee, 100_000_000)
    await fleet.pay(lease)
    await ends.cure(fleet, lease)
    await fleet.world.until_at_rest()
    assert (await fleet.read(lease)).state == pb.LEASE_STATE_MATURED


async def test_a_repossessed_machine_is_the_lessors_again(fleet: Fleet) -> None:
    lease = await fleet.active()
    with refused("TRANSITION_REFUSED"):
        await ends.repossess(fleet, lease)
    await ends.default(fleet, lease)
    taken = await ends.repossess(fleet, lease)
    assert taken.state == pb.LEASE_STATE_REPOSSESSED
    machine = await fleet.look_up(lease.terms.machine)
    assert machine.custody == machines_pb2.CUSTODY_AVAILABLE
    assert machine.custodian == fleet.lessor.party
    last = (await fleet.events(lease.name))[-1]
    assert type(last).__name__ == "MachineRepossessed"
    assert fen(last.debt) > 100_000_000
    # Nothing is paid on its instalments any more; the disposal settles them.
    with refused("TRANSITION_REFUSED"):
        await fleet.pay(lease)
    with refused("DISPOSAL_PENDING"):
        await ends.close(fleet, lease)
    await fleet.world.advance_days(40)
    assert (await fleet.events(lease.name))[-1] == last


async def test_a_machine_is_taken_back_out_of_the_workshop(fleet: Fleet) -> None:
    lease = await fleet.active()
    shop = await fleet.world.party("TECHNICIAN")
    marketplace = fleet.world.service("maintenance").stub(machines_pb2_grpc.MachineServiceStub)
    await marketplace.HandOverMachine(
        machines_pb2.HandOverMachineRequest(
            request_id=request_id(),
            name=lease.terms.machine,
            custody=machines_pb2.CUSTODY_IN_SHOP,
            custodian=shop.party,
            reference="workOrders/1",
        )
    )
    await ends.default(fleet, lease)
    await ends.repossess(fleet, lease)
    machine = await fleet.look_up(lease.terms.machine)
    assert machine.custody == machines_pb2.CUSTODY_AVAILABLE
    assert machine.custodian == fleet.lessor.party


async def test_a_written_off_instalment_becomes_a_claim_of_its_owner(fleet: Fleet) -> None:
    lease = await fleet.active()
    funder = await fleet.world.party("FUNDER")
    await fleet.assign(lease, funder.party, 2, 36, reference="factorings/1")
    await ends.miss(fleet, lease, 2)
    with refused("TRANSITION_REFUSED"):
        await ends.write_off(fleet, fleet.lessor, lease, 1)
    await fleet.world.advance_days(91)
    await ends.declare(fleet, lease)
    with refused("PERMISSION_DENIED"):
        await ends.write_off(fleet, fleet.lessor, lease, 1, 2)
    owed = await fleet.instalment(lease, 2)
    owed_fen = sum(fen(part) for part in (owed.penalty, owed.interest, owed.principal))
    (name,) = await ends.write_off(fleet, funder, lease, 2)
    assert (await fleet.instalment(lease, 2)).state == pb.INSTALMENT_STATE_WRITTEN_OFF
    made = await ends.claim(funder, name)
    assert (fen(made.amount), made.creditor) == (owed_fen, funder.party)
    assert made.event_sequence == (await fleet.read(lease)).event_sequence
    # It is paid in parts; nobody pays more, and nobody else pays.
    await fleet.fund(fleet.lessee, owed_fen)
    with refused("AMOUNT_EXCEEDS_DUE"):
        await ends.pay_claim(fleet.lessee, name, owed_fen + 1)
    with refused("PERMISSION_DENIED"):
        await ends.pay_claim(fleet.lessor, name)
    assert (await ends.pay_claim(fleet.lessee, name, 100)).state == claims_pb2.CLAIM_STATE_OPEN
    paid = await ends.pay_claim(fleet.lessee, name)
    assert paid.state == claims_pb2.CLAIM_STATE_PAID
    assert await fleet.balance(funder) == owed_fen
    with refused("TRANSITION_REFUSED"):
        await ends.pay_claim(fleet.lessee, name)
    stranger = await fleet.world.party("LESSOR", "FUNDER")
    with refused("NOT_FOUND"):
        await ends.claim(stranger, name)
    listed = await ends.claims(fleet.lessor).ListClaims(
        claims_pb2.ListClaimsRequest(lease=lease.name)
    )
    assert [each.name for each in listed.claims] == [name]


async def test_a_creditor_gives_a_claim_up(fleet: Fleet) -> None:
    lease = await fleet.active()
    funder = await fleet.world.party("FUNDER")
    await fleet.assign(lease, funder.party, 1, 36, reference="factorings/1")
    await ends.default(fleet, lease)
    (name,) = await ends.write_off(fleet, funder, lease, 1)
    request = claims_pb2.WaiveClaimRequest(request_id=request_id(), name=name, reason="settled")
    with refused("PERMISSION_DENIED"):
        await ends.claims(fleet.lessor).WaiveClaim(request)
    waived = await ends.claims(funder).WaiveClaim(request)
    assert waived.state == claims_pb2.CLAIM_STATE_WAIVED
    assert waived.reason == "settled"
    assert type((await fleet.events(lease.name))[-1]).__name__ == "ClaimWaived"
