"""Walks over state machines: every state with every command, the forbidden ones too."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from services.kit.lifecycle import Lifecycle, TransitionRefused

SUBJECT = "subjects/1"


def pairs(machine: Lifecycle[Any], states: type[StrEnum], steps: Mapping[Any, Any]) -> list[object]:
    """Return (machine, state, command, target) for each pair; a target of None is a refusal."""
    return [
        pytest.param(machine, state, command, steps.get((state, command)), id=f"{state}-{command}")
        for state in states
        for command in sorted(machine.commands)
    ]


def assert_step(
    machine: Lifecycle[Any], state: StrEnum, command: str, target: StrEnum | None
) -> None:
    """Hold a command to where it should lead, or to a refusal that names state and command."""
    if target is not None:
        assert machine.next(state, command, subject=SUBJECT).target is target
        return
    with pytest.raises(TransitionRefused) as refusal:
        machine.next(state, command, subject=SUBJECT)
    assert refusal.value.reason == "TRANSITION_REFUSED"
    assert refusal.value.metadata == {"state": state.value, "command": command}
    assert refusal.value.subject == SUBJECT
