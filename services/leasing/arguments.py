"""Values of requests that the contract's own rules cannot check: rates and hours."""

from datetime import date
from decimal import Decimal
from typing import Any

from google.type import date_pb2, decimal_pb2

from services.finmath.schedule import RATE_MIN
from services.kit import wire
from services.kit.errors import InvalidArgument

RATE_PLACES = 8  # as rates rest in the database
HOURS_PLACES = 2
HOURS_MAX = 1_000_000  # a hundred years without a stop


def share(value: decimal_pb2.Decimal, *, field: str, high: Decimal = Decimal(1)) -> Decimal:
    """Return a share of one.

    Raises:
        InvalidArgument: It lies outside 0 to `high`, or has more than 8 decimals; names `field`.
    """
    number = wire.to_decimal(value, field=field)
    if not 0 <= number <= high:
        raise InvalidArgument(field, f"must lie in 0 to {high}")
    return _scaled(number, RATE_PLACES, field)


def rate(value: decimal_pb2.Decimal, *, field: str) -> Decimal:
    """Return an annual rate.

    Raises:
        InvalidArgument: It is neither 0 nor in a millionth to 1; names `field`.
    """
    number = share(value, field=field)
    if 0 < number < RATE_MIN:
        raise InvalidArgument(field, f"must be 0, or lie in {RATE_MIN} to 1")
    return number


def hours(value: decimal_pb2.Decimal, *, field: str) -> Decimal:
    """Return hours of a meter.

    Raises:
        InvalidArgument: They lie outside 0 to 1,000,000, or have more than two decimals.
    """
    number = wire.to_decimal(value, field=field)
    if not 0 <= number <= HOURS_MAX:
        raise InvalidArgument(field, f"must lie in 0 to {HOURS_MAX:,}")
    return _scaled(number, HOURS_PLACES, field)


def optional_hours(message: Any, field: str) -> Decimal | None:
    """Return hours of a request, or None where they are absent.

    Raises:
        InvalidArgument: As `hours` says.
    """
    is_given = message.HasField(field)
    return hours(getattr(message, field), field=field) if is_given else None


def optional_date(message: Any, field: str) -> date | None:
    """Return a date field of a request, or None where it is absent."""
    value: date_pb2.Date = getattr(message, field)
    is_given = message.HasField(field)
    return wire.to_date(value, field=field) if is_given else None


def _scaled(number: Decimal, places: int, field: str) -> Decimal:
    scaled = number.quantize(Decimal(1).scaleb(-places)) if number.adjusted() < 12 else number
    if scaled != number:
        raise InvalidArgument(field, f"must have at most {places} decimals")
    return scaled
