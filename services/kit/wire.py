"""Value types between the contract and Python: money, dates, instants, decimals, enums."""

import datetime as dt
import re
from decimal import Decimal
from typing import Any, Protocol

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2, decimal_pb2, money_pb2

from services.kit.errors import InvalidArgument

FEN_PER_UNIT = 100
NANOS_PER_FEN = 10_000_000
AMOUNT_FEN_MAX = 10**15  # ten trillion yuan: above any order, far below what a bigint holds
CURRENCIES = frozenset({"CNY", "USD", "EUR", "JPY", "BAM"})
DECIMAL_CHARACTERS_MAX = 40

# The grammar of google.type.Decimal; Python's own also takes "1_000", blanks and other digits.
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


SECONDS_PER_DAY = 86_400
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class EnumWrapper(Protocol):
    """What protobuf generates beside an enum."""

    def Name(self, number: Any) -> str:  # noqa: N802  (protobuf's name)
        """Return a value's name."""
        ...

    def Value(self, name: str) -> Any:  # noqa: N802
        """Return a name's value."""
        ...


def money(amount_fen: int, currency: str = "CNY") -> money_pb2.Money:
    """Return an amount of fen (the currency's hundredth) as Money."""
    units, fen_left = divmod(abs(amount_fen), FEN_PER_UNIT)
    sign = -1 if amount_fen < 0 else 1
    return money_pb2.Money(
        currency_code=currency, units=sign * units, nanos=sign * fen_left * NANOS_PER_FEN
    )


def fen(
    value: money_pb2.Money, *, field: str, positive: bool = False, currency: str = "CNY"
) -> int:
    """Return Money in fen.

    Raises:
        InvalidArgument: Not well-formed, in another currency, negative, or with `positive` zero;
            names `field`.
    """
    problem = money_problem(value)
    if problem is None and value.currency_code != currency:
        problem = f"must be in {currency}, not {value.currency_code}"
    amount_fen: int = value.units * FEN_PER_UNIT + value.nanos // NANOS_PER_FEN
    if problem is None and amount_fen < (1 if positive else 0):
        problem = f"must be {'greater than zero' if positive else 'zero or more'}"
    if problem is not None:
        raise InvalidArgument(field, problem)
    return amount_fen


def money_problem(value: money_pb2.Money) -> str | None:
    """Return what is wrong with the form of an amount, or None."""
    if value.currency_code not in CURRENCIES:
        return f"currency_code must be one of {', '.join(sorted(CURRENCIES))}"
    if value.nanos % NANOS_PER_FEN or abs(value.nanos) >= FEN_PER_UNIT * NANOS_PER_FEN:
        return f"nanos must be a multiple of {NANOS_PER_FEN:,} below one unit"
    if value.units * value.nanos < 0:
        return "units and nanos must have the same sign"
    if abs(value.units) > AMOUNT_FEN_MAX // FEN_PER_UNIT:
        return f"must not exceed {AMOUNT_FEN_MAX // FEN_PER_UNIT:,} {value.currency_code}"
    return None


def date(day: dt.date) -> date_pb2.Date:
    """Return a business date as Date."""
    return date_pb2.Date(year=day.year, month=day.month, day=day.day)


def to_date(value: date_pb2.Date, *, field: str) -> dt.date:
    """Return Date as a business date.

    Raises:
        InvalidArgument: It is no day of the calendar; names `field`.
    """
    problem = date_problem(value)
    if problem is not None:
        raise InvalidArgument(field, problem)
    return dt.date(value.year, value.month, value.day)


def date_problem(value: date_pb2.Date) -> str | None:
    """Return what is wrong with a full date, or None."""
    try:
        day = dt.date(value.year, value.month, value.day)
    except ValueError:
        return "must be a full date of the calendar (year, month and day)"
    return None if 1900 <= day.year <= 2200 else "year must lie in 1900 to 2200"


def instant(moment: dt.datetime) -> Timestamp:
    """Return an aware instant as Timestamp."""
    since = moment - _EPOCH
    return Timestamp(
        seconds=since.days * SECONDS_PER_DAY + since.seconds, nanos=since.microseconds * 1_000
    )


def to_instant(value: Timestamp, *, field: str) -> dt.datetime:
    """Return Timestamp as an aware instant in UTC.

    Raises:
        InvalidArgument: It lies outside the years 1 to 9999; names `field`.
    """
    problem = instant_problem(value)
    if problem is not None:
        raise InvalidArgument(field, problem)
    return value.ToDatetime(tzinfo=dt.UTC)


def instant_problem(value: Timestamp) -> str | None:
    """Return what is wrong with an instant, or None."""
    try:
        moment = value.ToDatetime(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        return "must lie in the years 1 to 9999 with nanos below one second"
    return None if 1900 <= moment.year <= 2200 else "year must lie in 1900 to 2200"


def decimal(number: Decimal) -> decimal_pb2.Decimal:
    """Return an exact number as Decimal, in plain notation."""
    return decimal_pb2.Decimal(value=f"{number:f}")


def optional_decimal(number: Decimal | None) -> decimal_pb2.Decimal | None:
    """Return an exact number as Decimal, or None where it is not known."""
    return None if number is None else decimal(number)


def to_decimal(value: decimal_pb2.Decimal, *, field: str) -> Decimal:
    """Return Decimal as an exact number.

    Raises:
        InvalidArgument: It is no finite number; names `field`.
    """
    problem = decimal_problem(value)
    if problem is not None:
        raise InvalidArgument(field, problem)
    return Decimal(value.value)


def decimal_problem(value: decimal_pb2.Decimal) -> str | None:
    """Return what is wrong with a number, or None."""
    if not value.value or len(value.value) > DECIMAL_CHARACTERS_MAX:
        return f"must be a number of 1 to {DECIMAL_CHARACTERS_MAX} characters"
    if not _DECIMAL.fullmatch(value.value):
        return "must be a decimal number"
    number = Decimal(value.value)
    if number and not -30 <= number.adjusted() <= 30:
        return "must lie between 1e-30 and 1e30 in size"
    return None


def enum_name(enum: EnumWrapper, number: int, *, prefix: str) -> str:
    """Return an enum value's name without its prefix, for example "ACTIVE"."""
    return enum.Name(number).removeprefix(prefix)


def enum_number(enum: EnumWrapper, value: str, *, prefix: str) -> Any:
    """Return the enum value whose name is `prefix` and `value`."""
    return enum.Value(prefix + value)
