"""The states of an account."""

from services.kit.lifecycle import Lifecycle, Transition
from services.settlement.account import AccountState

ACCOUNT = Lifecycle(
    "account",
    [
        Transition(AccountState.OPEN, "freeze", AccountState.FROZEN),
        Transition(AccountState.FROZEN, "unfreeze", AccountState.OPEN),
        Transition(
            AccountState.OPEN,
            "close",
            AccountState.CLOSED,
            guard="nothing is in it or held on it",
        ),
    ],
)
