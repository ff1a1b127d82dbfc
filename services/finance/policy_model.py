"""The policy tables: what may be lent, as versioned values that every decision cites."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.finance.errors import OverrideOutOfBounds
from services.kit.ids import name

OTHER_CLASSES = "*"
RATE_PLACES_MAX = 6


class Parameter(StrEnum):
    """A value of the tables; named as in the contract. Ratios are fractions of one."""

    HAIRCUT_A = "HAIRCUT_A"
    HAIRCUT_B = "HAIRCUT_B"
    HAIRCUT_C = "HAIRCUT_C"
    LTV_CAP_FMV = "LTV_CAP_FMV"
    LTV_CAP_OLV = "LTV_CAP_OLV"
    LTV_CAP_FLV = "LTV_CAP_FLV"
    PRICE_CAP = "PRICE_CAP"
    WATCH_LINE = "WATCH_LINE"
    MAINTENANCE_CAP = "MAINTENANCE_CAP"
    COVER_MAX = "COVER_MAX"
    AGE_AT_MATURITY_YEARS_MAX = "AGE_AT_MATURITY_YEARS_MAX"
    TERM_MONTHS_MAX = "TERM_MONTHS_MAX"
    OFFER_VALID_DAYS = "OFFER_VALID_DAYS"
    DEBTOR_CONCENTRATION_MAX = "DEBTOR_CONCENTRATION_MAX"
    RECEIVABLE_ADVANCE_INVESTMENT_GRADE = "RECEIVABLE_ADVANCE_INVESTMENT_GRADE"
    RECEIVABLE_ADVANCE_OTHER = "RECEIVABLE_ADVANCE_OTHER"
    RECEIVABLE_OVERDUE_DAYS_MAX = "RECEIVABLE_OVERDUE_DAYS_MAX"
    PENALTY_DAILY_RATE = "PENALTY_DAILY_RATE"
    PENALTY_CAP = "PENALTY_CAP"
    DEFAULT_PROBABILITY = "DEFAULT_PROBABILITY"
    LOSS_SECURED = "LOSS_SECURED"
    LOSS_UNSECURED = "LOSS_UNSECURED"
    LOSS_HAIRCUT = "LOSS_HAIRCUT"
    HAIRCUT_DRIFT = "HAIRCUT_DRIFT"
    REVALUATION_MONTHS = "REVALUATION_MONTHS"
    REVALUATION_HOURS = "REVALUATION_HOURS"
    REVALUATION_ON_STOP_FAULT = "REVALUATION_ON_STOP_FAULT"
    REVALUATION_ON_COMPONENT = "REVALUATION_ON_COMPONENT"
    REVALUATION_COMPLIANCE_BAND = "REVALUATION_COMPLIANCE_BAND"
    REVALUATION_ON_INDEX = "REVALUATION_ON_INDEX"
    BASE_LOCATION_DAYS_MAX = "BASE_LOCATION_DAYS_MAX"
    BASE_HOURS_DAYS_MAX = "BASE_HOURS_DAYS_MAX"
    PORTFOLIO_CONCENTRATION_MAX = "PORTFOLIO_CONCENTRATION_MAX"
    PORTFOLIO_CONCENTRATION_FROM = "PORTFOLIO_CONCENTRATION_FROM"


# The largest value that makes sense for a parameter that is no ratio; ratios lie in 0 to 1.
_HIGHEST = {
    Parameter.AGE_AT_MATURITY_YEARS_MAX: Decimal(60),
    Parameter.TERM_MONTHS_MAX: Decimal(84),  # a valuation's curve ends there
    Parameter.OFFER_VALID_DAYS: Decimal(30),  # as long as a valuation is good for
    Parameter.RECEIVABLE_OVERDUE_DAYS_MAX: Decimal(365),
    Parameter.REVALUATION_MONTHS: Decimal(12),
    Parameter.REVALUATION_HOURS: Decimal(10_000),
    Parameter.BASE_LOCATION_DAYS_MAX: Decimal(365),
    Parameter.BASE_HOURS_DAYS_MAX: Decimal(365),
    Parameter.PORTFOLIO_CONCENTRATION_FROM: Decimal(1_000_000_000_000),
}
# Switches, on at 1 and off at 0.
_SWITCHES = frozenset(
    {
        Parameter.REVALUATION_ON_STOP_FAULT,
        Parameter.REVALUATION_ON_COMPONENT,
        Parameter.REVALUATION_ON_INDEX,
    }
)
# Values that nothing works with where they are zero.
_ABOVE_ZERO = frozenset(
    {Parameter.COVER_MAX, Parameter.TERM_MONTHS_MAX, Parameter.OFFER_VALID_DAYS}
)


@dataclass(frozen=True, slots=True)
class Value:
    """One value, and how far a funder may move it for a facility of its own (None: not at all)."""

    value: Decimal
    low: Decimal | None = None
    high: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the tables; never changed once published.

    Attributes:
        hours_limits: Most hours at maturity by equipment class; "*" for all others.
    """

    id: UUID
    version: str
    effective_on: date
    values: Mapping[Parameter, Value]
    hours_limits: Mapping[str, int]
    create_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "policies/<uuid>"."""
        return name("policies", self.id)

    def terms(self, overrides: Mapping[Parameter, Decimal]) -> "Terms":
        """Return the values that hold for a facility."""
        values = {parameter: line.value for parameter, line in self.values.items()}
        return Terms(self.version, values | dict(overrides), self.hours_limits)

    def check_overrides(self, overrides: Mapping[Parameter, Decimal]) -> None:
        """Check a funder's own values against the bounds.

        Raises:
            OverrideOutOfBounds: One lies outside, or may not be overridden, or the watch line is
                not between the LTV cap on OLV and the maintenance cap.
        """
        for parameter, value in overrides.items():
            line = self.values[parameter]
            if line.low is None or line.high is None:
                raise OverrideOutOfBounds(f"{parameter} cannot be overridden")
            if not line.low <= value <= line.high:
                raise OverrideOutOfBounds(
                    f"{parameter} must lie in {line.low} to {line.high}, not {value}"
                )
        terms = self.terms(overrides)
        ladder = [
            terms[Parameter.LTV_CAP_OLV],
            terms[Parameter.WATCH_LINE],
            terms[Parameter.MAINTENANCE_CAP],
        ]
        if ladder != sorted(ladder):
            raise OverrideOutOfBounds(
                "LTV_CAP_OLV, WATCH_LINE and MAINTENANCE_CAP must not fall in this order, as "
                f"{', '.join(str(step) for step in ladder)} do"
            )


@dataclass(frozen=True, slots=True)
class Terms:
    """A policy version with a facility's own values in their places."""

    version: str
    values: Mapping[Parameter, Decimal]
    hours_limits: Mapping[str, int]

    def __getitem__(self, parameter: Parameter) -> Decimal:
        return self.values[parameter]

    def widened(self) -> "Terms":
        """Return the terms while the model drifts: each grade's haircut is that much wider."""
        wider = {
            grade: min(Decimal(1), self[grade] + self[Parameter.HAIRCUT_DRIFT])
            for grade in (Parameter.HAIRCUT_A, Parameter.HAIRCUT_B, Parameter.HAIRCUT_C)
        }
        return Terms(self.version, {**self.values, **wider}, self.hours_limits)

    def hours_limit(self, equipment_class: str) -> int:
        """Return the most hours that a machine of a class may have at maturity."""
        return self.hours_limits.get(equipment_class, self.hours_limits[OTHER_CLASSES])


def value_problem(parameter: Parameter, value: Decimal) -> str | None:
    """Return what is wrong with a value of a parameter, or None."""
    highest = _HIGHEST.get(parameter, Decimal(1))
    if value == 0 and parameter in _ABOVE_ZERO:
        return f"{parameter} must be greater than zero"
    if parameter in _SWITCHES and value not in (0, 1):
        return f"{parameter} must be 0 or 1, not {value}"
    if not 0 <= value <= highest:
        return f"{parameter} must lie in 0 to {highest}, not {value}"
    return decimals_problem(value)


def decimals_problem(value: Decimal) -> str | None:
    """Return what is wrong with a rate's number of decimals, or None."""
    if value != round(value, RATE_PLACES_MAX):
        return f"must have at most {RATE_PLACES_MAX} decimals, not {value}"
    return None
