"""Finance or operating lease (IFRS 16.61-66), and the lessor's net investment (WE-10).

CAS 21 (2018) follows the same principles; 75 % of life and 90 % of value are its usual lines.
The thresholds are configuration, not accounting advice.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from services.finmath.discount import exact_value
from services.finmath.irr import monthly_irr, nominal_annual
from services.finmath.money import ratio, round_half_up

RATIO_PLACES = 6


class Reason(StrEnum):
    """Why a lease is a finance lease; one is enough."""

    TITLE_TRANSFERS = "TITLE_TRANSFERS"
    BARGAIN_PURCHASE = "BARGAIN_PURCHASE"
    MAJOR_PART_OF_LIFE = "MAJOR_PART_OF_LIFE"
    PRESENT_VALUE = "PRESENT_VALUE"
    SPECIALISED = "SPECIALISED"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where the two measured tests draw the line, as shares of one."""

    life: Decimal = Decimal("0.75")
    value: Decimal = Decimal("0.90")


@dataclass(frozen=True, slots=True)
class LeaseFacts:
    """What the classification looks at; amounts in fen.

    Attributes:
        rentals_fen: (month from the start, amount) of every payment.
        term_months: When the residual falls due.
        fair_value_fen: Of the machine at inception.
        direct_cost_fen: The lessor's initial direct cost.
        economic_life_months: From inception; None where it is not known.
    """

    rentals_fen: tuple[tuple[int, int], ...]
    term_months: int
    fair_value_fen: int
    guaranteed_residual_fen: int = 0
    unguaranteed_residual_fen: int = 0
    direct_cost_fen: int = 0
    economic_life_months: int | None = None
    title_transfers: bool = False
    bargain_purchase: bool = False
    specialised: bool = False


@dataclass(frozen=True, slots=True)
class Classification:
    """A lease classified at inception.

    Attributes:
        implicit_monthly_rate: The rate implicit in the lease.
        payments_value_fen: Present value of rentals and guaranteed residual at that rate.
        value_share: The same over the fair value, at six decimals.
        unguaranteed_value_fen: Present value of the unguaranteed residual.
    """

    reasons: tuple[Reason, ...]
    implicit_monthly_rate: Decimal
    payments_value_fen: int
    value_share: Decimal
    unguaranteed_value_fen: int

    @property
    def is_finance_lease(self) -> bool:
        """Whether any reason holds."""
        return bool(self.reasons)

    @property
    def implicit_annual_rate(self) -> Decimal:
        """Twelve times the monthly rate."""
        return nominal_annual(self.implicit_monthly_rate)

    @property
    def net_investment_fen(self) -> int:
        """Present value of payments and both residuals (IFRS 16.67)."""
        return self.payments_value_fen + self.unguaranteed_value_fen


def classify(facts: LeaseFacts, thresholds: Thresholds = Thresholds()) -> Classification:
    """Classify a lease at its inception.

    Raises:
        NoRate: No rate makes the payments worth fair value and direct cost.
    """
    monthly_rate = _implicit_monthly_rate(facts)
    guaranteed = (facts.term_months, facts.guaranteed_residual_fen)
    unguaranteed = (facts.term_months, facts.unguaranteed_residual_fen)
    payments_value_fen = round_half_up(exact_value([*facts.rentals_fen, guaranteed], monthly_rate))
    tests = {
        Reason.TITLE_TRANSFERS: facts.title_transfers,
        Reason.BARGAIN_PURCHASE: facts.bargain_purchase,
        Reason.MAJOR_PART_OF_LIFE: facts.economic_life_months is not None
        and facts.term_months >= facts.economic_life_months * thresholds.life,
        Reason.PRESENT_VALUE: payments_value_fen >= facts.fair_value_fen * thresholds.value,
        Reason.SPECIALISED: facts.specialised,
    }
    return Classification(
        reasons=tuple(reason for reason, holds in tests.items() if holds),
        implicit_monthly_rate=monthly_rate,
        payments_value_fen=payments_value_fen,
        value_share=ratio(payments_value_fen, facts.fair_value_fen, places=RATIO_PLACES),
        unguaranteed_value_fen=round_half_up(exact_value([unguaranteed], monthly_rate)),
    )


def _implicit_monthly_rate(facts: LeaseFacts) -> Decimal:
    flows = [0] * (facts.term_months + 1)
    flows[0] = -facts.fair_value_fen - facts.direct_cost_fen
    for month, amount_fen in facts.rentals_fen:
        flows[month] += amount_fen
    flows[-1] += facts.guaranteed_residual_fen + facts.unguaranteed_residual_fen
    return monthly_irr(flows)
