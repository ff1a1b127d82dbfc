"""Every (state, command) pair of meter readings and faults."""

import pytest

from services.kit.lifecycle import TransitionRefused
from services.maintenance.fault_model import FaultState
from services.maintenance.lifecycle import FAULT, METER_READING
from services.maintenance.meter_model import ReadingState

READING_STEPS = {
    ("QUARANTINED", "accept"): "ACCEPTED",
    ("QUARANTINED", "reject"): "REJECTED",
    ("ACCEPTED", "correct"): "CORRECTED",
}
FAULT_STEPS = {
    ("ACTIVE", "report"): "ACTIVE",
    ("ACTIVE", "acknowledge"): "ACKNOWLEDGED",
    ("ACTIVE", "order_work"): "WORK_ORDERED",
    ("ACTIVE", "clear"): "CLEARED",
    ("ACKNOWLEDGED", "report"): "ACKNOWLEDGED",
    ("ACKNOWLEDGED", "order_work"): "WORK_ORDERED",
    ("ACKNOWLEDGED", "clear"): "CLEARED",
    ("WORK_ORDERED", "report"): "WORK_ORDERED",
    ("WORK_ORDERED", "cancel_work"): "ACKNOWLEDGED",
    ("WORK_ORDERED", "clear"): "CLEARED",
}


@pytest.mark.parametrize("state", ReadingState)
@pytest.mark.parametrize("command", sorted(METER_READING.commands))
def test_a_reading_takes_the_steps_of_its_table_and_no_other(
    state: ReadingState, command: str
) -> None:
    target = READING_STEPS.get((state.value, command))
    if target is None:
        with pytest.raises(TransitionRefused):
            METER_READING.next(state, command, subject="meterReadings/1")
    else:
        assert METER_READING.next(state, command, subject="meterReadings/1").target == target


@pytest.mark.parametrize("state", FaultState)
@pytest.mark.parametrize("command", sorted(FAULT.commands))
def test_a_fault_takes_the_steps_of_its_table_and_no_other(state: FaultState, command: str) -> None:
    target = FAULT_STEPS.get((state.value, command))
    if target is None:
        with pytest.raises(TransitionRefused):
            FAULT.next(state, command, subject="faults/1")
    else:
        assert FAULT.next(state, command, subject="faults/1").target == target


def test_the_tables_are_whole() -> None:
    assert METER_READING.commands == {command for _, command in READING_STEPS}
    assert FAULT.commands == {command for _, command in FAULT_STEPS}
