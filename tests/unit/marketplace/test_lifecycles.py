"""Every state machine of the marketplace over every (state, command) pair."""

from enum import StrEnum
from typing import Any

import pytest

from services.kit.lifecycle import Lifecycle, TransitionRefused
from services.marketplace import auction_events, listing_events, machine_events
from services.marketplace.auction_lifecycle import AUCTION, BID_DEPOSIT
from services.marketplace.auction_model import AuctionState
from services.marketplace.consent_model import ConsentState
from services.marketplace.deposit_model import DepositState
from services.marketplace.lifecycle import CONSENT, CUSTODY, LIEN, LISTING, MACHINE, OFFER
from services.marketplace.listing_model import ListingState
from services.marketplace.machine_model import Custody, LienState, MachineLifecycle
from services.marketplace.offer_model import OfferState

# Written down from domain.md, section 3.2, apart from the tables under test.
ALLOWED: dict[str, set[tuple[str, str, str]]] = {
    "machine": {
        ("REGISTERED", "deliver", "IN_SERVICE"),
        ("IN_SERVICE", "start_remanufacture", "IN_REMAN"),
        ("IN_REMAN", "finish_remanufacture", "IN_SERVICE"),
        ("REGISTERED", "scrap", "SCRAPPED"),
        ("IN_SERVICE", "scrap", "SCRAPPED"),
        ("IN_REMAN", "scrap", "SCRAPPED"),
    },
    "machine's custody": {
        ("AVAILABLE", "reserve", "RESERVED"),
        ("RESERVED", "release", "AVAILABLE"),
        ("RESERVED", "expire", "AVAILABLE"),
        ("RESERVED", "hand_over_reserved", "RESERVED"),
        ("RESERVED", "hand_over_available", "AVAILABLE"),
        ("RESERVED", "hand_over_on_lease", "ON_LEASE"),
        ("AVAILABLE", "hand_over_available", "AVAILABLE"),
        ("AVAILABLE", "hand_over_in_shop", "IN_SHOP"),
        ("IN_SHOP", "hand_over_available", "AVAILABLE"),
        ("ON_LEASE", "hand_over_in_shop", "IN_SHOP"),
        ("IN_SHOP", "hand_over_on_lease", "ON_LEASE"),
        ("ON_LEASE", "hand_over_in_transit", "IN_TRANSIT"),
        ("IN_TRANSIT", "hand_over_available", "AVAILABLE"),
        ("ON_LEASE", "hand_over_available", "AVAILABLE"),
    },
    "lien": {("ACTIVE", "release", "RELEASED")},
    "listing": {
        ("DRAFT", "update", "DRAFT"),
        ("DRAFT", "submit", "SUBMITTED"),
        ("SUBMITTED", "reject", "DRAFT"),
        ("SUBMITTED", "inspect", "INSPECTED"),
        ("INSPECTED", "inspect", "INSPECTED"),
        ("INSPECTED", "reprice", "INSPECTED"),
        ("INSPECTED", "publish", "PUBLISHED"),
        ("PUBLISHED", "reprice", "PUBLISHED"),
        ("PUBLISHED", "take_offer", "PUBLISHED"),
        ("PUBLISHED", "auction", "PUBLISHED"),
        ("PUBLISHED", "reserve", "RESERVED"),
        ("PUBLISHED", "withdraw", "WITHDRAWN"),
        ("PUBLISHED", "expire", "EXPIRED"),
        ("RESERVED", "release", "PUBLISHED"),
        ("RESERVED", "complete_sale", "SOLD"),
    },
    "offer": {
        ("OPEN", "accept", "ACCEPTED"),
        ("OPEN", "reject", "REJECTED"),
        ("OPEN", "withdraw", "WITHDRAWN"),
        ("OPEN", "expire", "EXPIRED"),
        ("OPEN", "end_listing", "REJECTED"),
        ("ACCEPTED", "expire", "EXPIRED"),
        ("ACCEPTED", "end_listing", "REJECTED"),
        ("ACCEPTED", "order", "ORDERED"),
        ("ORDERED", "cancel_order", "EXPIRED"),
    },
    "consent": {("ACTIVE", "revoke", "REVOKED")},
    "auction": {
        ("SCHEDULED", "open", "OPEN"),
        ("SCHEDULED", "cancel", "CANCELLED"),
        ("OPEN", "bid", "OPEN"),
        ("OPEN", "extend", "EXTENDED"),
        ("EXTENDED", "bid", "EXTENDED"),
        ("EXTENDED", "extend", "EXTENDED"),
        ("OPEN", "close_sold", "CLOSED_SOLD"),
        ("OPEN", "close_unsold", "CLOSED_UNSOLD"),
        ("EXTENDED", "close_sold", "CLOSED_SOLD"),
        ("EXTENDED", "close_unsold", "CLOSED_UNSOLD"),
    },
    "bid deposit": {("HELD", "release", "RELEASED"), ("HELD", "forfeit", "FORFEITED")},
}
MACHINES: list[tuple[Lifecycle[Any], type[StrEnum]]] = [
    (MACHINE, MachineLifecycle),
    (CUSTODY, Custody),
    (LIEN, LienState),
    (LISTING, ListingState),
    (OFFER, OfferState),
    (CONSENT, ConsentState),
    (AUCTION, AuctionState),
    (BID_DEPOSIT, DepositState),
]
PAIRS = [
    pytest.param(lifecycle, state, command, id=f"{lifecycle.aggregate}-{state}-{command}")
    for lifecycle, states in MACHINES
    for state in states
    for command in sorted(lifecycle.commands)
]


@pytest.mark.parametrize(("lifecycle", "state", "command"), PAIRS)
def test_a_command_leads_where_the_domain_says_or_is_refused(
    lifecycle: Lifecycle[Any], state: StrEnum, command: str
) -> None:
    targets = {
        target
        for source, name, target in ALLOWED[lifecycle.aggregate]
        if (source, name) == (state.value, command)
    }
    if targets:
        assert {lifecycle.next(state, command, subject="x").target.value} == targets
    else:
        with pytest.raises(TransitionRefused) as refusal:
            lifecycle.next(state, command, subject="x")
        assert refusal.value.metadata == {"state": state.value, "command": command}


def test_what_a_step_announces_is_produced() -> None:
    produced = {
        *machine_events.PRODUCES,
        *listing_events.PRODUCES,
        *auction_events.PRODUCES,
    }
    for lifecycle, _ in MACHINES:
        for step in lifecycle.transitions:
            assert step.event is None or step.event in produced
