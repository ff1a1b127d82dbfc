"""The state machines of meter readings and faults (domain.md §3.2), as tables."""

from ironloop.maintenance.v1 import maintenance_events_pb2 as events

from services.kit.lifecycle import Lifecycle, Transition
from services.maintenance.fault_model import FaultState
from services.maintenance.meter_model import ReadingState

METER_READING = Lifecycle(
    "meter reading",
    [
        Transition(
            ReadingState.QUARANTINED,
            "accept",
            ReadingState.ACCEPTED,
            events.MeterReadingAccepted,
            "not below the last accepted one",
        ),
        Transition(ReadingState.QUARANTINED, "reject", ReadingState.REJECTED),
        Transition(
            ReadingState.ACCEPTED,
            "correct",
            ReadingState.CORRECTED,
            events.MeterReadingAccepted,
            "the right figure lies between the readings before and after it",
        ),
    ],
)

_OPEN = (FaultState.ACTIVE, FaultState.ACKNOWLEDGED, FaultState.WORK_ORDERED)

FAULT = Lifecycle(
    "fault",
    [
        *(
            Transition(state, "report", state, events.FaultRaised, "an event only where graver")
            for state in _OPEN
        ),
        *(Transition(state, "clear", FaultState.CLEARED, events.FaultCleared) for state in _OPEN),
        Transition(FaultState.ACTIVE, "acknowledge", FaultState.ACKNOWLEDGED),
        Transition(FaultState.ACTIVE, "order_work", FaultState.WORK_ORDERED),
        Transition(FaultState.ACKNOWLEDGED, "order_work", FaultState.WORK_ORDERED),
        Transition(
            FaultState.WORK_ORDERED, "cancel_work", FaultState.ACKNOWLEDGED, guard="its work order"
        ),
    ],
)
