"""The scenarios as data: what each loads, which services it needs, how it is prepared."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loadtests import prepare
from loadtests.prepare import Stage

Prepare = Callable[[Stage], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load.

    Attributes:
        services: Whom it needs; empty: the whole stack.
        users: How many, where the caller does not say.
        has_outage: Whether the broker is stopped in the middle.
    """

    name: str
    title: str
    prepare: Prepare
    services: tuple[str, ...] = ()
    users: int = 16
    has_outage: bool = False


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "batches",
            "PostTransfers of 1,000 transfers",
            prepare.ledger,
            services=("settlement",),
        ),
        Scenario(
            "stream",
            "StreamTransfers: 8 batches of 1,000 a stream",
            prepare.ledger,
            services=("settlement",),
            users=8,
        ),
        Scenario(
            "unary",
            "PostTransfer, one transfer a call, coalesced by the service",
            prepare.ledger,
            services=("settlement",),
            users=64,
        ),
        Scenario("s1", "S1: lessees read their schedule and pay a part", prepare.leases),
        Scenario("s2", "S2: bids, orders and offers storm hot listings", prepare.hot_listing),
        Scenario(
            "s3",
            "S3: the fleet reports a quarter of an hour, a thousand machines a stream",
            prepare.fleet,
            services=("settlement", "marketplace", "maintenance"),
            users=8,
        ),
        Scenario("s4", "S4: portfolios of 10,000 machines valued", prepare.valuer, users=8),
        Scenario("s7", "S7: every command sent three times with the same ids", prepare.retries),
        Scenario(
            "s8",
            "S8: the broker is down for a while under batches, then recovers",
            prepare.ledger,
            services=("settlement",),
            users=4,
            has_outage=True,
        ),
    )
}

# Scenarios of domain.md §3.7 whose services do not exist.
MISSING: Mapping[str, str] = {
    "s5": "certificate chains need finance's certificates, which are not built yet",
    "s6": "a clearing run needs the clearing service, which is not built yet",
}
