"""Exchanges: a remanufactured unit goes in, the component that comes out goes back as a core."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from services.kit.ids import name
from services.kit.lifecycle import Transition


class ExchangeState(StrEnum):
    """Where an exchange stands."""

    REQUESTED = "REQUESTED"
    UNIT_RESERVED = "UNIT_RESERVED"
    DEPOSIT_CHARGED = "DEPOSIT_CHARGED"
    SHIPPED = "SHIPPED"
    FITTED = "FITTED"
    INSTALLED = "INSTALLED"
    CLOSED = "CLOSED"
    CANCELLED = "CANCELLED"


class CoreOutcome(StrEnum):
    """How the core of an exchange ended."""

    CREDITED = "CREDITED"
    FORFEITED = "FORFEITED"
    REJECTED = "REJECTED"


# An exchange that is neither in the machine nor given up: its order can neither be completed past
# it nor cancelled over it.
UNDER_WAY = frozenset(
    {
        ExchangeState.REQUESTED,
        ExchangeState.UNIT_RESERVED,
        ExchangeState.DEPOSIT_CHARGED,
        ExchangeState.SHIPPED,
    }
)


@dataclass(frozen=True, slots=True)
class Waybill:
    """A document kept elsewhere, pinned by its SHA-256."""

    uri: str
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class ExchangeStep:
    """A step that an exchange took."""

    number: int
    step: str
    detail: str
    actor: str
    step_time: datetime


@dataclass(frozen=True, slots=True)
class Exchange:
    """The exchange of a component of a machine."""

    id: UUID
    version: int
    event_sequence: int
    state: ExchangeState
    work_order_id: UUID
    machine_id: UUID
    payer: str
    part_family: str
    create_time: datetime
    update_time: datetime
    position: str = ""
    deposit_fen: int = 0
    unit: str = ""
    unit_price_fen: int = 0
    remanufacturer: str = ""
    core_return: str = ""
    waybill: Waybill | None = None
    removed_serial: str = ""
    install_hours: Decimal | None = None
    core_outcome: CoreOutcome | None = None
    credit_fen: int = 0
    cancel_reason: str = ""
    steps: tuple[ExchangeStep, ...] = ()

    @property
    def name(self) -> str:
        """Return its resource name, "exchanges/<uuid>"."""
        return name("exchanges", self.id)

    @property
    def machine(self) -> str:
        """Return its machine's resource name."""
        return name("machines", self.machine_id)

    @property
    def work_order(self) -> str:
        """Return its work order's resource name."""
        return name("workOrders", self.work_order_id)

    def moved(self, step: Transition[ExchangeState], *, at: datetime, **changes: Any) -> Self:
        """Return the exchange after a step, with its next version and event sequence."""
        return replace(
            self,
            state=step.target,
            version=self.version + 1,
            event_sequence=self.event_sequence + (step.event is not None),
            update_time=at,
            **changes,
        )
