"""The states of a user, every (state, command) pair."""

import pytest

from services.kit.lifecycle import TransitionRefused
from services.parties.lifecycle import USER
from services.parties.model import UserState

LEADS_TO = {
    (UserState.ACTIVE, "change_password"): UserState.ACTIVE,
    (UserState.ACTIVE, "disable"): UserState.DISABLED,
}


@pytest.mark.parametrize("state", UserState)
@pytest.mark.parametrize("command", ["change_password", "disable"])
def test_every_state_and_command(state: UserState, command: str) -> None:
    assert USER.commands == {"change_password", "disable"}
    target = LEADS_TO.get((state, command))
    if target is None:
        with pytest.raises(TransitionRefused):
            USER.next(state, command, subject="users/1")
    else:
        assert USER.next(state, command, subject="users/1").target is target
