"""Service plans: what falls due by hours, calendar or condition, and how well a plan is kept.

The formula of the compliance is published in docs/maintenance.md; the thresholds are those of the
domain page (section 3.2): due from 95 % of an interval on, late above 110 %.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Self
from uuid import UUID

from services.finmath.dates import add_months
from services.finmath.money import ratio as rounded_ratio
from services.kit.ids import name
from services.maintenance.template_model import PlanTask

DUE_FROM = Decimal("0.95")  # of the interval
LATE_ABOVE = Decimal("1.1")
WORTHLESS_FROM = Decimal(2)  # a service done as late as the next one counts as not done
COMPLIANCE_FULL = Decimal("100.00")
COMPLIANCE_MONTHS = 24  # services longer ago say little of how the machine is kept now
TOLD_FROM = Decimal(1)  # points that the compliance must move before an event tells it
SKIPPED_MAX = 20  # services skipped one after the other that count, so that a plan can recover
HOURS_STEP = Decimal("0.01")  # of a meter
RECHECK = Decimal("0.02")  # of an interval, once an item is overdue
_DAY = timedelta(days=1)


class PlanState(StrEnum):
    """Whether a plan is kept."""

    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"


class ItemState(StrEnum):
    """How an item stands."""

    NOT_DUE = "NOT_DUE"
    DUE = "DUE"
    OVERDUE = "OVERDUE"


class PlanTrigger(StrEnum):
    """What makes an item due besides hours and calendar."""

    OIL_SAMPLE = "OIL_SAMPLE"
    CONDITION = "CONDITION"


@dataclass(frozen=True, slots=True)
class PlanItem:
    """A task of a machine's plan, and when it was last done.

    Attributes:
        last_hours: Hours when it was last done or the plan began; None until a reading is accepted.
        last_on: The day it was last done or the plan began.
        trigger: What else has asked for it since.
        trigger_hours, trigger_on: When that was.
        is_told: Whether it has been told as overdue since it was last done.
    """

    task: PlanTask
    last_hours: Decimal | None
    last_on: date
    trigger: PlanTrigger | None = None
    trigger_note: str = ""
    trigger_hours: Decimal | None = None
    trigger_on: date | None = None
    is_told: bool = False
    times_done: int = 0

    def done(self, *, hours: Decimal | None, on: date) -> Self:
        """Return the item as it was just done."""
        return replace(
            self,
            last_hours=hours,
            last_on=on,
            trigger=None,
            trigger_note="",
            trigger_hours=None,
            trigger_on=None,
            is_told=False,
            times_done=self.times_done + 1,
        )

    def triggered(
        self, trigger: PlanTrigger, *, note: str, hours: Decimal | None, on: date
    ) -> Self:
        """Return the item as something asks for it now."""
        return replace(self, trigger=trigger, trigger_note=note, trigger_hours=hours, trigger_on=on)

    def based_on(self, hours: Decimal) -> Self:
        """Return the item with these hours wherever no reading had been accepted before."""
        asked = self.trigger is not None and self.trigger_hours is None
        return replace(
            self,
            last_hours=hours if self.last_hours is None else self.last_hours,
            trigger_hours=hours if asked else self.trigger_hours,
        )

    @property
    def interval_days(self) -> int:
        """Days of its calendar interval from when it was last done; 0: not by calendar."""
        months = self.task.interval_months
        return (add_months(self.last_on, months) - self.last_on).days if months else 0

    @property
    def due_hours(self) -> Decimal | None:
        """Hours from which on it is due."""
        return self._hours_at(DUE_FROM)

    @property
    def overdue_hours(self) -> Decimal | None:
        """Hours above which it is overdue."""
        return self._hours_at(LATE_ABOVE)

    @property
    def due_on(self) -> date | None:
        """The day from which on it is due."""
        days = (self.interval_days * DUE_FROM).to_integral_value(ROUND_CEILING)
        return self.last_on + timedelta(days=int(days)) if self.interval_days else None

    @property
    def overdue_after(self) -> date | None:
        """The last day on which it is not overdue."""
        days = (self.interval_days * LATE_ABOVE).to_integral_value(ROUND_FLOOR)
        return self.last_on + timedelta(days=int(days)) if self.interval_days else None

    def _hours_at(self, part: Decimal) -> Decimal | None:
        interval = self.task.interval_hours
        if interval is None or self.last_hours is None:
            return None
        return self.last_hours + interval * part


@dataclass(frozen=True, slots=True)
class Standing:
    """How an item stands at some hours on some day.

    Attributes:
        run: Part of its interval that has run, the greater of hours and calendar.
        hours_late: Hours beyond its interval where those make it overdue, else 0.
        days_late: Days beyond its interval where those make it overdue, else 0.
    """

    state: ItemState
    run: Fraction
    hours_late: Decimal = Decimal(0)
    days_late: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """A service that was done under a plan.

    Attributes:
        run: Part of its interval that had run by then, six decimals.
    """

    code: str
    done_on: date
    run: Decimal
    weight: int


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A machine's plan.

    Attributes:
        hours: The accepted hours it was last computed with; None: none accepted yet.
        compliance: 0 to 100, two decimals.
        told_compliance: What the last event said; None: nothing yet.
    """

    id: UUID
    version: int
    state: PlanState
    machine_id: UUID
    template_id: UUID
    reference: str
    items: tuple[PlanItem, ...]
    create_time: datetime
    update_time: datetime
    hours: Decimal | None = None
    compliance: Decimal = COMPLIANCE_FULL
    told_compliance: Decimal | None = None
    overdue_items: int = 0
    next_check_hours: Decimal | None = None
    next_check_on: date | None = None
    event_sequence: int = 0
    services: tuple[Service, ...] = field(default=())

    @property
    def name(self) -> str:
        """Return its resource name, "servicePlans/<uuid>"."""
        return name("servicePlans", self.id)

    @property
    def machine(self) -> str:
        """Return its machine's resource name."""
        return name("machines", self.machine_id)

    def find_item(self, code: str) -> PlanItem | None:
        """Return the item of a code."""
        return next((item for item in self.items if item.task.code == code), None)

    def with_item(self, changed: PlanItem) -> Self:
        """Return the plan with one item changed."""
        items = tuple(
            changed if item.task.code == changed.task.code else item for item in self.items
        )
        return replace(self, items=items)

    def based_on(self, hours: Decimal) -> Self:
        """Return the plan with these hours as the base of items that had none."""
        items = tuple(item.based_on(hours) for item in self.items)
        return replace(self, items=items, hours=hours)

    def assessed(self, *, on: date) -> Self:
        """Return the plan computed for a day at its hours."""
        standings = [stand(item, hours=self.hours, on=on) for item in self.items]
        return replace(
            self,
            compliance=compliance_of(
                self.services,
                [(i.task.weight, s.run) for i, s in zip(self.items, standings, strict=True)],
                on=on,
            ),
            overdue_items=sum(one.state is ItemState.OVERDUE for one in standings),
            next_check_hours=next_check_hours(self.items, self.hours),
            next_check_on=next_check_on(self.items, self.services, on),
        )


def stand(item: PlanItem, *, hours: Decimal | None, on: date) -> Standing:
    """Return how an item stands at some hours of its machine on a day."""
    by_hours, hours_late = _run_by_hours(item, hours)
    by_days, days_late = _run_by_days(item, on)
    run = max(by_hours, by_days)
    if run <= Fraction(LATE_ABOVE):
        state = ItemState.DUE if run >= Fraction(DUE_FROM) else ItemState.NOT_DUE
        return Standing(state, run)
    return Standing(
        ItemState.OVERDUE,
        run,
        hours_late if by_hours > Fraction(LATE_ABOVE) else Decimal(0),
        days_late if by_days > Fraction(LATE_ABOVE) else 0,
    )


def score_of(run: Fraction) -> Fraction:
    """Return what a service counts that was done when `run` of its interval had run, 0 to 1."""
    if run <= Fraction(LATE_ABOVE):
        return Fraction(1)
    if run >= Fraction(WORTHLESS_FROM):
        return Fraction(0)
    return (Fraction(WORTHLESS_FROM) - run) / Fraction(WORTHLESS_FROM - LATE_ABOVE)


def compliance_of(
    services: Iterable[Service], open_items: Iterable[tuple[int, Fraction]], *, on: date
) -> Decimal:
    """Return how well a plan was kept, 0 to 100 with two decimals (docs/maintenance.md).

    Args:
        services: What was done; what is longer ago than 24 months does not count.
        open_items: Weight and part of the interval run of each item; only overdue ones count.
    """
    since = add_months(on, -COMPLIANCE_MONTHS)
    counted = [(one.weight, Fraction(one.run)) for one in services if since < one.done_on <= on] + [
        (weight, run) for weight, run in open_items if run > Fraction(LATE_ABOVE)
    ]
    kept = due = Fraction(0)
    for weight, run in counted:
        # A service skipped twice was missed twice.
        times = min(max(1, int(run)), SKIPPED_MAX)
        kept += weight * times * score_of(run)
        due += weight * times
    return rounded_ratio(100 * kept, due, places=2) if due else COMPLIANCE_FULL


def next_check_hours(items: Sequence[PlanItem], hours: Decimal | None) -> Decimal | None:
    """Return the least hours at which some item may stand otherwise; None: hours change nothing."""
    if hours is None:
        return Decimal(0) if any(item.task.interval_hours for item in items) else None
    checks = []
    for item in items:
        interval = item.task.interval_hours
        if interval is None or item.last_hours is None:
            continue
        thresholds = [item.last_hours + interval * DUE_FROM]
        thresholds.append(item.last_hours + interval * LATE_ABOVE + HOURS_STEP)
        if item.trigger_hours is not None:
            thresholds.append(item.trigger_hours + interval * (LATE_ABOVE - 1) + HOURS_STEP)
        thresholds.append(hours + max(HOURS_STEP, interval * RECHECK))
        if stand(item, hours=hours, on=item.last_on).state is not ItemState.OVERDUE:
            thresholds.pop()
        checks += [threshold for threshold in thresholds if threshold > hours]
    return min(checks, default=None)


def next_check_on(items: Sequence[PlanItem], services: Sequence[Service], on: date) -> date | None:
    """Return the next day on which some item, or the compliance, may stand otherwise."""
    checks = [
        add_months(one.done_on, COMPLIANCE_MONTHS) + _DAY
        for one in services
        if one.done_on > add_months(on, -COMPLIANCE_MONTHS)
    ]
    for item in items:
        days = item.interval_days
        if not days or item.due_on is None or item.overdue_after is None:
            continue
        checks += [item.due_on, item.overdue_after + _DAY]
        if item.trigger_on is not None:
            grace = int((days * (LATE_ABOVE - 1)).to_integral_value(ROUND_FLOOR))
            checks.append(item.trigger_on + timedelta(days=grace) + _DAY)
        if on > item.overdue_after:
            checks.append(on + timedelta(days=max(1, int(days * RECHECK))))
    return min((day for day in checks if day > on), default=None)


def _run_by_hours(item: PlanItem, hours: Decimal | None) -> tuple[Fraction, Decimal]:
    """Return the part of the interval that has run, and the hours beyond it."""
    interval = item.task.interval_hours
    if interval is None or hours is None or item.last_hours is None:
        return _triggered(item), Decimal(0)
    ran = hours - item.last_hours
    part, late = Fraction(ran) / Fraction(interval), ran - interval
    if item.trigger_hours is not None:
        since = hours - item.trigger_hours
        part, late = max((part, late), (1 + Fraction(since) / Fraction(interval), since))
    return max(part, _triggered(item)), max(Decimal(0), late)


def _run_by_days(item: PlanItem, on: date) -> tuple[Fraction, int]:
    """Return the part of the calendar interval that has run, and the days beyond it."""
    days = item.interval_days
    if not days:
        return _triggered(item), 0
    ran = (on - item.last_on).days
    part, late = Fraction(ran, days), ran - days
    if item.trigger_on is not None:
        since = (on - item.trigger_on).days
        part, late = max((part, late), (1 + Fraction(since, days), since))
    return part, max(0, late)


def _triggered(item: PlanItem) -> Fraction:
    """Return 1 for an item that something asked for: due, whatever its interval says."""
    return Fraction(1 if item.trigger else 0)
