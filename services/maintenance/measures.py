"""Numbers of requests with their limits: hours, quantities and the like."""

from decimal import ROUND_HALF_UP, Decimal

from google.type import decimal_pb2

from services.kit import wire
from services.kit.errors import InvalidArgument

HUNDREDTH = Decimal("0.01")


def measure(
    value: decimal_pb2.Decimal,
    *,
    field: str,
    most: Decimal,
    places: int,
    least: Decimal = Decimal(0),
    above_zero: bool = False,
) -> Decimal:
    """Return a stated number, rounded HALF_UP.

    Raises:
        InvalidArgument: It is out of its limits; names `field`.
    """
    number = wire.to_decimal(value, field=field)
    if not least <= number <= most:
        raise InvalidArgument(field, f"must lie in {least:f} to {most:f}")
    rounded = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    if above_zero and not rounded:
        raise InvalidArgument(field, f"must be above 0 with at most {places} decimals")
    return rounded


def shown_hours(hours: Decimal | None) -> decimal_pb2.Decimal | None:
    """Return hours as the contract shows them, rounded to two decimals."""
    return None if hours is None else wire.decimal(hours.quantize(HUNDREDTH, ROUND_HALF_UP))
