"""Agreed subordination: whose consent lets whom lend behind, and what ranks before a draw.

Liens rank as the registry ranks them: purchase money in time first, then by the time of
registration. A draw ranks with its principal; interest and penalty go with it (WE-17).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.finance.draw_model import Draw, DrawState, Instalment
from services.finance.errors import DrawNotOutstanding
from services.finance.subordination_errors import (
    SeniorCapTooLow,
    SubordinationBusy,
    SubordinationNotGiven,
)
from services.finmath.dates import add_months
from services.kit.errors import InvalidArgument
from services.kit.ids import name

VALID_FOR_MAX = timedelta(days=90)  # as long as an offer and its draw can take, thrice over


class SubordinationState(StrEnum):
    """Where a consent stands."""

    GIVEN = "GIVEN"
    USED = "USED"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


@dataclass(frozen=True, slots=True)
class Subordination:
    """A consent's row.

    Attributes:
        senior_cap_fen: The most principal of the senior draw that ranks before the junior.
        junior_draw_id: The draw under it, from when it is begun; None again once given up.
    """

    id: UUID
    version: int
    event_sequence: int
    state: SubordinationState
    senior_draw_id: UUID
    machine: str
    senior_funder: str
    junior_funder: str
    borrower: str
    senior_cap_fen: int
    junior_draw_id: UUID | None
    expire_at: datetime
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "subordinations/<uuid>"."""
        return name("subordinations", self.id)

    def require_good(self, *, at: datetime) -> None:
        """Check that a junior draw may be begun under it.

        Raises:
            SubordinationNotGiven: It is used, revoked or has run out.
            SubordinationBusy: One is on its way.
        """
        if self.state is not SubordinationState.GIVEN or self.expire_at <= at:
            ended = SubordinationState.EXPIRED
            raise SubordinationNotGiven(
                self.name, ended if self.state is SubordinationState.GIVEN else self.state
            )
        self.require_idle()

    def require_idle(self) -> None:
        """Check that no draw under it is on its way.

        Raises:
            SubordinationBusy: One is.
        """
        if self.state is SubordinationState.GIVEN and self.junior_draw_id is not None:
            raise SubordinationBusy(self.name, name("draws", self.junior_draw_id))

    def require_covers(self, *, machine: str, funder: str) -> None:
        """Check that it is for a funder's offer on a machine.

        Raises:
            InvalidArgument: It is for another.
        """
        if self.machine != machine:
            raise InvalidArgument("subordination", f"is for {self.machine}, not {machine}")
        if self.junior_funder != funder:
            raise InvalidArgument(
                "subordination", f"is for offers of {self.junior_funder}, not of {funder}"
            )


def check_consent(
    draw: Draw, *, junior_funder: str, senior_cap_fen: int, expire_at: datetime, now: datetime
) -> None:
    """Check that a consent may be given on a draw.

    A draw is one lien of one rank: a cap below its balance would split it, and is refused.

    Raises:
        InvalidArgument: The junior is the senior itself, or it expires too early or late.
        DrawNotOutstanding: It is not ACTIVE.
        SeniorCapTooLow: Less than what is outstanding would rank first.
    """
    if junior_funder == draw.funder:
        raise InvalidArgument("junior_funder", "must be another party than the draw's funder")
    if not now < expire_at <= now + VALID_FOR_MAX:
        raise InvalidArgument(
            "expire_time", f"must be ahead, by at most {VALID_FOR_MAX.days} days, not {expire_at}"
        )
    if draw.state is not DrawState.ACTIVE:
        raise DrawNotOutstanding(draw.name, draw.state)
    if senior_cap_fen < draw.outstanding_fen:
        raise SeniorCapTooLow(draw.name, senior_cap_fen, draw.outstanding_fen)


def ahead_of(draw: Draw, others: Iterable[Draw]) -> list[Draw]:
    """Return the draws on a draw's machine whose liens rank before its own, the first first."""
    if draw.lien_rank is None:
        return []
    ranked = [
        (other.lien_rank, other)
        for other in others
        if other.id != draw.id and other.binds and other.lien_rank is not None
    ]
    before = [one for one in ranked if one[0] < draw.lien_rank]
    return [other for _, other in sorted(before, key=lambda one: one[0])]


def is_ahead(draw: Draw, *, of: Draw) -> bool:
    """Whether a draw's lien ranks before another's, whatever is outstanding on it."""
    return draw.lien_rank is not None and of.lien_rank is not None and draw.lien_rank < of.lien_rank


def senior_fen(draw: Draw, ahead: Iterable[Draw]) -> int:
    """Return the principal that ranks before a draw."""
    return sum(capped_fen(draw, other, other.outstanding_fen) for other in ahead)


def capped_fen(draw: Draw, senior: Draw, balance_fen: int) -> int:
    """Return what of a senior's balance ranks before a draw: what was consented, at most."""
    if draw.senior_draw_id == senior.id and draw.senior_cap_fen is not None:
        return min(balance_fen, draw.senior_cap_fen)
    return balance_fen


def principal_fen(lines: Sequence[Instalment], on: date | None) -> int:
    """Return a draw's principal once what falls due up to a day is paid; None: as it is now."""
    return sum(line.unpaid_principal_fen for line in lines if on is None or line.contract_on > on)


def balances_fen(
    lines: Sequence[Instalment], *, cap_fen: int, from_on: date, months: int
) -> list[int]:
    """Return what of a senior ranks first after month 0, 1, … of a junior's term."""
    return [
        min(cap_fen, principal_fen(lines, add_months(from_on, month) if month else None))
        for month in range(months + 1)
    ]
