"""The disposal of a machine: claims on its price by rank (WE-17), and its reserve."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.finmath.money import share_of
from services.finmath.waterfall import Claimant, distribute_disposal
from services.kit.errors import InvalidArgument
from services.kit.ids import name

REVALUED_AFTER_UNSOLD = 2  # domain page §3.9: unsold twice


class DisposalState(StrEnum):
    """Where a disposal stands, as in the contract."""

    OPEN = "OPEN"
    SETTLED = "SETTLED"
    CANCELLED = "CANCELLED"


LENDERS = frozenset(
    {
        Claimant.SENIOR_INTEREST,
        Claimant.SENIOR_PRINCIPAL,
        Claimant.SENIOR_PENALTY,
        Claimant.JUNIOR,
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    """One claim on the proceeds.

    Attributes:
        creditor: "" for the platform.
        draw: Of a lender's line, "" else.
    """

    claimant: Claimant
    creditor: str
    draw: str
    due_fen: int
    paid_fen: int = 0
    transfer_id: UUID | None = None

    @property
    def short_fen(self) -> int:
        """What is left unpaid."""
        return self.due_fen - self.paid_fen


@dataclass(frozen=True, slots=True)
class Lender:
    """What a draw on the machine is owed; `priority` is the rank of its lien, 1 first."""

    draw: str
    funder: str
    interest_fen: int
    principal_fen: int
    penalty_fen: int
    priority: int

    @property
    def total_fen(self) -> int:
        """All that it is owed."""
        return self.interest_fen + self.principal_fen + self.penalty_fen


@dataclass(frozen=True, slots=True)
class Disposal:
    """One disposal.

    Attributes:
        event_sequence: The number of the lease's event that last told of it.
        beneficiary: Who gets the surplus.
        debt_fen: What it is for: the lessee's debt, or the residual after a return.
        as_of: The day to which interest of the claims was counted.
        reserve_fen: None where the machine could not be valued.
        claims: The names of the claims that a shortfall raised.
    """

    id: UUID
    version: int
    event_sequence: int
    state: DisposalState
    lease_id: UUID
    machine: str
    lessor: str
    lessee: str
    beneficiary: str
    carrier: str
    cost_rate: Decimal
    transport_fen: int
    debt_fen: int
    as_of: date
    valuation: str
    reserve_fen: int | None
    policy_version: int
    unsold_count: int
    sale_order: str
    price_fen: int
    surplus_fen: int
    claims: tuple[str, ...]
    settle_time: datetime | None
    create_time: datetime
    update_time: datetime
    lines: tuple[Line, ...] = ()

    @property
    def name(self) -> str:
        """Return its resource name, "disposals/<uuid>"."""
        return name("disposals", self.id)

    @property
    def lease(self) -> str:
        """Return the name of its lease."""
        return name("leases", self.lease_id)


def lines_of(
    *,
    transport_fen: int,
    carrier: str,
    lenders: Iterable[Lender],
    assignees: Iterable[tuple[str, int]],
    lessor: str,
    lessor_fen: int,
) -> list[Line]:
    """Return the claims on a price by rank, without the cost, which is a share of the price.

    Lenders have the machine as security, by the rank of their liens; assignees bought the lessee's
    instalments; the lessor has what is left of its own.

    Args:
        assignees: Each with what is owed to it.
        lessor_fen: What the lessee, or the machine, owes the lessor; what the lessor owes its
            lenders is paid out of it.
    """
    lines = [Line(Claimant.TRANSPORT, carrier, "", transport_fen)]
    by_rank = sorted(lenders, key=lambda lender: (lender.priority, lender.draw))
    for senior in by_rank[:1]:
        lines += [
            Line(Claimant.SENIOR_INTEREST, senior.funder, senior.draw, senior.interest_fen),
            Line(Claimant.SENIOR_PRINCIPAL, senior.funder, senior.draw, senior.principal_fen),
            Line(Claimant.SENIOR_PENALTY, senior.funder, senior.draw, senior.penalty_fen),
        ]
    lines += [
        Line(Claimant.JUNIOR, junior.funder, junior.draw, junior.total_fen)
        for junior in by_rank[1:]
    ]
    lines += [Line(Claimant.ASSIGNEE, owner, "", due_fen) for owner, due_fen in assignees]
    lent_fen = sum(lender.total_fen for lender in by_rank)
    lines.append(Line(Claimant.LESSOR_RESIDUAL, lessor, "", max(0, lessor_fen - lent_fen)))
    return lines


def distribute_price(
    price_fen: int, lines: Sequence[Line], *, cost_rate: Decimal
) -> tuple[list[Line], int]:
    """Hand a price down its claims, the cost of the disposal first; return them and the surplus."""
    spread = distribute_disposal(
        price_fen, cost_rate=cost_rate, claims=[(line.claimant, line.due_fen) for line in lines]
    )
    cost = Line(Claimant.DISPOSAL_COST, "", "", spread.paid_fen[0])
    paid = [
        replace(line, paid_fen=paid_fen)
        for line, paid_fen in zip([cost, *lines], spread.paid_fen, strict=True)
    ]
    return paid, spread.surplus_fen


def paid_to(lines: Iterable[Line], *claimants: Claimant, creditor: str = "") -> int:
    """Return what claimants of some kinds were paid, of all creditors or of one."""
    return sum(
        line.paid_fen
        for line in lines
        if line.claimant in claimants and creditor in ("", line.creditor)
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """The table by which reserves are set.

    Attributes:
        steps: (sales without a buyer, share of the forced liquidation value), the first at 0.
    """

    version: int
    steps: tuple[tuple[int, Decimal], ...]
    create_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "disposalPolicies/<version>"."""
        return name("disposalPolicies", self.version)

    def reserve_fen(self, flv_fen: int | None, *, unsold_count: int) -> int | None:
        """Return the reserve after so many sales without a buyer; None without a value."""
        if flv_fen is None:
            return None
        share = [share for unsold, share in self.steps if unsold <= unsold_count][-1]
        return share_of(flv_fen, share)


def check_steps(steps: Sequence[tuple[int, Decimal]]) -> None:
    """Check a table's steps.

    Raises:
        InvalidArgument: They do not begin at 0 unsold, do not rise, or a share rises or lies
            outside 0 to 1; names the field.
    """
    if steps[0][0] != 0:
        raise InvalidArgument("steps[0].unsold_count", "must be 0")
    before, last_share = -1, Decimal(1)
    for place, (unsold, share) in enumerate(steps):
        if unsold <= before:
            raise InvalidArgument(f"steps[{place}].unsold_count", f"must exceed {before}")
        if not 0 < share <= last_share:
            limit = f"must lie above 0 and not exceed {last_share}"
            raise InvalidArgument(f"steps[{place}].reserve_share", limit)
        before, last_share = unsold, share
