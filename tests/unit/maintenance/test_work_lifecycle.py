"""Every state and command of work orders, plans and exchanges, the forbidden ones too."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from services.kit.lifecycle import Lifecycle
from services.maintenance.definition import DEFINITION
from services.maintenance.exchange_model import ExchangeState as E
from services.maintenance.plan_model import PlanState as P
from services.maintenance.template_model import TemplateState as T
from services.maintenance.work_lifecycle import EXCHANGE, PLAN, TEMPLATE, WORK_ORDER
from services.maintenance.work_order_model import WorkOrderState as W
from tests.support.lifecycles import assert_step, pairs

# Domain page §3.2, written down a second time: what is not here must be refused.
WORK_ORDER_STEPS = {
    (W.DRAFT, "open"): W.OPEN,
    (W.OPEN, "assign"): W.ASSIGNED,
    (W.ASSIGNED, "assign"): W.ASSIGNED,
    (W.ASSIGNED, "start"): W.IN_PROGRESS,
    (W.IN_PROGRESS, "hold"): W.ON_HOLD,
    (W.ON_HOLD, "resume"): W.IN_PROGRESS,
    (W.IN_PROGRESS, "complete"): W.COMPLETED,
    (W.COMPLETED, "verify"): W.VERIFIED,
    (W.VERIFIED, "invoice"): W.INVOICED,
    (W.INVOICED, "close"): W.CLOSED,
    (W.DRAFT, "cancel"): W.CANCELLED,
    (W.OPEN, "cancel"): W.CANCELLED,
    (W.ASSIGNED, "cancel"): W.CANCELLED,
    (W.IN_PROGRESS, "cancel"): W.CANCELLED,
    (W.ON_HOLD, "cancel"): W.CANCELLED,
    (W.DRAFT, "approve_cost"): W.DRAFT,
    (W.OPEN, "approve_cost"): W.OPEN,
    (W.ASSIGNED, "approve_cost"): W.ASSIGNED,
    (W.IN_PROGRESS, "approve_cost"): W.IN_PROGRESS,
    (W.ON_HOLD, "approve_cost"): W.ON_HOLD,
    (W.COMPLETED, "approve_cost"): W.COMPLETED,
    (W.VERIFIED, "approve_cost"): W.VERIFIED,
    (W.OPEN, "request_exchange"): W.OPEN,
    (W.ASSIGNED, "request_exchange"): W.ASSIGNED,
    (W.IN_PROGRESS, "request_exchange"): W.IN_PROGRESS,
    (W.ON_HOLD, "request_exchange"): W.ON_HOLD,
}
PLAN_STEPS = {
    (P.ACTIVE, "trigger"): P.ACTIVE,
    (P.ACTIVE, "serve"): P.ACTIVE,
    (P.ACTIVE, "close"): P.CLOSED,
}
TEMPLATE_STEPS = {(T.ACTIVE, "open_plan"): T.ACTIVE, (T.ACTIVE, "retire"): T.RETIRED}
EXCHANGE_STEPS = {
    (E.REQUESTED, "reserve_unit"): E.UNIT_RESERVED,
    (E.UNIT_RESERVED, "charge_deposit"): E.DEPOSIT_CHARGED,
    (E.DEPOSIT_CHARGED, "ship"): E.SHIPPED,
    (E.SHIPPED, "fit"): E.FITTED,
    (E.FITTED, "install"): E.INSTALLED,
    (E.DEPOSIT_CHARGED, "settle_core"): E.DEPOSIT_CHARGED,
    (E.SHIPPED, "settle_core"): E.SHIPPED,
    (E.FITTED, "settle_core"): E.FITTED,
    (E.INSTALLED, "settle_core"): E.CLOSED,
    (E.REQUESTED, "refuse"): E.CANCELLED,
    (E.UNIT_RESERVED, "refuse"): E.CANCELLED,
    (E.DEPOSIT_CHARGED, "cancel"): E.CANCELLED,
    (E.SHIPPED, "cancel"): E.CANCELLED,
}


@pytest.mark.parametrize(
    ("machine", "state", "command", "target"),
    [
        *pairs(WORK_ORDER, W, WORK_ORDER_STEPS),
        *pairs(PLAN, P, PLAN_STEPS),
        *pairs(TEMPLATE, T, TEMPLATE_STEPS),
        *pairs(EXCHANGE, E, EXCHANGE_STEPS),
    ],
)
def test_a_command_leads_where_the_domain_page_says_or_nowhere(
    machine: Lifecycle[Any], state: StrEnum, command: str, target: StrEnum | None
) -> None:
    assert_step(machine, state, command, target)


@pytest.mark.parametrize(
    ("machine", "steps"),
    [
        (WORK_ORDER, WORK_ORDER_STEPS),
        (PLAN, PLAN_STEPS),
        (TEMPLATE, TEMPLATE_STEPS),
        (EXCHANGE, EXCHANGE_STEPS),
    ],
    ids=["work_order", "plan", "template", "exchange"],
)
def test_the_table_holds_each_step_and_no_other(
    machine: Lifecycle[Any], steps: Mapping[Any, Any]
) -> None:
    listed = {(step.source, step.command): step.target for step in machine.transitions}
    assert listed == steps


def test_whatever_a_step_announces_is_declared() -> None:
    produced = set(DEFINITION.produces)
    for machine in (WORK_ORDER, PLAN, TEMPLATE, EXCHANGE):
        assert {step.event for step in machine.transitions if step.event} <= produced
