"""What rails say of payments, and what it means for where a payment stands."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.kit.ids import name
from services.settlement.payment_model import PaymentState


class StatusCode(StrEnum):
    """ISO 20022's external codes of payment statuses, as far as they are taken in."""

    RCVD = "RCVD"
    PDNG = "PDNG"
    ACTC = "ACTC"
    ACCP = "ACCP"
    ACSP = "ACSP"
    ACSC = "ACSC"
    RJCT = "RJCT"


PARTIAL = "PART"  # of a group alone: its transactions have statuses of their own
ACCEPTED = frozenset({StatusCode.ACTC, StatusCode.ACCP, StatusCode.ACSP, StatusCode.ACSC})
COMMANDS = {StatusCode.ACSC: "settle", StatusCode.RJCT: "reject"}
# Where a payment has come to by another way, which the status only confirms.
CONFIRMED = {StatusCode.ACSC: PaymentState.SETTLED, StatusCode.RJCT: PaymentState.FAILED}


class Outcome(StrEnum):
    """What came of a status."""

    APPLIED = "APPLIED"
    NOTED = "NOTED"
    UNMATCHED = "UNMATCHED"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a status is what it is.

    Attributes:
        code: ISO 20022's ("AC04"), or the rail's own; "" without.
        text: In words; "" without.
    """

    code: str = ""
    text: str = ""

    @property
    def words(self) -> str:
        """Return both, as a person reads them."""
        return " ".join(filter(None, (self.code, self.text)))


@dataclass(frozen=True, slots=True)
class ReportedStatus:
    """The status of one transaction as a report says it.

    Attributes:
        line: Where it stands in the report.
        amount_fen: The amount of the original, where the report repeats it.
    """

    line: int
    end_to_end_id: str
    code: StatusCode
    reason: Reason
    amount_fen: int | None = None


@dataclass(frozen=True, slots=True)
class StatusTotal:
    """How many transactions of a report have a status, and their sum where it is said."""

    line: int
    code: StatusCode
    count: int
    sum_fen: int | None


@dataclass(frozen=True, slots=True)
class OriginalTotals:
    """What a report says of the file that it answers; each absent where it does not."""

    line: int
    count: int | None
    sum_fen: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """A status report, what can be checked without the file that it answers checked.

    Attributes:
        group: The status of the whole file; None where its transactions have their own.
        group_reason: Why the whole file has it.
        is_partial: Whether it says that the file was taken in part.
    """

    id: str
    original_file: str
    original: OriginalTotals
    group: StatusCode | None
    group_reason: Reason
    is_partial: bool
    statuses: tuple[ReportedStatus, ...]
    totals: tuple[StatusTotal, ...]


@dataclass(frozen=True, slots=True)
class PaymentStatus:
    """A status as it is kept.

    Attributes:
        report: The report's message id.
        problem: Why it is unmatched; "" otherwise.
        payment: The payment that it fits, or None.
        is_simulated: Whether a simulator said it.
    """

    id: UUID
    report: str
    original_file: str
    end_to_end_id: str
    code: StatusCode
    reason_code: str
    reason: str
    outcome: Outcome
    problem: str
    payment: UUID | None
    is_simulated: bool
    create_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "paymentStatuses/<uuid>"."""
        return name("paymentStatuses", self.id)


def outcome_of(code: StatusCode, state: PaymentState) -> tuple[Outcome, str]:
    """Return what comes of a status of a payment in a state, and the problem where it is one."""
    if state is PaymentState.SUBMITTED:
        return (Outcome.APPLIED if code in COMMANDS else Outcome.NOTED), ""
    if code not in COMMANDS and state in (
        PaymentState.SETTLED,
        PaymentState.RETURNED,
        PaymentState.FAILED,
    ):
        return Outcome.NOTED, ""  # how far it was before, told late
    if CONFIRMED.get(code) is state:
        return Outcome.NOTED, ""
    return Outcome.UNMATCHED, f"the payment is {state}"
