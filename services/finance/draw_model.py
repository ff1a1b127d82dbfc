"""Money lent on a machine: its schedule, its balance, and how it is covered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.finance.errors import DrawBusy, DrawNotOutstanding
from services.finmath.dates import add_months
from services.finmath.day_count import DayCount
from services.finmath.money import ratio
from services.finmath.schedule import annuity_schedule
from services.kit.calendar import BusinessCalendar
from services.kit.ids import name

RATIO_PLACES = 4
CURE_BUSINESS_DAYS = 10
BUCKET_STARTS = (1, 31, 61, 91)  # days past due at which a delinquency bucket begins
STAGE_2_FROM_DAYS = 30  # IFRS 9, rebuttable
STAGE_3_FROM_DAYS = 90
DEFAULT_AFTER_DAYS = 90  # past due beyond which a funder may declare a default


class DrawState(StrEnum):
    """Where a draw stands."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    REPAID = "REPAID"
    DEFAULTED = "DEFAULTED"
    CANCELLED = "CANCELLED"


OUTSTANDING = frozenset({DrawState.ACTIVE, DrawState.DEFAULTED})


class EnforcedBy(StrEnum):
    """What brought a draw into enforcement."""

    NOBODY = ""
    DEADLINE = "DEADLINE"
    LEASE = "LEASE"


class CollateralState(StrEnum):
    """How well a draw is covered."""

    COMPLIANT = "COMPLIANT"
    WATCH = "WATCH"
    SHORTFALL = "SHORTFALL"
    CURED = "CURED"
    ENFORCEMENT = "ENFORCEMENT"


@dataclass(frozen=True, slots=True)
class Draw:
    """A draw's row; amounts in fen.

    Attributes:
        collateral_fen: OLV q10 after the haircut, of the latest valuation.
        olv_median_fen: What an orderly sale brings in the middle, for the expected loss.
        watch_line: LTV above which it is on WATCH; as its offer's policy and facility had it.
        overdue_bucket: The delinquency bucket that was told last; 0 for none.
        held_by: The saga that works on it; empty where none does.
        hours_per_year: Planned use of the machine.
        equipment_class: Of the machine; empty before its first revaluation.
        valued_hours, valued_compliance: What its newest valuation rests on; None: not known.
        breach_month: The first month whose balance exceeds FLV q10; None where none does.
        shortfall_cause: Why it is, or was last, in shortfall or enforcement.
        top_up_fen: Cash that is held for the funder beside the machine.
        secured: Whether the machine still secures it; not after its disposal or its last fen.
        subordination_id: The consent under which it stands behind another lender; None: none.
        senior_draw_id, senior_cap_fen: The draw that it agreed to stand behind, and for how much.
        senior_fen: Principal of other draws whose liens rank before its own.
        lien_first, lien_time, lien_place: What the rank of its lien follows from.
    """

    id: UUID
    version: int
    event_sequence: int
    state: DrawState
    offer_id: UUID
    facility_id: UUID
    funder: str
    borrower: str
    machine: str
    principal_fen: int
    balloon_fen: int
    nominal_rate: Decimal
    day_count: DayCount
    term_months: int
    start_on: date | None
    maturity_on: date | None
    outstanding_fen: int
    lien: str
    registry_no: str
    transfer_id: str
    policy_version: str
    valuation: str
    haircut: Decimal
    collateral_fen: int
    olv_median_fen: int
    watch_line: Decimal
    maintenance_cap: Decimal
    penalty_daily_rate: Decimal
    penalty_cap: Decimal
    collateral_state: CollateralState
    cure_by: date | None
    overdue_bucket: int
    calendar_version: str
    held_by: str
    create_time: datetime
    update_time: datetime
    secured: bool = True
    hours_per_year: int = 0
    equipment_class: str = ""
    valued_hours: Decimal | None = None
    valued_compliance: Decimal | None = None
    breach_month: int | None = None
    shortfall_cause: str = ""
    enforced_by: EnforcedBy = EnforcedBy.NOBODY
    top_up_fen: int = 0
    subordination_id: UUID | None = None
    senior_draw_id: UUID | None = None
    senior_cap_fen: int | None = None
    senior_fen: int = 0
    lien_first: bool = False
    lien_time: datetime | None = None
    lien_place: int = 0

    @property
    def name(self) -> str:
        """Return its resource name, "draws/<uuid>"."""
        return name("draws", self.id)

    @property
    def loan_to_value(self) -> Decimal:
        """What ranks first and what is lent beyond the top-up, over collateral; four decimals."""
        return ltv_of(self.senior_fen + self.exposure_fen, self.collateral_fen)

    @property
    def exposure_fen(self) -> int:
        """What is outstanding beyond the top-up."""
        return max(0, self.outstanding_fen - self.top_up_fen)

    @property
    def paydown_fen(self) -> int:
        """What must be paid, or topped up, to bring its LTV back to the maintenance cap.

        All that is lent on it, where what ranks first alone exceeds the cap.
        """
        carried_fen = int(self.collateral_fen * self.maintenance_cap)
        return max(0, self.exposure_fen - max(0, carried_fen - self.senior_fen))

    @property
    def binds(self) -> bool:
        """Whether its lien binds the machine for money that is outstanding."""
        is_owed = self.state is DrawState.ACTIVE or (
            self.state is DrawState.DEFAULTED and self.secured
        )
        return is_owed and self.lien != ""

    @property
    def lien_rank(self) -> tuple[bool, datetime, int, str] | None:
        """Return what its lien ranks by, the lowest first; None before it is registered."""
        if self.lien_time is None:
            return None
        return not self.lien_first, self.lien_time, self.lien_place, self.lien

    def require_outstanding(self) -> None:
        """Check that it is paid out and not paid back, in default or not.

        Raises:
            DrawBusy: Its payment is on its way.
            DrawNotOutstanding: There is nothing to be paid.
        """
        if self.state is DrawState.PENDING:
            raise DrawBusy(self.name, "its own draw")
        if self.state not in OUTSTANDING:
            raise DrawNotOutstanding(self.name, self.state)

    def require_idle(self, *, but: str = "") -> None:
        """Check that no other saga works on it.

        Raises:
            DrawBusy: One does.
        """
        if self.held_by not in ("", but):
            raise DrawBusy(self.name, self.held_by)


@dataclass(frozen=True, slots=True)
class Instalment:
    """One line of a draw's schedule, in fen; the balloon is a line of its own at the end.

    Attributes:
        contract_on: The date from which interest is counted.
        due_on: The contract's date, or the next business day.
        penalty_until: Up to when penalty has been accrued; None where none has.
    """

    number: int
    contract_on: date
    due_on: date
    interest_fen: int
    principal_fen: int
    balance_fen: int
    penalty_fen: int = 0
    penalty_until: date | None = None
    interest_paid_fen: int = 0
    principal_paid_fen: int = 0
    penalty_paid_fen: int = 0

    @property
    def unpaid_interest_fen(self) -> int:
        """Interest that is not paid."""
        return self.interest_fen - self.interest_paid_fen

    @property
    def unpaid_principal_fen(self) -> int:
        """Principal that is not paid."""
        return self.principal_fen - self.principal_paid_fen

    @property
    def unpaid_fen(self) -> int:
        """Interest and principal that are not paid."""
        return self.unpaid_interest_fen + self.unpaid_principal_fen

    @property
    def unpaid_penalty_fen(self) -> int:
        """Accrued penalty that is not paid."""
        return self.penalty_fen - self.penalty_paid_fen


def make_schedule(
    principal_fen: int,
    rate: Decimal,
    *,
    balloon_fen: int,
    start_on: date,
    numbers: range,
    balloon_number: int,
    calendar: BusinessCalendar,
) -> list[Instalment]:
    """Return the lines `numbers` of a level schedule, and the balloon's where there is one.

    Args:
        principal_fen: What is outstanding before the first of them.
        start_on: When the draw was paid out; line k falls on the same day k months later.
    """
    rows = annuity_schedule(principal_fen, rate, months=len(numbers), residual_fen=balloon_fen).rows
    lines = [
        Instalment(
            number=number,
            contract_on=add_months(start_on, number),
            due_on=calendar.adjust_following(add_months(start_on, number)),
            interest_fen=row.interest_fen,
            principal_fen=row.principal_fen,
            balance_fen=row.balance_fen,
        )
        for number, row in zip(numbers, rows, strict=True)
    ]
    if balloon_fen:
        last = lines[-1]
        lines.append(
            Instalment(
                number=balloon_number,
                contract_on=last.contract_on,
                due_on=last.due_on,
                interest_fen=0,
                principal_fen=balloon_fen,
                balance_fen=0,
            )
        )
    return lines


def ltv_of(exposure_fen: int, collateral_fen: int) -> Decimal:
    """Return loan to value at four decimals; a worthless machine counts for one fen."""
    return ratio(exposure_fen, max(collateral_fen, 1), places=RATIO_PLACES)


def overdue_fen(lines: Sequence[Instalment], today: date) -> int:
    """Return interest and principal that were due before today and are not paid."""
    return sum(line.unpaid_fen for line in lines if line.due_on < today)


def days_past_due(lines: Sequence[Instalment], today: date) -> int:
    """Return the days since the oldest unpaid due date; 0 where nothing is overdue."""
    oldest = min((line.due_on for line in lines if line.unpaid_fen), default=today)
    return max(0, (today - oldest).days)


def bucket_of(days: int) -> int:
    """Return the delinquency bucket: 0 current, 1 for 1-30 days, 2, 3, 4 for more than 90."""
    return sum(days >= start for start in BUCKET_STARTS)


def stage_of(days: int) -> int:
    """Return the IFRS 9 stage: 1, 2 from 30 days past due, 3 from 90."""
    return 1 + (days >= STAGE_2_FROM_DAYS) + (days >= STAGE_3_FROM_DAYS)


def next_ageing_on(lines: Sequence[Instalment], today: date) -> date | None:
    """Return the next date after today on which an instalment, or its bucket, grows older."""
    steps = [
        line.due_on + timedelta(days=start)
        for line in lines
        if line.unpaid_fen
        for start in BUCKET_STARTS
    ]
    return min((step for step in steps if step > today), default=None)


def collateral_finding(loan_to_value: Decimal, *, watch_line: Decimal, cap: Decimal) -> str:
    """Return the command of the collateral's lifecycle that an LTV gives."""
    if loan_to_value > cap:
        return "find_shortfall"
    return "find_watch" if loan_to_value > watch_line else "find_compliant"
