"""Hours of a meter as the contract shows them, and back."""

from decimal import Decimal

from google.type import decimal_pb2

from services.kit import wire
from services.marketplace.machine_model import checked_hours


def hours_from_wire(value: decimal_pb2.Decimal, *, field: str) -> Decimal:
    """Return hours.

    Raises:
        InvalidArgument: They are outside 0 to 200,000.
    """
    return checked_hours(wire.to_decimal(value, field=field), field=field)


def hours_to_wire(hours: Decimal | None) -> decimal_pb2.Decimal | None:
    """Return hours, or None where unknown."""
    return None if hours is None else wire.decimal(hours)
