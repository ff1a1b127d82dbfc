"""Claims: what is still owed once a lease has ended, or an instalment was written off."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from services.kit.calendar import CHINA
from services.kit.clock import business_date
from services.kit.ids import name, new_id
from services.leasing.errors import AmountExceedsDue, NothingDue
from services.leasing.model import Lease

PAYABLE_WITHIN_DAYS = 10  # business days from the invoice; configuration, not law


class ClaimState(StrEnum):
    """Where a claim stands, as in the contract."""

    OPEN = "OPEN"
    PAID = "PAID"
    WAIVED = "WAIVED"


class ClaimKind(StrEnum):
    """What a claim is for, as in the contract."""

    RETURN_CHARGES = "RETURN_CHARGES"
    ARREARS = "ARREARS"
    DISPOSAL_SHORTFALL = "DISPOSAL_SHORTFALL"
    ASSIGNEE_SHORTFALL = "ASSIGNEE_SHORTFALL"
    RESIDUAL_GUARANTEE = "RESIDUAL_GUARANTEE"
    LESSEE_SURPLUS = "LESSEE_SURPLUS"


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of one party on another, under a lease.

    Attributes:
        event_sequence: The number of the lease's event that last told of it.
        lessor: The lease's, who sees it whoever its creditor is.
        reference: What it came from: an instalment, a disposal, or the lease.
    """

    id: UUID
    version: int
    event_sequence: int
    state: ClaimState
    kind: ClaimKind
    lease_id: UUID
    machine: str
    lessor: str
    creditor: str
    debtor: str
    amount_fen: int
    paid_fen: int
    reference: str
    due_on: date
    reason: str
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "claims/<uuid>"."""
        return name("claims", self.id)

    @property
    def lease(self) -> str:
        """Return the name of its lease."""
        return name("leases", self.lease_id)

    @property
    def owed_fen(self) -> int:
        """What is still owed on it."""
        return self.amount_fen - self.paid_fen if self.state is ClaimState.OPEN else 0

    def payable_fen(self, asked_fen: int | None) -> int:
        """Return what a payment of it comes to.

        Args:
            asked_fen: None pays all that is owed.

        Raises:
            NothingDue: Nothing is owed.
            AmountExceedsDue: More is asked for than is owed.
        """
        if not self.owed_fen:
            raise NothingDue(self.name)
        amount_fen = self.owed_fen if asked_fen is None else asked_fen
        if amount_fen > self.owed_fen:
            raise AmountExceedsDue(self.name, amount_fen=amount_fen, limit_fen=self.owed_fen)
        return amount_fen


def invoice(
    lease: Lease,
    kind: ClaimKind,
    *,
    creditor: str,
    amount_fen: int,
    reference: str,
    at: datetime,
    debtor: str = "",
    claim_id: UUID | None = None,
) -> Claim:
    """Return a new claim, told of by the lease's next event.

    Args:
        debtor: The lessee where nobody is named.
    """
    return Claim(
        id=claim_id or new_id(),
        version=1,
        event_sequence=lease.event_sequence + 1,
        state=ClaimState.OPEN,
        kind=kind,
        lease_id=lease.id,
        machine=lease.terms.machine,
        lessor=lease.terms.lessor,
        creditor=creditor,
        debtor=debtor or lease.terms.lessee,
        amount_fen=amount_fen,
        paid_fen=0,
        reference=reference,
        due_on=CHINA.add_business_days(business_date(at), PAYABLE_WITHIN_DAYS),
        reason="",
        create_time=at,
        update_time=at,
    )


def spread(claims: Sequence[Claim], amount_fen: int) -> list[tuple[Claim, int]]:
    """Return what an amount pays of claims, in their order, each whole before the next."""
    paid = []
    for claim in claims:
        part_fen = min(amount_fen, claim.owed_fen)
        amount_fen -= part_fen
        if part_fen:
            paid.append((claim, part_fen))
    return paid


def with_payment(claim: Claim, amount_fen: int) -> Claim:
    """Return a claim with a payment entered; its state is the lifecycle's to say."""
    return replace(claim, paid_fen=claim.paid_fen + amount_fen)
