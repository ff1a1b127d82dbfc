"""What later money is worth today: rentals sold, invoices and certificates discounted.

Sources: WE-5 (factoring the tail), WE-6 (invoice), WE-13 (certificate).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext

from services.finmath.day_count import DayCount, simple_interest, year_fraction
from services.finmath.money import PRECISION, ratio, round_half_up, share_of
from services.finmath.schedule import MONTHS_PER_YEAR

RATE_PLACES = 12


@dataclass(frozen=True, slots=True)
class Discounted:
    """Later money and its price today, in fen."""

    gross_fen: int
    present_value_fen: int

    @property
    def discount_fen(self) -> int:
        """What the buyer earns if all is paid."""
        return self.gross_fen - self.present_value_fen


@dataclass(frozen=True, slots=True)
class InvoiceAdvance:
    """An invoice advanced in part, in fen; interest and fee are taken from the cash of day 0.

    Attributes:
        reserve_fen: What the seller gets when the debtor has paid; a claim, not cash.
    """

    advance_fen: int
    interest_fen: int
    fee_fen: int
    reserve_fen: int

    @property
    def cash_fen(self) -> int:
        """What the seller receives on day 0."""
        return self.advance_fen - self.interest_fen - self.fee_fen


def present_value(payments_fen: Sequence[tuple[int, int]], rate: Decimal) -> int:
    """Return the value today of (month, amount in fen) at a nominal annual rate, rounded once.

    With a lessee's borrowing rate this is the liability of its rentals (IFRS 16.26, WE-10).
    """
    return round_half_up(exact_value(payments_fen, rate / MONTHS_PER_YEAR))


def exact_value(payments_fen: Sequence[tuple[int, int]], monthly_rate: Decimal) -> Decimal:
    """Return the value today of (month, amount in fen) at a monthly rate, to 40 digits."""
    with localcontext(PRECISION):
        growth = 1 + monthly_rate
        return sum((amount_fen / growth**month for month, amount_fen in payments_fen), Decimal(0))


def discount_rentals(payments_fen: Sequence[int], rate: Decimal) -> Discounted:
    """Return the price of rentals due in 1, 2, … months at a nominal annual rate (WE-5)."""
    return Discounted(
        sum(payments_fen), present_value(list(enumerate(payments_fen, start=1)), rate)
    )


def discount_amount(
    amount_fen: int, rate: Decimal, *, start: date, due: date, day_count: DayCount
) -> Discounted:
    """Return the price on `start` of an amount due later, at simple discount (WE-6, WE-13).

    Raises:
        ValueError: `due` lies before `start`.
    """
    discount_fen = simple_interest(amount_fen, rate, start=start, end=due, day_count=day_count)
    return Discounted(amount_fen, amount_fen - discount_fen)


def yield_on_cash(
    discounted: Discounted, *, start: date, due: date, day_count: DayCount
) -> Decimal:
    """Return the simple annual yield on what was paid out, at 12 decimals.

    Raises:
        ZeroDivisionError: Nothing was paid out, or no time passes.
    """
    fraction = year_fraction(start, due, day_count)
    return ratio(
        discounted.discount_fen, discounted.present_value_fen * fraction, places=RATE_PLACES
    )


def advance_invoice(
    face_fen: int,
    rate: Decimal,
    *,
    start: date,
    due: date,
    day_count: DayCount,
    advance_rate: Decimal,
    fee_rate: Decimal,
) -> InvoiceAdvance:
    """Return the parts of an invoice advanced in part (WE-6); the fee is a share of the face.

    Raises:
        ValueError: `due` lies before `start`.
    """
    advance_fen = share_of(face_fen, advance_rate)
    return InvoiceAdvance(
        advance_fen=advance_fen,
        interest_fen=simple_interest(advance_fen, rate, start=start, end=due, day_count=day_count),
        fee_fen=share_of(face_fen, fee_rate),
        reserve_fen=face_fen - advance_fen,
    )
