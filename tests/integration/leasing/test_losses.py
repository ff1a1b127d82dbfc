"""Total loss: the insurer pays outstanding and residual, each owner its part."""

from datetime import timedelta

from ironloop.leasing.v1 import endings_pb2
from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.marketplace.v1 import machines_pb2

from infra.local.client import Actor
from services.kit import wire
from tests.integration.leasing import ends
from tests.integration.leasing.fleet import DEPOSIT_FEN, PRICE_FEN, Fleet, fen, leases, request_id
from tests.support.refusals import refused


async def report(fleet: Fleet, lease: pb.Lease, insurer: str) -> pb.Lease:
    return await leases(fleet.lessee).ReportTotalLoss(
        endings_pb2.ReportTotalLossRequest(
            request_id=request_id(),
            name=lease.name,
            insurer=insurer,
            description="burnt out on site",
            evidence=[ends.PHOTO],
        )
    )


async def pay_loss(insurer: Actor, lease: pb.Lease, key: str = "") -> pb.Lease:
    return await leases(insurer).PayTotalLoss(
        endings_pb2.PayTotalLossRequest(request_id=key or request_id(), name=lease.name)
    )


async def test_the_insurer_pays_outstanding_and_residual(fleet: Fleet) -> None:
    lease = await fleet.active()
    insurer = await fleet.world.party("FUNDER")
    with refused("INVALID_FIELD"):
        await report(fleet, lease, fleet.lessor.party)
    lost = await report(fleet, lease, insurer.party)
    assert lost.state == pb.LEASE_STATE_TOTAL_LOSS
    assert fen(lost.total_loss.stipulated_loss_value) == PRICE_FEN
    # No instalment falls due any more.
    await fleet.world.advance_days(40)
    assert (await fleet.instalment(lease, 1)).state == pb.INSTALMENT_STATE_SCHEDULED
    with refused("LOSS_UNPAID"):
        await ends.close(fleet, lease)
    with refused("PERMISSION_DENIED"):
        await pay_loss(fleet.lessee, lease)
    with refused("INSUFFICIENT_FUNDS"):
        await pay_loss(insurer, lease)
    await fleet.fund(insurer, PRICE_FEN)
    before_fen = await fleet.balance(fleet.lessor)
    key = request_id()
    paid = await pay_loss(insurer, lease, key)
    assert paid == await pay_loss(insurer, lease, key)
    assert paid.total_loss.HasField("pay_time")
    assert fen(paid.total_loss.stipulated_loss_value) == PRICE_FEN
    assert fen(paid.outstanding_principal) == 0
    assert await fleet.balance(fleet.lessor) == before_fen + PRICE_FEN
    assert await fleet.balance(insurer) == 0
    states = {item.state for item in (await fleet.schedule(lease)).instalments}
    assert states == {pb.INSTALMENT_STATE_PAID_OFF}
    machine = await fleet.look_up(lease.terms.machine)
    assert machine.custody == machines_pb2.CUSTODY_AVAILABLE
    assert machine.custodian == fleet.lessor.party
    with refused("LOSS_PAID"):
        await pay_loss(insurer, lease)
    closed = await ends.close(fleet, lease)
    assert closed.state == pb.LEASE_STATE_CLOSED
    assert await fleet.balance(fleet.lessee) == DEPOSIT_FEN


async def test_an_assignee_gets_the_principal_of_its_instalments(fleet: Fleet) -> None:
    lease = await fleet.active()
    funder = await fleet.world.party("FUNDER")
    await fleet.assign(lease, funder.party, 1, 36, reference="factorings/1")
    await ends.miss(fleet, lease, 1)
    insurer = await fleet.world.party("FUNDER")
    await report(fleet, lease, insurer.party)
    await fleet.fund(insurer, PRICE_FEN)
    before_fen = await fleet.balance(fleet.lessor)
    await pay_loss(insurer, lease)
    residual_fen = fen(lease.residual)
    assert await fleet.balance(funder) == PRICE_FEN - residual_fen
    assert await fleet.balance(fleet.lessor) == before_fen + residual_fen
    # Interest and penalty of what was due stay the lessee's to pay, to the assignee.
    late = await fleet.instalment(lease, 1)
    assert late.state == pb.INSTALMENT_STATE_OVERDUE
    assert fen(late.paid_principal) == fen(late.principal)
    with refused("INSTALMENT_UNPAID"):
        await ends.close(fleet, lease)
    await fleet.fund(fleet.lessee, 10_000_000)
    await fleet.pay(lease)
    assert await fleet.balance(funder) > PRICE_FEN - residual_fen
    assert (await ends.close(fleet, lease)).state == pb.LEASE_STATE_CLOSED


async def test_no_payment_lets_instalments_fall_due_that_the_insurer_is_to_pay(
    fleet: Fleet,
) -> None:
    lease = await fleet.active()
    await ends.miss(fleet, lease, 1)
    insurer = await fleet.world.party("FUNDER")
    await report(fleet, lease, insurer.party)
    await fleet.fund(fleet.lessee, 10_000_000)
    await fleet.pay(lease)
    await fleet.world.advance_days(40)
    assert (await fleet.instalment(lease, 2)).state == pb.INSTALMENT_STATE_SCHEDULED
    lost = await fleet.read(lease)
    assert fen(lost.total_loss.stipulated_loss_value) == fen(lost.outstanding_principal)
    assert fen(lost.outstanding_principal) < PRICE_FEN
    # Paid for, the wreck is free for whoever mends it.
    await fleet.fund(insurer, PRICE_FEN)
    await pay_loss(insurer, lease)
    again = await fleet.quote(lease.terms.machine)
    await fleet.apply(again)
    assert (await fleet.approve(again)).state == pb.LEASE_STATE_APPROVED


async def test_a_wrong_report_is_rejected_and_the_lease_runs_on(fleet: Fleet) -> None:
    lease = await fleet.active()
    insurer = await fleet.world.party("FUNDER")
    await report(fleet, lease, insurer.party)
    await fleet.until_payable(lease, 1)
    payable_on = fleet.world.today()
    await fleet.world.advance_to(payable_on + timedelta(days=5))
    request = endings_pb2.RejectTotalLossRequest(
        request_id=request_id(), name=lease.name, reason="found in a barn"
    )
    with refused("NOT_FOUND"):
        await leases(await fleet.world.party("LESSOR")).RejectTotalLoss(request)
    runs_on = await leases(fleet.lessor).RejectTotalLoss(request)
    assert runs_on.state == pb.LEASE_STATE_ACTIVE
    assert not runs_on.HasField("total_loss")
    await fleet.world.until_at_rest()
    late = await fleet.instalment(lease, 1)
    assert late.state == pb.INSTALMENT_STATE_OVERDUE
    assert wire.to_date(late.payable_date, field="") == payable_on
    with refused("NOT_FOUND"):
        await pay_loss(insurer, lease)
