"""What is valued, and what a valuation says. Amounts in fen, rates as Decimal."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from services.kit.ids import name

HOURS_MAX = Decimal(1_000_000)  # a century of running day and night; more is no meter reading
CURVE_MONTHS_MAX = 84  # the longest lease

QuantilesFen: TypeAlias = tuple[int, int, int, int, int]  # q05, q10, q50, q90, q95
MEDIAN = 2


class ValuationState(StrEnum):
    """Whether a valuation may be relied on."""

    COMPUTED = "COMPUTED"
    IN_REVIEW = "IN_REVIEW"
    ISSUED = "ISSUED"
    SUPERSEDED = "SUPERSEDED"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    REJECTED = "REJECTED"


class ModelState(StrEnum):
    """How far a model version has come."""

    TRAINED = "TRAINED"
    VALIDATED = "VALIDATED"
    APPROVED = "APPROVED"
    CHAMPION = "CHAMPION"
    RETIRED = "RETIRED"
    ROLLED_BACK = "ROLLED_BACK"


class Grade(StrEnum):
    """How far a value may be trusted; the later letter is the worse."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


class Method(StrEnum):
    """How the forced liquidation value was found."""

    MODEL_PRICE = "MODEL_PRICE"
    RETAINED_SHARE = "RETAINED_SHARE"


@dataclass(frozen=True, slots=True)
class Specification:
    """A machine's facts; None and "" are unknown."""

    make: str
    model: str
    equipment_class: str
    build_year: int | None
    hours_meter: Decimal | None
    replacement_cost_fen: int | None


@dataclass(frozen=True, slots=True)
class Component:
    """A remanufactured component: which, and the hours that it has run since."""

    code: str
    hours_since_reman: Decimal


@dataclass(frozen=True, slots=True)
class Adjustments:
    """What the caller states of a machine that auctions do not say; "" and None: nothing.

    Attributes:
        condition: One of the five grades of auctions, by name.
        maintenance_compliance: Share of the maintenance plan that was kept, 0 to 1.
        components: At most one of each code.
        region, channel: Of the market in which it would be sold, by the policy table's code.
        condition_found_on: The day of the inspection that the condition is from; None: stated.
    """

    condition: str = ""
    maintenance_compliance: Decimal | None = None
    open_stop_faults: int | None = None
    components: tuple[Component, ...] = ()
    region: str = ""
    channel: str = ""
    condition_found_on: date | None = None


@dataclass(frozen=True, slots=True)
class Nowcast:
    """Where a product group's sales of some months stand to what the model said of them.

    Attributes:
        log_level: The mean of ln(paid ÷ predicted), six decimals.
        standard_error: Of that mean.
        first_month, last_month: First days of the months that hold the sales.
    """

    log_level: Decimal
    standard_error: Decimal
    first_month: date
    last_month: date
    sales: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that the values are computed from, beside model and policy.

    Attributes:
        as_of: The business date as of which they hold.
        olv_weight: Where OLV lies between FLV (0) and FMV (1).
        overridden: What the caller stated against the registry or the policy.
        nowcast: Of the machine's product group as it was known then; None: too few sales.
    """

    specification: Specification
    as_of: date
    olv_weight: Decimal
    overridden: tuple[str, ...] = ()
    adjustments: Adjustments = Adjustments()
    nowcast: Nowcast | None = None


@dataclass(frozen=True, slots=True)
class Values:
    """The three values by quantile; FLV ≤ OLV ≤ FMV in each, and no quantile crosses another."""

    fmv: QuantilesFen
    olv: QuantilesFen
    flv: QuantilesFen

    def at_most(self, other: "Values") -> "Values":
        """Return each quantile of each value, or that of `other` where it is lower."""
        return Values(
            _lower(self.fmv, other.fmv), _lower(self.olv, other.olv), _lower(self.flv, other.flv)
        )


@dataclass(frozen=True, slots=True)
class GradeRule:
    """A rule that applied, the best grade it leaves, and one sentence with the figures."""

    code: str
    grade: Grade
    description: str


@dataclass(frozen=True, slots=True)
class Factor:
    """What the booster's output was multiplied by, and where that comes from."""

    code: str
    value: Decimal
    source: str


@dataclass(frozen=True, slots=True)
class Appraisal:
    """The outcome of a computation.

    Attributes:
        grade_rules: Those that applied, the worst first.
        review_reasons: Why a validator must decide; empty: nobody need.
    """

    method: Method
    factors: tuple[Factor, ...]
    values: Values
    grade: Grade
    grade_rules: tuple[GradeRule, ...]
    review_reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided on a valuation, and why."""

    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Valuation:
    """A valuation's row. Everything but state, decision and times is fixed once computed.

    Attributes:
        subject: The machine, or the valuation itself where no machine is registered; its events
            are counted together.
        event_sequence: Of the last event about this valuation; 0 before the first.
        record: Canonical bytes of request, features, versions and output.
    """

    id: UUID
    version: int
    event_sequence: int
    subject: str
    party: str
    machine: str
    state: ValuationState
    as_of: date
    record: bytes
    record_sha256: str
    decision_reason: str
    decided_by: str
    superseded_by: UUID | None
    issue_time: datetime | None
    expire_time: datetime | None
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "valuations/<uuid>"."""
        return name("valuations", self.id)

    def decided(self, state: ValuationState, decision: Decision) -> "Valuation":
        """Return the valuation in the state that somebody's decision gives it."""
        return replace(self, state=state, decision_reason=decision.reason, decided_by=decision.by)


def worst(rules: tuple[GradeRule, ...]) -> Grade:
    """Return the grade that rules leave; A where none applied."""
    return max((rule.grade for rule in rules), default=Grade.A)


def _lower(one: QuantilesFen, other: QuantilesFen) -> QuantilesFen:
    q05, q10, q50, q90, q95 = (min(pair) for pair in zip(one, other, strict=True))
    return q05, q10, q50, q90, q95
