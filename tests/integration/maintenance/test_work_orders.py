"""Work orders from a draft to their end, through real marketplace and settlement."""

import asyncio

import grpc
import pytest
from ironloop.maintenance.v1 import faults_pb2
from ironloop.maintenance.v1 import maintenance_events_pb2 as events
from ironloop.maintenance.v1 import work_orders_pb2 as pb
from ironloop.marketplace.v1 import machines_pb2

from services.kit import wire
from services.kit.ids import name, new_id
from tests.integration.maintenance.workshop import Shop, number, orders, part, request_id
from tests.support import money
from tests.support.refusals import finished, refused

OUT_OF_SHOP = machines_pb2.CUSTODY_AVAILABLE


async def test_a_repair_runs_from_draft_to_closed_and_is_paid_to_the_fen(shop: Shop) -> None:
    machine = await shop.machine()
    order = await shop.started(machine, approved_cost=wire.money(1_000_00))
    done = await shop.complete(
        order.name,
        parts=[
            part(105_05, quantity=number("2.5")),  # 262.625: 262.63
            part(200_00, under_warranty=True),
        ],
        labour=[shop.labour("1.5", 120_00), shop.labour("0.25", 100_01)],  # 180.00 and 25.0025
    )
    assert done.state == pb.WORK_ORDER_STATE_COMPLETED
    assert wire.fen(done.cost.parts, field="parts") == 262_63
    assert wire.fen(done.cost.labour, field="labour") == 205_00
    assert wire.fen(done.cost.warranty, field="warranty") == 200_00
    assert wire.fen(done.cost.total, field="total") == 467_63
    verified = await shop.verify(order.name)
    assert verified.verifier == shop.owner.subject
    await money.fund(shop.world, shop.owner.party, 500_00)
    invoiced = await shop.invoice(order.name, by=shop.foreman)
    assert invoiced.state == pb.WORK_ORDER_STATE_INVOICED
    assert invoiced.txn
    assert await shop.balance(shop.owner.party) == 32_37
    assert await shop.balance(shop.technician.party) == 467_63
    closed = await orders(shop.owner).CloseWorkOrder(
        pb.CloseWorkOrderRequest(request_id=request_id(), name=order.name)
    )
    assert closed.state == pb.WORK_ORDER_STATE_CLOSED


async def test_an_invoice_asked_for_twice_moves_money_once(shop: Shop) -> None:
    order = await shop.started(await shop.machine())
    await shop.complete(order.name)
    await shop.verify(order.name)
    await money.fund(shop.world, shop.owner.party, 1_000_00)
    request = pb.InvoiceWorkOrderRequest(request_id=request_id(), name=order.name)
    first, second = await asyncio.gather(
        *(finished(orders(shop.owner).InvoiceWorkOrder, request) for _ in "ab")
    )
    assert first.txn == second.txn
    assert await shop.balance(shop.owner.party) == 760_00


async def test_an_invoice_that_the_wallet_does_not_cover_can_be_paid_later(shop: Shop) -> None:
    order = await shop.started(await shop.machine())
    await shop.complete(order.name)
    await shop.verify(order.name)
    with refused("INSUFFICIENT_FUNDS"):
        await shop.invoice(order.name)
    assert (await shop.read(order.name)).state == pb.WORK_ORDER_STATE_VERIFIED
    await money.fund(shop.world, shop.owner.party, 240_00)
    assert (await shop.invoice(order.name)).state == pb.WORK_ORDER_STATE_INVOICED


async def test_a_workshop_invoices_no_more_than_was_approved(shop: Shop) -> None:
    order = await shop.started(await shop.machine(), approved_cost=wire.money(239_99))
    await shop.complete(order.name)
    await shop.verify(order.name, by=shop.foreman)
    await money.fund(shop.world, shop.owner.party, 240_00)
    with refused("COST_NOT_APPROVED"):
        await shop.invoice(order.name, by=shop.technician)
    await orders(shop.owner).ApproveCost(
        pb.ApproveCostRequest(
            request_id=request_id(), name=order.name, approved_cost=wire.money(240_00)
        )
    )
    assert (await shop.invoice(order.name, by=shop.technician)).invoice_time.seconds


async def test_two_technicians_completing_one_order_complete_it_once(shop: Shop) -> None:
    machine = await shop.machine()
    order = await shop.started(machine)
    answers = await asyncio.gather(
        *(
            orders(actor).CompleteWorkOrder(shop.completion(order.name, findings=findings))
            for actor, findings in ((shop.technician, "Starter"), (shop.foreman, "Battery"))
        ),
        return_exceptions=True,
    )
    lost = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert [error.code() for error in lost] == [grpc.StatusCode.FAILED_PRECONDITION]
    won = next(answer for answer in answers if isinstance(answer, pb.WorkOrder))
    read = await shop.read(order.name)
    assert (read.findings, len(read.labour)) == (won.findings, 1)
    assert len(await shop.events(events.WorkOrderCompleted, machine)) == 1


async def test_a_completion_sent_again_gets_the_first_answer(shop: Shop) -> None:
    order = await shop.started(await shop.machine())
    request = shop.completion(order.name)
    first = await orders(shop.technician).CompleteWorkOrder(request)
    assert await orders(shop.technician).CompleteWorkOrder(request) == first


async def test_who_worked_on_it_or_reported_it_cannot_verify_it(shop: Shop) -> None:
    order = await shop.started(await shop.machine())
    helper = await shop.world.user(shop.technician.party, "TECHNICIAN")
    worked = pb.WorkLabour(
        technician=helper.subject, hours=number(1), hourly_rate=wire.money(100_00)
    )
    await shop.complete(order.name, labour=[worked])
    for person in (shop.technician, helper):
        with refused("SAME_PERSON"):
            await shop.verify(order.name, by=person)
    assert (await shop.verify(order.name, by=shop.foreman)).verifier == shop.foreman.subject


async def test_work_in_the_shop_takes_the_machine_in_and_gives_it_back(shop: Shop) -> None:
    machine = await shop.machine()
    order = await shop.started(machine, work_place=pb.WORK_PLACE_SHOP)
    held = await shop.look_up(machine)
    assert order.in_shop
    assert held.custody == machines_pb2.CUSTODY_IN_SHOP
    assert held.custodian == shop.technician.party
    with refused("TRANSITION_REFUSED"):  # it is in a shop already
        await shop.started(machine, work_place=pb.WORK_PLACE_SHOP)
    await shop.complete(order.name)
    assert not (await shop.verify(order.name)).in_shop
    held = await shop.look_up(machine)
    assert (held.custody, held.custodian) == (OUT_OF_SHOP, shop.owner.party)


async def test_a_cancelled_order_gives_the_machine_back(shop: Shop) -> None:
    machine = await shop.machine()
    order = await shop.started(machine, work_place=pb.WORK_PLACE_SHOP)
    cancelled = await orders(shop.owner).CancelWorkOrder(
        pb.CancelWorkOrderRequest(request_id=request_id(), name=order.name, reason="Sold")
    )
    assert (cancelled.state, cancelled.in_shop) == (pb.WORK_ORDER_STATE_CANCELLED, False)
    assert (await shop.look_up(machine)).custody == OUT_OF_SHOP


async def test_work_held_for_parts_goes_on_once_they_are_there(shop: Shop) -> None:
    order = await shop.started(await shop.machine())
    held = await orders(shop.technician).HoldWorkOrder(
        pb.HoldWorkOrderRequest(
            request_id=request_id(), name=order.name, reason=pb.HOLD_REASON_PARTS, note="Starter"
        )
    )
    assert (held.state, held.hold_reason) == (pb.WORK_ORDER_STATE_ON_HOLD, pb.HOLD_REASON_PARTS)
    with refused("TRANSITION_REFUSED"):
        await shop.complete(order.name)
    resumed = await orders(shop.foreman).ResumeWorkOrder(
        pb.ResumeWorkOrderRequest(request_id=request_id(), name=order.name)
    )
    assert resumed.hold_reason == pb.HOLD_REASON_UNSPECIFIED


async def test_downtime_is_no_longer_than_since_the_machine_stopped(shop: Shop) -> None:
    order = await shop.started(await shop.machine(), down_since=shop.hours_ago(5))
    with refused("DOWNTIME_TOO_LONG"):
        await shop.complete(order.name, downtime_hours=number("5.5"))
    done = await shop.complete(order.name)
    assert done.downtime_hours.value.startswith("5.0")


async def test_a_machine_stopped_before_now_and_not_years_ago(shop: Shop) -> None:
    machine = await shop.machine()
    for hours in (-1, 10_001):
        with refused("INVALID_FIELD"):
            await shop.draft(machine, down_since=shop.hours_ago(hours))


async def test_a_repair_under_its_workshops_warranty_costs_nothing(shop: Shop) -> None:
    machine = await shop.machine()
    first = await shop.started(machine)
    await shop.complete(first.name, warranty_months=3)
    again = await shop.started(machine, warranty_of=first.name)
    done = await shop.complete(again.name, parts=[part(50_00)])
    assert wire.fen(done.cost.total, field="total") == 0
    assert wire.fen(done.cost.warranty, field="warranty") == 290_00
    await shop.verify(again.name)
    assert not (await shop.invoice(again.name)).txn
    without = await shop.started(machine)
    await shop.complete(without.name)
    with refused("WARRANTY_ENDED"):
        await shop.draft(machine, warranty_of=without.name)


async def test_an_order_is_not_found_by_a_stranger(shop: Shop) -> None:
    order = await shop.opened(await shop.machine())
    stranger = await shop.world.party("TECHNICIAN", "BUYER")
    with refused("NOT_FOUND"):
        await orders(stranger).GetWorkOrder(pb.GetWorkOrderRequest(name=order.name))
    with refused("NOT_FOUND"):
        await shop.start_as(stranger, order.name)
    listed = await orders(stranger).ListWorkOrders(pb.ListWorkOrdersRequest())
    assert not listed.work_orders
    for actor in (shop.owner, shop.technician):
        listed = await orders(actor).ListWorkOrders(pb.ListWorkOrdersRequest(machine=order.machine))
        assert [one.name for one in listed.work_orders] == [order.name]


async def test_each_side_has_its_own_commands(shop: Shop) -> None:
    order = (await shop.draft(await shop.machine())).name
    opening = pb.OpenWorkOrderRequest(request_id=request_id(), name=order)
    with refused("NOT_A_PARTY_TO_THIS"):
        await orders(shop.technician).OpenWorkOrder(opening)
    await orders(shop.owner).OpenWorkOrder(opening)
    with refused("PERMISSION_DENIED"):  # the owner is no technician
        await shop.start_as(shop.owner, order)


async def test_only_the_technician_who_has_an_order_begins_it(shop: Shop) -> None:
    order = await shop.opened(await shop.machine())
    await orders(shop.foreman).AssignWorkOrder(
        pb.AssignWorkOrderRequest(
            request_id=request_id(), name=order.name, technician=shop.technician.subject
        )
    )
    with refused("NOT_ASSIGNED_TO_YOU"):
        await orders(shop.foreman).StartWorkOrder(
            pb.StartWorkOrderRequest(request_id=request_id(), name=order.name)
        )


@pytest.mark.parametrize("who", ["another workshop's", "no technician", "nobody"])
async def test_an_order_goes_to_a_technician_of_its_workshop(shop: Shop, who: str) -> None:
    order = await shop.opened(await shop.machine())
    if who == "nobody":
        technician = name("users", new_id())
    elif who == "no technician":
        technician = shop.owner.subject
    else:
        technician = (await shop.world.party("TECHNICIAN")).subject
    with refused("NOT_THE_WORKSHOPS_TECHNICIAN"):
        await orders(shop.foreman).AssignWorkOrder(
            pb.AssignWorkOrderRequest(
                request_id=request_id(), name=order.name, technician=technician
            )
        )


async def test_an_order_sees_to_its_faults_and_clears_them_once_it_is_completed(
    shop: Shop,
) -> None:
    machine = await shop.machine()
    fault = await shop.fault(machine)
    assert (await shop.health(machine)).open_stop_faults == 1
    order = await shop.started(machine, faults=[fault.name])
    assert await shop.fault_state(fault.name) == faults_pb2.FAULT_STATE_WORK_ORDERED
    with refused("FAULT_NOT_OPEN"):
        await shop.draft(machine, faults=[fault.name])
    await shop.complete(order.name)
    assert await shop.fault_state(fault.name) == faults_pb2.FAULT_STATE_CLEARED
    assert (await shop.health(machine)).open_stop_faults == 0
    (cleared,) = await shop.events(events.FaultCleared, machine)
    (completed,) = await shop.events(events.WorkOrderCompleted, machine)
    assert (cleared.cleared_by, list(completed.faults)) == (shop.technician.subject, [fault.name])
    sequences = await shop.sequences(machine)
    assert sequences == list(range(1, len(sequences) + 1))


async def test_a_cancelled_order_lets_go_of_its_faults(shop: Shop) -> None:
    machine = await shop.machine()
    fault = await shop.fault(machine)
    order = await shop.opened(machine, faults=[fault.name])
    await orders(shop.owner).CancelWorkOrder(
        pb.CancelWorkOrderRequest(request_id=request_id(), name=order.name, reason="Sold")
    )
    assert await shop.fault_state(fault.name) == faults_pb2.FAULT_STATE_ACKNOWLEDGED
    assert (await shop.opened(machine, faults=[fault.name])).state == pb.WORK_ORDER_STATE_OPEN


async def test_of_two_orders_for_one_fault_the_first_to_open_sees_to_it(shop: Shop) -> None:
    machine = await shop.machine()
    fault = await shop.fault(machine)
    first, second = [await shop.draft(machine, faults=[fault.name]) for _ in range(2)]
    opening = orders(shop.owner).OpenWorkOrder
    await opening(pb.OpenWorkOrderRequest(request_id=request_id(), name=first.name))
    with refused("FAULT_NOT_OPEN"):
        await opening(pb.OpenWorkOrderRequest(request_id=request_id(), name=second.name))
    elsewhere = await shop.fault(await shop.machine())
    with refused("FAULT_OF_ANOTHER_MACHINE"):
        await shop.draft(machine, faults=[elsewhere.name])


async def test_a_technicians_hours_are_a_reading_and_must_be_plausible(shop: Shop) -> None:
    machine = await shop.machine()
    await shop.read_meter(machine, "1000")
    order = await shop.started(machine)
    for hours in ("999.99", "2500"):
        with refused("HOURS_IMPLAUSIBLE"):
            await shop.complete(order.name, hours=number(hours))
    done = await shop.complete(order.name, hours=number("1004.5"))
    assert done.hours.value == "1004.50"
    told = (await shop.events(events.MeterReadingAccepted, machine))[-1]
    assert (told.hours.value, told.reference) == ("1004.50", order.name)
