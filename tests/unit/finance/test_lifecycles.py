"""Every state machine of finance over every (state, command) pair."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import pytest

from services.finance.draw_model import CollateralState, DrawState
from services.finance.facility_model import FacilityState
from services.finance.lifecycle import (
    COLLATERAL,
    DRAW,
    FACILITY,
    FACTORING,
    OFFER,
    RECEIVABLE,
    SUBORDINATION,
)
from services.finance.offer_model import OfferState
from services.finance.receivable_model import FactoringState, ReceivableState
from services.finance.subordination_model import SubordinationState
from services.kit.errors import NotYetAvailable
from services.kit.lifecycle import Lifecycle, TransitionRefused

# What the domain page allows, written down a second time and by hand: "state command": target.
ALLOWED: list[tuple[Lifecycle[Any], type[StrEnum], dict[str, str]]] = [
    (
        FACILITY,
        FacilityState,
        {
            "ACTIVE suspend": "SUSPENDED",
            "SUSPENDED resume": "ACTIVE",
            "ACTIVE close": "CLOSED",
            "SUSPENDED close": "CLOSED",
        },
    ),
    (
        OFFER,
        OfferState,
        {
            "REQUESTED make": "OFFERED",
            "REQUESTED refuse": "REFUSED",
            "OFFERED accept": "ACCEPTED",
            "OFFERED withdraw": "WITHDRAWN",
            "OFFERED expire": "EXPIRED",
            "ACCEPTED expire": "EXPIRED",
            "ACCEPTED draw": "DRAWN",
            "DRAWN repay": "REPAID",
            "DRAWN declare_default": "DEFAULTED",
            "DEFAULTED repay": "REPAID",
        },
    ),
    (
        DRAW,
        DrawState,
        {
            "PENDING pay_out": "ACTIVE",
            "PENDING cancel": "CANCELLED",
            "ACTIVE pay": "ACTIVE",
            "ACTIVE repay": "REPAID",
            "ACTIVE declare_default": "DEFAULTED",
            "ACTIVE close_short": "DEFAULTED",
            "DEFAULTED close_short": "DEFAULTED",
            "DEFAULTED pay": "DEFAULTED",
            "DEFAULTED repay": "REPAID",
        },
    ),
    (
        COLLATERAL,
        CollateralState,
        {
            "COMPLIANT find_compliant": "COMPLIANT",
            "COMPLIANT find_watch": "WATCH",
            "COMPLIANT find_shortfall": "SHORTFALL",
            "WATCH find_compliant": "COMPLIANT",
            "WATCH find_watch": "WATCH",
            "WATCH find_shortfall": "SHORTFALL",
            "SHORTFALL find_compliant": "CURED",
            "SHORTFALL find_watch": "CURED",
            "SHORTFALL find_shortfall": "SHORTFALL",
            "CURED find_compliant": "CURED",
            "CURED find_watch": "WATCH",
            "CURED find_shortfall": "SHORTFALL",
            "COMPLIANT enforce": "ENFORCEMENT",
            "WATCH enforce": "ENFORCEMENT",
            "SHORTFALL enforce": "ENFORCEMENT",
            "CURED enforce": "ENFORCEMENT",
            "ENFORCEMENT enforce": "ENFORCEMENT",
            "ENFORCEMENT find_compliant": "ENFORCEMENT",
            "ENFORCEMENT find_watch": "ENFORCEMENT",
            "ENFORCEMENT find_shortfall": "ENFORCEMENT",
            "ENFORCEMENT lift": "CURED",
            "ENFORCEMENT lift_short": "SHORTFALL",
        },
    ),
    (
        RECEIVABLE,
        ReceivableState,
        {
            "CREATED confirm": "CONFIRMED",
            "CREATED collect": "CREATED",
            "CREATED settle": "SETTLED",
            "CREATED revise": "CREATED",
            "CONFIRMED confirm": "CONFIRMED",
            "CONFIRMED offer": "OFFERED",
            "CONFIRMED collect": "CONFIRMED",
            "CONFIRMED settle": "SETTLED",
            "CONFIRMED revise": "CREATED",
            "OFFERED assign": "ASSIGNED",
            "OFFERED unlock": "CONFIRMED",
            "OFFERED collect": "OFFERED",
            "OFFERED settle": "SETTLED",
            "ASSIGNED unlock": "CONFIRMED",
            "ASSIGNED fund": "FUNDED",
            "ASSIGNED collect": "ASSIGNED",
            "ASSIGNED settle": "SETTLED",
            "FUNDED collect": "COLLECTING",
            "FUNDED settle": "SETTLED",
            "COLLECTING collect": "COLLECTING",
            "COLLECTING settle": "SETTLED",
        },
    ),
    (
        SUBORDINATION,
        SubordinationState,
        {
            "GIVEN use": "USED",
            "GIVEN expire": "EXPIRED",
            "GIVEN revoke": "REVOKED",
        },
    ),
    (
        FACTORING,
        FactoringState,
        {
            "OFFERED assign": "ASSIGNED",
            "OFFERED cancel": "CANCELLED",
            "ASSIGNED fund": "FUNDED",
            "ASSIGNED return": "CANCELLED",
            "FUNDED settle": "SETTLED",
        },
    ),
]

NOT_YET_AVAILABLE = {
    "receivable": {"dispute", "dilute", "claim_recourse"},
}


def pairs() -> Iterator[Any]:
    for lifecycle, states, allowed in ALLOWED:
        for state in states:
            for command in sorted(lifecycle.commands):
                case = f"{state} {command}"
                yield pytest.param(
                    lifecycle, state, command, allowed.get(case), id=f"{lifecycle.aggregate} {case}"
                )


@pytest.mark.parametrize(("lifecycle", "state", "command", "target"), list(pairs()))
def test_a_command_leads_where_the_domain_says_or_is_refused(
    lifecycle: Lifecycle[Any], state: Any, command: str, target: str | None
) -> None:
    if command in NOT_YET_AVAILABLE.get(lifecycle.aggregate, set()):
        with pytest.raises(NotYetAvailable):
            lifecycle.next(state, command, subject="x")
    elif target is None:
        with pytest.raises(TransitionRefused) as refused:
            lifecycle.next(state, command, subject="x")
        assert refused.value.metadata["state"] == state
    else:
        assert lifecycle.next(state, command, subject="x").target == target


def test_every_allowed_pair_is_a_pair_of_its_machine() -> None:
    for lifecycle, states, allowed in ALLOWED:
        for case in allowed:
            state, command = case.split()
            assert state in list(states)
            assert command in lifecycle.commands
