"""A facility's borrowing base: what of each machine counts as cover, and why the rest does not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from services.finance.draw_model import CollateralState, Draw, DrawState
from services.finance.facility_model import Facility
from services.finance.policy_model import Parameter, Terms
from services.finmath.money import share_of
from services.kit.amounts import yuan

DOWN_CUSTODIES = frozenset({"IN_SHOP"})
NOTHING_AGREED: Mapping[UUID, frozenset[str]] = MappingProxyType({})
DOWN_LIFECYCLES = frozenset({"IN_REMAN", "SCRAPPED"})


class Ineligible(StrEnum):
    """Why a line, or a part of it, does not count."""

    DOWN_UNIT = "DOWN_UNIT"
    NO_LOCATION = "NO_LOCATION"
    HOURS_STALE = "HOURS_STALE"
    LIEN = "LIEN"
    CONCENTRATION = "CONCENTRATION"
    TITLE = "TITLE"
    DEFAULT = "DEFAULT"
    SENIOR = "SENIOR"


@dataclass(frozen=True, slots=True)
class Condition:
    """What registry and maintenance say of a machine at the moment.

    Attributes:
        liens: Its active liens.
        days_since_reading: Since its last accepted hours; None: there are none.
        days_since_location: Since it was last located; None: never.
    """

    title_holder: str
    custodian: str
    custody: str
    lifecycle: str
    liens: Sequence[str]
    open_stop_faults: int
    days_since_reading: int | None
    days_since_location: int | None


@dataclass(frozen=True, slots=True)
class BaseLine:
    """One machine of a borrowing base; amounts in fen."""

    draw: str
    machine: str
    custodian: str
    outstanding_fen: int
    collateral_fen: int
    eligible_fen: int
    reasons: tuple[Ineligible, ...]
    why: str
    valuation: str

    @property
    def ineligible_fen(self) -> int:
        """What of it does not count."""
        return self.collateral_fen - self.eligible_fen


@dataclass(frozen=True, slots=True)
class BorrowingBase:
    """A facility's borrowing base; amounts in fen."""

    facility: str
    as_of: date
    lines: tuple[BaseLine, ...]
    base_fen: int
    policy_version: str

    @property
    def eligible_fen(self) -> int:
        """What counts of all collateral."""
        return sum(line.eligible_fen for line in self.lines)

    @property
    def ineligible_fen(self) -> int:
        """What does not."""
        return sum(line.ineligible_fen for line in self.lines)

    @property
    def outstanding_fen(self) -> int:
        """Principal outstanding."""
        return sum(line.outstanding_fen for line in self.lines)

    @property
    def availability_fen(self) -> int:
        """Base less outstanding; below zero it is a deficiency."""
        return self.base_fen - self.outstanding_fen


def make_base(
    facility: Facility,
    draws: Sequence[Draw],
    conditions: Mapping[str, Condition],
    *,
    terms: Terms,
    as_of: date,
    agreed: Mapping[UUID, frozenset[str]] = NOTHING_AGREED,
) -> BorrowingBase:
    """Return the borrowing base of a facility's outstanding draws, in their order.

    Args:
        conditions: Of each draw's machine.
        agreed: The liens beside its own that a draw's lender agreed to, before or behind it.
    """
    allowed_fen = share_of(facility.limit_fen, terms[Parameter.DEBTOR_CONCENTRATION_MAX])
    used_fen: dict[str, int] = {}
    lines = []
    for draw in draws:
        condition = conditions[draw.machine]
        found = dict(_findings(draw, condition, terms, agreed.get(draw.id, frozenset())))
        eligible_fen = 0 if found else max(0, draw.collateral_fen - draw.senior_fen)
        if draw.senior_fen:
            found[Ineligible.SENIOR] = f"{yuan(draw.senior_fen)} CNY of other draws rank first"
        if condition.custodian not in ("", draw.borrower):
            before_fen = used_fen.get(condition.custodian, 0)
            fitting_fen = max(0, min(eligible_fen, allowed_fen - before_fen))
            used_fen[condition.custodian] = before_fen + fitting_fen
            if fitting_fen < eligible_fen:
                found[Ineligible.CONCENTRATION] = (
                    f"{condition.custodian} stands for more than {yuan(allowed_fen)} CNY; "
                    f"{yuan(eligible_fen - fitting_fen)} CNY are above"
                )
            eligible_fen = fitting_fen
        lines.append(
            BaseLine(
                draw=draw.name,
                machine=draw.machine,
                custodian=condition.custodian,
                outstanding_fen=draw.outstanding_fen,
                collateral_fen=draw.collateral_fen,
                eligible_fen=eligible_fen,
                reasons=tuple(found),
                why="; ".join(found.values()),
                valuation=draw.valuation,
            )
        )
    counted_fen = sum(line.eligible_fen for line in lines)
    base_fen = min(facility.limit_fen, share_of(counted_fen, terms[Parameter.LTV_CAP_OLV]))
    return BorrowingBase(facility.name, as_of, tuple(lines), base_fen, terms.version)


def _findings(
    draw: Draw, condition: Condition, terms: Terms, agreed: frozenset[str]
) -> Iterator[tuple[Ineligible, str]]:
    """Return why a machine does not count at all, each with its figures."""
    if draw.state is DrawState.DEFAULTED:
        yield Ineligible.DEFAULT, "the draw is in default"
    elif draw.collateral_state is CollateralState.ENFORCEMENT:
        yield Ineligible.DEFAULT, f"in enforcement: {draw.shortfall_cause}"
    if condition.title_holder != draw.borrower:
        yield Ineligible.TITLE, f"the title is held by {condition.title_holder}"
    others = [lien for lien in condition.liens if lien != draw.lien and lien not in agreed]
    if others:
        yield Ineligible.LIEN, f"bound by {', '.join(others)} too"
    if condition.open_stop_faults:
        yield Ineligible.DOWN_UNIT, f"{condition.open_stop_faults} open STOP faults"
    elif condition.custody in DOWN_CUSTODIES or condition.lifecycle in DOWN_LIFECYCLES:
        yield Ineligible.DOWN_UNIT, f"{condition.custody}, {condition.lifecycle}"
    days_max = int(terms[Parameter.BASE_LOCATION_DAYS_MAX])
    if condition.days_since_location is None:
        yield Ineligible.NO_LOCATION, "never located"
    elif condition.days_since_location > days_max:
        yield (
            Ineligible.NO_LOCATION,
            f"not located for {condition.days_since_location} days, more than {days_max}",
        )
    days_max = int(terms[Parameter.BASE_HOURS_DAYS_MAX])
    if condition.days_since_reading is None:
        yield Ineligible.HOURS_STALE, "no accepted hours"
    elif condition.days_since_reading > days_max:
        yield (
            Ineligible.HOURS_STALE,
            f"no accepted hours for {condition.days_since_reading} days, more than {days_max}",
        )
