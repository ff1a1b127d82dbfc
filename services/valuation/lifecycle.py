"""The states of a valuation and of a model version (domain §3.2)."""

from ironloop.valuation.v1 import valuation_events_pb2

from services.kit.lifecycle import Lifecycle, Transition
from services.valuation.model import ModelState, ValuationState

VALUATION = Lifecycle(
    "valuation",
    [
        Transition(
            ValuationState.COMPUTED,
            "issue",
            ValuationState.ISSUED,
            event=valuation_events_pb2.ValuationIssued,
            guard="nothing speaks for a review",
        ),
        Transition(
            ValuationState.COMPUTED,
            "refer",
            ValuationState.IN_REVIEW,
            guard="out of the model's reach, interval wide, or above the automatic limit",
        ),
        Transition(
            ValuationState.IN_REVIEW,
            "approve",
            ValuationState.ISSUED,
            event=valuation_events_pb2.ValuationIssued,
            guard="a model validator of another party",
        ),
        Transition(
            ValuationState.IN_REVIEW,
            "reject",
            ValuationState.REJECTED,
            guard="a model validator of another party",
        ),
        Transition(
            ValuationState.ISSUED,
            "supersede",
            ValuationState.SUPERSEDED,
            event=valuation_events_pb2.ValuationSuperseded,
            guard="a valuation of the same machine and party, as of the same date or later",
        ),
        Transition(
            ValuationState.ISSUED, "expire", ValuationState.EXPIRED, guard="30 days have passed"
        ),
        Transition(
            ValuationState.ISSUED,
            "revoke",
            ValuationState.REVOKED,
            event=valuation_events_pb2.ValuationRevoked,
        ),
    ],
)

MODEL = Lifecycle(
    "model",
    [
        Transition(ModelState.TRAINED, "validate", ModelState.VALIDATED, guard="all gates are met"),
        Transition(
            ModelState.VALIDATED,
            "approve",
            ModelState.APPROVED,
            guard="the approver neither trained nor registered it",
        ),
        Transition(
            ModelState.APPROVED,
            "promote",
            ModelState.CHAMPION,
            event=valuation_events_pb2.ModelPromoted,
        ),
        Transition(
            ModelState.CHAMPION, "retire", ModelState.RETIRED, guard="another one was promoted"
        ),
        Transition(ModelState.CHAMPION, "roll_back", ModelState.ROLLED_BACK),
        Transition(
            ModelState.RETIRED,
            "reinstate",
            ModelState.CHAMPION,
            event=valuation_events_pb2.ModelPromoted,
            guard="its successor was rolled back",
        ),
    ],
)
