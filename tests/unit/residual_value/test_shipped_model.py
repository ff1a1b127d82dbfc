"""Properties of the shipped boosters: monotone, ordered, small, and without a row of the data."""

import gzip
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ml.residual_value
from ml.residual_value.booster import Matrix
from ml.residual_value.evaluation import evaluate
from ml.residual_value.features import (
    CATEGORICAL,
    EFFECTS,
    FEATURES,
    MONOTONE,
    PRODUCT_GROUPS,
    MachineFacts,
    vector,
)
from ml.residual_value.model import ResidualValueModel
from ml.residual_value.sales import read_sales

MODELS = Path(ml.residual_value.__file__).parent / "models"
FOLDER = MODELS / "us-auctions-2012.02-4"
RETIRED = {
    "us-auctions-2012.02-1": (
        "10.106371661",
        "10.253716476",
        "10.627554218",
        "10.946354985",
        "11.021142559",
    ),
    "us-auctions-2012.02-2": (
        "9.982743769",
        "10.073510855",
        "10.500537404",
        "10.899036594",
        "10.973292893",
    ),
    "us-auctions-2012.02-3": (
        "9.849992623",
        "10.011131276",
        "10.500537404",
        "10.909006812",
        "11.032986821",
    ),
}
SALES = Path(__file__).resolve().parents[4] / "shared" / "data" / "bluebook" / "sales.parquet"
FILE_BYTES_MAX = 2_000_000
PACKED_BYTES_MAX = 6 * 2**20


@pytest.fixture(scope="module")
def model() -> ResidualValueModel:
    return ResidualValueModel(FOLDER)


def random_rows(model: ResidualValueModel, count: int, *, seed: int) -> Matrix:
    """Return feature rows spread over the whole input space, unknowns included."""
    random = np.random.default_rng(seed)
    rows = np.empty((count, len(FEATURES)))
    for column, name in enumerate(FEATURES):
        if name in CATEGORICAL:
            codes = model.encodings.codes.get(name, dict.fromkeys(PRODUCT_GROUPS, 0))
            rows[:, column] = random.integers(0, max(1, len(codes)), size=count)
        elif name == "age_years":
            rows[:, column] = random.uniform(0, 45, size=count)
        elif name == "hours_meter":
            rows[:, column] = random.uniform(1, 40_000, size=count)
        elif name == "class_level":
            rows[:, column] = random.uniform(9.0, 12.5, size=count)
        elif name == "size":
            rows[:, column] = random.uniform(0, 3_000, size=count)
        elif name == "usage_band":
            rows[:, column] = random.integers(0, 3, size=count)
        else:
            rows[:, column] = random.normal(0.0, 0.2, size=count)
        rows[random.random(count) < 0.15, column] = np.nan
    # Levels and effects are never unknown: a key that is not known counts as its parent.
    for name in ("class_level", "variant_level", "region_level", "variant_spread", *EFFECTS):
        place = FEATURES.index(name)
        rows[:, place] = np.nan_to_num(rows[:, place], nan=10.5 if name == "class_level" else 0.0)
    return rows


@pytest.mark.parametrize("feature", sorted(set(MONOTONE) & set(FEATURES)))
def test_every_quantile_moves_one_way_with_each_constrained_feature(
    model: ResidualValueModel, feature: str
) -> None:
    rows = random_rows(model, 60, seed=11)
    groups = [PRODUCT_GROUPS[place % len(PRODUCT_GROUPS)] for place in range(len(rows))]
    low, high = {
        "age_years": (0.0, 60.0),
        "hours_meter": (1.0, 40_000.0),
        "usage_band": (0.0, 2.0),
    }.get(feature, (-1.5, 1.5))
    previous = None
    for value in np.linspace(low, high, 80):
        rows[:, FEATURES.index(feature)] = value
        quantiles = model.log_quantiles(rows, groups)
        if previous is not None:
            assert (MONOTONE[feature] * (quantiles - previous) >= -1e-12).all(), value
        previous = quantiles


def test_quantiles_never_cross_anywhere_in_the_input_space(model: ResidualValueModel) -> None:
    rows = random_rows(model, 4_000, seed=12)
    groups = [("", *PRODUCT_GROUPS)[place % 7] for place in range(len(rows))]
    assert (np.diff(model.log_quantiles(rows, groups), axis=1) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(
    group=st.sampled_from(["", *PRODUCT_GROUPS]),
    product_class=st.text(max_size=30),
    base_model=st.text(max_size=10),
    build_year=st.none() | st.integers(1900, 2026),
    hours=st.none() | st.floats(0, 1e9),
    on=st.dates(date(1980, 1, 1), date(2100, 1, 1)),
)
def test_any_facts_give_five_finite_ordered_quantiles(
    group: str,
    product_class: str,
    base_model: str,
    build_year: int | None,
    hours: float | None,
    on: date,
) -> None:
    facts = MachineFacts(
        on=on,
        product_group=group,
        product_class=product_class,
        base_model=base_model,
        build_year=build_year,
        hours_meter=hours,
    )
    prediction = _MODEL.predict(facts)
    assert list(prediction.log_price) == sorted(prediction.log_price)
    assert all(5 < price < 16 for price in prediction.log_price)
    assert len(prediction.features) == len(FEATURES)


_MODEL = ResidualValueModel(FOLDER)


def test_a_prediction_alone_is_the_same_as_among_others(model: ResidualValueModel) -> None:
    machines = [
        MachineFacts(on=date(2012, 2, 1), product_group="TEX", build_year=year, hours_meter=4_000)
        for year in range(1990, 2012)
    ]
    together = model.predict_many(machines)
    assert together == [model.predict(machine) for machine in machines]


def test_the_index_holds_beyond_both_ends_of_the_window(model: ResidualValueModel) -> None:
    assert model.log_index(date(2012, 2, 10)) == 0
    assert model.log_index(date(2030, 1, 1)) == 0
    assert model.log_index(date(1990, 1, 1)) == model.log_index(date(2004, 1, 1)) != 0


def test_a_known_model_is_found_however_it_is_spelled(model: ResidualValueModel) -> None:
    known = model.encodings.find_model("TEX", " 330-cl ")
    assert known is not None
    assert known.base_model == "330"
    assert model.encodings.find_model("WL", "330CL") is None
    assert model.encodings.find_model("TEX", "SY215C") is None


def test_equipment_that_is_not_stated_is_the_groups_standard(model: ResidualValueModel) -> None:
    bare = MachineFacts(on=date(2012, 2, 1), product_group="TEX", build_year=2005)
    row = vector(bare, model.encodings)
    for option, value in model.encodings.standard_options["TEX"].items():
        code = model.encodings.codes[option].get(value)
        found = row[FEATURES.index(option)]
        assert found == code or (code is None and np.isnan(found)), option


def test_the_files_are_small_and_every_level_rests_on_five_sales_or_more(
    model: ResidualValueModel,
) -> None:
    for file in FOLDER.iterdir():
        assert file.stat().st_size < FILE_BYTES_MAX, file.name
    packed = [
        gzip.compress(file.read_bytes())
        for file in MODELS.rglob("*")
        if file.is_file() and file.suffix != ".gz"
    ]
    already = [file.stat().st_size for file in MODELS.rglob("*.gz")]
    assert sum(map(len, packed)) + sum(already) < PACKED_BYTES_MAX
    assert all(known.sales >= 10 for known in model.encodings.catalogue.values())


def test_the_card_names_window_counts_licence_figures_and_limits(
    model: ResidualValueModel,
) -> None:
    assert not model.calibration.synthetic
    for part in (
        "2004-01-05 to 2012-02-29",
        "51,088",
        "Licence caution",
        "coverage_90",
        "rmsle",
        "## Limits",
        "random_forest",
        "lucko_regression",
        "hist_gradient_boosting",
        "untuned_lightgbm",
        "area under the ROC curve",
        "### Gates",
        model.calibration.sales_sha256,
    ):
        assert part in model.card, part


def test_evaluating_the_shipped_model_on_the_shared_sales() -> None:
    """The shipped boosters have seen these rows: this checks the path, not the model's worth."""
    if not SALES.is_file():
        pytest.skip(f"the real sales are not on this machine ({SALES})")
    sales, rejections = read_sales(SALES)
    report = evaluate(_MODEL, sales)
    assert [rejection.reason for rejection in rejections] == ["BUILD_YEAR_AFTER_SALE"] * 2
    assert report["rows"] == report["rows_within_training_window"] == 51_088
    assert report["rmsle"] < 0.22
    assert abs(report["bias_log"]) < 0.02
    assert max(report["psi"].values()) < 0.02


@pytest.mark.parametrize("version", sorted(RETIRED))
def test_an_older_model_predicts_as_it_did(version: str) -> None:
    facts = MachineFacts(on=date(2012, 2, 1), product_group="TEX", build_year=2005)
    expected = tuple(map(Decimal, RETIRED[version]))
    assert ResidualValueModel(MODELS / version).predict(facts).log_price == expected


def test_unknown_age_or_hours_widen_the_interval(model: ResidualValueModel) -> None:
    for group in PRODUCT_GROUPS:
        known = MachineFacts(
            on=date(2012, 2, 1), product_group=group, build_year=2004, hours_meter=5_000
        )
        prices = model.predict(known).log_price
        width = prices[-1] - prices[0]
        prices = model.predict(replace(known, build_year=None)).log_price
        assert prices[-1] - prices[0] > width, group


def test_no_valuation_is_made_at_the_nowcast(model: ResidualValueModel) -> None:
    after = date(2012, 4, 1)
    assert model.log_nowcast(after) > 0 == model.log_nowcast(model.window_end)
    assert model.log_index(after) == 0


def test_the_figures_name_every_rival_on_the_same_rows(model: ResidualValueModel) -> None:
    figures = json.loads(model.evaluation)
    assert len(figures["windows"]) == 6
    assert sum(window["rows"] for window in figures["windows"]) == figures["rows"] == 32_674
    for window in figures["windows"]:
        assert set(window["rivals"]) == set(figures["rmsle_ratio"])
        assert abs(window["bias_log"]) <= 0.03
    assert 0.88 <= figures["coverage_90"] <= 0.92
    for group in figures["groups"]["product_group"].values():
        assert group["coverage_90"] >= 0.83
    assert figures["rmsle_ratio"]["random_forest"] <= 0.93
