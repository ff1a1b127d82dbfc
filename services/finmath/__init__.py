"""Finance maths: pure functions on int fen, Decimal rates and dates; no I/O, no floats.

Amounts are fen. Rates are fractions of one (6 % is `Decimal("0.06")`), annual unless named
otherwise. Every rounding is HALF_UP at one fen. Examples "WE-n" are those of the domain page.
"""
