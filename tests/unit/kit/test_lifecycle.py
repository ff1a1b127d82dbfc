"""State machines as tables."""

from enum import StrEnum

import pytest

from services.kit.errors import NotYetAvailable
from services.kit.lifecycle import Lifecycle, Transition, TransitionRefused


class Door(StrEnum):
    OPEN = "OPEN"
    SHUT = "SHUT"


DOORS = Lifecycle(
    "door",
    [Transition(Door.OPEN, "shut", Door.SHUT), Transition(Door.SHUT, "open", Door.OPEN)],
    not_yet_available=["lock"],
)


def test_a_listed_step_leads_on() -> None:
    assert DOORS.next(Door.OPEN, "shut", subject="doors/1").target is Door.SHUT


def test_any_other_step_is_refused_by_subject_and_state() -> None:
    with pytest.raises(TransitionRefused) as caught:
        DOORS.next(Door.OPEN, "open", subject="doors/1")
    assert caught.value.metadata == {"state": "OPEN", "command": "open"}
    assert caught.value.subject == "doors/1"


@pytest.mark.parametrize("state", Door)
def test_a_declared_command_is_not_yet_available_from_any_state(state: Door) -> None:
    with pytest.raises(NotYetAvailable):
        DOORS.next(state, "lock", subject="doors/1")
    assert "lock" in DOORS.commands


def test_two_steps_may_not_share_state_and_command() -> None:
    with pytest.raises(ValueError, match="door"):
        Lifecycle("door", [Transition(Door.OPEN, "shut", Door.SHUT)] * 2)
