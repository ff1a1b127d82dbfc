"""What a load run hands to the process that makes the load, as JSON."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# Bounds: a load is a measurement of one machine by its owner, never more.
USERS_MAX = 500
DURATION_S_MAX = 1_800
OPERATIONS_MAX = 2_000_000
STEP_S_MIN = 3.0
CLOSED_SHARE = 0.7  # of the time, where a run has both loops; the rest is the open one's

LOOPS = ("both", "closed", "open")


@dataclass(frozen=True, slots=True)
class Plan:
    """A load to make.

    Attributes:
        loop: "closed": users ask again once answered, stepped up to the knee; "open": at a rate,
            answered or not; "both": the open one at half of what the closed one reached.
        rate: Operations a second of an open loop alone; 0: not stated.
        has_steps: Whether the closed loop steps up; otherwise all users come at once.
        addresses: host:port by service.
        facts: What the scenario's users need: tokens, accounts, names.
    """

    scenario: str
    users: int
    duration_s: float
    loop: str
    rate: float
    has_steps: bool
    folder: str
    addresses: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the plan; tokens are in it, so for its owner's eyes only."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "Plan":
        """Return the plan in a file."""
        return cls(**json.loads(path.read_text()))


class NotLocal(Exception):
    """The load would leave this machine."""


def check_local(addresses: dict[str, str]) -> None:
    """Let nothing but this machine be loaded.

    Raises:
        NotLocal: An address is not one of the loopback interface.
    """
    for service, address in addresses.items():
        host = address.rpartition(":")[0].strip("[]")
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise NotLocal(f"{service} is at {address}; loads only go to this machine")
