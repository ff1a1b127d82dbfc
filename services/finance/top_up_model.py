"""Cash that a borrower has held for its funder, to cure a shortfall without paying the draw down.

It is a hold in the borrower's own wallet in the funder's favour, so it counts in full: what is lent
beyond it stands against the machine.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.finance.draw_model import CollateralState, Draw, ltv_of
from services.finance.errors import TopUpNeeded
from services.kit.ids import name


class TopUpState(StrEnum):
    """Where a top-up stands."""

    HELD = "HELD"
    RELEASED = "RELEASED"
    APPLIED = "APPLIED"


@dataclass(frozen=True, slots=True)
class TopUp:
    """A top-up's row; amounts in fen.

    Attributes:
        applied_fen: What of it went to the funder after a disposal; the rest was released.
        hold_id: The pending transfer at settlement.
    """

    id: UUID
    draw_id: UUID
    state: TopUpState
    amount_fen: int
    applied_fen: int
    hold_id: UUID
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "topUps/<uuid>"."""
        return name("topUps", self.id)


def require_releasable(draw: Draw) -> None:
    """Check that a draw is within its watch line without its top-ups.

    Raises:
        TopUpNeeded: It is not, or it is being enforced.
    """
    alone = ltv_of(draw.senior_fen + draw.outstanding_fen, draw.collateral_fen)
    if draw.collateral_state is CollateralState.ENFORCEMENT or alone > draw.watch_line:
        raise TopUpNeeded(draw.name, alone, draw.watch_line)
