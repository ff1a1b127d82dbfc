"""Comparable sales: what ships is the generator's, and the nearest are near."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

import services.valuation
from ml.residual_value.comparable_sales import (
    ComparablesRefused,
    read_own,
    read_shipped,
    write_shipped,
)
from services.valuation.comparables import NEAREST_MAX, Comparable, ComparableIndex
from tests.unit.valuation.machines import EXCAVATOR, KNOWN, inputs_of, read_valuer
from tests.unit.valuation.test_explanation import read_explainer

SHIPPED = Path(services.valuation.__file__).parent / "sales" / "synthetic.csv"


@cache
def read_index() -> ComparableIndex:
    return ComparableIndex(read_shipped(SHIPPED))


def nearest(**facts: object) -> list[Comparable]:
    return read_index().nearest(read_explainer(), read_valuer(), inputs_of(**facts))  # type: ignore[arg-type]


def test_what_ships_is_what_the_seeded_generator_writes(tmp_path: Path) -> None:
    write_shipped(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == SHIPPED.read_bytes()
    assert read_shipped(SHIPPED).synthetic


def test_the_nearest_sales_come_first_and_are_of_the_group() -> None:
    found = nearest()
    assert len(found) == NEAREST_MAX
    assert [one.distance for one in found] == sorted(one.distance for one in found)
    assert {one.sale.facts.product_group for one in found} == {"TEX"}


def test_an_adjusted_price_is_what_the_booster_says_of_the_difference() -> None:
    """The booster's parts of the adjustment multiply to the ratio of the two predictions."""
    valuer, inputs = read_valuer(), inputs_of(KNOWN)
    one = read_index().nearest(read_explainer(), valuer, inputs)[0]
    own, of_sale = (
        valuer.model.predict(facts).log_price[2]
        for facts in (valuer.basis(inputs).facts, one.sale.facts)
    )
    product = 1.0
    for step in one.adjustments:
        if step.code in ("MODEL", "EQUIPMENT", "AGE", "HOURS"):
            product *= float(step.factor)
    assert product == pytest.approx(float((own - of_sale).exp()), rel=1e-4)


def test_no_sale_after_the_as_of_date_is_comparable() -> None:
    early = inputs_of(replace(EXCAVATOR, build_year=2005), as_of=date(2018, 2, 1))
    found = read_index().nearest(read_explainer(), read_valuer(), early)
    assert found
    assert all(one.sale.facts.on <= date(2018, 2, 1) for one in found)


def test_a_class_outside_the_data_has_no_comparable_and_says_so() -> None:
    assert nearest(equipment_class="OTHER") == []
    assert read_index().note(0).startswith("only 0 comparable sales")


def test_unknown_facts_do_not_fail(tmp_path: Path) -> None:
    found = nearest(hours_meter=None, build_year=None)
    assert all(one.distance < Decimal(100) for one in found)
    (tmp_path / "x.csv").write_text("sale\n1\n")
    with pytest.raises(ComparablesRefused):
        read_shipped(tmp_path / "x.csv")
    with pytest.raises(ComparablesRefused):
        read_own(tmp_path / "none.parquet")
