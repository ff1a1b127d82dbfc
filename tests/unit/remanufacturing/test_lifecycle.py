"""Every state and command of remanufacturing's state machines, the forbidden ones too."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from services.kit.lifecycle import Lifecycle
from services.remanufacturing.core_model import CoreState as C
from services.remanufacturing.definition import DEFINITION
from services.remanufacturing.lifecycle import CORE_RETURN, REMAN_ORDER, UNIT
from services.remanufacturing.order_model import OrderState as O
from services.remanufacturing.unit_model import UnitState as U
from tests.support.lifecycles import assert_step, pairs

# Domain page §3.2, written down a second time: what is not here must be refused.
CORE_STEPS = {
    (C.DEPOSIT_CHARGED, "authorise"): C.AUTHORISED,
    (C.AUTHORISED, "receive"): C.RECEIVED,
    (C.RECEIVED, "propose_grade"): C.RECEIVED,
    (C.RECEIVED, "grade"): C.GRADED,
    (C.GRADED, "credit"): C.CREDITED,
    (C.AUTHORISED, "reject"): C.REJECTED,
    (C.RECEIVED, "reject"): C.REJECTED,
    (C.GRADED, "reject"): C.REJECTED,
    (C.DEPOSIT_CHARGED, "forfeit"): C.FORFEITED,
    # Beyond the page (ADR 1200).
    (C.AUTHORISED, "forfeit"): C.FORFEITED,
    (C.DEPOSIT_CHARGED, "cancel"): C.CANCELLED,
}
ORDER_STEPS = {
    (O.QUEUED, "inspect_incoming"): O.QUEUED,
    (O.QUEUED, "disassemble"): O.DISASSEMBLED,
    (O.DISASSEMBLED, "clean"): O.CLEANED,
    (O.CLEANED, "inspect"): O.INSPECTED,
    (O.INSPECTED, "rework"): O.REWORKED,
    (O.REWORKED, "assemble"): O.ASSEMBLED,
    (O.ASSEMBLED, "pass_test"): O.TESTED,
    (O.TESTED, "certify"): O.CERTIFIED,
    (O.CERTIFIED, "stock"): O.STOCKED,
    (O.STOCKED, "reserve"): O.STOCKED,
    (O.STOCKED, "release"): O.STOCKED,
    (O.STOCKED, "install"): O.INSTALLED,
    (O.STOCKED, "sell"): O.SOLD,
    (O.INSPECTED, "scrap"): O.SCRAPPED,
    (O.TESTED, "scrap"): O.SCRAPPED,
    # Beyond the page (ADR 1201).
    (O.INSPECTED, "inspect"): O.INSPECTED,
    (O.ASSEMBLED, "fail_test"): O.INSPECTED,
}
UNIT_STEPS = {
    (U.STOCKED, "reserve"): U.RESERVED,
    (U.RESERVED, "release"): U.STOCKED,
    (U.RESERVED, "install"): U.INSTALLED,
    (U.RESERVED, "sell"): U.SOLD,
}
MACHINES: list[tuple[Lifecycle[Any], type[StrEnum], Mapping[Any, Any]]] = [
    (CORE_RETURN, C, CORE_STEPS),
    (REMAN_ORDER, O, ORDER_STEPS),
    (UNIT, U, UNIT_STEPS),
]


@pytest.mark.parametrize(
    ("machine", "state", "command", "target"),
    [pair for machine in MACHINES for pair in pairs(*machine)],
)
def test_a_command_leads_where_the_domain_says_or_is_refused(
    machine: Lifecycle[Any], state: StrEnum, command: str, target: StrEnum | None
) -> None:
    assert_step(machine, state, command, target)


@pytest.mark.parametrize(("machine", "_states", "steps"), MACHINES)
def test_the_tables_hold_nothing_beyond_the_page_and_its_decisions(
    machine: Lifecycle[Any], _states: type[StrEnum], steps: Mapping[Any, Any]
) -> None:
    assert {(step.source, step.command) for step in machine.transitions} == set(steps)


def test_every_event_of_a_step_is_declared_as_produced() -> None:
    announced = {
        step.event
        for machine, _, _ in MACHINES
        for step in machine.transitions
        if step.event is not None
    }
    assert announced <= set(DEFINITION.produces)


def test_a_unit_and_its_order_move_and_tell_together() -> None:
    by_command = {step.command: step.event for step in REMAN_ORDER.transitions}
    assert all(by_command[step.command] is step.event for step in UNIT.transitions)
