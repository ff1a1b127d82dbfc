"""Meters: running totals that never fall by themselves. Pure.

A reading counts where it is not below the last one and has not risen faster than time allows
(domain.md §3.2: Δh ≤ 24 × Δdays + 1); a fall is a roll-over where the meter's range explains it.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from services.kit.clock import business_date
from services.kit.ids import name, new_id

SECONDS_PER_HOUR = 3_600
SECONDS_PER_DAY = 86_400
# An event tells of hours that rose by this much, or of the first reading of a business date: a
# sender that reports every 15 minutes is told of hourly, which is what leasing bills by.
TOLD_EVERY_HOURS = Decimal(1)


class MeterKind(StrEnum):
    """What a meter counts: hours, litres or kilometres."""

    HOURS = "HOURS"
    IDLE_HOURS = "IDLE_HOURS"
    FUEL = "FUEL"
    DISTANCE = "DISTANCE"

    __hash__ = str.__hash__  # Enum's own is no C function, and readings come by thousands


class ReadingState(StrEnum):
    """Whether a reading counts."""

    ACCEPTED = "ACCEPTED"
    QUARANTINED = "QUARANTINED"
    REJECTED = "REJECTED"
    CORRECTED = "CORRECTED"


class ReadingSource(StrEnum):
    """Where a reading came from."""

    TELEMETRY = "TELEMETRY"
    REPORTED = "REPORTED"
    CORRECTION = "CORRECTION"


class Reason(StrEnum):
    """Why a reading does not count by itself."""

    NONE = ""
    BELOW_LAST = "BELOW_LAST"
    TOO_FAST = "TOO_FAST"
    TOO_LARGE = "TOO_LARGE"


# The most that a machine can add in an hour. An hour adds one hour; the largest mining excavators
# burn some 400 litres an hour; no machine of these classes drives faster than 120 km/h.
_PER_HOUR_MAX = {
    MeterKind.HOURS: Decimal(1),
    MeterKind.IDLE_HOURS: Decimal(1),
    MeterKind.FUEL: Decimal(500),
    MeterKind.DISTANCE: Decimal(120),
}
# The most that a machine of any age shows: 34 years without a stop, and so on.
FIGURE_MAX = {
    MeterKind.HOURS: Decimal(300_000),
    MeterKind.IDLE_HOURS: Decimal(300_000),
    MeterKind.FUEL: Decimal(100_000_000),
    MeterKind.DISTANCE: Decimal(20_000_000),
}


class Meter(NamedTuple):
    """A machine's meter as last believed; a tuple, for thousands are moved in a second.

    Attributes:
        figure: What it showed.
        run_before: What earlier meters and roll-overs had run beyond the figure; may be negative
            where a used meter was built in.
        rolls_over_at: The first figure that it cannot show.
        announced: The life that the last event told; None before the first.
        announced_on: The business date of that reading.
    """

    machine_id: UUID
    kind: MeterKind
    version: int
    figure: Decimal
    run_before: Decimal
    read_at: datetime
    rolls_over_at: Decimal | None
    replacements: int
    roll_overs: int
    announced: Decimal | None
    announced_on: date | None
    create_time: datetime
    update_time: datetime

    @property
    def life(self) -> Decimal:
        """What the machine has run in its life."""
        return self.figure + self.run_before

    @property
    def is_news(self) -> bool:
        """Whether an event should tell of where the meter stands."""
        if self.announced is None:
            return True
        moved = self.life - self.announced
        if abs(moved) >= TOLD_EVERY_HOURS:
            return True
        return bool(moved) and self.announced_on != business_date(self.read_at)

    def told(self) -> "Meter":
        """Return it as it is once an event has told of it."""
        return self._replace(announced=self.life, announced_on=business_date(self.read_at))


@dataclass(frozen=True, slots=True)
class MeterReading:
    """A reading that moved a meter in a way others hear of, or that waits for a decision.

    Attributes:
        figure: What the meter showed.
        run_before: What had run beyond it; None while it waits.
        last_figure: What it was judged against; None at a meter's first.
        occurrences: How often the machine said so while it waits.
    """

    id: UUID
    state: ReadingState
    machine_id: UUID
    kind: MeterKind
    figure: Decimal
    run_before: Decimal | None
    read_at: datetime
    source: ReadingSource
    create_time: datetime
    update_time: datetime
    version: int = 1
    event_sequence: int = 0
    reference: str = ""
    reporter: str = ""
    reason: Reason = Reason.NONE
    last_figure: Decimal | None = None
    occurrences: int = 1
    corrects: UUID | None = None
    comment: str = ""
    decided_by: str = ""

    @property
    def name(self) -> str:
        """Its resource name, "meterReadings/…"."""
        return name("meterReadings", self.id)

    @property
    def life(self) -> Decimal | None:
        """The machine's life with it; None while it waits."""
        return None if self.run_before is None else self.figure + self.run_before


@dataclass(frozen=True, slots=True)
class Replacement:
    """A meter that was replaced: the old one's last figure and the new one's first."""

    id: UUID
    machine_id: UUID
    kind: MeterKind
    replace_time: datetime
    old_figure: Decimal
    new_figure: Decimal
    reference: str
    recorded_by: str
    create_time: datetime


class Judgement(NamedTuple):
    """What becomes of a reading.

    Attributes:
        meter: The meter afterwards; None where it does not move.
        reason: Why the reading waits for a person; NONE where it does not.
    """

    meter: Meter | None
    reason: Reason = Reason.NONE


STAYS = Judgement(None)


def new_meter(
    machine_id: UUID, kind: MeterKind, *, figure: Decimal, read_at: datetime, now: datetime
) -> Meter:
    """Return a meter at its first reading."""
    return Meter(
        machine_id=machine_id,
        kind=kind,
        version=1,
        figure=figure,
        run_before=Decimal(0),
        read_at=read_at,
        rolls_over_at=None,
        replacements=0,
        roll_overs=0,
        announced=None,
        announced_on=None,
        create_time=now,
        update_time=now,
    )


def accepted_reading(
    meter: Meter, *, source: ReadingSource, last_figure: Decimal | None, now: datetime
) -> MeterReading:
    """Return the reading by which a meter came to stand as it does."""
    return MeterReading(
        id=new_id(),
        state=ReadingState.ACCEPTED,
        machine_id=meter.machine_id,
        kind=meter.kind,
        figure=meter.figure,
        run_before=meter.run_before,
        read_at=meter.read_at,
        source=source,
        create_time=now,
        update_time=now,
        last_figure=last_figure,
    )


def judge(meter: Meter, figure: Decimal, read_at: datetime, *, now: datetime) -> Judgement:
    """Judge a reading against a meter.

    One that is not newer than the last is history: it moves nothing and waits for nobody.
    """
    if read_at <= meter.read_at:
        return STAYS
    if is_too_large(meter.kind, figure):
        return Judgement(None, Reason.TOO_LARGE)
    run_before, roll_overs = meter.run_before, meter.roll_overs
    delta = figure - meter.figure
    if delta < 0:
        if meter.rolls_over_at is None or figure >= meter.rolls_over_at:
            return Judgement(None, Reason.BELOW_LAST)
        delta += meter.rolls_over_at
        if delta > rise_max(meter.kind, meter.read_at, read_at):
            return Judgement(None, Reason.BELOW_LAST)
        run_before, roll_overs = run_before + meter.rolls_over_at, roll_overs + 1
    elif delta > _PER_HOUR_MAX[meter.kind] and delta > rise_max(meter.kind, meter.read_at, read_at):
        return Judgement(None, Reason.TOO_FAST)  # an hour's rise is allowed at any time
    moved = Meter(
        meter.machine_id,
        meter.kind,
        meter.version + 1,
        figure,
        run_before,
        read_at,
        meter.rolls_over_at,
        meter.replacements,
        roll_overs,
        meter.announced,
        meter.announced_on,
        meter.create_time,
        now,
    )
    return Judgement(moved)


def is_too_large(kind: MeterKind, figure: Decimal) -> bool:
    """Whether no machine of any age can show a figure."""
    return figure > FIGURE_MAX[kind]


def rise_max(kind: MeterKind, since: datetime, until: datetime) -> Decimal:
    """Return the most that a meter can rise between two instants: Δt and one hour more."""
    span = until - since
    seconds = span.days * SECONDS_PER_DAY + span.seconds
    return _PER_HOUR_MAX[kind] * (Decimal(seconds) / SECONDS_PER_HOUR + 1)
