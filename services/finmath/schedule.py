"""Level payments and the schedule they make, in arrears or in advance, down to a residual (WE-1).

The payment is rounded once, interest per row on the rounded balance, and the last payment takes
what rounding left. The residual is due at the end of the term and is no part of the payments.
"""

from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

from services.finmath.money import PRECISION, round_half_up

MONTHS_PER_YEAR = 12
# Below one millionth a year a rate is a slip of the keyboard, above 1,000 % too.
RATE_MIN = Decimal("0.000001")
RATE_MAX = Decimal(10)
TERM_MONTHS_MAX = 480  # forty years: beyond any machine, and a bound on the work of a call


@dataclass(frozen=True, slots=True)
class Row:
    """One payment; amounts in fen.

    Attributes:
        number: From 1.
        month: Months from the start of the term to its due date: `number` in arrears,
            `number` - 1 in advance.
        balance_fen: Principal outstanding after it.
    """

    number: int
    month: int
    payment_fen: int
    interest_fen: int
    principal_fen: int
    balance_fen: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """All payments of a term.

    Attributes:
        closing_interest_fen: Interest from the last payment in advance to the end of the term,
            where the residual settles it; zero in arrears.
    """

    financed_fen: int
    residual_fen: int
    in_advance: bool
    rows: tuple[Row, ...]
    closing_interest_fen: int

    @property
    def payments_fen(self) -> int:
        """The sum of all payments, without the residual."""
        return sum(row.payment_fen for row in self.rows)

    @property
    def interest_fen(self) -> int:
        """All interest of the term: payments and residual less what was financed."""
        return self.payments_fen + self.residual_fen - self.financed_fen

    def balances_fen(self) -> list[int]:
        """Return the balance after month 0, 1, … n; the last one is the residual."""
        by_month = {row.month: row.balance_fen for row in self.rows}
        balances = [by_month.get(0, self.financed_fen)]
        for month in range(1, len(self.rows)):
            balances.append(by_month[month])
        return [*balances, self.residual_fen]

    def flows_fen(self) -> list[int]:
        """Return the financier's cash flow of month 0, 1, … n, the residual in month n."""
        flows = [0] * (len(self.rows) + 1)
        flows[0] = -self.financed_fen
        for row in self.rows:
            flows[row.month] += row.payment_fen
        flows[-1] += self.residual_fen
        return flows


def level_payment(
    financed_fen: int,
    rate: Decimal,
    *,
    months: int,
    residual_fen: int = 0,
    in_advance: bool = False,
) -> int:
    """Return the level monthly payment: (PV - RV·v^n)·i / (1 - v^n), in advance once more times v.

    Args:
        rate: Nominal annual rate, zero or RATE_MIN to RATE_MAX; a month bears a twelfth of it.

    Raises:
        ValueError: The term, the rate or the residual lies outside its limits.
    """
    _check(financed_fen, rate, months, residual_fen)
    if rate == 0:
        return round_half_up(Fraction(financed_fen - residual_fen, months))
    with localcontext(PRECISION):
        monthly = rate / MONTHS_PER_YEAR
        growth = (1 + monthly) ** months
        payment = (financed_fen * growth - residual_fen) * monthly / (growth - 1)
        return round_half_up(payment / (1 + monthly) if in_advance else payment)


def annuity_schedule(
    financed_fen: int,
    rate: Decimal,
    *,
    months: int,
    residual_fen: int = 0,
    in_advance: bool = False,
) -> Schedule:
    """Return the schedule of a level payment.

    Σ principal = financed - residual + closing interest, to the fen.

    Raises:
        ValueError: The term, the rate or the residual lies outside its limits.
    """
    level_fen = level_payment(
        financed_fen, rate, months=months, residual_fen=residual_fen, in_advance=in_advance
    )
    monthly = Fraction(rate) / MONTHS_PER_YEAR
    # In advance the residual falls due a month after the last payment, which leaves it discounted.
    floor_fen = round_half_up(residual_fen / (1 + monthly)) if in_advance else residual_fen
    rows: list[Row] = []
    balance_fen = financed_fen
    for number in range(1, months + 1):
        is_at_start = in_advance and number == 1
        interest_fen = 0 if is_at_start else round_half_up(balance_fen * monthly)
        payable_fen = balance_fen + interest_fen - floor_fen
        payment_fen = payable_fen if number == months else min(level_fen, payable_fen)
        principal_fen = payment_fen - interest_fen
        balance_fen -= principal_fen
        rows.append(
            Row(
                number=number,
                month=number - 1 if in_advance else number,
                payment_fen=payment_fen,
                interest_fen=interest_fen,
                principal_fen=principal_fen,
                balance_fen=balance_fen,
            )
        )
    return Schedule(financed_fen, residual_fen, in_advance, tuple(rows), residual_fen - balance_fen)


def _check(financed_fen: int, rate: Decimal, months: int, residual_fen: int) -> None:
    if not 1 <= months <= TERM_MONTHS_MAX:
        raise ValueError(f"a term has 1 to {TERM_MONTHS_MAX} months, not {months}")
    if rate != 0 and not RATE_MIN <= rate <= RATE_MAX:
        raise ValueError(f"a rate is 0, or lies in {RATE_MIN} to {RATE_MAX}, not {rate}")
    if not 0 <= residual_fen <= financed_fen:
        raise ValueError(f"a residual lies in 0 to {financed_fen} fen, not {residual_fen}")
