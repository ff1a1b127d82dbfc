"""Work orders: what is to be done on a machine, by whom, and what it cost."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Self
from uuid import UUID

from services.finmath.dates import add_months
from services.finmath.money import round_half_up
from services.kit.ids import name
from services.kit.lifecycle import Transition

COST_FEN_MAX = 10**12  # ten billion yuan: far above any repair
HOURS_PLACES = Decimal("0.01")
DOWNTIME_HOURS_MAX = Decimal(10_000)
_HOUR = timedelta(hours=1)


class WorkOrderState(StrEnum):
    """Where a work order stands (domain page §3.2)."""

    DRAFT = "DRAFT"
    OPEN = "OPEN"
    ASSIGNED = "ASSIGNED"
    IN_PROGRESS = "IN_PROGRESS"
    ON_HOLD = "ON_HOLD"
    COMPLETED = "COMPLETED"
    VERIFIED = "VERIFIED"
    INVOICED = "INVOICED"
    CLOSED = "CLOSED"
    CANCELLED = "CANCELLED"


class WorkClass(StrEnum):
    """What kind of work it is."""

    CORRECTIVE = "CORRECTIVE"
    PREVENTIVE = "PREVENTIVE"
    INSPECTION = "INSPECTION"
    MODIFICATION = "MODIFICATION"


class WorkPlace(StrEnum):
    """Where the work is done."""

    FIELD = "FIELD"
    SHOP = "SHOP"


class HoldReason(StrEnum):
    """Why work waits."""

    PARTS = "PARTS"
    ACCESS = "ACCESS"


@dataclass(frozen=True, slots=True)
class WorkPart:
    """A part that work took; the price of one in fen, tax included."""

    part_number: str
    description: str
    quantity: Decimal
    unit_price_fen: int
    under_warranty: bool = False
    serial_number: str = ""

    @property
    def amount_fen(self) -> int:
        """What the line costs, rounded HALF_UP."""
        return round_half_up(Fraction(self.quantity) * self.unit_price_fen)


@dataclass(frozen=True, slots=True)
class WorkLabour:
    """What somebody worked; the hour's rate in fen, tax included."""

    technician: str
    hours: Decimal
    hourly_rate_fen: int
    under_warranty: bool = False

    @property
    def amount_fen(self) -> int:
        """What the line costs, rounded HALF_UP."""
        return round_half_up(Fraction(self.hours) * self.hourly_rate_fen)


@dataclass(frozen=True, slots=True)
class WorkCost:
    """What an order costs: what the payer bears, and what a warranty does.

    Attributes:
        units_fen: Exchange units, which are paid to their remanufacturers.
    """

    parts_fen: int
    labour_fen: int
    warranty_fen: int
    units_fen: int = 0

    @property
    def work_fen(self) -> int:
        """What the payer pays to the workshop."""
        return self.parts_fen + self.labour_fen

    @property
    def total_fen(self) -> int:
        """What the payer pays."""
        return self.work_fen + self.units_fen


@dataclass(frozen=True, slots=True)
class Completion:
    """How work was reported as done.

    Attributes:
        hours: Accepted hours of the machine; None where none were ever accepted.
        completer: "users/…".
        warranty_end: Until when the workshop mends the same for nothing; None: no warranty.
        warranty_hours_end: Up to which hours of the machine; None: by calendar only.
    """

    hours: Decimal | None
    downtime_hours: Decimal
    findings: str
    parts: tuple[WorkPart, ...]
    labour: tuple[WorkLabour, ...]
    cost: WorkCost
    completer: str
    complete_time: datetime
    warranty_end: date | None
    warranty_hours_end: Decimal | None

    @property
    def labour_hours(self) -> Decimal:
        """Hours worked."""
        return sum((line.hours for line in self.labour), Decimal(0))


@dataclass(frozen=True, slots=True)
class Held:
    """How a machine was held before it came into the shop, so that it goes back the same way.

    Attributes:
        reference: The lease that it was out on; empty where it was on none.
    """

    custody: str
    custodian: str
    reference: str


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """Work on a machine."""

    id: UUID
    version: int
    event_sequence: int
    state: WorkOrderState
    machine_id: UUID
    title: str
    work_class: WorkClass
    work_place: WorkPlace
    payer: str
    workshop: str
    create_time: datetime
    update_time: datetime
    technician: str = ""
    fault_ids: tuple[UUID, ...] = ()
    plan_id: UUID | None = None
    plan_items: tuple[str, ...] = ()
    warranty_of: UUID | None = None
    planned_parts: tuple[WorkPart, ...] = ()
    approved_cost_fen: int = 0
    down_since: datetime | None = None
    hold_reason: HoldReason | None = None
    hold_note: str = ""
    held_before: Held | None = None
    in_shop: bool = False
    completion: Completion | None = None
    verifier: str = ""
    verify_time: datetime | None = None
    txn: UUID | None = None
    invoice_time: datetime | None = None
    cancel_reason: str = ""

    @property
    def name(self) -> str:
        """Return its resource name, "workOrders/<uuid>"."""
        return name("workOrders", self.id)

    @property
    def machine(self) -> str:
        """Return its machine's resource name."""
        return name("machines", self.machine_id)

    def moved(self, step: Transition[WorkOrderState], *, at: datetime, **changes: Any) -> Self:
        """Return the order after a step, with its next version and event sequence."""
        return replace(
            self,
            state=step.target,
            version=self.version + 1,
            event_sequence=self.event_sequence + (step.event is not None),
            update_time=at,
            **changes,
        )

    def people(self) -> frozenset[str]:
        """Return who did or reported the work, and so cannot verify it."""
        if self.completion is None:
            return frozenset()
        workers = {line.technician for line in self.completion.labour}
        return frozenset({self.completion.completer, *workers})

    def is_under_warranty(self, *, on: date, hours: Decimal | None) -> bool:
        """Whether this order's own warranty still covers the same repair."""
        done = self.completion
        if done is None or done.warranty_end is None or on > done.warranty_end:
            return False
        limit = done.warranty_hours_end
        return limit is None or hours is None or hours <= limit


def cost_of(
    parts: Iterable[WorkPart],
    labour: Iterable[WorkLabour],
    *,
    units_fen: int,
    all_under_warranty: bool,
) -> WorkCost:
    """Return what work costs the payer, and what a warranty bears.

    Args:
        units_fen: The prices of its exchange units.
        all_under_warranty: Whether the order is a warranty's, so that the payer bears nothing.
    """
    borne, covered = {"parts": 0, "labour": 0}, 0
    for kind, lines in (("parts", parts), ("labour", labour)):
        for line in lines:
            if all_under_warranty or line.under_warranty:
                covered += line.amount_fen
            else:
                borne[kind] += line.amount_fen
    if all_under_warranty:
        return WorkCost(0, 0, covered + units_fen)
    return WorkCost(borne["parts"], borne["labour"], covered, units_fen)


def down_for(down_since: datetime | None, now: datetime) -> Decimal:
    """Return for how long a machine has been down, in hours, rounded to two decimals."""
    if down_since is None:
        return Decimal(0)
    exact = Decimal((now - down_since) // timedelta(microseconds=1)) / Decimal(3_600_000_000)
    return exact.quantize(HOURS_PLACES, ROUND_HALF_UP)


def warranty_end(on: date, months: int) -> date | None:
    """Return the last day of a workshop's warranty of some months; None: it gives none."""
    return add_months(on, months) if months else None
