"""A machine reports, breaks and is mended, and its next value follows, with real peers."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

from ironloop.common.v1 import common_pb2
from ironloop.maintenance.v1 import (
    faults_pb2,
    faults_pb2_grpc,
    meters_pb2,
    meters_pb2_grpc,
    plans_pb2,
    plans_pb2_grpc,
)
from ironloop.marketplace.v1 import components_pb2, machines_pb2_grpc
from ironloop.valuation.v1 import explanations_pb2
from ironloop.valuation.v1 import valuation_pb2 as pb

from infra.local.client import Actor
from services.kit import wire
from services.maintenance.definition import DEFINITION as MAINTENANCE
from tests.integration.valuation.desk import Desk, fen, request_id
from tests.support.refusals import refused


async def read_meter(desk: Desk, owner: Actor, machine: str, hours: str, *, days_ago: int) -> None:
    """Report a reading of a machine's meter that is accepted."""
    now = desk.world.running["valuation"].runtime.clock.now()
    reading = await owner.stub(meters_pb2_grpc.MeterServiceStub).ReportMeterReading(
        meters_pb2.ReportMeterReadingRequest(
            request_id=request_id(),
            machine=machine,
            hours=wire.decimal(Decimal(hours)),
            reading_time=wire.instant(now - timedelta(days=days_ago)),
        )
    )
    assert reading.state == meters_pb2.METER_READING_STATE_ACCEPTED


async def break_down(desk: Desk, machine: str) -> faults_pb2.Fault:
    """Let a machine report a STOP fault."""
    return await desk.world.operator.stub(faults_pb2_grpc.FaultServiceStub).SimulateFault(
        faults_pb2.SimulateFaultRequest(
            request_id=request_id(),
            machine=machine,
            code=faults_pb2.FaultCode(spn=110, fmi=0),
            severity=faults_pb2.FAULT_SEVERITY_STOP,
        )
    )


async def fit(desk: Desk, machine: str, kind: str, *, made: int, hours: str) -> None:
    """Have a component recorded as installed today."""
    stub = desk.world.service("remanufacturing").stub(machines_pb2_grpc.MachineServiceStub)
    await stub.RecordComponent(
        components_pb2.RecordComponentRequest(
            request_id=request_id(),
            machine=machine,
            component=components_pb2.Component(
                kind=kind,
                serial_number=f"{kind}-1",
                manufacture_class=made,  # type: ignore[arg-type]
                install_date=wire.date(desk.world.today()),
                hours_at_install=wire.decimal(Decimal(hours)),
                label_no="RM-2026-1",
            ),
        )
    )


async def moved(
    desk: Desk, actor: Actor, former: pb.Valuation, later: pb.Valuation
) -> explanations_pb2.Explanation:
    """Return why a value is another than the one before it."""
    return await desk.of(actor).ExplainMove(
        explanations_pb2.ExplainMoveRequest(
            valuation=later.name, former=former.name, basis=common_pb2.VALUE_BASIS_OLV
        )
    )


async def test_each_event_of_a_machines_life_moves_its_next_value_by_the_explained_amount(
    desk: Desk,
) -> None:
    seller = await desk.world.party("SELLER")
    machine = await desk.machine(seller)
    values = [await desk.value(seller, machine)]
    assert values[0].facts.hours_source == pb.FACT_SOURCE_REGISTRY
    assert values[0].facts.compliance_source == pb.FACT_SOURCE_UNSPECIFIED

    async def next_value(code: str, way: int, *, lines: int = 1) -> pb.Valuation:
        value = await desk.value(seller, machine)
        explained = await moved(desk, seller, values[-1], value)
        by_code = {line.code: line for line in explained.lines}
        assert len(by_code) == lines, explained
        amount = by_code[code].amount
        assert (amount.units + amount.nanos / 1e9) * way > 0
        gained = sum(
            line.amount.units * 100 + line.amount.nanos // 10**7 for line in explained.lines
        )
        assert fen(value.olv.q50) - fen(values[-1].olv.q50) == gained
        replayed = await desk.replay(seller, value.name)
        assert replayed.outcome == pb.REPLAY_OUTCOME_MATCH
        values.append(value)
        return value

    # Accepted hours win over the registered 3,250.5; nobody heard of a fault.
    await read_meter(desk, seller, machine, "3300", days_ago=300)
    await read_meter(desk, seller, machine, "6400", days_ago=0)
    value = await next_value("HOURS", -1)
    assert value.specification.hours_meter.value == "6400.00"
    assert value.facts.hours_source == pb.FACT_SOURCE_MAINTENANCE
    assert value.adjustments.open_stop_faults == 0

    fault = await break_down(desk, machine)
    value = await next_value("STOP_FAULTS", -1)
    assert value.adjustments.open_stop_faults == 1

    await fit(
        desk, machine, "ENGINE", made=components_pb2.MANUFACTURE_CLASS_REMANUFACTURED, hours="6400"
    )
    value = await next_value("COMPONENT.ENGINE", 1)
    assert value.facts.components[0].counted
    assert json.loads((await desk.replay(seller, value.name)).record)["facts"]["components"] == [
        {
            "code": "ENGINE",
            "counted": True,
            "hours_at_install": "6400.00",
            "install_date": desk.world.today().isoformat(),
            "label_no": "RM-2026-1",
            "manufacture_class": "REMANUFACTURED",
            "serial_number": "ENGINE-1",
        }
    ]

    await seller.stub(faults_pb2_grpc.FaultServiceStub).ClearFault(
        faults_pb2.ClearFaultRequest(request_id=request_id(), name=fault.name)
    )
    await next_value("STOP_FAULTS", 1)

    plans: Any = seller.stub(plans_pb2_grpc.PlanServiceStub)
    template = await plans.CreatePlanTemplate(
        plans_pb2.CreatePlanTemplateRequest(
            request_id=request_id(),
            title="Ours",
            tasks=[
                plans_pb2.PlanTask(
                    code="OIL", title="Oil", interval_hours=wire.decimal(Decimal(250))
                )
            ],
        )
    )
    await plans.OpenServicePlan(
        plans_pb2.OpenServicePlanRequest(
            request_id=request_id(), machine=machine, template=template.name
        )
    )
    value = await next_value("MAINTENANCE", 1)
    assert value.facts.compliance_source == pb.FACT_SOURCE_MAINTENANCE
    assert value.adjustments.maintenance_compliance.value == "1.0000"


async def test_what_the_request_states_wins_and_the_record_says_so(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    machine = await desk.machine(seller)
    await read_meter(desk, seller, machine, "4000", days_ago=0)
    await break_down(desk, machine)
    stated = pb.Overrides(
        hours_meter=wire.decimal(Decimal(5_000)),
        adjustments=pb.Adjustments(
            maintenance_compliance=wire.decimal(Decimal("0.7")), open_stop_faults=0
        ),
    )

    value = await desk.value(seller, machine, overrides=stated)

    assert value.specification.hours_meter.value == "5000"
    assert value.adjustments.open_stop_faults == 0
    used = value.facts
    assert {used.hours_source, used.compliance_source, used.stop_faults_source} == {
        pb.FACT_SOURCE_REQUEST
    }


async def test_a_reconditioned_component_is_in_the_record_and_no_factor(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    machine = await desk.machine(seller)
    before = await desk.value(seller, machine)
    await fit(
        desk,
        machine,
        "TRANSMISSION",
        made=components_pb2.MANUFACTURE_CLASS_RECONDITIONED,
        hours="3250.5",
    )
    value = await desk.value(seller, machine)
    assert [part.counted for part in value.facts.components] == [False]
    assert value.olv == before.olv
    assert not (await moved(desk, seller, before, value)).lines


async def test_a_move_is_explained_between_values_of_one_machine_and_party(desk: Desk) -> None:
    seller, other = await desk.world.party("SELLER"), await desk.world.party("SELLER")
    one, two = [await desk.value(seller, await desk.machine(seller)) for _ in range(2)]
    with refused("INVALID_FIELD"):
        await moved(desk, seller, one, two)
    with refused("NOT_FOUND"):
        await moved(desk, other, one, one)


async def test_without_maintenance_nothing_is_valued(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    machine = await desk.machine(seller)
    await desk.world.stop("maintenance")
    try:
        with refused("PEER_UNAVAILABLE"):
            await desk.value(seller, machine)
    finally:
        await desk.world.start(MAINTENANCE)
