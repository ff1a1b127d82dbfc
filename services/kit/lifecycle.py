"""State machines as data: which command leads from which state to which, and what it announces."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from google.protobuf.message import Message

from services.kit.errors import NotYetAvailable, PreconditionFailed

State = TypeVar("State", bound=StrEnum)


class TransitionRefused(PreconditionFailed):
    """The state machine has no such step from the present state."""

    reason = "TRANSITION_REFUSED"

    def __init__(self, aggregate: str, state: str, command: str, *, subject: str) -> None:
        super().__init__(
            f"cannot {command} a {aggregate} that is {state}",
            subject=subject,
            state=state,
            command=command,
        )


@dataclass(frozen=True, slots=True)
class Transition(Generic[State]):
    """One step: `command` takes an aggregate from `source` to `target` if its guard holds.

    Attributes:
        event: The event that announces it, where one does.
        guard: The condition in words; the handler checks it.
    """

    source: State
    command: str
    target: State
    event: type[Message] | None = None
    guard: str = ""


class Lifecycle(Generic[State]):
    """The steps of one kind of aggregate; whatever is not listed is refused."""

    def __init__(
        self,
        aggregate: str,
        transitions: Iterable[Transition[State]],
        *,
        not_yet_available: Iterable[str] = (),
    ) -> None:
        self.aggregate = aggregate
        self.transitions = tuple(transitions)
        self.not_yet_available = frozenset(not_yet_available)
        self._by_step = {(step.source, step.command): step for step in self.transitions}
        if len(self._by_step) != len(self.transitions):
            raise ValueError(f"{aggregate}: two transitions share a state and a command")

    @property
    def commands(self) -> frozenset[str]:
        """Every command, those not yet available included."""
        return frozenset(step.command for step in self.transitions) | self.not_yet_available

    def next(self, state: State, command: str, *, subject: str) -> Transition[State]:
        """Return the step that `command` takes from `state`.

        Raises:
            NotYetAvailable: The command is declared and not built.
            TransitionRefused: There is no such step; names `subject`.
        """
        if command in self.not_yet_available:
            raise NotYetAvailable(command, subject=subject)
        step = self._by_step.get((state, command))
        if step is None:
            raise TransitionRefused(self.aggregate, state.value, command, subject=subject)
        return step
