"""The inspection of a return and the closing of a lease: hours, damage, deposit, claims."""

from decimal import Decimal

import pytest
from ironloop.leasing.v1 import claims_pb2, endings_pb2
from ironloop.leasing.v1 import leasing_pb2 as pb

from services.kit import wire
from tests.integration.leasing import ends
from tests.integration.leasing.fleet import DEPOSIT_FEN, Fleet, fen, leases, request_id
from tests.support.refusals import refused

EXCESS_FEN = 2_639_250  # WE-19: 310.5 hours at 85.00


async def returned(fleet: Fleet, hours: str, **changes: str) -> pb.Lease:
    """Return a lease of a year whose machine is back, its hours as the lessee read them."""
    lease = await ends.matured(fleet, months=12)
    usage = await leases(fleet.lessee).ReportUsage(
        pb.ReportUsageRequest(
            request_id=request_id(), name=lease.name, hours_meter=wire.decimal(Decimal(hours))
        )
    )
    assert usage.meter_reading_state == pb.USAGE_READING_STATE_ACCEPTED
    return await ends.returned(fleet, lease, hours="90", **changes)


async def test_we_19_excess_hours_are_charged_from_accepted_readings(fleet: Fleet) -> None:
    # The machine had 100.5 hours at delivery; the lessor's own figure of 90 is held back.
    lease = await returned(fleet, "2411")
    before_fen = await fleet.balance(fleet.lessor)
    inspected = await ends.inspect(fleet, lease)
    assert inspected.state == pb.LEASE_STATE_INSPECTED
    found = inspected.inspection
    assert Decimal(found.excess_hours.value) == Decimal("310.5")
    assert fen(found.excess_charge) == EXCESS_FEN
    assert fen(found.deposit_charged) == EXCESS_FEN
    assert fen(found.deposit_refund) == DEPOSIT_FEN - EXCESS_FEN
    assert found.claim == ""
    assert await fleet.deposit(lease) == 0
    assert await fleet.balance(fleet.lessor) == before_fen + EXCESS_FEN
    assert await fleet.balance(fleet.lessee) == DEPOSIT_FEN - EXCESS_FEN
    told = (await fleet.events(lease.name))[-1]
    assert fen(told.excess_charge) == EXCESS_FEN
    assert told.condition == "worn bucket teeth"
    closed = await ends.close(fleet, inspected)
    assert closed.state == pb.LEASE_STATE_CLOSED
    again = await fleet.quote(lease.terms.machine)
    await fleet.apply(again)
    assert (await fleet.approve(again)).state == pb.LEASE_STATE_APPROVED


async def test_readings_that_maintenance_accepts_count_by_their_event(fleet: Fleet) -> None:
    lease = await fleet.active()
    await ends.accept_hours(fleet, lease, "130.5", days_on=2)
    usage = await leases(fleet.lessor).GetUsage(pb.GetUsageRequest(name=lease.name))
    assert Decimal(usage.hours_used.value) == 30
    # Told again, and an earlier one late: neither changes what counts.
    await ends.accept_hours(fleet, lease, "130.5", days_on=2)
    await ends.accept_hours(fleet, lease, "110.5", days_on=1)
    assert usage == await leases(fleet.lessor).GetUsage(pb.GetUsageRequest(name=lease.name))


async def test_what_the_deposit_does_not_cover_is_invoiced(fleet: Fleet) -> None:
    lease = await returned(fleet, "2411")
    inspected = await ends.inspect(fleet, lease, 9_000_000, 500_000)
    found = inspected.inspection
    assert fen(found.damage_charge) == 9_500_000
    assert fen(found.deposit_charged) == DEPOSIT_FEN
    assert fen(found.deposit_refund) == 0
    owed = await ends.claim(fleet.lessee, found.claim)
    assert owed.kind == claims_pb2.CLAIM_KIND_RETURN_CHARGES
    assert fen(owed.amount) == EXCESS_FEN + 9_500_000 - DEPOSIT_FEN
    assert owed.creditor == fleet.lessor.party
    # The lease is closed, the claim lives on.
    closed = await ends.close(fleet, inspected)
    assert closed.state == pb.LEASE_STATE_CLOSED
    assert fen((await fleet.events(lease.name))[-1].claims_open) == fen(owed.amount)
    await fleet.fund(fleet.lessee, fen(owed.amount))
    paid = await ends.pay_claim(fleet.lessee, found.claim)
    assert paid.state == claims_pb2.CLAIM_STATE_PAID


async def test_an_inspection_is_done_once_whoever_repeats_it(fleet: Fleet) -> None:
    lease = await ends.returned(fleet, await ends.matured(fleet))
    request = endings_pb2.InspectReturnRequest(request_id=request_id(), name=lease.name)
    stub = leases(fleet.lessor)
    assert await stub.InspectReturn(request) == await stub.InspectReturn(request)
    with refused("TRANSITION_REFUSED"):
        await ends.inspect(fleet, lease)


async def test_the_lessor_may_name_an_inspector(fleet: Fleet) -> None:
    technician = await fleet.world.party("TECHNICIAN")
    stranger = await fleet.world.party("TECHNICIAN")
    lease = await ends.returned(fleet, await ends.matured(fleet), inspector=technician.party)
    with refused("NOT_FOUND"):
        await ends.inspect(fleet, lease, actor=stranger)
    inspected = await ends.inspect(fleet, lease, 100, actor=technician)
    assert inspected.inspection.inspector == technician.subject
    assert inspected.inspector == technician.party
    seen = await leases(technician).GetLease(pb.GetLeaseRequest(name=lease.name))
    assert seen == inspected
    listed = await leases(technician).ListLeases(pb.ListLeasesRequest())
    assert [each.name for each in listed.leases] == [lease.name]
    assert not listed.leases[0].HasField("inspection")


@pytest.mark.parametrize(
    "line",
    [
        endings_pb2.DamageLine(part="boom", description="bent", evidence=[ends.PHOTO]),
        endings_pb2.DamageLine(part="boom", description="bent", charge=wire.money(100)),
        endings_pb2.DamageLine(
            part="teeth", description="worn", fair_wear=True, charge=wire.money(100)
        ),
    ],
)
async def test_a_finding_that_cannot_be_charged_is_refused(
    fleet: Fleet, line: endings_pb2.DamageLine
) -> None:
    lease = await ends.returned(fleet, await ends.matured(fleet))
    with refused("INVALID_FIELD"):
        await leases(fleet.lessor).InspectReturn(
            endings_pb2.InspectReturnRequest(request_id=request_id(), name=lease.name, lines=[line])
        )


async def test_the_deposit_stays_for_what_is_owed_and_pays_what_is_written_off(
    fleet: Fleet,
) -> None:
    lease = await ends.returned(fleet, await ends.matured(fleet, residual=wire.money(30_000_000)))
    assert lease.state == pb.LEASE_STATE_RETURNED
    unpaid = await ends.matured(
        fleet,
        paid=False,
        financed_amount=wire.money(5_000_000),
        residual=wire.money(1_000_000),
        guaranteed_residual=wire.money(0),
    )
    await ends.returned(fleet, unpaid)
    inspected = await ends.inspect(fleet, unpaid)
    held_fen = fen(inspected.deposit_held)
    assert 0 < held_fen <= fen(unpaid.terms.deposit)
    assert fen(inspected.inspection.deposit_refund) == fen(unpaid.terms.deposit) - held_fen
    with refused("INSTALMENT_UNPAID"):
        await ends.close(fleet, unpaid)
    first, second = await ends.write_off(fleet, fleet.lessor, unpaid, 1, 2)
    closed = await ends.close(fleet, unpaid)
    assert fen(closed.deposit_held) == 0
    assert await fleet.deposit(unpaid) == 0
    paid_fen = fen((await ends.claim(fleet.lessor, first)).paid)
    paid_fen += fen((await ends.claim(fleet.lessor, second)).paid)
    assert paid_fen == held_fen
