"""Every (state, command) pair of the five state machines: the domain page's table, and no more."""

import itertools
from typing import Any

import pytest

from services.kit.lifecycle import Lifecycle, TransitionRefused
from services.leasing.announcements import PRODUCES
from services.leasing.claim_model import ClaimState
from services.leasing.disposal_model import DisposalState
from services.leasing.instalment_model import InstalmentState
from services.leasing.lifecycle import CLAIM, DISPOSAL, INSTALMENT, LEASE, PROGRAMME
from services.leasing.model import LIVE, LeaseState
from services.leasing.programme_model import ProgrammeState

# The domain page's §3.2, written down a second time: command, then "FROM>TO" pairs.
LEASE_STEPS = {
    "apply": "QUOTED>APPLIED",
    "decline": "APPLIED>DECLINED",
    "approve": "APPLIED>APPROVED",
    "sign": "APPROVED>APPROVED",
    "complete_signatures": "APPROVED>SIGNED",
    "accept_delivery": "SIGNED>SIGNED",
    "activate": "SIGNED>ACTIVE",
    "cancel": "QUOTED>CANCELLED APPLIED>CANCELLED APPROVED>CANCELLED SIGNED>CANCELLED",
    "expire": "QUOTED>EXPIRED APPLIED>EXPIRED APPROVED>EXPIRED SIGNED>EXPIRED",
    "pay": "ACTIVE>ACTIVE BUYOUT_QUOTED>ACTIVE MATURED>MATURED EXTENDED>EXTENDED"
    " RETURN_PENDING>RETURN_PENDING RETURNED>RETURNED DEFAULTED>DEFAULTED INSPECTED>INSPECTED"
    " TOTAL_LOSS>TOTAL_LOSS",
    "prepay": "ACTIVE>ACTIVE",
    "report_usage": "ACTIVE>ACTIVE BUYOUT_QUOTED>BUYOUT_QUOTED MATURED>MATURED EXTENDED>EXTENDED"
    " RETURN_PENDING>RETURN_PENDING DEFAULTED>DEFAULTED",
    "assign": "ACTIVE>ACTIVE BUYOUT_QUOTED>BUYOUT_QUOTED",
    "quote_buyout": "ACTIVE>BUYOUT_QUOTED BUYOUT_QUOTED>BUYOUT_QUOTED",
    "lapse_buyout": "BUYOUT_QUOTED>ACTIVE",
    "buy_out": "BUYOUT_QUOTED>BOUGHT_OUT",
    "mature": "ACTIVE>MATURED BUYOUT_QUOTED>MATURED EXTENDED>MATURED",
    "purchase": "MATURED>PURCHASED",
    "extend": "MATURED>EXTENDED",
    "return": "MATURED>RETURN_PENDING RETURN_PENDING>RETURN_PENDING",
    "lapse_election": "MATURED>RETURN_PENDING",
    "confirm_return": "RETURN_PENDING>RETURNED",
    "give_notice": "ACTIVE>ACTIVE BUYOUT_QUOTED>BUYOUT_QUOTED MATURED>MATURED EXTENDED>EXTENDED"
    " RETURN_PENDING>RETURN_PENDING",
    "declare_default": "ACTIVE>DEFAULTED BUYOUT_QUOTED>DEFAULTED MATURED>DEFAULTED"
    " EXTENDED>DEFAULTED RETURN_PENDING>DEFAULTED",
    "cure_default": "DEFAULTED>ACTIVE",
    "repossess": "DEFAULTED>REPOSSESSED",
    "report_total_loss": "ACTIVE>TOTAL_LOSS BUYOUT_QUOTED>TOTAL_LOSS MATURED>TOTAL_LOSS"
    " EXTENDED>TOTAL_LOSS RETURN_PENDING>TOTAL_LOSS DEFAULTED>TOTAL_LOSS",
    "reject_total_loss": "TOTAL_LOSS>ACTIVE",
    "pay_total_loss": "TOTAL_LOSS>TOTAL_LOSS",
    "inspect": "RETURNED>INSPECTED",
    "write_off": "DEFAULTED>DEFAULTED RETURNED>RETURNED INSPECTED>INSPECTED TOTAL_LOSS>TOTAL_LOSS",
    "open_disposal": "REPOSSESSED>REPOSSESSED INSPECTED>INSPECTED",
    "settle_disposal": "REPOSSESSED>REPOSSESSED INSPECTED>INSPECTED",
    "close": "INSPECTED>CLOSED REPOSSESSED>CLOSED TOTAL_LOSS>CLOSED",
}
INSTALMENT_STEPS = {
    "fall_due": "SCHEDULED>DUE",
    "pay_part": "DUE>PARTIAL PARTIAL>PARTIAL OVERDUE>OVERDUE",
    "pay": "DUE>PAID PARTIAL>PAID OVERDUE>PAID",
    "fall_overdue": "DUE>OVERDUE PARTIAL>OVERDUE",
    "age": "OVERDUE>OVERDUE",
    "assign": "SCHEDULED>SCHEDULED",
    "give_back": "SCHEDULED>SCHEDULED",
    "reschedule": "SCHEDULED>SCHEDULED",
    "pay_off": "SCHEDULED>PAID_OFF",
    "write_off": "OVERDUE>WRITTEN_OFF",
    "fall_short": "SCHEDULED>WRITTEN_OFF DUE>WRITTEN_OFF PARTIAL>WRITTEN_OFF OVERDUE>WRITTEN_OFF",
}
PROGRAMME_STEPS = {
    "update": "PUBLISHED>PUBLISHED",
    "retire": "PUBLISHED>RETIRED",
    "quote": "PUBLISHED>PUBLISHED",
}
CLAIM_STEPS = {"pay_part": "OPEN>OPEN", "pay": "OPEN>PAID", "waive": "OPEN>WAIVED"}
DISPOSAL_STEPS = {
    "record_unsold": "OPEN>OPEN",
    "revalue": "OPEN>OPEN",
    "settle": "OPEN>SETTLED",
    "cancel": "OPEN>CANCELLED",
}


def pairs(states: Any, lifecycle: Lifecycle[Any]) -> list[tuple[Any, str]]:
    return list(itertools.product(states, sorted(lifecycle.commands)))


@pytest.mark.parametrize(("state", "command"), pairs(LeaseState, LEASE))
def test_a_lease_takes_the_declared_steps_only(state: LeaseState, command: str) -> None:
    check(LEASE, LEASE_STEPS, state, command)


@pytest.mark.parametrize(("state", "command"), pairs(InstalmentState, INSTALMENT))
def test_an_instalment_takes_the_declared_steps_only(state: InstalmentState, command: str) -> None:
    check(INSTALMENT, INSTALMENT_STEPS, state, command)


@pytest.mark.parametrize(("state", "command"), pairs(ProgrammeState, PROGRAMME))
def test_a_programme_takes_the_declared_steps_only(state: ProgrammeState, command: str) -> None:
    check(PROGRAMME, PROGRAMME_STEPS, state, command)


@pytest.mark.parametrize(("state", "command"), pairs(ClaimState, CLAIM))
def test_a_claim_takes_the_declared_steps_only(state: ClaimState, command: str) -> None:
    check(CLAIM, CLAIM_STEPS, state, command)


@pytest.mark.parametrize(("state", "command"), pairs(DisposalState, DISPOSAL))
def test_a_disposal_takes_the_declared_steps_only(state: DisposalState, command: str) -> None:
    check(DISPOSAL, DISPOSAL_STEPS, state, command)


def test_nothing_that_is_declared_is_not_available() -> None:
    tables: tuple[Lifecycle[Any], ...] = (LEASE, INSTALMENT, PROGRAMME, CLAIM, DISPOSAL)
    assert not any(table.not_yet_available for table in tables)


def check(lifecycle: Lifecycle[Any], steps: dict[str, str], state: Any, command: str) -> None:
    targets = dict(step.split(">") for step in steps[command].split())
    if state in targets:
        assert lifecycle.next(state, command, subject="1").target == targets[state]
        return
    with pytest.raises(TransitionRefused) as caught:
        lifecycle.next(state, command, subject="subjects/1")
    assert caught.value.metadata == {"state": str(state), "command": command}


def test_every_state_of_the_domain_page_is_declared() -> None:
    reached = {step.target for step in LEASE.transitions} | {LeaseState.QUOTED}
    assert reached == set(LeaseState)
    reached_by_instalments = {step.target for step in INSTALMENT.transitions}
    assert reached_by_instalments | {InstalmentState.SCHEDULED} == set(InstalmentState)


def test_every_event_of_the_tables_is_produced() -> None:
    tables: tuple[Lifecycle[Any], ...] = (LEASE, INSTALMENT, PROGRAMME, CLAIM, DISPOSAL)
    events = {step.event for table in tables for step in table.transitions if step.event}
    assert events == set(PRODUCES)


def test_a_machine_is_free_before_the_approval_and_after_the_inspection() -> None:
    assert LIVE.isdisjoint(
        {
            LeaseState.QUOTED,
            LeaseState.APPLIED,
            LeaseState.DECLINED,
            LeaseState.BOUGHT_OUT,
            LeaseState.PURCHASED,
            LeaseState.INSPECTED,
            LeaseState.CLOSED,
            LeaseState.CANCELLED,
            LeaseState.EXPIRED,
        }
    )
    assert len(LIVE) == len(LeaseState) - 9
