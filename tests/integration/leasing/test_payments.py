"""Instalments: due, paid, overdue, assigned, prepaid; money at the real settlement."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from ironloop.leasing.v1 import leasing_pb2 as pb

from services.kit import wire
from tests.integration.leasing.fleet import PRICE_FEN, Fleet, fen, leases, request_id
from tests.support.refusals import refused

RENT_FEN = 2_406_645


async def test_nothing_is_payable_before_its_day(fleet: Fleet) -> None:
    lease = await fleet.active()
    with refused("NOTHING_DUE"):
        await fleet.pay(lease)
    with refused("NOTHING_DUE"):
        await fleet.pay(lease, number=1)
    with refused("NOT_FOUND"):
        await fleet.pay(lease, number=37)


async def test_a_due_instalment_is_paid_to_the_lessor(fleet: Fleet) -> None:
    lease = await fleet.active()
    await fleet.until_payable(lease, 1)
    assert (await fleet.instalment(lease, 1)).state == pb.INSTALMENT_STATE_DUE
    lessor_had = await fleet.balance(fleet.lessor)
    await fleet.fund(fleet.lessee, RENT_FEN)
    answer = await fleet.pay(lease)
    assert fen(answer.amount) == RENT_FEN
    (paid,) = answer.instalments
    assert paid.state == pb.INSTALMENT_STATE_PAID
    assert (fen(paid.paid_interest), fen(paid.paid_principal)) == (500_000, 1_906_645)
    assert await fleet.balance(fleet.lessee) == 0
    assert await fleet.balance(fleet.lessor) == lessor_had + RENT_FEN
    assert (await fleet.memos(fleet.lessor))[0] == "interest 5,000.00, principal 19,066.45"
    assert fen((await fleet.read(lease)).outstanding_principal) == PRICE_FEN - 1_906_645
    told = (await fleet.events(lease.name))[2:]
    assert [type(event).__name__ for event in told] == ["InstalmentDue", "InstalmentPaid"]
    assert told[1].owner == fleet.lessor.party


async def test_missing_funds_change_nothing(fleet: Fleet) -> None:
    lease = await fleet.active()
    await fleet.until_payable(lease, 1)
    await fleet.fund(fleet.lessee, RENT_FEN - 1)
    with refused("INSUFFICIENT_FUNDS") as refusal:
        await fleet.pay(lease)
    assert refusal.metadata["amount_fen"] == str(RENT_FEN)
    instalment = await fleet.instalment(lease, 1)
    assert instalment.state == pb.INSTALMENT_STATE_DUE
    assert fen(instalment.paid_interest) == 0
    assert await fleet.balance(fleet.lessee) == RENT_FEN - 1
    await fleet.fund(fleet.lessee, 1)
    assert fen((await fleet.pay(lease)).amount) == RENT_FEN


async def test_a_retried_payment_moves_money_once(fleet: Fleet) -> None:
    lease = await fleet.active()
    await fleet.until_payable(lease, 1)
    await fleet.fund(fleet.lessee, 2 * RENT_FEN)
    key = request_id()
    first = await fleet.pay(lease, key=key)
    second = await fleet.pay(lease, key=key)
    assert first == second
    assert await fleet.balance(fleet.lessee) == RENT_FEN


async def test_of_concurrent_payments_one_pays(fleet: Fleet) -> None:
    lease = await fleet.active()
    await fleet.until_payable(lease, 1)
    await fleet.fund(fleet.lessee, 5 * RENT_FEN)
    outcomes = await asyncio.gather(
        *(fleet.pay(lease, number=1) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, pb.PayInstalmentResponse) for outcome in outcomes) == 1
    assert await fleet.balance(fleet.lessee) == 4 * RENT_FEN
    with refused("NOTHING_DUE"):
        await fleet.pay(lease, number=1)


async def test_a_late_payment_settles_penalty_then_interest_then_principal(fleet: Fleet) -> None:
    lease = await fleet.active()
    await fleet.until_payable(lease, 1)
    await fleet.world.advance_days(10)
    overdue = await fleet.instalment(lease, 1)
    assert overdue.state == pb.INSTALMENT_STATE_OVERDUE
    assert overdue.days_past_due == 10
    assert fen(overdue.penalty) == 12_033  # 24,066.45 at 0.05 % a day for 10 days
    assert (await fleet.read(lease)).standing == pb.LEASE_STANDING_ARREARS
    await fleet.fund(fleet.lessee, 3 * RENT_FEN)
    with refused("AMOUNT_EXCEEDS_DUE") as refusal:
        await fleet.pay(lease, amount_fen=RENT_FEN + 12_034)
    assert refusal.metadata["limit_fen"] == str(RENT_FEN + 12_033)
    (part,) = (await fleet.pay(lease, amount_fen=1_000_000)).instalments
    assert part.state == pb.INSTALMENT_STATE_OVERDUE
    assert (fen(part.paid_penalty), fen(part.paid_interest), fen(part.paid_principal)) == (
        12_033,
        500_000,
        487_967,
    )
    await fleet.world.advance_days(10)
    later = await fleet.instalment(lease, 1)
    left_fen = 1_906_645 - 487_967
    assert fen(later.penalty) == 12_033 + round(left_fen * 0.005)
    (settled,) = (await fleet.pay(lease)).instalments
    assert settled.state == pb.INSTALMENT_STATE_PAID
    assert (await fleet.read(lease)).standing == pb.LEASE_STANDING_CURRENT
    paid = [event for event in await fleet.events(lease.name) if hasattr(event, "paid")]
    assert [event.days_past_due for event in paid] == [10, 20]


async def test_arrears_are_listed_and_age_by_bucket(fleet: Fleet) -> None:
    lease = await fleet.active()
    await fleet.until_payable(lease, 1)
    await fleet.world.advance_days(40)
    listed = await leases(fleet.lessor).ListInstalments(pb.ListInstalmentsRequest(in_arrears=True))
    assert [(item.lease, item.number) for item in listed.instalments] == [
        (lease.name, 1),
        (lease.name, 2),
    ]
    overdue = [
        (event.number, event.days_past_due)
        for event in await fleet.events(lease.name)
        if type(event).__name__ == "InstalmentOverdue"
    ]
    assert overdue[0] == (1, 1)
    assert (1, 31) in overdue
    # The oldest is settled first, and what is left goes to the next one.
    first = await fleet.instalment(lease, 1)
    owed_fen = fen(first.penalty) + RENT_FEN
    await fleet.fund(fleet.lessee, owed_fen + 100)
    answer = await fleet.pay(lease, amount_fen=owed_fen + 100)
    assert [item.state for item in answer.instalments] == [
        pb.INSTALMENT_STATE_PAID,
        pb.INSTALMENT_STATE_OVERDUE,
    ]
    assert fen(answer.instalments[1].paid_penalty) == 100


async def test_the_owner_of_an_instalment_is_paid(fleet: Fleet) -> None:
    lease = await fleet.active()
    funder = await fleet.world.party("FUNDER")
    assigned = await fleet.assign(lease, funder.party, 2, 36, reference="factorings/1")
    assert [item.number for item in assigned.instalments] == list(range(2, 37))
    assert {item.owner for item in assigned.instalments} == {funder.party}
    assert (await leases(funder).GetLease(pb.GetLeaseRequest(name=lease.name))).name == lease.name
    listed = await leases(funder).ListInstalments(pb.ListInstalmentsRequest(page_size=200))
    assert [item.number for item in listed.instalments] == list(range(2, 37))
    assert len((await leases(funder).ListLeases(pb.ListLeasesRequest())).leases) == 1
    await fleet.until_payable(lease, 2)
    await fleet.world.advance_days(1)
    await fleet.fund(fleet.lessee, 3 * RENT_FEN)
    lessor_had = await fleet.balance(fleet.lessor)
    first, second = (await fleet.pay(lease)).instalments
    first_fen = RENT_FEN + fen(first.paid_penalty)
    assert await fleet.balance(fleet.lessor) == lessor_had + first_fen
    assert await fleet.balance(funder) == RENT_FEN + fen(second.paid_penalty)
    assert fen(second.paid_penalty) > 0  # the penalty follows the owner


async def test_an_assignment_is_made_once_and_given_back(fleet: Fleet) -> None:
    lease = await fleet.active()
    funder = await fleet.world.party("FUNDER")
    once = await fleet.assign(lease, funder.party, 5, 8, reference="factorings/1")
    again = await fleet.assign(lease, funder.party, 5, 8, reference="factorings/1")
    assert once == again
    with refused("ALREADY_ASSIGNED"):
        await fleet.assign(lease, funder.party, 5, 9, reference="factorings/1")
    with refused("ALREADY_ASSIGNED"):
        await fleet.assign(lease, funder.party, 8, 9, reference="factorings/2")
    with refused("NOT_FOUND"):
        await fleet.assign(lease, funder.party, 36, 37, reference="factorings/2")
    with refused("INVALID_FIELD"):
        await fleet.assign(lease, funder.party, 9, 8, reference="factorings/2")
    with refused("INVALID_FIELD"):
        await fleet.assign(lease, fleet.lessor.party, 1, 2, reference="factorings/2")
    give_back = pb.ReturnInstalmentsRequest(
        request_id=request_id(), lease=lease.name, reference="factorings/1"
    )
    finance = leases(fleet.world.service("finance"))
    returned = await finance.ReturnInstalments(give_back)
    assert [item.number for item in returned.instalments] == [5, 6, 7, 8]
    assert {item.owner for item in returned.instalments} == {fleet.lessor.party}
    give_back.request_id = request_id()
    assert not (await finance.ReturnInstalments(give_back)).instalments
    await fleet.assign(lease, funder.party, 8, 9, reference="factorings/2")
    names = [type(event).__name__ for event in (await fleet.events(lease.name))[2:]]
    assert names == ["InstalmentsAssigned", "InstalmentsReturned", "InstalmentsAssigned"]


async def test_what_is_due_is_not_assigned_any_more(fleet: Fleet) -> None:
    lease = await fleet.active()
    funder = await fleet.world.party("FUNDER")
    await fleet.until_payable(lease, 1)
    with refused("TRANSITION_REFUSED"):
        await fleet.assign(lease, funder.party, 1, 3, reference="factorings/1")
    assert not (await fleet.instalment(lease, 2)).assignment


async def test_payment_and_assignment_at_once_pay_the_right_owner(fleet: Fleet) -> None:
    lease = await fleet.active()
    funder = await fleet.world.party("FUNDER")
    await fleet.until_payable(lease, 1)
    await fleet.fund(fleet.lessee, RENT_FEN)
    lessor_had = await fleet.balance(fleet.lessor)

    async def assign() -> None:
        while True:
            try:
                await fleet.assign(lease, funder.party, 2, 36, reference="factorings/1")
                return
            except Exception as error:  # busy with the payment: asked again, as finance does
                assert "LEASE_BUSY" in repr(error) or "under way" in repr(error)

    async def pay() -> None:
        while True:
            try:
                await fleet.pay(lease)
                return
            except Exception as error:
                assert "under way" in repr(error)

    await asyncio.gather(assign(), pay())
    assert await fleet.balance(fleet.lessor) == lessor_had + RENT_FEN
    await fleet.until_payable(lease, 2)
    await fleet.fund(fleet.lessee, RENT_FEN)
    await fleet.pay(lease)
    assert await fleet.balance(funder) == RENT_FEN


async def test_a_prepayment_reschedules_the_rest_at_the_same_rate(fleet: Fleet) -> None:
    lease = await fleet.active()
    await fleet.until_payable(lease, 1)
    prepay = pb.PrepayLeaseRequest(
        request_id=request_id(), name=lease.name, principal=wire.money(10_000_000)
    )
    with refused("INSTALMENT_UNPAID"):
        await leases(fleet.lessee).PrepayLease(prepay)
    await fleet.fund(fleet.lessee, RENT_FEN)
    await fleet.pay(lease)
    due = wire.to_date((await fleet.instalment(lease, 1)).due_date, field="")
    await fleet.world.advance_to(due + timedelta(days=10))
    interest_fen = 16_438  # ten days at 6 % on the part that is prepaid, ACT/365F
    await fleet.fund(fleet.lessee, 10_000_000 + interest_fen)
    prepay.request_id = request_id()
    before = await fleet.schedule(lease)
    schedule = await leases(fleet.lessee).PrepayLease(prepay)
    assert await fleet.balance(fleet.lessee) == 0
    assert schedule.revision == 2
    assert schedule.instalments[0] == before.instalments[0]
    second = schedule.instalments[1]
    assert fen(second.interest) == 440_467  # a month at 0.5 % on 980,933.55 less 100,000.00
    assert second.due_date == before.instalments[1].due_date
    principal_fen = sum(fen(item.principal) for item in schedule.instalments)
    assert principal_fen == PRICE_FEN - 10_000_000 - 25_000_000
    assert fen(schedule.instalments[35].balance) == 25_000_000
    lease = await fleet.read(lease)
    assert fen(lease.outstanding_principal) == PRICE_FEN - 1_906_645 - 10_000_000
    rescheduled = (await fleet.events(lease.name))[-1]
    assert [line.number for line in rescheduled.schedule] == list(range(2, 37))


async def test_a_prepayment_leaves_an_assignees_claim_alone(fleet: Fleet) -> None:
    lease = await fleet.active()
    funder = await fleet.world.party("FUNDER")
    await fleet.assign(lease, funder.party, 30, 36, reference="factorings/1")
    with refused("INSTALMENTS_ASSIGNED"):
        await leases(fleet.lessee).PrepayLease(
            pb.PrepayLeaseRequest(
                request_id=request_id(), name=lease.name, principal=wire.money(100)
            )
        )


@pytest.mark.parametrize("principal_fen", [75_000_000, 80_000_000])
async def test_a_prepayment_keeps_something_to_pay(fleet: Fleet, principal_fen: int) -> None:
    lease = await fleet.active()
    with refused("AMOUNT_EXCEEDS_DUE"):
        await leases(fleet.lessee).PrepayLease(
            pb.PrepayLeaseRequest(
                request_id=request_id(), name=lease.name, principal=wire.money(principal_fen)
            )
        )


async def test_usage_is_reported_and_excess_computed(fleet: Fleet) -> None:
    lease = await fleet.active()
    stub = leases(fleet.lessee)
    start = wire.to_date(lease.start_date, field="")

    async def report(hours: str) -> pb.Usage:
        return await stub.ReportUsage(
            pb.ReportUsageRequest(
                request_id=request_id(),
                name=lease.name,
                hours_meter=wire.decimal(Decimal(hours)),
            )
        )

    with refused("INVALID_FIELD"):
        await report("100.505")
    accepted = await report("101.5")
    assert accepted.meter_reading_state == pb.USAGE_READING_STATE_ACCEPTED
    assert Decimal(accepted.hours_used.value) == 1
    held_back = await report("50")
    assert held_back.meter_reading_state == pb.USAGE_READING_STATE_QUARANTINED
    assert Decimal(held_back.hours_used.value) == 1
    await fleet.world.advance_to(start + timedelta(days=10))
    usage = await report("200.5")
    assert Decimal(usage.hours_allowed.value) == Decimal("54.79")
    assert Decimal(usage.excess_hours.value) == Decimal("45.21")
    assert fen(usage.excess_charge) == 384_285
    usage.ClearField("meter_reading")
    usage.ClearField("meter_reading_state")
    assert await leases(fleet.lessor).GetUsage(pb.GetUsageRequest(name=lease.name)) == usage
    with refused("INVALID_FIELD"):
        await stub.ReportUsage(
            pb.ReportUsageRequest(
                request_id=request_id(),
                name=lease.name,
                hours_meter=wire.decimal(Decimal(2500)),
                report_date=wire.date(start - timedelta(days=1)),
            )
        )


async def test_usage_of_a_quote_is_refused(fleet: Fleet) -> None:
    lease = await fleet.quote()
    with refused("TRANSITION_REFUSED"):
        await leases(fleet.lessee).GetUsage(pb.GetUsageRequest(name=lease.name))


async def test_hours_read_at_delivery_come_before_the_registrys(fleet: Fleet) -> None:
    lease = await fleet.signed()
    await fleet.fund(fleet.lessee, fen(lease.terms.deposit) + fen(lease.terms.fee))
    await leases(fleet.lessee).AcceptDelivery(
        pb.AcceptDeliveryRequest(
            request_id=request_id(), name=lease.name, hours_meter=wire.decimal(Decimal(120))
        )
    )
    await fleet.activate(lease)
    usage = await leases(fleet.lessee).GetUsage(pb.GetUsageRequest(name=lease.name))
    assert (Decimal(usage.hours_meter.value), Decimal(usage.hours_used.value)) == (
        Decimal(120),
        Decimal(0),
    )


async def test_where_no_hours_are_known_the_first_report_counts_from(fleet: Fleet) -> None:
    lease = await fleet.active(await fleet.machine(hours_meter=None))
    usage = await leases(fleet.lessee).ReportUsage(
        pb.ReportUsageRequest(
            request_id=request_id(), name=lease.name, hours_meter=wire.decimal(Decimal(4321))
        )
    )
    assert (Decimal(usage.hours_meter.value), Decimal(usage.hours_used.value)) == (
        Decimal(4321),
        Decimal(0),
    )
