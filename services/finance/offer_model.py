"""An offer to lend on a machine: how much, and whether the machine covers it to the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.finance.errors import (
    AgeAtMaturity,
    BalloonTooHigh,
    FactsMissing,
    GradeManualOnly,
    HoursAtMaturity,
    TermTooLong,
    ThroughLifeCover,
    ValuationNotIssued,
)
from services.finance.facility_model import Basis
from services.finance.policy_model import RATE_PLACES_MAX, Parameter, Terms
from services.finance.subordination_errors import NothingBehindSenior
from services.finmath.cover import LtvOffer, offer_by_ltv, through_life_cover
from services.finmath.irr import effective_annual
from services.finmath.money import ratio, share_of
from services.finmath.schedule import MONTHS_PER_YEAR, annuity_schedule
from services.kit.ids import name

RATIO_PLACES = 4
AUTOMATIC_GRADES = frozenset({"A", "B", "C"})
ISSUED = "ISSUED"
ONE_FEN = 1  # a worthless machine covers nothing, and a ratio needs a divisor


class OfferState(StrEnum):
    """Where an offer stands."""

    REQUESTED = "REQUESTED"
    OFFERED = "OFFERED"
    REFUSED = "REFUSED"
    ACCEPTED = "ACCEPTED"
    DRAWN = "DRAWN"
    REPAID = "REPAID"
    DEFAULTED = "DEFAULTED"
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"


class Bound(StrEnum):
    """Which bound decided an offer's amount."""

    REQUESTED = "REQUESTED"
    LOAN_TO_VALUE = "LOAN_TO_VALUE"
    PRICE = "PRICE"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a borrower asks for; amounts in fen.

    Attributes:
        requested_fen: None: as much as the policy allows.
        purchase_money: Whether the money buys the machine itself.
        subordination_id: The consent under which it is a junior offer; None: it is none.
    """

    machine: str
    purchase_price_fen: int
    requested_fen: int | None
    term_months: int
    balloon_fen: int
    hours_per_year: int
    purchase_money: bool
    subordination_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What is known of a machine, as far as lending needs it.

    Attributes:
        liens: Its active liens.
        senior_fen: What ranks before a junior offer after month 0, 1, … of its term; empty:
            nothing does.
    """

    machine: str
    title_holder: str
    equipment_class: str
    build_year: int
    hours_meter: Decimal | None
    liens: Sequence[str]
    senior_fen: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What a valuation says of a machine; amounts in fen.

    Attributes:
        grade: "A" to "D".
    """

    valuation: str
    record_sha256: str
    state: str
    grade: str
    fmv_median_fen: int
    fmv_q10_fen: int
    olv_median_fen: int
    olv_q10_fen: int
    flv_q10_fen: int
    expire_at: datetime

    def lendable_fen(self, basis: Basis) -> int:
        """Return the 10 % quantile of the value that is lent on."""
        quantiles = {
            Basis.FMV: self.fmv_q10_fen,
            Basis.OLV: self.olv_q10_fen,
            Basis.FLV: self.flv_q10_fen,
        }
        return quantiles[basis]


@dataclass(frozen=True, slots=True)
class Decision:
    """What may be lent, and the figures that decided it; amounts in fen.

    Attributes:
        loan_to_fmv: With what ranks before it.
        collateral_fen: OLV q10 after the haircut: what the collateral monitor holds the balance to.
        senior_fen: What ranks before it today.
    """

    policy_version: str
    amount_fen: int
    bound: Bound
    haircut: Decimal
    ltv_cap: Decimal
    loan_to_fmv: Decimal
    collateral_fen: int
    payment_fen: int
    total_interest_fen: int
    effective_rate: Decimal
    worst_month: int
    worst_ratio: Decimal
    senior_fen: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer's row; figures are None until it is made."""

    id: UUID
    version: int
    event_sequence: int
    state: OfferState
    facility_id: UUID
    funder: str
    borrower: str
    wish: Wish
    nominal_rate: Decimal
    appraisal: Appraisal | None
    decision: Decision | None
    refusal_reason: str
    refusal_message: str
    draw_id: UUID | None
    expire_at: datetime | None
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "offers/<uuid>"."""
        return name("offers", self.id)


def decide(
    wish: Wish,
    facts: MachineFacts,
    appraisal: Appraisal,
    *,
    flv_q10_fen: Sequence[int],
    terms: Terms,
    basis: Basis,
    nominal_rate: Decimal,
    year: int,
) -> Decision:
    """Decide what may be lent on a machine: WE-7 for the amount, WE-8 for cover to the end.

    Args:
        flv_q10_fen: The machine's FLV q10 after month 0, 1, … term.
        year: The calendar year in which it is decided.

    Raises:
        ValuationNotIssued, GradeManualOnly, TermTooLong, FactsMissing, AgeAtMaturity,
        HoursAtMaturity, NothingBehindSenior, BalloonTooHigh, ThroughLifeCover: What the policy
        refuses.
    """
    check_appraisal(appraisal)
    check_machine(wish, facts, terms=terms, year=year)

    haircut = terms[Parameter(f"HAIRCUT_{appraisal.grade}")]
    ltv_cap = terms[basis.ltv_cap]
    limits = offer_by_ltv(
        appraisal.lendable_fen(basis),
        haircut=haircut,
        ltv_cap=ltv_cap,
        price_fen=wish.purchase_price_fen,
        price_cap=terms[Parameter.PRICE_CAP],
    )
    ahead_fen = facts.senior_fen[0] if facts.senior_fen else 0
    bounds = _bounds(wish, limits, ahead_fen)
    bound = min(bounds, key=lambda which: bounds[which])
    amount_fen = bounds[bound]
    if wish.balloon_fen >= amount_fen:
        raise BalloonTooHigh(wish.balloon_fen, amount_fen)

    schedule = annuity_schedule(
        amount_fen, nominal_rate, months=wish.term_months, residual_fen=wish.balloon_fen
    )
    # The balance after the last instalment still holds the balloon, which is due with it.
    balances_fen = schedule.balances_fen()
    if facts.senior_fen:
        balances_fen = [
            own + ahead for own, ahead in zip(balances_fen, facts.senior_fen, strict=True)
        ]
    worst, worst_ratio = _check_cover(balances_fen, flv_q10_fen, terms[Parameter.COVER_MAX])
    return Decision(
        policy_version=terms.version,
        amount_fen=amount_fen,
        bound=bound,
        haircut=haircut,
        ltv_cap=ltv_cap,
        loan_to_fmv=ratio(ahead_fen + amount_fen, appraisal.fmv_median_fen, places=RATIO_PLACES),
        collateral_fen=share_of(appraisal.olv_q10_fen, 1 - haircut),
        payment_fen=schedule.rows[0].payment_fen,
        total_interest_fen=schedule.interest_fen,
        effective_rate=round(effective_annual(nominal_rate / MONTHS_PER_YEAR), RATE_PLACES_MAX),
        worst_month=worst,
        worst_ratio=worst_ratio,
        senior_fen=ahead_fen,
    )


def _bounds(wish: Wish, limits: LtvOffer, ahead_fen: int) -> dict[Bound, int]:
    """Return what bounds an offer behind what ranks first.

    Raises:
        NothingBehindSenior: Nothing is left of what may be lent.
    """
    bounds = {
        Bound.LOAN_TO_VALUE: limits.ltv_limit_fen - ahead_fen,
        Bound.PRICE: limits.price_limit_fen - ahead_fen,
    }
    if ahead_fen and (least_fen := min(bounds.values())) <= 0:
        raise NothingBehindSenior(wish.machine, ahead_fen, ahead_fen + least_fen)
    if wish.requested_fen is not None:
        bounds = {Bound.REQUESTED: wish.requested_fen} | bounds
    return bounds


def _check_cover(
    balances_fen: Sequence[int], flv_q10_fen: Sequence[int], cover_max: Decimal
) -> tuple[int, Decimal]:
    """Return the month in which the balance stands worst to the value, and how it stands there.

    Raises:
        ThroughLifeCover: The balance exceeds `cover_max` times the value in a month.
    """
    values_fen = [max(value, ONE_FEN) for value in flv_q10_fen]
    cover = through_life_cover(balances_fen, [value * cover_max for value in values_fen])

    def ratio_in(month: int) -> Decimal:
        return ratio(balances_fen[month], values_fen[month], places=RATIO_PLACES)

    if (month := cover.breach_month) is not None:
        raise ThroughLifeCover(
            month=month,
            ratio=ratio_in(month),
            balance_fen=balances_fen[month],
            value_fen=flv_q10_fen[month],
        )
    return cover.worst_month, ratio_in(cover.worst_month)


def check_appraisal(appraisal: Appraisal) -> None:
    """Check that a valuation may be lent on without anybody looking at it.

    Raises:
        ValuationNotIssued, GradeManualOnly: It may not.
    """
    if appraisal.state != ISSUED:
        raise ValuationNotIssued(appraisal.valuation, appraisal.state)
    if appraisal.grade not in AUTOMATIC_GRADES:
        raise GradeManualOnly(appraisal.valuation, appraisal.grade)


def check_machine(wish: Wish, facts: MachineFacts, *, terms: Terms, year: int) -> None:
    """Check term, age and hours at maturity; age and hours must both hold, whichever ends first.

    Raises:
        TermTooLong, FactsMissing, AgeAtMaturity, HoursAtMaturity: What does not hold.
    """
    if wish.term_months > terms[Parameter.TERM_MONTHS_MAX]:
        raise TermTooLong(wish.term_months, terms[Parameter.TERM_MONTHS_MAX])
    if not facts.build_year:
        raise FactsMissing(facts.machine, "the build year")
    if facts.hours_meter is None:
        raise FactsMissing(facts.machine, "the hour meter")
    years_left = -(-wish.term_months // MONTHS_PER_YEAR)
    age = year - facts.build_year + years_left
    if age > terms[Parameter.AGE_AT_MATURITY_YEARS_MAX]:
        raise AgeAtMaturity(facts.machine, age, terms[Parameter.AGE_AT_MATURITY_YEARS_MAX])
    hours = facts.hours_meter + Decimal(wish.hours_per_year * wish.term_months) / MONTHS_PER_YEAR
    hours_max = terms.hours_limit(facts.equipment_class)
    if hours > hours_max:
        raise HoursAtMaturity(facts.machine, hours, hours_max)
