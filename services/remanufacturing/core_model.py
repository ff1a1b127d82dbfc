"""Core returns: what was deposited, what the core is worth, and when its time is over."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from services.finmath.money import share_of
from services.kit.clock import start_of
from services.kit.errors import InvalidArgument
from services.kit.ids import name
from services.kit.lifecycle import Transition
from services.remanufacturing.errors import GradeCodeUnknown
from services.remanufacturing.family_model import FamilyContent, GradeCode, GradeCodeKind

RETURN_DAYS = 180  # day 0 is the day of the deposit, day 180 is still in time (WE-12)
SECOND_PERSON_ABOVE_FEN = 2_000_000  # of deposit: above 20,000.00 a grading needs two (§3.2)
_DAY = timedelta(days=1)
_TAKEN_OFF = frozenset({GradeCodeKind.ADD_ON, GradeCodeKind.DEDUCTION})


class CoreState(StrEnum):
    """Where a core return stands (domain page §3.2)."""

    DEPOSIT_CHARGED = "DEPOSIT_CHARGED"
    AUTHORISED = "AUTHORISED"
    RECEIVED = "RECEIVED"
    GRADED = "GRADED"
    CREDITED = "CREDITED"
    REJECTED = "REJECTED"
    FORFEITED = "FORFEITED"
    CANCELLED = "CANCELLED"


class Grade(StrEnum):
    """What a core is worth."""

    FULL = "FULL"
    DAMAGED = "DAMAGED"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class Grading:
    """A grade, the codes it rests on, and who answers for it."""

    grade: Grade
    codes: tuple[GradeCode, ...]
    note: str
    send_back: bool
    credit_fen: int
    grader: str
    grade_time: datetime
    confirmer: str = ""


@dataclass(frozen=True, slots=True)
class Core:
    """A core as it came in."""

    part_number: str
    serial_number: str
    hours: Decimal | None
    received_on: date


@dataclass(frozen=True, slots=True)
class CoreReturn:
    """A core that is to come back for its deposit.

    Attributes:
        party: Who paid the deposit and gets the credit.
        family_version: What the family said when the deposit was paid.
        closing_txn: What the transfers at settlement share that ended it.
    """

    id: UUID
    version: int
    event_sequence: int
    state: CoreState
    party: str
    remanufacturer: str
    machine: str
    work_order: str
    family_id: UUID
    family_version: int
    deposit_fen: int
    deposit_account: str
    deposit_on: date
    create_time: datetime
    update_time: datetime
    rma_number: str = ""
    core: Core | None = None
    grading: Grading | None = None
    credit_fen: int | None = None
    return_freight_fen: int | None = None
    reject_reason: str = ""
    closing_txn: UUID | None = None

    @property
    def name(self) -> str:
        """Return its resource name, "coreReturns/<uuid>"."""
        return name("coreReturns", self.id)

    @property
    def part_family(self) -> str:
        """Return its family's resource name."""
        return name("partFamilies", self.family_id)

    @property
    def return_by(self) -> date:
        """The last day on which the core may come in."""
        return last_day(self.deposit_on)

    @property
    def needs_two_persons(self) -> bool:
        """Whether a grading needs a second person."""
        return self.deposit_fen > SECOND_PERSON_ABOVE_FEN

    @property
    def waits_for_confirmation(self) -> bool:
        """Whether a grading waits for its second person."""
        return self.state is CoreState.RECEIVED and self.grading is not None

    def moved(self, step: Transition[CoreState], *, at: datetime, **changes: Any) -> Self:
        """Return the core return after a step, with its next version and event sequence."""
        return replace(
            self,
            state=step.target,
            version=self.version + 1,
            event_sequence=self.event_sequence + (step.event is not None),
            update_time=at,
            **changes,
        )


def last_day(deposit_on: date) -> date:
    """Return the last day on which a core may come in: day 180."""
    return deposit_on + timedelta(days=RETURN_DAYS)


def forfeits_at(deposit_on: date) -> datetime:
    """Return when a deposit is forfeited: as day 181 begins."""
    return start_of(last_day(deposit_on) + _DAY)


def credit_fen(
    deposit_fen: int, grade: Grade, codes: Iterable[GradeCode], *, damaged_share: Decimal
) -> int:
    """Return what goes back of a deposit (WE-12).

    credit = max(0, deposit x grade - deductions - (upgrade if FULL)); add-ons that are missing
    count as deductions, and a core of grade NONE is worth nothing whatever its codes say.
    """
    share = {Grade.FULL: Decimal(1), Grade.DAMAGED: damaged_share, Grade.NONE: Decimal(0)}[grade]
    off_fen = 0
    for code in codes:
        is_upgrade = code.kind is GradeCodeKind.UPGRADE and grade is Grade.FULL
        off_fen += code.amount_fen if code.kind in _TAKEN_OFF or is_upgrade else 0
    return max(0, share_of(deposit_fen, share) - off_fen)


def graded(
    core_return: CoreReturn,
    terms: FamilyContent,
    *,
    grade: Grade,
    codes: Sequence[str],
    note: str,
    send_back: bool,
    grader: str,
    at: datetime,
) -> Grading:
    """Return a grading of a core under the terms of its deposit.

    Raises:
        GradeCodeUnknown: The terms have no such code.
        InvalidArgument: A core that is not FULL has no code, or one that is not NONE is sent back.
    """
    known = {code.code: code for code in terms.grade_codes}
    for code in codes:
        if code not in known:
            raise GradeCodeUnknown(code, list(known))
    if grade is not Grade.FULL and not codes:
        raise InvalidArgument("codes", f"must name why the core is {grade}")
    if send_back and grade is not Grade.NONE:
        raise InvalidArgument("send_back", f"only a core graded NONE goes back, not a {grade} one")
    chosen = tuple(known[code] for code in codes)
    return Grading(
        grade=grade,
        codes=chosen,
        note=note,
        send_back=send_back,
        credit_fen=credit_fen(
            core_return.deposit_fen, grade, chosen, damaged_share=terms.damaged_share
        ),
        grader=grader,
        grade_time=at,
    )
