"""What registry and maintenance know moves the next value, by the amount that is explained."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache

import pytest

from services.valuation.explanation import Explainer, Explanation, ValueBasis
from services.valuation.machine_facts import (
    Fitted,
    Health,
    Inspected,
    MachineKnown,
    Source,
    facts_used,
    with_known,
)
from services.valuation.model import MEDIAN, Adjustments, Component, Inputs
from services.valuation.policy import read_policy
from services.valuation.record import make_record, recompute
from services.valuation.value_moves import explain_move
from tests.unit.valuation.machines import AS_OF, EXCAVATOR, POLICY, inputs_of, read_valuer

HEALTH = Health(
    hours=Decimal(6_000),
    hours_at=datetime(2026, 6, 1, tzinfo=UTC),
    compliance=Decimal("0.9"),
    open_stop_faults=0,
)
ENGINE = Fitted("ENGINE", "E-1", "REMANUFACTURED", date(2026, 6, 1), Decimal(5_900), "R-1")
KNOWN = MachineKnown(EXCAVATOR, (), HEALTH)


@cache
def read_explainer() -> Explainer:
    return Explainer(read_valuer())


def known(inputs: Inputs, machine: MachineKnown) -> Inputs:
    specified = replace(inputs, specification=machine.best_specification)
    return with_known(specified, machine, read_valuer().policy)


def move(before: MachineKnown, after: MachineKnown, of: ValueBasis) -> Explanation:
    former, later = (known(inputs_of(), machine) for machine in (before, after))
    return explain_move(
        read_explainer().reasons(former, of), read_explainer().reasons(later, of), of
    )


MOVES = {
    "a remanufactured engine": (replace(KNOWN, fitted=(ENGINE,)), "COMPONENT.ENGINE", 1),
    "a plan kept better": (
        replace(KNOWN, health=replace(HEALTH, compliance=Decimal("0.98"))),
        "MAINTENANCE",
        1,
    ),
    "a plan kept worse": (
        replace(KNOWN, health=replace(HEALTH, compliance=Decimal("0.4"))),
        "MAINTENANCE",
        -1,
    ),
    "more hours": (replace(KNOWN, health=replace(HEALTH, hours=Decimal(7_500))), "HOURS", -1),
    "a STOP fault": (replace(KNOWN, health=replace(HEALTH, open_stop_faults=1)), "STOP_FAULTS", -1),
}


@pytest.mark.parametrize("of", list(ValueBasis))
@pytest.mark.parametrize("what", list(MOVES))
def test_a_fact_moves_the_value_its_way_by_the_explained_amount(what: str, of: ValueBasis) -> None:
    after, code, way = MOVES[what]
    explained = move(KNOWN, after, of)
    values = [
        getattr(read_valuer().appraise(known(inputs_of(), one))[0].values, of.lower())[MEDIAN]
        for one in (KNOWN, after)
    ]
    assert [line.code for line in explained.lines] == [code]
    assert explained.lines[0].amount_fen == values[1] - values[0]
    assert (explained.start_fen, explained.value_fen) == (values[0], values[1])
    assert explained.lines[0].amount_fen * way > 0
    assert explained.lines[0].percent * way > 0


def test_several_facts_at_once_add_up_to_the_move_to_the_fen() -> None:
    after = MachineKnown(
        EXCAVATOR,
        (ENGINE,),
        replace(HEALTH, hours=Decimal(7_500), compliance=Decimal("0.7"), open_stop_faults=2),
    )
    explained = move(KNOWN, after, ValueBasis.OLV)
    assert {line.code for line in explained.lines} == {
        "HOURS",
        "MAINTENANCE",
        "STOP_FAULTS",
        "COMPONENT.ENGINE",
    }
    moved = explained.start_fen + sum(line.amount_fen for line in explained.lines)
    assert moved == explained.value_fen
    words = {line.code: line.description for line in explained.lines}
    assert words["MAINTENANCE"].startswith("maintenance compliance 90 % → maintenance compl")
    assert words["COMPONENT.ENGINE"].startswith("remanufactured engine, 1,600 h since: +")
    assert words["STOP_FAULTS"].startswith("no open STOP faults → 2 open STOP faults: −")


def test_nothing_known_moves_nothing() -> None:
    assert move(KNOWN, KNOWN, ValueBasis.FMV).lines == ()
    unknown = MachineKnown(EXCAVATOR, (), None)
    assert known(inputs_of(), unknown) == inputs_of()


def test_what_a_request_states_wins() -> None:
    stated = Adjustments(
        maintenance_compliance=Decimal("0.5"),
        open_stop_faults=3,
        components=(Component("ENGINE", Decimal(10)),),
    )
    pump = replace(ENGINE, code="HYDRAULIC_PUMP")
    machine = MachineKnown(EXCAVATOR, (ENGINE, pump), HEALTH)
    joined = known(replace(inputs_of(), adjustments=stated), machine).adjustments
    assert joined.maintenance_compliance == Decimal("0.5")
    assert joined.open_stop_faults == 3
    assert joined.components == (
        Component("ENGINE", Decimal(10)),
        Component("HYDRAULIC_PUMP", Decimal(100)),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"manufacture_class": "RECONDITIONED"},
        {"code": "CAB"},
        {"install_date": date(2026, 6, 16)},
    ],
    ids=["reconditioned", "no kind of the table", "fitted after the as-of date"],
)
def test_some_components_are_no_factor(changes: dict[str, object]) -> None:
    machine = MachineKnown(EXCAVATOR, (replace(ENGINE, **changes),), None)  # type: ignore[arg-type]
    assert known(inputs_of(), machine).adjustments.components == ()


def test_of_two_of_a_kind_the_more_worn_counts() -> None:
    left, right = (
        replace(ENGINE, code="FINAL_DRIVE", serial_number=side, hours_at_install=Decimal(hours))
        for side, hours in (("L", 5_000), ("R", 5_800))
    )
    machine = MachineKnown(EXCAVATOR, (left, right), HEALTH)
    assert known(inputs_of(), machine).adjustments.components == (
        Component("FINAL_DRIVE", Decimal(1_000)),
    )


def test_a_component_fitted_beyond_stated_hours_has_run_none() -> None:
    inputs = inputs_of(hours_meter=Decimal(100))
    joined = with_known(inputs, MachineKnown(EXCAVATOR, (ENGINE,), None), read_valuer().policy)
    assert joined.adjustments.components == (Component("ENGINE", Decimal(0)),)


def test_the_facts_used_are_in_the_record_which_is_recomputed_to_the_byte() -> None:
    valuer, machine = read_valuer(), MachineKnown(EXCAVATOR, (ENGINE,), HEALTH)
    stated = replace(inputs_of(), specification=machine.best_specification)
    facts = facts_used(stated, machine, valuer.policy)
    inputs = with_known(stated, machine, valuer.policy)
    appraisal, prediction = valuer.appraise(inputs)
    record = make_record(valuer, inputs, appraisal, prediction, request={}, facts=facts)
    kept = json.loads(record)["facts"]
    assert kept["hours_source"] == kept["compliance_source"] == Source.MAINTENANCE
    assert kept["components"][0]["label_no"] == "R-1"
    assert kept["components"][0]["counted"] is True
    assert recompute(valuer, record) == record
    assert AS_OF.isoformat() in record.decode()


@pytest.mark.parametrize(
    ("age_days", "stated", "condition", "source"),
    [
        (0, "", "FAIR", Source.INSPECTION),
        (90, "", "FAIR", Source.INSPECTION),
        (91, "", "", Source.UNSPECIFIED),
        (10, "GOOD", "GOOD", Source.REQUEST),
    ],
)
def test_an_inspection_counts_for_ninety_days_unless_the_request_states_a_condition(
    age_days: int, stated: str, condition: str, source: Source
) -> None:
    inspected = Inspected("inspections/1", "FAIR", AS_OF - timedelta(days=age_days))
    machine = replace(KNOWN, inspected=inspected)
    policy = read_valuer().policy
    inputs = replace(inputs_of(), adjustments=Adjustments(condition=stated))
    used = facts_used(inputs, machine, policy)
    assert with_known(inputs, machine, policy).adjustments.condition == condition
    assert used["condition_source"] == source
    assert used["inspection"]["counted"] == (source is Source.INSPECTION)


def test_a_policy_table_from_before_inspections_were_read_takes_no_condition_from_them() -> None:
    former = read_policy(POLICY.with_name("2026-2.json"))
    machine = replace(KNOWN, inspected=Inspected("inspections/1", "FAIR", AS_OF))
    assert with_known(inputs_of(), machine, former).adjustments.condition == ""
