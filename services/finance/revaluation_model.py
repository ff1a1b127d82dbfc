"""When a machine that is lent on is valued again, and what one such time is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.finance.policy_model import Parameter, Terms
from services.kit.ids import name


class RevaluationState(StrEnum):
    """Where a revaluation stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


class Cause(StrEnum):
    """Why a machine is valued again."""

    DRAWN = "DRAWN"
    MONTHLY = "MONTHLY"
    HOURS = "HOURS"
    STOP_FAULT = "STOP_FAULT"
    COMPONENT = "COMPONENT"
    COMPLIANCE = "COMPLIANCE"
    INDEX = "INDEX"
    FUNDER = "FUNDER"


_FIGURES = frozenset({Cause.HOURS, Cause.COMPLIANCE})
REASONS_MAX = 50  # while one waits; a machine that flaps says no more with more


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for a revaluation, in words with its figures."""

    cause: Cause
    description: str


@dataclass(frozen=True, slots=True)
class Revaluation:
    """A revaluation's row: of a machine, for a funder.

    Attributes:
        given: A valuation that is there already; empty: one is to be made.
        failure: Why it gave no value; empty otherwise.
    """

    id: UUID
    machine: str
    funder: str
    state: RevaluationState
    reasons: Sequence[Reason]
    given: str
    valuation: str
    former_valuation: str
    failure: str
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "revaluations/<uuid>"."""
        return name("revaluations", self.id)

    @property
    def cause(self) -> str:
        """Return all its reasons in one sentence, each once."""
        return "; ".join(dict.fromkeys(reason.description for reason in self.reasons))


def with_reason(reasons: Sequence[Reason], reason: Reason) -> list[Reason]:
    """Return reasons with one more, each once; of hours and compliance the newest figure counts."""
    kept = [
        one
        for one in reasons
        if one != reason and not (one.cause is reason.cause and one.cause in _FIGURES)
    ]
    return [*kept[-(REASONS_MAX - 1) :], reason]


def hours_reason(terms: Terms, *, valued: Decimal | None, hours: Decimal) -> Reason | None:
    """Return the reason that accepted hours are, or None while they are within the policy's."""
    step = terms[Parameter.REVALUATION_HOURS]
    if not step or (valued is not None and hours - valued < step):
        return None
    since = "no hours were known" if valued is None else f"{hours - valued:,.1f} h since its value"
    return Reason(Cause.HOURS, f"hours: {hours:,.1f} h, {since}")


def compliance_reason(
    terms: Terms, *, valued: Decimal | None, compliance: Decimal | None
) -> Reason | None:
    """Return the reason that another band of maintenance compliance is, or None within one."""
    width = terms[Parameter.REVALUATION_COMPLIANCE_BAND]
    if not width or _band(valued, width) == _band(compliance, width):
        return None
    words = f"maintenance compliance: {_said(valued)} → {_said(compliance)}"
    return Reason(Cause.COMPLIANCE, words)


def _band(compliance: Decimal | None, width: Decimal) -> int | None:
    """Return the band of a compliance, 1 itself in the highest; None where it is not known."""
    if compliance is None:
        return None
    return min(int(compliance / width), int((1 - Decimal("0.000001")) / width))


def _said(compliance: Decimal | None) -> str:
    return "unknown" if compliance is None else f"{compliance * 100:.1f} %"
