"""Receivables from lease instalments, and the sale of a run of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.finance.errors import FactoringBusy, ReceivableNotEligible
from services.finmath.discount import Discounted, present_value
from services.finmath.money import split
from services.kit.ids import name


class ReceivableState(StrEnum):
    """Where a receivable stands."""

    CREATED = "CREATED"
    CONFIRMED = "CONFIRMED"
    OFFERED = "OFFERED"
    ASSIGNED = "ASSIGNED"
    FUNDED = "FUNDED"
    COLLECTING = "COLLECTING"
    SETTLED = "SETTLED"
    DISPUTED = "DISPUTED"
    DILUTED = "DILUTED"
    RECOURSE = "RECOURSE"


class FactoringState(StrEnum):
    """Where a factoring stands."""

    OFFERED = "OFFERED"
    ASSIGNED = "ASSIGNED"
    FUNDED = "FUNDED"
    SETTLED = "SETTLED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class Receivable:
    """A claim on one instalment of a lease; amounts in fen.

    Attributes:
        debtor: The lessee.
        creditor: The lessor, to whom it was first owed.
        owner: To whom it is owed now.
        factoring_id: The live factoring, or the one that sold it.
    """

    id: UUID
    version: int
    event_sequence: int
    state: ReceivableState
    lease: str
    number: int
    machine: str
    debtor: str
    creditor: str
    owner: str
    amount_fen: int
    principal_fen: int
    interest_fen: int
    paid_fen: int
    due_on: date
    factoring_id: UUID | None
    registry_no: str
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "receivables/<uuid>"."""
        return name("receivables", self.id)


@dataclass(frozen=True, slots=True)
class Factoring:
    """The sale of a run of a lease's instalments; amounts in fen.

    Attributes:
        as_of: The day as of which the price is computed: that of the last instalment that has
            fallen due, or of the offer where none has.
        held_by: The saga that works on it; empty where none does.
    """

    id: UUID
    version: int
    state: FactoringState
    lease: str
    machine: str
    from_number: int
    to_number: int
    lessor: str
    debtor: str
    funder: str
    facility_id: UUID | None
    nominal_rate: Decimal
    as_of: date
    gross_fen: int
    price_fen: int
    draw_id: UUID | None
    draw_repaid_fen: int | None
    registry_no: str
    policy_version: str
    expire_at: datetime
    held_by: str
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "factorings/<uuid>"."""
        return name("factorings", self.id)

    @property
    def discount_fen(self) -> int:
        """What the funder earns if all is paid."""
        return self.gross_fen - self.price_fen

    def require_idle(self, *, but: str = "") -> None:
        """Check that no other saga works on it.

        Raises:
            FactoringBusy: One does.
        """
        if self.held_by not in ("", but):
            raise FactoringBusy(self.name, self.held_by)


@dataclass(frozen=True, slots=True)
class Notice:
    """Tells a debtor to whom instalments are paid from now on."""

    id: UUID
    factoring_id: UUID
    lease: str
    from_number: int
    to_number: int
    debtor: str
    assignor: str
    assignee: str
    registry_no: str
    withdrawn: bool
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "assignmentNotices/<uuid>"."""
        return name("assignmentNotices", self.id)


@dataclass(frozen=True, slots=True)
class Price:
    """What a run of instalments is worth, and each one's share; in fen."""

    discounted: Discounted
    shares_fen: tuple[int, ...]


def price_run(run: Sequence[Receivable], rate: Decimal, *, months: Sequence[int]) -> Price:
    """Price instalments (WE-5): each is discounted by a twelfth of the rate a month.

    Args:
        months: How many months after the pricing date each falls due, 1 or more.
    """
    payments = [(month, line.amount_fen) for month, line in zip(months, run, strict=True)]
    discounted = Discounted(sum(line.amount_fen for line in run), present_value(payments, rate))
    weights = [present_value([payment], rate) for payment in payments]
    return Price(discounted, tuple(split(discounted.present_value_fen, weights)))


def check_sellable(run: Sequence[Receivable], today: date) -> None:
    """Check that each instalment lies ahead and is unpaid.

    Raises:
        ReceivableNotEligible: One does not, or is not.
    """
    for line in run:
        if line.due_on <= today:
            raise ReceivableNotEligible(line.name, line.number, f"fell due on {line.due_on}")
        if line.paid_fen:
            raise ReceivableNotEligible(line.name, line.number, "is paid in part")
