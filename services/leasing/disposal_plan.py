"""What a disposal is for, and what its price settles of debt, instalments and guarantees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.finmath.allocation import Parts, allocate
from services.finmath.waterfall import Claimant
from services.leasing.buyout_model import Settlement, settle, shares_of
from services.leasing.claim_model import ClaimKind
from services.leasing.disposal_model import LENDERS, Line, paid_to
from services.leasing.instalment_model import Instalment
from services.leasing.model import Lease, LeaseState


@dataclass(frozen=True, slots=True)
class Debt:
    """What a machine is sold for.

    Attributes:
        lessor_fen: What of it is the lessor's, out of which its lenders are paid.
        assignees: The owners of sold instalments, each with what is owed to it.
        guaranteed_fen: Of a returned machine's residual, what the lessee guaranteed.
        settlement: The instalments of it; None after a return.
    """

    lessor_fen: int
    assignees: tuple[tuple[str, int], ...]
    guaranteed_fen: int
    settlement: Settlement | None

    @property
    def total_fen(self) -> int:
        """All of it."""
        return self.lessor_fen + sum(due_fen for _, due_fen in self.assignees)


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What a disposal left owing."""

    kind: ClaimKind
    creditor: str
    debtor: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Closed:
    """An instalment that a disposal ends, and what the price paid of it."""

    instalment: Instalment
    paid: Parts
    is_covered: bool


def debt_of(lease: Lease, instalments: Sequence[Instalment]) -> Debt:
    """Return what the machine of a lease is sold for.

    After a repossession it is the lessee's debt as of that day: what is due with penalties,
    interest since, principal and residual; whatever exceeds it is the lessee's (Article 758 of the
    Civil Code). After a return it is the residual, and whatever exceeds it is the lessor's.
    """
    lessor = lease.terms.lessor
    if lease.state is not LeaseState.REPOSSESSED:
        guaranteed_fen = min(lease.terms.guaranteed_residual_fen, lease.residual_now_fen)
        return Debt(lease.residual_now_fen, (), guaranteed_fen, None)
    settlement = settle(lease, instalments, as_of=lease.left_on, fee_rate=Decimal(0))
    shares = {share.owner: share.amount_fen for share in shares_of(lease, settlement)}
    lessor_fen = shares.pop(lessor)
    return Debt(lessor_fen, tuple(sorted(shares.items())), 0, settlement)


def beneficiary_of(lease: Lease) -> str:
    """Return who gets the surplus: the lessee after a repossession, else the lessor."""
    is_taken_back = lease.state is LeaseState.REPOSSESSED
    return lease.terms.lessee if is_taken_back else lease.terms.lessor


def shortfalls_of(
    lease: Lease, debt: Debt, lines: Sequence[Line], *, price_fen: int, surplus_fen: int
) -> list[Shortfall]:
    """Return what a price leaves owing under the lease; what a lender lacks is finance's to say.

    Args:
        lines: As they are paid.
    """
    net_fen = price_fen - paid_to(lines, Claimant.DISPOSAL_COST, Claimant.TRANSPORT)
    lessor, lessee = lease.terms.lessor, lease.terms.lessee
    if debt.settlement is None:
        found = [(ClaimKind.RESIDUAL_GUARANTEE, lessor, lessee, debt.guaranteed_fen - net_fen)]
    else:
        lent_fen = paid_to(lines, *LENDERS)
        received_fen = min(debt.lessor_fen, lent_fen + paid_to(lines, Claimant.LESSOR_RESIDUAL))
        transport_fen = sum(line.short_fen for line in lines if line.claimant is Claimant.TRANSPORT)
        short_fen = debt.lessor_fen - received_fen + transport_fen
        found = [(ClaimKind.DISPOSAL_SHORTFALL, lessor, lessee, short_fen)]
        # Where the lessor had borrowed more than it was owed, its lenders took what was others'.
        owing = lessor if lent_fen > debt.lessor_fen else lessee
        found += [
            (ClaimKind.ASSIGNEE_SHORTFALL, line.creditor, owing, line.short_fen)
            for line in lines
            if line.claimant is Claimant.ASSIGNEE
        ]
        beyond_fen = net_fen - debt.total_fen - surplus_fen
        found.append((ClaimKind.LESSEE_SURPLUS, lessee, lessor, beyond_fen))
    return [Shortfall(*each) for each in found if each[3] > 0]


def funds_of(lease: Lease, debt: Debt, lines: Sequence[Line]) -> dict[str, int]:
    """Return what each owner of instalments got; the lessor also what its lenders got."""
    lessor_fen = paid_to(lines, *LENDERS, Claimant.LESSOR_RESIDUAL)
    funds = {lease.terms.lessor: min(debt.lessor_fen, lessor_fen)}
    for owner, _ in debt.assignees:
        funds[owner] = paid_to(lines, Claimant.ASSIGNEE, creditor=owner)
    return funds


def close_instalments(
    settlement: Settlement, funds: Mapping[str, int], *, lessor: str
) -> list[Closed]:
    """Spread what the owners got over their instalments: due ones, interest, those to come."""
    left = dict(funds)
    closed = []
    for item in settlement.due:
        allocation = allocate(left[item.owner], item.owed)
        left[item.owner] = allocation.surplus_fen
        closed.append(Closed(item, allocation.paid, allocation.paid == item.owed))
    left[lessor] -= min(left[lessor], settlement.quote.interest_fen)
    for item in settlement.coming:
        paid_fen = min(left[item.owner], item.due.principal_fen)
        left[item.owner] -= paid_fen
        is_covered = paid_fen == item.due.principal_fen
        closed.append(Closed(item, Parts(principal_fen=paid_fen), is_covered))
    return closed
