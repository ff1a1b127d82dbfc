"""Every state and command of procurement's state machines, the forbidden ones too."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from services.kit.lifecycle import Lifecycle
from services.procurement.definition import DEFINITION
from services.procurement.lifecycle import MEMBERSHIP, ORDER, POOL, QUOTE
from services.procurement.order_model import OrderState as O
from services.procurement.pool_model import MembershipState as M
from services.procurement.pool_model import PoolState as P
from services.procurement.pool_model import QuoteState as Q
from tests.support.lifecycles import assert_step, pairs

# Domain page §3.2, written down a second time: what is not here must be refused.
ORDER_STEPS = {
    (O.CREATED, "confirm"): O.CONFIRMED,
    (O.CONFIRMED, "fund"): O.FUNDED,
    (O.FUNDED, "dispatch"): O.DISPATCHED,
    (O.DISPATCHED, "deliver"): O.DELIVERED,
    (O.DELIVERED, "accept"): O.ACCEPTED,
    (O.DELIVERED, "accept_automatically"): O.ACCEPTED,
    (O.DELIVERED, "dispute"): O.DISPUTED,
    (O.DISPUTED, "grant_allowance"): O.ACCEPTED,
    (O.DISPUTED, "take_back"): O.RETURNED,
    (O.CREATED, "cancel"): O.CANCELLED,
    (O.CONFIRMED, "cancel"): O.CANCELLED,
    (O.FUNDED, "cancel"): O.CANCELLED,
    (O.CONFIRMED, "expire"): O.CANCELLED,
    (O.ACCEPTED, "settle"): O.SETTLED,
    (O.ACCEPTED, "block"): O.SETTLEMENT_BLOCKED,
    (O.SETTLEMENT_BLOCKED, "retry_settlement"): O.ACCEPTED,
}
POOL_STEPS = {
    (P.OPEN, "join"): P.OPEN,
    (P.OPEN, "leave"): P.OPEN,
    (P.OPEN, "lock"): P.LOCKED,
    (P.OPEN, "fail"): P.FAILED,
    (P.LOCKED, "quote"): P.QUOTED,
    (P.LOCKED, "fail"): P.FAILED,
    (P.QUOTED, "quote"): P.QUOTED,
    (P.QUOTED, "fail"): P.FAILED,
    (P.QUOTED, "award"): P.AWARDED,
    (P.AWARDED, "order"): P.ORDERED,
}
QUOTE_STEPS = {
    (Q.OFFERED, "withdraw"): Q.WITHDRAWN,
    (Q.OFFERED, "award"): Q.AWARDED,
    (Q.OFFERED, "lose"): Q.LOST,
    (Q.OFFERED, "lapse"): Q.LAPSED,
}
MEMBERSHIP_STEPS = {(M.LEFT, "join"): M.JOINED, (M.JOINED, "leave"): M.LEFT}


@pytest.mark.parametrize(
    ("machine", "state", "command", "target"),
    [
        *pairs(ORDER, O, ORDER_STEPS),
        *pairs(POOL, P, POOL_STEPS),
        *pairs(QUOTE, Q, QUOTE_STEPS),
        *pairs(MEMBERSHIP, M, MEMBERSHIP_STEPS),
    ],
)
def test_a_command_leads_where_the_domain_says_or_is_refused(
    machine: Lifecycle[Any], state: StrEnum, command: str, target: StrEnum | None
) -> None:
    assert_step(machine, state, command, target)


@pytest.mark.parametrize(
    ("machine", "steps"),
    [
        (ORDER, ORDER_STEPS),
        (POOL, POOL_STEPS),
        (QUOTE, QUOTE_STEPS),
        (MEMBERSHIP, MEMBERSHIP_STEPS),
    ],
)
def test_the_tables_hold_nothing_beyond_the_domain_page(
    machine: Lifecycle[Any], steps: Mapping[Any, Any]
) -> None:
    assert {(step.source, step.command) for step in machine.transitions} == set(steps)


def test_every_event_of_a_step_is_declared_as_produced() -> None:
    announced = {
        step.event
        for machine in (ORDER, POOL)
        for step in machine.transitions
        if step.event is not None
    }
    assert announced <= set(DEFINITION.produces)
