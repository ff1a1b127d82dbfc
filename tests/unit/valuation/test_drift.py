"""Drift: quiet on few or fitting sales, loud on drifted ones; labels as the importer takes them."""

import csv
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from ml.residual_value.features import WATCHED
from ml.residual_value.sales import read_sales
from services.valuation.drift_model import assess_errors, assess_features
from services.valuation.label_export import COLUMNS, rows_of_labels
from services.valuation.label_handlers import label_of
from services.valuation.label_model import Label, Sale
from services.valuation.model import MEDIAN
from tests.unit.valuation.machines import AS_OF, EXCAVATOR, KNOWN, inputs_of, read_valuer


def sale(price_fen: int = 500_000_00, **fields: object) -> Sale:
    stated = {"order": "orders/x", "machine": "machines/x", "seller": "parties/x"}
    return Sale(**(stated | {"sold_on": AS_OF, "hours_meter": None} | fields), price_fen=price_fen)  # type: ignore[arg-type]


def labels(count: int, *, paid: float) -> list[Label]:
    """Return sales at `paid` times what the model says of the machine."""
    valuer = read_valuer()
    fmv = valuer.appraise(inputs_of())[0].values.fmv[MEDIAN]
    label = label_of(valuer, sale(round(fmv * paid)), EXCAVATOR)
    assert label is not None
    return [label] * count


def test_sales_as_the_model_says_raise_no_alarm() -> None:
    assessment = assess_errors(read_valuer().policy, labels(40, paid=1.0))
    assert (assessment.level, assessment.findings) == (0, ())


@pytest.mark.parametrize(("paid", "level"), [(1.07, 1), (0.93, 1), (1.2, 2), (0.5, 2)])
def test_a_bias_raises_the_alarm_in_either_direction(paid: float, level: int) -> None:
    assessment = assess_errors(read_valuer().policy, labels(40, paid=paid))
    assert assessment.level == level
    assert assessment.findings[0].startswith("bias ")


def test_prices_outside_the_interval_are_a_finding_of_their_own() -> None:
    assessment = assess_errors(read_valuer().policy, labels(40, paid=4.0))
    assert [finding.split()[0] for finding in assessment.findings] == ["bias", "coverage"]


def test_few_sales_say_nothing() -> None:
    policy = read_valuer().policy
    assert assess_errors(policy, labels(29, paid=2.0)).level == 0
    bins = read_valuer().model.calibration.drift_bins
    assert assess_features(policy, labels(29, paid=1.0), bins).level == 0


def test_machines_unlike_those_of_the_training_raise_alarm_one() -> None:
    policy, bins = read_valuer().policy, read_valuer().model.calibration.drift_bins
    assessment = assess_features(policy, labels(40, paid=1.0), bins)
    assert assessment.level == 1
    assert any("PSI of hours_meter" in finding for finding in assessment.findings)
    middle = {
        name: [(edges[0] + edge) / 2 for edge in (0, edges[0] * 1.01, edges[1], edges[2] * 3)]
        for name, edges in ((name, bins[name]["edges"]) for name in bins)
    }
    spread = [
        replace(labels(1, paid=1.0)[0], features={name: middle[name][n % 4] for name in bins})
        for n in range(40)
    ]
    quiet = assess_features(policy, spread, {"age_years": bins["age_years"]})
    assert quiet.level in (0, 1)


def test_a_label_keeps_the_facts_and_the_watched_features() -> None:
    label = label_of(read_valuer(), sale(hours_meter=Decimal(4)), EXCAVATOR)
    assert label is not None
    assert (label.product_group, label.model) == ("TEX", read_valuer().model.version)
    assert label.specification["model"] == "SY215C"
    assert set(label.features) <= set(WATCHED)
    assert label.features["hours_meter"] == 6_000


def test_what_the_model_cannot_value_is_no_label() -> None:
    valuer = read_valuer()
    assert label_of(valuer, sale(), replace(EXCAVATOR, replacement_cost_fen=None)) is None
    assert label_of(valuer, sale(), replace(EXCAVATOR, build_year=2030)) is None


def test_exported_labels_are_sales_that_the_importer_takes(tmp_path: Path) -> None:
    valuer = read_valuer()
    made = [
        label_of(valuer, sale(), machine)
        for machine in (EXCAVATOR, KNOWN, replace(EXCAVATOR, equipment_class="OTHER"))
    ]
    rows = list(rows_of_labels(valuer, [label for label in made if label]))
    assert len(rows) == 2
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    sales, rejections = read_sales(tmp_path / "labels.csv")
    assert (len(sales), rejections) == (2, [])
    assert not sales.synthetic
    assert sales.facts[1].product_class.startswith("Hydraulic Excavator")
    assert sales.log_price[0] == pytest.approx(10.874, abs=0.01)
