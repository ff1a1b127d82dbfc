"""The rate at which flows are worth nothing today: monthly flows, and flows on dates (WE-2, 3, 6).

Found in Decimal by Newton's method inside a bracket: importing scipy.optimize for it would cost
every service that quotes a rate more memory than its business (docs/adr/0601).
"""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal, localcontext

from services.finmath.money import PRECISION

# A monthly (or annual) rate below -99 % or above 1,000,000 % is a slip of the keyboard.
RATE_MIN = Decimal("-0.99")
RATE_MAX = Decimal("10000")
TOLERANCE = Decimal("1e-18")
STEPS_MAX = 300  # bisection alone would need about 75
DAYS_PER_YEAR = 365


class NoRate(ValueError):
    """No rate between the limits makes the flows worth nothing."""


def monthly_irr(flows_fen: Sequence[int]) -> Decimal:
    """Return the monthly internal rate of return of flows in month 0, 1, … as a fraction.

    Raises:
        NoRate: The flows do not change sign, or their rate lies outside the limits.
    """

    def value_and_slope(rate: Decimal) -> tuple[Decimal, Decimal]:
        # Horner from the last month back: value in v = 1/(1+r), and its derivative by r.
        discount = 1 / (1 + rate)
        value = slope = Decimal(0)
        for flow_fen in reversed(flows_fen):
            slope = slope * discount + value
            value = value * discount + flow_fen
        return value, -slope * discount * discount

    return _root(value_and_slope, flows_fen)


def dated_irr(flows: Sequence[tuple[date, int]]) -> Decimal:
    """Return the effective annual rate of return of dated flows in fen, on 365 days a year.

    Raises:
        NoRate: The flows do not change sign, or their rate lies outside the limits.
    """
    if not flows:
        raise NoRate("there are no flows")
    first = min(day for day, _ in flows)

    def value_and_slope(rate: Decimal) -> tuple[Decimal, Decimal]:
        value = slope = Decimal(0)
        for day, amount_fen in flows:
            years = Decimal((day - first).days) / DAYS_PER_YEAR
            present = amount_fen * (1 + rate) ** -years
            value += present
            slope -= years * present / (1 + rate)
        return value, slope

    return _root(value_and_slope, [amount_fen for _, amount_fen in flows])


def nominal_annual(monthly_rate: Decimal) -> Decimal:
    """Return twelve times a monthly rate."""
    return 12 * monthly_rate


def effective_annual(monthly_rate: Decimal) -> Decimal:
    """Return a monthly rate compounded over twelve months."""
    with localcontext(PRECISION):
        return (1 + monthly_rate) ** 12 - 1


def _root(
    value_and_slope: Callable[[Decimal], tuple[Decimal, Decimal]], flows_fen: Sequence[int]
) -> Decimal:
    """Return the root nearest to zero on the side where the value changes sign.

    Flows that change sign more than once may have several roots; this is the one that a rate
    growing from zero meets first.
    """
    if not (any(flow > 0 for flow in flows_fen) and any(flow < 0 for flow in flows_fen)):
        raise NoRate("the flows never change sign")
    with localcontext(PRECISION):
        low, high = _bracket(lambda rate: value_and_slope(rate)[0])
        is_rising = value_and_slope(high)[0] > 0
        rate = (low + high) / 2
        for _ in range(STEPS_MAX):
            value, slope = value_and_slope(rate)
            if (value > 0) == is_rising:
                high = rate
            else:
                low = rate
            newton = rate - value / slope if slope else low
            step_to = newton if low < newton < high else (low + high) / 2
            if value == 0 or abs(step_to - rate) < TOLERANCE:
                return step_to if value else rate
            rate = step_to
    raise NoRate(f"no rate was found within {STEPS_MAX} steps")


def _bracket(value_of: Callable[[Decimal], Decimal]) -> tuple[Decimal, Decimal]:
    """Return two rates between which the value changes sign, grown from zero."""
    is_positive_at_zero = value_of(Decimal(0)) > 0
    if is_positive_at_zero != (value_of(RATE_MAX) > 0):
        low, high = Decimal(0), Decimal("0.01")
        while (value_of(high) > 0) == is_positive_at_zero:
            low, high = high, min(RATE_MAX, high * 2)
        return low, high
    low, high = Decimal("-0.005"), Decimal(0)
    while (value_of(low) > 0) == is_positive_at_zero:
        if low == RATE_MIN:
            raise NoRate(f"no rate between {RATE_MIN} and {RATE_MAX} fits the flows")
        low, high = max(RATE_MIN, low * 2), low
    return low, high
