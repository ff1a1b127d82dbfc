"""The nowcast: whole months, enough sales, shrunk by its error, bounded, recorded."""

import math
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from services.valuation.model import Nowcast
from services.valuation.nowcast_model import (
    MonthSums,
    month_levels,
    nowcast_factor,
    nowcast_of,
    nowcasts_of,
)
from services.valuation.policy import read_policy
from services.valuation.record import inputs_from_json, inputs_to_json, make_record, recompute
from tests.unit.valuation.machines import AS_OF, POLICY, inputs_of, read_valuer

KNOWN = Nowcast(Decimal("0.1"), Decimal("0.05"), date(2026, 3, 1), date(2026, 5, 1), 12)


def month(number: int, logs: list[float], *, group: str = "TEX") -> MonthSums:
    """Return the sums of sales in a month of 2026."""
    return MonthSums(
        group, date(2026, number, 1), len(logs), math.fsum(logs), math.fsum(x * x for x in logs)
    )


def of(sums: list[MonthSums], *, as_of: date = AS_OF, group: str = "TEX") -> Nowcast | None:
    """Return the nowcast under the present policy."""
    return nowcast_of(read_valuer().policy, sums, group=group, as_of=as_of)


def test_it_takes_the_three_whole_months_before_the_as_of_date() -> None:
    five = [0.1] * 5
    assert of([month(6, five)]) is None  # the month of the as-of date
    assert of([month(2, five)]) is None  # too long ago
    found = of([month(3, five), month(5, [0.4]), month(6, five), month(2, five)])
    assert found is not None
    assert (found.first_month, found.last_month, found.sales) == (
        date(2026, 3, 1),
        date(2026, 5, 1),
        6,
    )
    assert found.log_level == Decimal("0.15")
    assert of([month(5, five)], as_of=date(2026, 5, 31)) is None  # its last day is not over


def test_fewer_sales_than_the_policy_asks_for_are_no_nowcast() -> None:
    assert of([month(4, [0.1] * 2), month(5, [0.1] * 2)]) is None
    assert of([month(5, [0.1] * 9, group="WL")]) is None
    assert of([month(5, [0.1] * 9, group="")], group="") is None


def test_the_first_day_of_the_calendar_has_no_nowcast() -> None:
    assert of([month(5, [0.1] * 9)], as_of=date.min) is None


def test_an_earlier_policy_table_knows_no_nowcast() -> None:
    former = read_policy(POLICY.with_name("2026-3.json"))
    assert nowcasts_of(former, [month(5, [0.1] * 9)], as_of=AS_OF) == {}


def test_sales_that_agree_too_well_scatter_by_the_least_that_the_policy_allows() -> None:
    found = of([month(5, [0.1] * 9)])
    assert found is not None
    assert found.standard_error == Decimal("0.05")  # 0.15 ÷ √9
    wide = of([month(5, [0.6, -0.4, 0.6, -0.4, 0.6, -0.4, 0.6, -0.4, 0.1])])
    assert wide is not None and wide.standard_error > Decimal("0.15")


@pytest.mark.parametrize(
    ("level", "error", "moved"),
    [("0.1", "0.05", 0.05), ("-0.1", "0.05", -0.05), ("0.1", "0.5", 0.00099), ("9", "0.01", 0.15)],
)
def test_it_is_shrunk_by_its_standard_error_and_bounded(
    level: str, error: str, moved: float
) -> None:
    nowcast = replace(KNOWN, log_level=Decimal(level), standard_error=Decimal(error))
    factor = nowcast_factor(read_valuer().policy, nowcast)
    assert math.log(factor.value) == pytest.approx(moved, abs=1e-5)
    assert (factor.code, factor.source.partition(":")[0]) == (
        "NOWCAST",
        "12 sales of 2026-03 to 2026-05",
    )


def test_it_moves_every_value_alike_and_is_part_of_the_record() -> None:
    valuer, inputs = read_valuer(), replace(inputs_of(), nowcast=KNOWN)
    plain, _ = valuer.appraise(inputs_of())
    appraisal, prediction = valuer.appraise(inputs)
    ratio = appraisal.values.flv[2] / plain.values.flv[2]
    assert ratio == pytest.approx(math.exp(0.05), abs=1e-5)
    assert inputs_from_json(inputs_to_json(inputs)) == inputs
    record = make_record(valuer, inputs, appraisal, prediction, request={})
    assert recompute(valuer, record) == record
    assert b'"nowcast":{"first_month":"2026-03-01"' in record


def test_a_month_has_a_level_of_its_own_from_five_sales_on() -> None:
    (level,) = month_levels(
        [month(5, [0.1] * 3), month(5, [0.1] * 2, group="WL"), month(6, [0.1] * 4)]
    )
    assert (level.month, level.sales) == (date(2026, 5, 1), 5)
    assert level.mean == pytest.approx(0.1)
    assert level.spread() == pytest.approx(0, abs=1e-7)
