"""A machine as maintenance knows it: what marketplace told, and the sequence of its own events."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.kit.ids import name
from services.kit.principals import Principal


@dataclass(frozen=True, slots=True)
class MonitoredMachine:
    """A copy of the registry's machine.

    Attributes:
        event_sequence: That of its last event on maintenance.machine.v1.
        registry_sequence: Marketplace's own sequence as of this copy.
        custody: As marketplace names it, for example "ON_LEASE"; empty where not told yet.
        lease: "leases/…" under which it is out, also while in the shop; empty otherwise.
    """

    id: UUID
    event_sequence: int
    registry_sequence: int
    pin: str
    serial_number: str
    make: str
    model: str
    equipment_class: str
    title_holder: str
    custodian: str
    custody: str
    lease: str
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Its resource name, "machines/…"."""
        return name("machines", self.id)

    def is_seen_by(self, viewer: Principal) -> bool:
        """Whether a caller may see what the machine tells."""
        return viewer.sees_all or (
            bool(viewer.party) and viewer.party in (self.title_holder, self.custodian)
        )


class NamedMachine(NamedTuple):
    """A machine found by a number that it carries, and who made it."""

    id: UUID
    make: str

    @property
    def name(self) -> str:
        """Its resource name, "machines/…"."""
        return name("machines", self.id)
