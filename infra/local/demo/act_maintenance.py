"""Maintenance: a service plan, services by it, and an exchange repair after a STOP fault."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from google.type import decimal_pb2
from ironloop.maintenance.v1 import (
    exchanges_pb2,
    exchanges_pb2_grpc,
    faults_pb2,
    faults_pb2_grpc,
    plans_pb2,
    plans_pb2_grpc,
    work_orders_pb2,
    work_orders_pb2_grpc,
)

from infra.local.demo.act_remanufacturing import UNIT_PRICE_FEN, Stocked, take_core_back
from infra.local.demo.part_family import DEPOSIT_FEN
from infra.local.demo.scene import Scene, document, fen, request_id
from services.kit import wire
from services.kit.amounts import yuan

SERVICE, GREAT_SERVICE = "SERVICE_500", "SERVICE_2000"
HOURLY_RATE_FEN = 18_000
APPROVED_FEN = 1_000_000
REPAIR_DAYS = 2
REMOVED_SERIAL = "ENGINE-ORIGINAL"


async def open_plan(scene: Scene, machine: str) -> str:
    """Let the dealer design a plan and open it for a machine that goes on lease."""
    plans = scene.cast.dealer.stub(plans_pb2_grpc.PlanServiceStub)
    template = await plans.CreatePlanTemplate(
        plans_pb2.CreatePlanTemplateRequest(
            request_id=request_id(),
            title="Leased machines: 500 and 2,000 h",
            tasks=[
                _task(SERVICE, "Oils, filters, belts, oil sample", 500, months=6, kit_fen=86_000),
                _task(GREAT_SERVICE, "Hydraulic oil, coolant", 2_000, months=24, kit_fen=420_000),
            ],
        )
    )
    plan = await plans.OpenServicePlan(
        plans_pb2.OpenServicePlanRequest(
            request_id=request_id(), machine=machine, template=template.name
        )
    )
    scene.narrator.tell("dealer", "opens a service plan: every 500 h or 6 months, and 2,000 h")
    return plan.name


async def close_plan(scene: Scene, machine: str) -> None:
    """Let the lessee close the plan of a machine that is its own now."""
    plans = scene.cast.lessee.stub(plans_pb2_grpc.PlanServiceStub)
    kept = await plans.ListServicePlans(
        plans_pb2.ListServicePlansRequest(
            machine=machine, state=plans_pb2.SERVICE_PLAN_STATE_ACTIVE
        )
    )
    for plan in kept.plans:
        await plans.CloseServicePlan(
            plans_pb2.CloseServicePlanRequest(request_id=request_id(), name=plan.name)
        )


async def serve(scene: Scene, machine: str, *, is_great: bool) -> None:
    """Let the lessee have its machine serviced by the plan, in the field."""
    items = [SERVICE, GREAT_SERVICE] if is_great else [SERVICE]
    order = await _opened(
        scene,
        machine,
        title="Service by the plan",
        work_class=work_orders_pb2.WORK_CLASS_PREVENTIVE,
        plan_items=items,
    )
    await _begin(scene, order)
    await _complete(
        scene, order, findings="Serviced", with_planned_parts=True, hours=len(items) * 3
    )
    await _finish(scene, order)


async def stop_fault(scene: Scene, machine: str) -> faults_pb2.Fault:
    """Return the STOP fault that a machine has just reported, acknowledged by the lessee."""
    faults = scene.cast.lessee.stub(faults_pb2_grpc.FaultServiceStub)
    found = await faults.ListFaults(
        faults_pb2.ListFaultsRequest(
            machine=machine, open_only=True, severity=faults_pb2.FAULT_SEVERITY_STOP
        )
    )
    (fault,) = found.faults
    await faults.AcknowledgeFault(
        faults_pb2.AcknowledgeFaultRequest(request_id=request_id(), name=fault.name)
    )
    scene.narrator.tell(
        "machine",
        f"reports SPN {fault.code.spn} FMI {fault.code.fmi}, red lamp: {fault.description}",
    )
    return fault


async def exchange_engine(scene: Scene, fault: faults_pb2.Fault, engine: Stocked) -> None:
    """Have a broken engine exchanged for a remanufactured one, and its core sent back."""
    since = wire.to_instant(fault.raise_time, field="raise_time")
    order = await _opened(
        scene,
        fault.machine,
        title="Engine without oil pressure",
        work_class=work_orders_pb2.WORK_CLASS_CORRECTIVE,
        work_place=work_orders_pb2.WORK_PLACE_SHOP,
        faults=[fault.name],
        approved_cost=wire.money(APPROVED_FEN + UNIT_PRICE_FEN),
        down_since=wire.instant(since),
    )
    await _begin(scene, order)
    exchange = await scene.cast.lessee.stub(exchanges_pb2_grpc.ExchangeServiceStub).RequestExchange(
        exchanges_pb2.RequestExchangeRequest(
            request_id=request_id(),
            work_order=order,
            part_family=engine.family,
            deposit=wire.money(DEPOSIT_FEN),
        )
    )
    scene.narrator.tell(
        "lessee",
        f"has the engine exchanged: a remanufactured one is reserved, "
        f"{yuan(fen(exchange.deposit))} deposited for the core",
    )
    await scene.cast.remanufacturer.stub(exchanges_pb2_grpc.ExchangeServiceStub).ShipExchange(
        exchanges_pb2.ShipExchangeRequest(
            request_id=request_id(),
            name=exchange.name,
            waybill=document("waybills", exchange.uid, "application/pdf"),
        )
    )
    await scene.time.advance_to(await scene.time.today() + timedelta(days=REPAIR_DAYS))
    removal = work_orders_pb2.Removal(exchange=exchange.name, removed_serial=REMOVED_SERIAL)
    await _complete(
        scene,
        order,
        findings="Engine exchanged for a remanufactured one",
        hours=14,
        removals=[removal],
        warranty_months=12,
    )
    await scene.time.until_at_rest()
    done = await _finish(scene, order)
    scene.narrator.tell(
        "workshop",
        f"down for {done.downtime_hours.value} h; unit {yuan(fen(done.cost.units))}, parts "
        f"{yuan(fen(done.cost.parts))}, labour {yuan(fen(done.cost.labour))}, verified by who pays",
    )
    installed = await _exchange(scene, exchange.name)
    await take_core_back(scene, installed.core_return, serial_number=REMOVED_SERIAL)
    closed = await _exchange(scene, exchange.name)
    scene.checks["the exchange repair is closed, every step recorded"] = (
        closed.state == exchanges_pb2.EXCHANGE_STATE_CLOSED
        and closed.core_outcome == exchanges_pb2.CORE_OUTCOME_CREDITED
        and closed.unit == engine.unit
        and [step.number for step in closed.steps] == list(range(1, len(closed.steps) + 1))
    )
    steps = " → ".join(step.step for step in closed.steps)
    scene.narrator.tell("exchange", steps)


async def _exchange(scene: Scene, name: str) -> exchanges_pb2.Exchange:
    return await scene.cast.lessee.stub(exchanges_pb2_grpc.ExchangeServiceStub).GetExchange(
        exchanges_pb2.GetExchangeRequest(name=name)
    )


async def _opened(scene: Scene, machine: str, **stated: Any) -> str:
    """Let the lessee draft an order and release it to the workshop; return its name."""
    orders = scene.cast.lessee.stub(work_orders_pb2_grpc.WorkOrderServiceStub)
    asked: dict[str, Any] = {"approved_cost": wire.money(APPROVED_FEN)} | stated
    order = await orders.CreateWorkOrder(
        work_orders_pb2.CreateWorkOrderRequest(
            request_id=request_id(),
            machine=machine,
            workshop=scene.cast.foreman.party,
            **asked,
        )
    )
    await orders.OpenWorkOrder(
        work_orders_pb2.OpenWorkOrderRequest(request_id=request_id(), name=order.name)
    )
    return order.name


async def _begin(scene: Scene, order: str) -> None:
    """Let the foreman give the order to the technician, who begins."""
    cast = scene.cast
    await cast.foreman.stub(work_orders_pb2_grpc.WorkOrderServiceStub).AssignWorkOrder(
        work_orders_pb2.AssignWorkOrderRequest(
            request_id=request_id(), name=order, technician=cast.technician.subject
        )
    )
    await cast.technician.stub(work_orders_pb2_grpc.WorkOrderServiceStub).StartWorkOrder(
        work_orders_pb2.StartWorkOrderRequest(request_id=request_id(), name=order)
    )


async def _complete(scene: Scene, order: str, *, hours: int, **stated: Any) -> None:
    technician = scene.cast.technician
    labour = work_orders_pb2.WorkLabour(
        technician=technician.subject,
        hours=wire.decimal(Decimal(hours)),
        hourly_rate=wire.money(HOURLY_RATE_FEN),
    )
    await technician.stub(work_orders_pb2_grpc.WorkOrderServiceStub).CompleteWorkOrder(
        work_orders_pb2.CompleteWorkOrderRequest(
            request_id=request_id(), name=order, labour=[labour], **stated
        )
    )


async def _finish(scene: Scene, order: str) -> work_orders_pb2.WorkOrder:
    """Let the lessee verify what was done, pay for it, and put the order away."""
    orders = scene.cast.lessee.stub(work_orders_pb2_grpc.WorkOrderServiceStub)
    named = {"name": order}
    await orders.VerifyWorkOrder(
        work_orders_pb2.VerifyWorkOrderRequest(request_id=request_id(), **named)
    )
    await orders.InvoiceWorkOrder(
        work_orders_pb2.InvoiceWorkOrderRequest(request_id=request_id(), **named)
    )
    return await orders.CloseWorkOrder(
        work_orders_pb2.CloseWorkOrderRequest(request_id=request_id(), **named)
    )


def _task(code: str, title: str, hours: int, *, months: int, kit_fen: int) -> plans_pb2.PlanTask:
    return plans_pb2.PlanTask(
        code=code,
        title=title,
        interval_hours=wire.decimal(Decimal(hours)),
        interval_months=months,
        kit=[
            plans_pb2.KitPart(
                part_number=f"KIT-{hours}",
                description=f"kit of the {hours} h service",
                quantity=decimal_pb2.Decimal(value="1"),
                unit_price=wire.money(kit_fen),
            )
        ],
    )
