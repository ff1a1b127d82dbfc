"""The policy table: complete, sourced, and refused where it is broken."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from ironloop.marketplace.v1 import machines_pb2

from services.valuation.appraisal import Valuer
from services.valuation.policy import PolicyRefused, read_policy


def test_every_equipment_class_of_the_registry_is_listed(valuer: Valuer) -> None:
    names = [
        name.removeprefix("EQUIPMENT_CLASS_")
        for name in machines_pb2.EquipmentClass.DESCRIPTOR.values_by_name
    ]
    assert valuer.policy.classes == sorted(name for name in names if name != "UNSPECIFIED")


def test_every_line_has_a_source(valuer: Valuer) -> None:
    assert all(line.source for line in valuer.policy.lines)
    codes = [line.code for line in valuer.policy.lines]
    assert len(codes) == len(set(codes))


def test_the_nearest_year_holds_beyond_the_ends_of_the_exchange_rates(valuer: Valuer) -> None:
    assert valuer.policy.usd_cny(date(1999, 1, 1)).code == "USD_CNY.2004"
    assert valuer.policy.usd_cny(date(2012, 7, 1)).value == Decimal("6.3125")
    assert valuer.policy.usd_cny(date(2050, 1, 1)).code == "USD_CNY.2024"


def test_inflation_counts_whole_months_after_the_window(valuer: Valuer) -> None:
    since = date(2012, 2, 29)
    assert valuer.policy.inflation(date(2010, 1, 1), since=since).value == 1
    assert valuer.policy.inflation(date(2013, 2, 1), since=since).value == Decimal("1.025")
    assert valuer.policy.inflation(date(2012, 8, 1), since=since).value == Decimal("1.012423")


def test_a_make_is_known_in_any_spelling(valuer: Valuer) -> None:
    assert valuer.policy.knows_make(" john   deere ")
    assert not valuer.policy.knows_make("XCMG")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": "1", "lines": [{"code": "x"}]}'])
def test_a_file_that_is_no_policy_table_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(PolicyRefused, match=r"p\.json"):
        read_policy(path)


def test_a_changed_line_changes_the_hash(valuer: Valuer, tmp_path: Path) -> None:
    lines = [
        {"code": line.code, "value": line.value, "source": line.source}
        for line in valuer.policy.lines
    ]
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"version": valuer.policy.version, "lines": lines}))
    assert read_policy(path).sha256 == valuer.policy.sha256
    lines[0]["value"] = "changed"
    path.write_text(json.dumps({"version": valuer.policy.version, "lines": lines}))
    assert read_policy(path).sha256 != valuer.policy.sha256
