"""Value types of the contract: what is taken, what is refused, and that nothing is lost."""

import datetime as dt
from decimal import Decimal

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2, decimal_pb2, money_pb2
from hypothesis import given
from hypothesis import strategies as st

from services.kit import wire
from services.kit.errors import InvalidArgument

Money = money_pb2.Money


@given(st.integers(0, wire.AMOUNT_FEN_MAX))
def test_an_amount_survives_the_wire(amount_fen: int) -> None:
    assert wire.fen(wire.money(amount_fen), field="price") == amount_fen


@given(st.integers(-wire.AMOUNT_FEN_MAX, -1))
def test_a_negative_amount_has_one_sign(amount_fen: int) -> None:
    value = wire.money(amount_fen)
    assert value.units <= 0 and value.nanos <= 0
    assert wire.money_problem(value) is None


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (Money(currency_code="CNY", units=1, nanos=1), "nanos"),
        (Money(currency_code="CNY", units=1, nanos=-10_000_000), "sign"),
        (Money(currency_code="CNY", units=0, nanos=1_000_000_000), "nanos"),
        (Money(currency_code="", units=1), "currency_code"),
        (Money(currency_code="XXX", units=1), "currency_code"),
        (Money(currency_code="USD", units=1), "must be in CNY"),
        (Money(currency_code="CNY", units=-1), "zero or more"),
        (Money(currency_code="CNY", units=2**62), "must not exceed"),
    ],
)
def test_a_malformed_amount_is_refused(value: money_pb2.Money, part: str) -> None:
    with pytest.raises(InvalidArgument, match=part) as caught:
        wire.fen(value, field="price")
    assert caught.value.violations[0][0] == "price"


def test_zero_is_no_price_where_one_is_asked_for() -> None:
    assert wire.fen(wire.money(0), field="price") == 0
    with pytest.raises(InvalidArgument):
        wire.fen(wire.money(0), field="price", positive=True)


@given(st.dates(dt.date(1900, 1, 1), dt.date(2200, 12, 31)))
def test_a_date_survives_the_wire(day: dt.date) -> None:
    assert wire.to_date(wire.date(day), field="due_on") == day


@pytest.mark.parametrize(
    "value",
    [
        date_pb2.Date(),
        date_pb2.Date(year=2026),
        date_pb2.Date(year=2026, month=2, day=29),
        date_pb2.Date(year=2026, month=13, day=1),
        date_pb2.Date(year=-1, month=1, day=1),
        date_pb2.Date(year=9999, month=1, day=1),
        date_pb2.Date(year=2**31 - 1, month=1, day=1),
    ],
)
def test_what_is_no_business_date_is_refused(value: date_pb2.Date) -> None:
    with pytest.raises(InvalidArgument):
        wire.to_date(value, field="due_on")


@pytest.mark.parametrize("seconds", [-(2**62), 2**62, 253402300800])
def test_an_instant_out_of_range_is_refused(seconds: int) -> None:
    with pytest.raises(InvalidArgument):
        wire.to_instant(Timestamp(seconds=seconds), field="at")
    with pytest.raises(InvalidArgument):
        wire.to_instant(Timestamp(seconds=1, nanos=-1), field="at")


def test_an_instant_survives_the_wire() -> None:
    moment = dt.datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=dt.UTC)
    assert wire.to_instant(wire.instant(moment), field="at") == moment


@given(
    st.decimals(min_value=Decimal("-1e12"), max_value=Decimal("1e12"), places=6, allow_nan=False)
)
def test_a_number_survives_the_wire(number: Decimal) -> None:
    assert wire.to_decimal(wire.decimal(number), field="rate") == number


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1_000", "１２", "NaN", "Infinity", "-sNaN", "1e31", "1e-31", "0x1", "1e99999", "+",
     ".", "1" * 41],
)  # fmt: skip
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        wire.to_decimal(decimal_pb2.Decimal(value=text), field="rate")


@pytest.mark.parametrize("text", ["0", "-0", "1.", ".5", "+1.50", "1e-30", "9E30"])
def test_every_plain_number_is_taken(text: str) -> None:
    assert wire.to_decimal(decimal_pb2.Decimal(value=text), field="rate") == Decimal(text)
