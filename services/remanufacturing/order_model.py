"""Remanufacturing orders: their states, the steps recorded of them, and what they hold."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from services.kit.ids import name
from services.kit.lifecycle import Transition
from services.remanufacturing.certificate_model import BenchRun, Certificate
from services.remanufacturing.errors import RecordFull, StepMissing
from services.remanufacturing.part_model import OrderPart

STEPS_MAX = 100  # every test run with what comes before it; a whole order fits one message


class OrderState(StrEnum):
    """Where an order stands (domain page §3.2)."""

    QUEUED = "QUEUED"
    DISASSEMBLED = "DISASSEMBLED"
    CLEANED = "CLEANED"
    INSPECTED = "INSPECTED"
    REWORKED = "REWORKED"
    ASSEMBLED = "ASSEMBLED"
    TESTED = "TESTED"
    CERTIFIED = "CERTIFIED"
    STOCKED = "STOCKED"
    INSTALLED = "INSTALLED"
    SOLD = "SOLD"
    SCRAPPED = "SCRAPPED"


class StepKind(StrEnum):
    """What was recorded."""

    INCOMING_INSPECTION = "INCOMING_INSPECTION"
    DISASSEMBLY = "DISASSEMBLY"
    CLEANING = "CLEANING"
    INSPECTION = "INSPECTION"
    REWORK = "REWORK"
    ASSEMBLY = "ASSEMBLY"
    TEST = "TEST"
    CERTIFICATION = "CERTIFICATION"
    STOCKING = "STOCKING"
    SCRAPPING = "SCRAPPING"


@dataclass(frozen=True, slots=True)
class Document:
    """A document kept elsewhere, pinned by its SHA-256."""

    uri: str
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Record:
    """What every step may say."""

    note: str = ""
    documents: tuple[Document, ...] = ()


@dataclass(frozen=True, slots=True)
class RemanStep:
    """One recorded step."""

    number: int
    kind: StepKind
    record: Record
    recorder: str
    record_time: datetime


@dataclass(frozen=True, slots=True)
class RemanOrder:
    """The remanufacture of one core; its unit has the same id."""

    id: UUID
    version: int
    event_sequence: int
    state: OrderState
    remanufacturer: str
    family_id: UUID
    family_version: int
    component: str
    core_return: str
    part_number: str
    prior_serial_number: str
    prior_hours: Decimal | None
    parts: tuple[OrderPart, ...]
    create_time: datetime
    update_time: datetime
    steps: tuple[RemanStep, ...] = ()
    test_runs: tuple[BenchRun, ...] = ()
    certificate: Certificate | None = None
    scrap_reason: str = ""

    @property
    def name(self) -> str:
        """Return its resource name, "remanOrders/<uuid>"."""
        return name("remanOrders", self.id)

    @property
    def unit(self) -> str:
        """Return the resource name of its unit, "units/<uuid>"."""
        return name("units", self.id)

    @property
    def part_family(self) -> str:
        """Return its family's resource name."""
        return name("partFamilies", self.family_id)

    @property
    def is_stocked(self) -> bool:
        """Whether its unit is, or was, in stock."""
        return self.state in (OrderState.STOCKED, OrderState.INSTALLED, OrderState.SOLD)

    def moved(self, step: Transition[OrderState], *, at: datetime, **changes: Any) -> Self:
        """Return the order after a step, with its next version and event sequence."""
        return replace(
            self,
            state=step.target,
            version=self.version + 1,
            event_sequence=self.event_sequence + (step.event is not None),
            update_time=at,
            **changes,
        )

    def next_step(
        self, kind: StepKind, record: Record, *, recorder: str, at: datetime
    ) -> RemanStep:
        """Return the step that is recorded next.

        Raises:
            RecordFull: The order has as many steps as an order may have.
        """
        if len(self.steps) >= STEPS_MAX:
            raise RecordFull(self.name, STEPS_MAX)
        return RemanStep(len(self.steps) + 1, kind, record, recorder, at)

    def require_step(self, kind: StepKind, called: str) -> None:
        """Check that a step was recorded.

        Raises:
            StepMissing: It was not.
        """
        if not any(step.kind is kind for step in self.steps):
            raise StepMissing(self.name, called)
