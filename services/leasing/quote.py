"""What a lease costs, and how its lessor classifies it (WE-1, 2, 3 and 10 of the domain page)."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from services.finmath.classification import LeaseFacts, classify
from services.finmath.irr import NoRate, effective_annual, monthly_irr, nominal_annual
from services.finmath.money import round_half_up
from services.finmath.schedule import Schedule
from services.leasing.errors import RateNotFound
from services.leasing.terms import LeaseTerms

RATE_PLACES = 8
RATE_MAX = 1_000  # 100,000 % a year: above it a quote means nothing
# A residual this small will surely be paid (a usual line of practice under CAS 21; configuration).
BARGAIN_RESIDUAL_SHARE = Decimal("0.05")


@dataclass(frozen=True, slots=True)
class Figures:
    """A quote's figures; amounts in fen, rates annual, as fractions of one at 8 decimals.

    Attributes:
        interest_fen: All interest of the term, the residual's included.
        effective_rate: Of the payments, compounded monthly.
        all_in_nominal_rate: With fee and deposit counted in; `all_in_effective_rate` compounded.
        reasons: Why it is a finance lease; empty for an operating lease.
        value_share: Payments and guaranteed residual at the implicit rate, over the price.
    """

    payment_fen: int
    last_payment_fen: int
    payments_fen: int
    interest_fen: int
    effective_rate: Decimal
    all_in_nominal_rate: Decimal
    all_in_effective_rate: Decimal
    reasons: list[str]
    implicit_rate: Decimal
    payments_value_fen: int
    value_share: Decimal
    unguaranteed_value_fen: int

    @property
    def net_investment_fen(self) -> int:
        """The lessor's net investment (IFRS 16.67)."""
        return self.payments_value_fen + self.unguaranteed_value_fen


def quote_figures(
    terms: LeaseTerms, *, direct_cost_fen: int, remaining_life_months: int | None
) -> Figures:
    """Return what a lease on these terms costs.

    Args:
        remaining_life_months: Of the machine's economic life; None where it is not known.

    Raises:
        RateNotFound: Fee and deposit leave nothing financed, or the rate is absurd.
    """
    schedule = terms.schedule()
    all_in_flows = flows_with_fee_and_deposit(schedule, terms)
    if all_in_flows[0] >= 0:
        raise RateNotFound("fee and deposit leave nothing financed")
    try:
        plain = monthly_irr(schedule.flows_fen())
        all_in = monthly_irr(all_in_flows)
        classification = classify(
            LeaseFacts(
                rentals_fen=tuple((row.month, row.payment_fen) for row in schedule.rows),
                term_months=terms.term_months,
                fair_value_fen=terms.financed_fen,
                guaranteed_residual_fen=terms.guaranteed_residual_fen,
                unguaranteed_residual_fen=terms.residual_fen - terms.guaranteed_residual_fen,
                direct_cost_fen=direct_cost_fen,
                economic_life_months=remaining_life_months,
                bargain_purchase=terms.residual_fen <= terms.financed_fen * BARGAIN_RESIDUAL_SHARE,
            )
        )
    except NoRate as error:
        raise RateNotFound(str(error)) from error
    return Figures(
        payment_fen=schedule.rows[0].payment_fen,
        last_payment_fen=schedule.rows[-1].payment_fen,
        payments_fen=schedule.payments_fen,
        interest_fen=schedule.interest_fen,
        effective_rate=_rate(effective_annual(plain)),
        all_in_nominal_rate=_rate(nominal_annual(all_in)),
        all_in_effective_rate=_rate(effective_annual(all_in)),
        reasons=[reason.value for reason in classification.reasons],
        implicit_rate=_rate(classification.implicit_annual_rate),
        payments_value_fen=classification.payments_value_fen,
        value_share=classification.value_share,
        unguaranteed_value_fen=classification.unguaranteed_value_fen,
    )


def flows_with_fee_and_deposit(schedule: Schedule, terms: LeaseTerms) -> list[int]:
    """Return the lessor's flows: fee and deposit come in at the start, the deposit leaves last."""
    flows = schedule.flows_fen()
    flows[0] += terms.fee_fen + terms.deposit_fen
    flows[-1] -= terms.deposit_fen
    return flows


def remaining_life(economic_life_months: int, *, build_year: int, on: date) -> int | None:
    """Return the months left of an economic life that began with the build year, or None."""
    if not economic_life_months or not build_year:
        return None
    age_months = (on.year - build_year) * 12 + on.month - 1
    return max(0, economic_life_months - age_months)


def _rate(value: Decimal) -> Decimal:
    """Return a rate at 8 decimals.

    Raises:
        RateNotFound: It is above RATE_MAX.
    """
    if value > RATE_MAX:
        raise RateNotFound(f"it would exceed {RATE_MAX * 100:,} % a year")
    scaled = round_half_up(value.scaleb(RATE_PLACES))
    return Decimal(scaled).scaleb(-RATE_PLACES)
