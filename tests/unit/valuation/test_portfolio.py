"""A portfolio's rows: values and grade as one by one, errors by row, a hash for each."""

import math
import random
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from services.valuation.input_rules import check_inputs
from services.valuation.merkle import (
    EMPTY,
    HASH_BYTES,
    build_tree,
    is_under,
    leaf_hash,
    path_places,
)
from services.valuation.model import Adjustments, Inputs, Nowcast, Specification
from services.valuation.portfolio import PortfolioValuer
from services.valuation.portfolio_rows import rows_of
from tests.unit.valuation.machines import AS_OF, read_valuer

RANDOM = random.Random(4)
MACHINES = [("CAT", "330CL"), ("SANY", "SY215C"), ("Komatsu", "PC200"), ("", ""), ("小松", "☃")]


NOWCAST = Nowcast(Decimal("0.09"), Decimal("0.04"), date(2026, 3, 1), date(2026, 5, 1), 17)


def some_rows(count: int) -> list[dict[str, object]]:
    rows = []
    for number in range(count):
        make, model = RANDOM.choice(MACHINES)
        rows.append(
            {
                "reference": f"row {number}",
                "make": make,
                "model": model,
                "equipment_class": RANDOM.choice(read_valuer().policy.classes),
                "build_year": RANDOM.choice([0, 2026, 2025, 2015, 1999, 1975]),
                "hours_meter": RANDOM.choice([math.nan, 0.0, 120.5, 4_000.0, 33_000.0, 180_000.0]),
                "replacement_cost_fen": RANDOM.choice([30_000_00, 900_000_00, 2_000_000_00]),
                "condition": RANDOM.choice(["", "FAIR", "EXCELLENT"]),
                "maintenance_compliance": RANDOM.choice([math.nan, 0.3, 1.0]),
                "open_stop_faults": RANDOM.choice([-1, 0, 3, 9]),
            }
        )
    return rows


def columns(rows: list[dict[str, object]]) -> dict[str, list[object]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def inputs_of_row(row: dict[str, object]) -> Inputs:
    hours, kept, faults = (
        row[name] for name in ("hours_meter", "maintenance_compliance", "open_stop_faults")
    )
    return Inputs(
        Specification(
            str(row["make"]),
            str(row["model"]),
            str(row["equipment_class"]),
            int(str(row["build_year"])) or None,
            None if math.isnan(float(str(hours))) else Decimal(str(hours)),
            int(str(row["replacement_cost_fen"])),
        ),
        AS_OF,
        Decimal("0.5"),
        adjustments=Adjustments(
            condition=str(row["condition"]),
            maintenance_compliance=None if math.isnan(float(str(kept))) else Decimal(str(kept)),
            open_stop_faults=None if faults == -1 else int(str(faults)),
        ),
    )


@pytest.mark.parametrize("nowcasts", [{}, {"TEX": NOWCAST}], ids=["none", "of excavators"])
def test_each_row_has_the_values_and_the_grade_of_a_single_valuation(
    nowcasts: dict[str, Nowcast],
) -> None:
    rows = some_rows(400)
    policy = read_valuer().policy
    scored = PortfolioValuer(read_valuer(), AS_OF, nowcasts).score(rows_of(columns(rows)))
    assert not any(scored.errors)
    for place, row in enumerate(rows):
        nowcast = nowcasts.get(policy.product_group(str(row["equipment_class"])))
        appraisal, _ = read_valuer().appraise(replace(inputs_of_row(row), nowcast=nowcast))
        values = appraisal.values
        assert scored.values[place].tolist() == [*values.fmv, *values.olv, *values.flv], row
        assert scored.grades[place] == appraisal.grade
        assert scored.rules[place].split(",") == [rule.code for rule in appraisal.grade_rules]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"equipment_class": "SUBMARINE"}, "equipment_class"),
        ({"build_year": 2027}, "build_year"),
        ({"build_year": 1500}, "build_year"),
        ({"hours_meter": -1.0}, "hours_meter"),
        ({"hours_meter": math.inf}, "hours_meter"),
        ({"replacement_cost_fen": 10**14}, "replacement_cost_fen"),
        ({"replacement_cost_fen": 0, "model": "☃"}, "replacement_cost_fen"),
        ({"condition": "SHINY"}, "condition"),
        ({"maintenance_compliance": 1.5}, "maintenance_compliance"),
        ({"open_stop_faults": -2}, "open_stop_faults"),
    ],
)
def test_a_bad_row_has_its_reason_and_the_rest_goes_on(
    wrong: dict[str, object], field: str
) -> None:
    rows = some_rows(3)
    rows[1] |= wrong
    scored = PortfolioValuer(read_valuer(), AS_OF).score(rows_of(columns(rows)))
    assert scored.errors[1].startswith(f"{field}: ")
    assert [bool(error) for error in scored.errors] == [False, True, False]
    assert not scored.values[1].any()
    assert (scored.grades[1], scored.rules[1]) == ("", "")
    assert scored.values[2].all()


def test_a_year_1000_is_an_unknown_one() -> None:
    rows = some_rows(1)
    unknown, thousand = (
        PortfolioValuer(read_valuer(), AS_OF).score(rows_of(columns([rows[0] | {"build_year": y}])))
        for y in (0, 1000)
    )
    assert unknown.values.tolist() == thousand.values.tolist()


def test_a_records_hash_covers_facts_date_and_output() -> None:
    (row,) = some_rows(1)

    def hash_of(as_of: date = AS_OF, **changed: object) -> bytes:
        kept = rows_of(columns([row | changed]))
        return PortfolioValuer(read_valuer(), as_of).score(kept).records[0]

    assert hash_of() == hash_of()
    assert hash_of() == hash_of(reference="another name of the same machine")
    others = {
        hash_of(date(2026, 6, 14)),
        hash_of(hours_meter=121.0),
        hash_of(condition="POOR"),
        hash_of(make='A","B'),
    }
    assert len(others | {hash_of()}) == 5


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 100])
def test_every_leaf_lies_under_the_root_and_no_other_does(count: int) -> None:
    records = [bytes([number]) * HASH_BYTES for number in range(count)]
    tree = build_tree(b"".join(map(leaf_hash, records)))
    root = tree[-HASH_BYTES:]
    for place, record in enumerate(records):
        path = [tree[at : at + HASH_BYTES] for at in path_places(count, place)]
        proof = {"leaves": count, "place": place, "path": path}
        assert is_under(root, record_sha256=record, **proof)  # type: ignore[arg-type]
        assert not is_under(root, record_sha256=b"x" * HASH_BYTES, **proof)  # type: ignore[arg-type]
        assert not is_under(
            root, record_sha256=record, leaves=count, place=place, path=[*path, root]
        )


def test_the_tree_is_that_of_the_rfc() -> None:
    """RFC 9162 §2.1.1: of three leaves the first two have a node of their own."""
    one, two, three = (leaf_hash(bytes([number]) * HASH_BYTES) for number in range(3))
    tree = build_tree(one + two + three)
    left = build_tree(one + two)[-HASH_BYTES:]
    assert tree[-HASH_BYTES:] == build_tree(left + three)[-HASH_BYTES:]
    assert build_tree(b"") == EMPTY


def test_the_rules_of_a_row_are_checked_like_those_of_a_call() -> None:
    for row in some_rows(50):
        inputs = replace(inputs_of_row(row))
        check_inputs(inputs, read_valuer().policy, today=AS_OF, registered=False)


def test_the_record_of_a_row_covers_the_nowcasts_it_was_valued_with() -> None:
    rows = rows_of(columns(some_rows(3)))
    plain = PortfolioValuer(read_valuer(), AS_OF).score(rows).records
    assert PortfolioValuer(read_valuer(), AS_OF, {}).score(rows).records == plain
    other = PortfolioValuer(read_valuer(), AS_OF, {"SSL": NOWCAST}).score(rows).records
    assert not set(plain) & set(other)
