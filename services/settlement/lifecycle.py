"""The states of accounts, payments and lines of bank statements."""

from ironloop.settlement.v1 import settlement_events_pb2 as events

from services.kit.lifecycle import Lifecycle, Transition
from services.settlement.account import AccountState
from services.settlement.payment_model import LineState, PaymentState

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

PAYMENT = Lifecycle(
    "payment",
    [
        Transition(
            PaymentState.CREATED,
            "authorise",
            PaymentState.AUTHORISED,
            guard="maker is not checker above the limit; its amount can be held",
        ),
        Transition(PaymentState.CREATED, "cancel", PaymentState.FAILED, event=events.PaymentFailed),
        Transition(PaymentState.AUTHORISED, "submit", PaymentState.SUBMITTED),
        # A release is a fact about a payment that waits for one; it stands where it stood.
        *(
            Transition(state, "release", state, guard="before its deadline, by the event it names")
            for state in (PaymentState.CREATED, PaymentState.AUTHORISED, PaymentState.SUBMITTED)
        ),
        Transition(
            PaymentState.AUTHORISED,
            "cancel",
            PaymentState.FAILED,
            event=events.PaymentFailed,
            guard="the hold is voided",
        ),
        Transition(
            PaymentState.SUBMITTED,
            "settle",
            PaymentState.SETTLED,
            event=events.PaymentSettled,
            guard="the hold is posted",
        ),
        Transition(
            PaymentState.SUBMITTED,
            "reject",
            PaymentState.FAILED,
            event=events.PaymentFailed,
            guard="the hold is voided",
        ),
        Transition(
            PaymentState.SUBMITTED,
            "return",
            PaymentState.RETURNED,
            event=events.PaymentReturned,
            guard="the hold is voided; also where its release event did not happen in time",
        ),
        Transition(
            PaymentState.SETTLED,
            "return",
            PaymentState.RETURNED,
            event=events.PaymentReturned,
            guard="the mirrored transfer is posted",
        ),
    ],
)

STATEMENT_LINE = Lifecycle(
    "statement line",
    [Transition(LineState.UNMATCHED, "match", LineState.RESOLVED, guard="money came in")],
)
