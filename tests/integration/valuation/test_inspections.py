"""A machine's condition is that of its latest inspection, for as long as the policy says."""

import json
from datetime import date, timedelta

from ironloop.common.v1 import common_pb2
from ironloop.marketplace.v1 import inspections_pb2, machines_pb2, machines_pb2_grpc
from ironloop.valuation.v1 import explanations_pb2
from ironloop.valuation.v1 import valuation_pb2 as pb

from infra.local.client import Actor
from services.kit import wire
from tests.integration.marketplace import market
from tests.integration.valuation.desk import Desk, fen

FAIR, POOR = inspections_pb2.CONDITION_GRADE_FAIR, inspections_pb2.CONDITION_GRADE_POOR


async def inspect(
    desk: Desk,
    seller: Actor,
    machine: str,
    *,
    on: date,
    grade: inspections_pb2.ConditionGrade.ValueType,
) -> inspections_pb2.Inspection:
    """Have a machine inspected for a listing."""
    technician = await desk.world.party("TECHNICIAN")
    registered = await seller.stub(machines_pb2_grpc.MachineServiceStub).GetMachine(
        machines_pb2.GetMachineRequest(name=machine)
    )
    listing = await market.submitted(seller, registered)
    return await market.inspect(technician, listing, inspect_date=on, grade=grade, hours="3250.5")


async def test_a_value_takes_the_condition_of_the_latest_inspection_as_of_its_date(
    desk: Desk,
) -> None:
    seller, today = await desk.world.party("SELLER"), desk.world.today()
    machine = await desk.machine(seller)
    unknown = await desk.value(seller, machine)
    assert unknown.facts.condition_source == pb.FACT_SOURCE_UNSPECIFIED
    assert not unknown.facts.HasField("inspection")

    found = await inspect(desk, seller, machine, on=today - timedelta(days=40), grade=FAIR)
    value = await desk.value(seller, machine)
    assert value.adjustments.condition == pb.CONDITION_FAIR
    assert value.facts.condition_source == pb.FACT_SOURCE_INSPECTION
    used = value.facts.inspection
    assert (used.inspection, used.age_days, used.counted) == (found.name, 40, True)
    assert fen(value.olv.q50) == round(fen(unknown.olv.q50) * 0.88)
    assert "CONDITION_ASSUMED" not in {rule.code for rule in value.grade_rules}
    explained = await desk.of(seller).ExplainValuation(
        explanations_pb2.ExplainValuationRequest(
            valuation=value.name, basis=common_pb2.VALUE_BASIS_OLV
        )
    )
    (line,) = [one for one in explained.lines if one.code == "CONDITION.FAIR"]
    day = today - timedelta(days=40)
    assert line.description == f"condition fair, as inspected on {day}, 40 days ago: −12.0 %"
    replayed = await desk.replay(seller, value.name)
    assert replayed.outcome == pb.REPLAY_OUTCOME_MATCH
    assert json.loads(replayed.record)["facts"]["inspection"]["inspection"] == found.name

    before = await desk.value(seller, machine, as_of=wire.date(today - timedelta(days=41)))
    assert before.facts.condition_source == pb.FACT_SOURCE_UNSPECIFIED


async def test_an_inspection_that_is_too_old_says_nothing(desk: Desk) -> None:
    seller, today = await desk.world.party("SELLER"), desk.world.today()
    machine = await desk.machine(seller)
    await inspect(desk, seller, machine, on=today - timedelta(days=90), grade=POOR)
    assert (await desk.value(seller, machine)).facts.inspection.counted
    await desk.world.advance_days(1)
    value = await desk.value(seller, machine)
    assert value.facts.condition_source == pb.FACT_SOURCE_UNSPECIFIED
    used = value.facts.inspection
    assert (used.age_days, used.condition, used.counted) == (91, pb.CONDITION_POOR, False)
    assert "CONDITION_ASSUMED" in {rule.code for rule in value.grade_rules}


async def test_a_condition_that_the_request_states_wins_over_the_inspection(desk: Desk) -> None:
    seller, today = await desk.world.party("SELLER"), desk.world.today()
    machine = await desk.machine(seller)
    await inspect(desk, seller, machine, on=today, grade=POOR)
    stated = pb.Overrides(adjustments=pb.Adjustments(condition=pb.CONDITION_VERY_GOOD))
    value = await desk.value(seller, machine, overrides=stated)
    assert value.adjustments.condition == pb.CONDITION_VERY_GOOD
    assert value.facts.condition_source == pb.FACT_SOURCE_REQUEST
    assert not value.facts.inspection.counted
