"""What the disposal of a machine pays on its draw, and the claim that it leaves (WE-17)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from services.finance.draw_model import Draw, Instalment
from services.finance.payment_model import accelerate
from services.finmath.allocation import Parts
from services.finmath.waterfall import distribute
from services.kit.ids import name


class ClaimState(StrEnum):
    """Where a claim stands."""

    OPEN = "OPEN"
    PAID = "PAID"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a disposal left unpaid of a draw, in fen; the funder's claim on the borrower.

    Attributes:
        transfer_ids: The transfers of the disposal, sorted; none where the draw got nothing.
        paid_fen: What they paid.
        interest_fen: Left unpaid, like the next two.
    """

    id: UUID
    draw_id: UUID
    state: ClaimState
    transfer_ids: list[str]
    paid_fen: int
    interest_fen: int
    principal_fen: int
    penalty_fen: int
    as_of: date
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "claims/<uuid>"."""
        return name("claims", self.id)

    @property
    def total_fen(self) -> int:
        """The sum of what was left."""
        return self.interest_fen + self.principal_fen + self.penalty_fen


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a disposal did to a draw.

    Attributes:
        paid: Its parts.
        left: What is still owed.
        excess_fen: What it paid above the debt.
        lines: The schedule afterwards, all of it due.
    """

    paid: Parts
    left: Parts
    excess_fen: int
    lines: tuple[Instalment, ...]


def recover(draw: Draw, lines: Sequence[Instalment], amount_fen: int, *, on: date) -> Recovery:
    """Apply a disposal's money to all that a draw owes: interest, then principal, then penalty."""
    due = accelerate(draw, lines, on)
    owed = [
        sum(line.unpaid_interest_fen for line in due),
        sum(line.unpaid_principal_fen for line in due),
        sum(line.unpaid_penalty_fen for line in due),
    ]
    spread = distribute(amount_fen, owed)
    interest_fen, principal_fen, penalty_fen = spread.paid_fen
    left_interest_fen, left_principal_fen, left_penalty_fen = spread.short_fen
    paid = Parts(interest_fen=interest_fen, principal_fen=principal_fen, penalty_fen=penalty_fen)
    return Recovery(
        paid=paid,
        left=Parts(
            interest_fen=left_interest_fen,
            principal_fen=left_principal_fen,
            penalty_fen=left_penalty_fen,
        ),
        excess_fen=spread.surplus_fen,
        lines=_pay_parts(due, paid),
    )


def _pay_parts(lines: Sequence[Instalment], paid: Parts) -> tuple[Instalment, ...]:
    """Spread each part over the lines, the oldest first."""
    interest = distribute(paid.interest_fen, [line.unpaid_interest_fen for line in lines])
    principal = distribute(paid.principal_fen, [line.unpaid_principal_fen for line in lines])
    penalty = distribute(paid.penalty_fen, [line.unpaid_penalty_fen for line in lines])
    return tuple(
        replace(
            line,
            interest_paid_fen=line.interest_paid_fen + interest.paid_fen[at],
            principal_paid_fen=line.principal_paid_fen + principal.paid_fen[at],
            penalty_paid_fen=line.penalty_paid_fen + penalty.paid_fen[at],
        )
        for at, line in enumerate(lines)
    )
