"""A lease: its terms, its figures, and where it stands."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.finmath.dates import add_months
from services.kit.clock import start_of
from services.kit.ids import name
from services.leasing.errors import AlreadySigned, LeaseBusy, TermsChanged
from services.leasing.papers import Inspection, TotalLoss
from services.leasing.quote import Figures
from services.leasing.terms import LeaseTerms

QUOTE_VALID_FOR = timedelta(days=30)
RESERVED_FOR = timedelta(days=60)  # from the approval: to sign, deliver and register
ELECTION_DAYS = 10  # after maturity, to purchase, extend or return


class LeaseState(StrEnum):
    """Where a lease stands, as in the contract."""

    QUOTED = "QUOTED"
    APPLIED = "APPLIED"
    DECLINED = "DECLINED"
    APPROVED = "APPROVED"
    SIGNED = "SIGNED"
    ACTIVE = "ACTIVE"
    BUYOUT_QUOTED = "BUYOUT_QUOTED"
    BOUGHT_OUT = "BOUGHT_OUT"
    MATURED = "MATURED"
    EXTENDED = "EXTENDED"
    PURCHASED = "PURCHASED"
    RETURN_PENDING = "RETURN_PENDING"
    RETURNED = "RETURNED"
    INSPECTED = "INSPECTED"
    CLOSED = "CLOSED"
    DEFAULTED = "DEFAULTED"
    REPOSSESSED = "REPOSSESSED"
    TOTAL_LOSS = "TOTAL_LOSS"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


RESERVING = frozenset({LeaseState.APPROVED, LeaseState.SIGNED})
# A machine is in at most one of these (a unique index holds it); free again once INSPECTED.
LIVE = RESERVING | {
    LeaseState.ACTIVE,
    LeaseState.BUYOUT_QUOTED,
    LeaseState.MATURED,
    LeaseState.EXTENDED,
    LeaseState.RETURN_PENDING,
    LeaseState.RETURNED,
    LeaseState.DEFAULTED,
    LeaseState.REPOSSESSED,
    LeaseState.TOTAL_LOSS,
}


@dataclass(frozen=True, slots=True)
class BuyoutQuote:
    """What a buyout costs on a day, in fen.

    Attributes:
        as_of: Interest runs to it; the quote holds to its end.
        due_fen: Instalments due by that day and not paid, penalties included.
        principal_fen: Outstanding beyond them, the residual included.
    """

    as_of: date
    due_fen: int
    principal_fen: int
    interest_fen: int
    fee_fen: int

    @property
    def total_fen(self) -> int:
        """What the buyout costs."""
        return self.due_fen + self.principal_fen + self.interest_fen + self.fee_fen

    @property
    def expire_at(self) -> datetime:
        """When the quote lapses: at the end of its day."""
        return start_of(self.as_of + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Lease:
    """One lease.

    Attributes:
        saga_id: The saga under way for it, which keeps other commands off.
        start_on: The first day: when the lessee accepted the delivery.
        schedule_revision: 0 before activation, then from 1.
        outstanding_fen: Principal outstanding, the residual included.
        residual_now_fen: The residual as an extension changed it.
        overdue_count: How many instalments are overdue; derived, like the next two.
        arrears_bucket: The ageing bucket of the oldest of them, 1 to 4; 0 where none is.
        overdue_since: When the oldest of them was payable.
        notice_on: The day of the notice of default that stands.
        defaulted_on: The day on which the default was declared.
        ended_on: The day on which the machine left the lessee: taken back, returned or lost.
        inspector: Who may inspect the returned machine beside the lessor; "" for nobody.
        return_condition: What the lessor said of the machine when it came back.
        is_machine_free: Whether the machine may be leased again though the lease is not over: it
            was sold, or paid for.
    """

    id: UUID
    version: int
    event_sequence: int
    state: LeaseState
    saga_id: UUID | None
    terms: LeaseTerms
    canonical_terms: str
    terms_sha256: str
    figures: Figures
    expire_at: datetime | None
    lessor_signer: str
    lessor_sign_time: datetime | None
    lessee_signer: str
    lessee_sign_time: datetime | None
    start_on: date | None
    maturity_on: date | None
    registry_no: str
    calendar_version: str
    schedule_revision: int
    outstanding_fen: int
    residual_now_fen: int
    deposit_held_fen: int
    buyout: BuyoutQuote | None
    reason: str
    overdue_count: int
    create_time: datetime
    update_time: datetime
    arrears_bucket: int = 0
    overdue_since: date | None = None
    notice_on: date | None = None
    defaulted_on: date | None = None
    ended_on: date | None = None
    inspector: str = ""
    return_condition: str = ""
    is_machine_free: bool = False
    loss: TotalLoss | None = None
    inspection: Inspection | None = None

    @property
    def name(self) -> str:
        """Return its resource name, "leases/<uuid>"."""
        return name("leases", self.id)

    @property
    def started_on(self) -> date:
        """The first day of a lease that has one."""
        assert self.start_on is not None, f"{self.name} has not started"
        return self.start_on

    @property
    def matures_on(self) -> date:
        """The last day of a lease that is active."""
        assert self.maturity_on is not None, f"{self.name} is not active"
        return self.maturity_on

    @property
    def left_on(self) -> date:
        """The day on which the machine left the lessee, of a lease that it has left."""
        assert self.ended_on is not None, f"the machine of {self.name} is with the lessee"
        return self.ended_on

    @property
    def is_stopped(self) -> bool:
        """Whether no instalment falls due any more: taken back, or lost and not paid for yet."""
        is_unpaid_loss = self.loss is not None and self.loss.paid_at is None
        return self.state is LeaseState.REPOSSESSED or is_unpaid_loss

    @property
    def is_signed_by_both(self) -> bool:
        """Whether lessor and lessee have signed."""
        return bool(self.lessor_signer and self.lessee_signer)

    def require_free(self) -> None:
        """Check that no saga works on it.

        Raises:
            LeaseBusy: One does.
        """
        if self.saga_id is not None:
            raise LeaseBusy(self.name)

    def require_signable(self, party: str, *, sha256: str) -> None:
        """Check that a party may sign this hash.

        Raises:
            TermsChanged: It is not the hash of these terms.
            AlreadySigned: The party has signed.
        """
        if sha256 != self.terms_sha256:
            raise TermsChanged(self.name, given=sha256, present=self.terms_sha256)
        signer = self.lessor_signer if party == self.terms.lessor else self.lessee_signer
        if signer:
            raise AlreadySigned(self.name, party)

    def due_on(self, number: int) -> date:
        """Return the due day of an instalment by the contract."""
        return due_day(self.started_on, number, in_advance=self.terms.in_advance)


def due_day(start_on: date, number: int, *, in_advance: bool) -> date:
    """Return the due day of an instalment of a lease that begins on `start_on`."""
    return add_months(start_on, number - 1 if in_advance else number)
