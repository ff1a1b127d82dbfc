"""Every state and command of a valuation, the forbidden ones too."""

import pytest

from services.kit.lifecycle import TransitionRefused
from services.valuation.definition import DEFINITION
from services.valuation.lifecycle import MODEL, VALUATION
from services.valuation.model import ModelState
from services.valuation.model import ValuationState as V

# Domain page §3.2, written down a second time: what is not here must be refused.
STEPS = {
    (V.COMPUTED, "issue"): V.ISSUED,
    (V.COMPUTED, "refer"): V.IN_REVIEW,
    (V.IN_REVIEW, "approve"): V.ISSUED,
    (V.IN_REVIEW, "reject"): V.REJECTED,
    (V.ISSUED, "supersede"): V.SUPERSEDED,
    (V.ISSUED, "expire"): V.EXPIRED,
    (V.ISSUED, "revoke"): V.REVOKED,
}


@pytest.mark.parametrize("state", list(V))
@pytest.mark.parametrize("command", sorted(VALUATION.commands))
def test_a_command_leads_where_the_domain_says_or_is_refused(state: V, command: str) -> None:
    target = STEPS.get((state, command))
    if target is not None:
        assert VALUATION.next(state, command, subject="valuations/x").target is target
        return
    with pytest.raises(TransitionRefused) as refusal:
        VALUATION.next(state, command, subject="valuations/x")
    assert refusal.value.metadata == {"state": state.value, "command": command}


def test_every_event_of_the_table_is_declared() -> None:
    announced = {step.event for table in (VALUATION, MODEL) for step in table.transitions}
    assert announced - {None} <= set(DEFINITION.produces)


MODEL_STEPS = {
    (ModelState.TRAINED, "validate"): ModelState.VALIDATED,
    (ModelState.VALIDATED, "approve"): ModelState.APPROVED,
    (ModelState.APPROVED, "promote"): ModelState.CHAMPION,
    (ModelState.CHAMPION, "retire"): ModelState.RETIRED,
    (ModelState.CHAMPION, "roll_back"): ModelState.ROLLED_BACK,
    (ModelState.RETIRED, "reinstate"): ModelState.CHAMPION,
}


@pytest.mark.parametrize("state", list(ModelState))
@pytest.mark.parametrize("command", sorted(MODEL.commands))
def test_a_model_moves_as_the_domain_says_or_is_refused(state: ModelState, command: str) -> None:
    target = MODEL_STEPS.get((state, command))
    if target is not None:
        assert MODEL.next(state, command, subject="models/x").target is target
        return
    with pytest.raises(TransitionRefused):
        MODEL.next(state, command, subject="models/x")
