"""Numbers that the contract shows in several places, and back."""

from decimal import Decimal

from google.type import decimal_pb2

from services.finmath.money import ratio
from services.kit import wire
from services.kit.errors import InvalidArgument

HOURS_MAX = Decimal(200_000)  # no machine has run for longer


def hours_from_wire(value: decimal_pb2.Decimal, *, field: str) -> Decimal:
    """Return hours, rounded to two decimals.

    Raises:
        InvalidArgument: They are outside 0 to 200,000.
    """
    hours = wire.to_decimal(value, field=field)
    if not 0 <= hours <= HOURS_MAX:
        raise InvalidArgument(field, f"must lie in 0 to {HOURS_MAX:,}")
    return ratio(hours, 1, places=2)


def decimal_or_none(value: Decimal | None) -> decimal_pb2.Decimal | None:
    """Return a number, or None where there is none."""
    return None if value is None else wire.decimal(value)
