"""Training, prediction and the command line, on synthetic sales."""

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ml.residual_value import synthetic
from ml.residual_value.__main__ import main
from ml.residual_value.evaluation import figures
from ml.residual_value.features import BOOSTER_FEATURES, EFFECTS, FEATURES
from ml.residual_value.hedonic import fit_hedonic
from ml.residual_value.levels import fit_encodings, matrix_of, training_matrix, with_effects
from ml.residual_value.model import (
    MANIFEST,
    QUANTILES,
    ModelRefused,
    ResidualValueModel,
    seen_by_boosters,
    write_manifest,
)
from ml.residual_value.sales import Sales, SalesRefused, read_sales
from ml.residual_value.training import TooFewSales, train

ROWS = 1_500


@pytest.fixture(scope="module")
def sales_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sales") / "sales.parquet"
    synthetic.write(path, ROWS, seed=5)
    return path


@pytest.fixture(scope="module")
def sales(sales_file: Path) -> Sales:
    return read_sales(sales_file)[0]


@pytest.fixture(scope="module")
def folder(sales_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "synthetic-1"
    assert main(["train", "--sales", str(sales_file), "--out", str(out), "--no-origins"]) == 0
    return out


def test_the_same_seed_gives_the_same_sales_and_each_says_that_it_is_synthetic() -> None:
    one = synthetic.generate(50, seed=2)
    assert one.equals(synthetic.generate(50, seed=2))
    assert not one.equals(synthetic.generate(50, seed=3))
    assert one["source"].unique().to_list() == ["synthetic"]


def test_training_twice_gives_the_same_bytes(sales_file: Path, folder: Path) -> None:
    again = folder.with_name("again")
    arguments = ["--sales", str(sales_file), "--out", str(again), "--version", folder.name]
    assert main(["train", *arguments, "--no-origins"]) == 0
    for file in folder.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_synthetic_model_says_so(folder: Path) -> None:
    model = ResidualValueModel(folder)
    assert model.calibration.synthetic
    assert "synthetic sales" in model.card


def test_a_model_read_from_its_folder_predicts_as_the_one_in_memory(
    sales: Sales, folder: Path
) -> None:
    model = ResidualValueModel(folder)
    in_memory = train(sales, version=folder.name, sales_sha256="")
    index = np.array([float(model.log_index(facts.on)) for facts in sales.facts])
    rows = matrix_of(sales.facts, model.encodings)
    quantiles = model.log_quantiles(rows, [facts.product_group for facts in sales.facts])
    assert seen_by_boosters(rows, model.features).shape[1] == len(BOOSTER_FEATURES)
    assert np.allclose(in_memory.log_quantiles(sales), quantiles + index[:, None], atol=1e-12)


def test_no_rows_levels_have_seen_its_own_price(sales: Sales) -> None:
    """A row whose price is changed keeps its own features."""
    hedonic = fit_hedonic(sales)
    encodings = fit_encodings(sales, hedonic)
    before = training_matrix(sales, hedonic, encodings)
    prices = sales.log_price.copy()
    prices[10] += 3.0
    lifted = replace(sales, log_price=prices)
    after = training_matrix(lifted, hedonic, encodings)
    assert np.array_equal(before[10], after[10], equal_nan=True)
    level = FEATURES.index("variant_level")
    assert not np.array_equal(before[:, level], after[:, level])


def test_a_level_of_a_few_sales_is_not_kept(sales: Sales) -> None:
    """No level, and no model's name, stands for a row of the data."""
    few = sales.take(np.arange(len(sales)) < 4)
    encodings = fit_encodings(few, fit_hedonic(sales))
    encodings = with_effects(encodings, few.facts, np.ones(len(few)), np.ones(len(few)))
    assert not encodings.variant_levels
    assert not encodings.base_effects
    assert not encodings.model_effects
    assert not encodings.local_effects
    assert not encodings.catalogue


def test_the_model_beats_the_median_of_the_class_out_of_time(sales: Sales) -> None:
    end = int(sales.month.max())
    past, later = sales.take(sales.month <= end - 3), sales.take(sales.month > end - 3)
    report = figures(train(past, version="x", sales_sha256="").log_quantiles(later), later)
    assert report["rows"] == len(later)
    assert report["rmsle"] < 0.30
    assert 0.75 <= report["coverage_90"] <= 1.0


def test_whether_a_model_is_known_changes_nothing_that_the_boosters_see(
    sales: Sales, folder: Path
) -> None:
    model = ResidualValueModel(folder)
    known = [facts for facts in sales.facts if facts.base_model][:50]
    unknown = [replace(facts, base_model="") for facts in known]
    one, other = matrix_of(known, model.encodings), matrix_of(unknown, model.encodings)
    assert np.array_equal(
        seen_by_boosters(one, model.features),
        seen_by_boosters(other, model.features),
        equal_nan=True,
    )
    effect = FEATURES.index("model_effect")
    assert (other[:, effect] == 0).all()
    assert (one[:, effect] != 0).any()


def test_the_parts_of_a_price_add_up_to_the_median(sales: Sales, folder: Path) -> None:
    model = ResidualValueModel(folder)
    rows = matrix_of(sales.facts[:40], model.encodings)
    groups = [facts.product_group for facts in sales.facts[:40]]
    parts = model.median_contributions(rows)
    left = model.log_quantiles(rows, groups)[:, QUANTILES.index("q50")] - parts.sum(axis=1)
    assert parts.shape[1] == len(BOOSTER_FEATURES) + len(EFFECTS)
    assert np.ptp(left) < 1e-9


def test_too_few_sales_are_refused_with_the_counts(sales: Sales) -> None:
    with pytest.raises(TooFewSales, match="at least 100"):
        train(sales.take(np.arange(len(sales)) < 150), version="x", sales_sha256="")


def test_evaluate_scores_every_valid_row_under_the_documented_keys(
    sales_file: Path, folder: Path, tmp_path: Path
) -> None:
    report_file = tmp_path / "report.json"
    arguments = ["--model", str(folder), "--sales", str(sales_file), "--report", str(report_file)]
    assert main(["evaluate", *arguments]) == 0
    report = json.loads(report_file.read_text())
    assert report["rows"] == ROWS
    assert report["rows_within_training_window"] == ROWS
    for key in ("rmsle", "mape", "median_ape", "bias_log", "within_10pct", "pinball"):
        assert isinstance(report[key], float), key
    assert {"coverage_90", "width_90_median", "psi"} <= report.keys()
    assert report["groups"].keys() == {"product_group", "age_band", "month"}
    assert sum(part["rows"] for part in report["groups"]["month"].values()) == ROWS
    assert report["groups"]["product_group"]["TEX"].keys() >= {"rows", "rmsle", "coverage_90"}


def test_import_keeps_valid_rows_and_reports_the_others(sales_file: Path, tmp_path: Path) -> None:
    spoilt = pl.read_parquet(sales_file).with_columns(
        pl.when(pl.col("SalesID") <= 3).then(-5.0).otherwise("SalePrice").alias("SalePrice")
    )
    source, kept, report_file = (tmp_path / name for name in ("a.csv", "b.parquet", "c.json"))
    spoilt.write_csv(source)
    arguments = ["--sales", str(source), "--out", str(kept), "--report", str(report_file)]
    assert main(["import", *arguments]) == 0
    report = json.loads(report_file.read_text())
    assert (report["kept"], report["rejected"]) == (ROWS - 3, 3)
    assert report["reasons"] == {"PRICE_OUT_OF_RANGE": 3}
    assert len(read_sales(kept)[0]) == ROWS - 3


def test_predict_writes_ordered_prices(sales_file: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "prices.parquet"
    arguments = ["--model", str(folder), "--sales", str(sales_file), "--out", str(out)]
    assert main(["predict", *arguments]) == 0
    prices = pl.read_parquet(out).select(QUANTILES).to_numpy()
    assert (np.diff(prices, axis=1) >= 0).all()
    assert prices.min() > 0


def test_a_command_on_a_missing_file_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--sales", str(tmp_path / "none.parquet"), "--out", str(tmp_path / "m")]
    assert main(["train", *arguments]) == 1
    assert "refused" in capsys.readouterr().err


def test_a_changed_booster_is_refused_with_its_name(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "changed"
    shutil.copytree(folder, copy)
    booster = copy / "scale.txt.gz"
    text = gzip.decompress(booster.read_bytes()).replace(b"tree", b"Tree", 1)
    booster.write_bytes(gzip.compress(text))
    with pytest.raises(ModelRefused, match=r"scale\.txt was changed"):
        ResidualValueModel(copy)


def test_a_missing_file_and_a_missing_manifest_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "incomplete"
    shutil.copytree(folder, copy)
    (copy / "median.txt.gz").unlink()
    with pytest.raises(ModelRefused, match="is missing"):
        ResidualValueModel(copy)
    (copy / MANIFEST).unlink()
    with pytest.raises(ModelRefused, match=MANIFEST):
        ResidualValueModel(copy)


def test_a_booster_that_cannot_be_unpacked_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "torn"
    shutil.copytree(folder, copy)
    booster = copy / "scale.txt.gz"
    booster.write_bytes(booster.read_bytes()[:-20])
    with pytest.raises(ModelRefused, match=r"scale\.txt cannot be unpacked"):
        ResidualValueModel(copy)


def test_a_foreign_booster_is_refused_though_its_hash_fits(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "foreign"
    shutil.copytree(folder, copy)
    (copy / "median.txt.gz").unlink()
    (copy / "median.txt").write_text("not a booster\n")
    write_manifest(copy)
    with pytest.raises(ModelRefused, match="not a residual-value model"):
        ResidualValueModel(copy)


def test_sales_without_a_valid_row_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.parquet"
    synthetic.generate(3, seed=1).with_columns(SalePrice=0.0).write_parquet(path)
    with pytest.raises(SalesRefused, match="no valid sale"):
        read_sales(path)
