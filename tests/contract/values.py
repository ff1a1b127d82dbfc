"""Money, dates, instants and numbers: plausible ones, and such as have broken services."""

import datetime as dt
import random
from collections.abc import Callable

from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2
from google.protobuf.message import Message
from google.type import date_pb2, decimal_pb2, money_pb2

BAD_DECIMALS = ["", "NaN", "Infinity", "1e30", "-1e30", "1e999", "0.0000000000000000000001", "1_0"]
GOOD_DECIMALS = ["0", "0.05", "1", "1200", "0.7", "99999.5", "3.65", "-0.5", "1e20"]
INT64_MAX = 2**63 - 1
INT32_MAX = 2**31 - 1


def money(dice: random.Random, is_bad: bool) -> Message:
    """Return an amount."""
    value = money_pb2.Money(currency_code="CNY", units=dice.choice([1, 100, 350_000]))
    if is_bad:
        value.units = dice.choice([0, -5, INT64_MAX, -INT64_MAX - 1, 10**13, 10**13 + 1])
        value.nanos = dice.choice([0, 1, -10_000_000, INT32_MAX])
        value.currency_code = dice.choice(["CNY", "USD", "", "cny", "\0"])
    return value  # type: ignore[no-any-return]


def date(dice: random.Random, is_bad: bool) -> Message:
    """Return a date around today."""
    day = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=dice.randint(-400, 800))
    value = date_pb2.Date(year=day.year, month=day.month, day=day.day)
    if is_bad:
        value.year = dice.choice([0, 1, 1900, 2200, 9999, -1, INT32_MAX])
        value.month = dice.choice([0, 2, 12, 13])
        value.day = dice.choice([0, 29, 31, 32])
    return value  # type: ignore[no-any-return]


def decimal(dice: random.Random, is_bad: bool) -> Message:
    """Return a number."""
    return decimal_pb2.Decimal(value=dice.choice(BAD_DECIMALS if is_bad else GOOD_DECIMALS))  # type: ignore[no-any-return]


def timestamp(dice: random.Random, is_bad: bool) -> Message:
    """Return an instant around now."""
    now_s = int(dt.datetime.now(dt.UTC).timestamp())
    value = timestamp_pb2.Timestamp(seconds=now_s + dice.randint(-(10**7), 10**7))
    if is_bad:
        value.seconds = dice.choice([-INT64_MAX, INT64_MAX, -62135596800, 253402300799])
        value.nanos = dice.choice([0, -1, INT32_MAX])
    return value


def duration(dice: random.Random, is_bad: bool) -> Message:
    """Return a length of time."""
    value = duration_pb2.Duration(seconds=dice.choice([1, 60, 86_400]))
    if is_bad:
        value.seconds = dice.choice([0, -1, INT64_MAX, -INT64_MAX])
        value.nanos = dice.choice([0, INT32_MAX])
    return value


def field_mask(dice: random.Random, is_bad: bool) -> Message:
    """Return a mask."""
    paths = ["*", "no.such.field", "", "\0"] if is_bad else ["name", "description", "ask"]
    return field_mask_pb2.FieldMask(paths=dice.choices(paths, k=dice.randint(0, 3)))


VALUES: dict[str, Callable[[random.Random, bool], Message]] = {
    "google.type.Money": money,
    "google.type.Date": date,
    "google.type.Decimal": decimal,
    "google.protobuf.Timestamp": timestamp,
    "google.protobuf.Duration": duration,
    "google.protobuf.FieldMask": field_mask,
}
