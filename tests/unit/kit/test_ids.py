"""Identifiers: their order, their form, and those derived from a fact."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.kit.errors import InvalidArgument
from services.kit.ids import derived_request_id, fact_id, made_at, name, new_id, parse_name

AT = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


def test_new_ids_carry_version_variant_and_the_present_time() -> None:
    before = datetime.now(UTC)
    made = new_id()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert abs((made_at(made) - before).total_seconds()) < 5


def test_a_fact_has_one_id_for_each_leg_and_attempt() -> None:
    first = fact_id(AT, "orders/1/settlement", "price")
    assert first == fact_id(AT, "orders/1/settlement", "price")
    others = {
        fact_id(AT, "orders/1/settlement", "fee"),
        fact_id(AT, "orders/2/settlement", "price"),
        fact_id(AT, "orders/1/settlement", "price", attempt=2),
    }
    assert len({first, *others}) == 4
    assert first.version == 8
    assert made_at(first) == AT


def test_a_step_has_one_request_id() -> None:
    assert derived_request_id("sagas/1", "pay") == derived_request_id("sagas/1", "pay")
    assert derived_request_id("sagas/1", "pay") != derived_request_id("sagas/1", "move")
    assert UUID(derived_request_id("sagas/1", "pay")).version == 5


def test_a_name_is_read_back() -> None:
    made = new_id()
    assert parse_name(name("orders", made), "orders") == made


@pytest.mark.parametrize(
    "value",
    [
        "",
        "orders",
        "orders/",
        "leases/01900000-0000-7000-8000-000000000000",
        "orders/01900000-0000-7000-8000-00000000000",
        "orders/01900000-0000-7000-8000-000000000000/x",
        "orders/01900000-0000-7000-8000-00000000000G",
        "orders/{01900000-0000-7000-8000-000000000000}",
        "orders/0190000000007000800000000000000000",
    ],
)
def test_a_malformed_name_is_refused_by_its_field(value: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_name(value, "orders", field="order")
    assert caught.value.violations[0][0] == "order"
