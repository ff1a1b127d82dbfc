"""The states of a user."""

from services.kit.lifecycle import Lifecycle, Transition
from services.parties.model import UserState

USER = Lifecycle(
    "user",
    [
        Transition(UserState.ACTIVE, "change_password", UserState.ACTIVE),
        Transition(UserState.ACTIVE, "disable", UserState.DISABLED),
    ],
)
