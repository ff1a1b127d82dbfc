"""The model card: what a model is, how it was measured, where it must not be used."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ml.residual_value.features import BOOSTER_FEATURES, MONOTONE, PRODUCT_GROUPS
from ml.residual_value.model import Calibration
from ml.residual_value.nowcast import MONTHS
from ml.residual_value.sales import Rejection, Sales
from ml.residual_value.training import (
    CALIBRATION_MONTHS,
    DETERMINISTIC,
    HALF_LIFE_YEARS,
    MEDIAN_MEMBERS,
    MEDIAN_ROUNDS,
    SCALE_ROUNDS,
)

GROUP_ROWS_MIN = 200  # a smaller group's coverage says too little for a gate
ABOUT_NOTHING = (
    "Nobody said where the sales come from, or whether a model may be trained on them: clear both "
    "before a decision for money rests on this model (`train --about FILE.md`)."
)
SYNTHETIC_WARNING = (
    "**Trained on synthetic sales** of the seeded generator. It serves tests and machines without "
    "the real data. Its values mean nothing; every valuation it makes gets grade D."
)
LIMITS = (
    "Prices are at the level of the last month of the window, in the currency and place of the "
    "sales. Currency, inflation and market of another time or place are factors outside the model.",
    "The index after the window is its last month's. The nowcast continues its trend for "
    f"{MONTHS} months, damped; `evaluate` and `predict` use it, a valuation does not.",
    "There is no column for the maker: a model's name alone tells machines apart.",
    "Condition grades, maintenance, faults and emission stages are not among the features.",
    "Equipment that is not stated is taken as the product group's most frequent.",
    "Six product groups only: " + ", ".join(PRODUCT_GROUPS) + " (backhoe loaders, motor graders, "
    "skid steer loaders, track excavators, track-type tractors, wheel loaders).",
    "The conformal multiples were found with boosters that had not seen the last "
    f"{CALIBRATION_MONTHS} months and are used with boosters trained on all sales. Coverage is "
    "measured that way too, yet is no guarantee where prices drift: see the last window.",
    "The levels of classes and the index are learned from all sales of a training side at once; "
    "the price levels of variants and regions, and the effects, never from a row's own price.",
    "A training row's levels may rest on other machines' later sales of the training side; a "
    "scored row's never rest on anything of its window or after.",
)


def render_card(
    sales: Sales,
    rejections: Sequence[Rejection],
    calibration: Calibration,
    evaluation: Mapping[str, Any] | None,
    *,
    about: str,
    parts: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return the card of a model trained on sales, Markdown; `about` is what is known of them."""
    groups = Counter(facts.product_group for facts in sales.facts)
    reasons = Counter(rejection.reason for rejection in rejections)
    known = [
        ("build year known", sum(facts.build_year is not None for facts in sales.facts)),
        ("hours known", sum(facts.hours_meter is not None for facts in sales.facts)),
        ("base model known", sum(bool(facts.base_model) for facts in sales.facts)),
    ]
    blocks = [
        f"# Residual-value model {calibration.version}",
        SYNTHETIC_WARNING if calibration.synthetic else "",
        "Quantiles (5, 10, 50, 90, 95 %) of the logarithm of a construction machine's auction "
        "price, by LightGBM: an L2 booster for the middle, another for the logarithm of the "
        "scale of its error, monotone in "
        + ", ".join(f"{name} ({sign:+d})" for name, sign in MONOTONE.items())
        + ".",
        "## Data",
        _table(
            ("What", "Value"),
            [
                ("window", f"{calibration.window_start} to {calibration.window_end}"),
                ("sales", f"{len(sales):,}"),
                ("rows rejected", ", ".join(f"{n} {r}" for r, n in reasons.items()) or "none"),
                ("SHA-256 of the file", calibration.sales_sha256),
                *((group, f"{count:,}") for group, count in sorted(groups.items())),
                *((title, f"{count:,} ({count / len(sales):.0%})") for title, count in known),
            ],
        ),
        "" if calibration.synthetic else about.strip() or ABOUT_NOTHING,
        "## Recipe",
        f"{len(BOOSTER_FEATURES)} features; {len(MEDIAN_MEMBERS)} members of {MEDIAN_ROUNDS} "
        f"trees, merged, for the middle; {SCALE_ROUNDS} trees for the scale, which knows whether "
        "age, hours and use are known and not what they are, so that every quantile falls as the "
        "middle does. A "
        f"sale's weight halves every {HALF_LIFE_YEARS:g} years. Effects of model and place, "
        "shrunken means of what the boosters leave of sales that they have not seen, are added "
        "to the output. Labels are log prices at the index of the window's last month (hedonic "
        "regression, random-walk months). The conformal multiples of the scale, the same on both "
        f"sides and for all product groups, come from {CALIBRATION_MONTHS} months "
        f"({calibration.calibration_rows:,} sales) that the boosters had not seen.",
        "Deterministic: "
        + ", ".join(f"{name}={value}" for name, value in DETERMINISTIC.items())
        + "; libraries: "
        + ", ".join(f"{name} {value}" for name, value in sorted(calibration.libraries.items()))
        + ". Same data, seed and libraries give the same bytes.",
        "## What the features tell of the parts",
        *_parts(parts),
        "## Measured out of time",
        *(_measured(evaluation) if evaluation else ["Not measured."]),
        "## Limits",
        "\n".join(f"- {limit}" for limit in LIMITS),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _measured(evaluation: Mapping[str, Any]) -> list[str]:
    columns = ("rows", "rmsle", "mape", "median_ape", "bias_log", "within_10pct", "coverage_90")
    rivals = list(evaluation["rmsle_ratio"])
    windows = [*evaluation["windows"], {"window": "all", **evaluation}]
    rows = [
        (window["window"], *(_number(window[column]) for column in columns)) for window in windows
    ]
    beside = [
        (
            window["window"],
            f"{window['rmsle']:.4f}",
            *(f"{window['rivals'][rival]:.4f}" for rival in rivals),
        )
        for window in evaluation["windows"]
    ]
    ratios = ["ours ÷ theirs", "", *(f"{evaluation['rmsle_ratio'][rival]:.3f}" for rival in rivals)]
    benchmarks = list(evaluation["windows"][0]["rival_pinball"])
    losses = [
        (rival, f"{_mean_pinball_ratio(evaluation['windows'], rival):.3f}") for rival in benchmarks
    ]
    blocks = [
        "Each two-month window was predicted by the same recipe from what was sold before it, the "
        "nowcast too; machines sold in the window were left out of its training side. Bias is "
        "predicted − actual in log price.",
        _table(("window", *columns), rows),
        "RMSLE side by side, each trained and scored on the same rows; the last line is the "
        "geometric mean over the windows:",
        _table(("window", "this model", *rivals), [*beside, ratios]),
        f"Median width of the 90 % interval: {evaluation['width_90_median']:.3f} in log price, "
        f"{evaluation['width_90_ratio']:.3f} of the one width for all machines that holds as "
        f"often. Pinball loss: {evaluation['pinball']:.4f}; geometric mean over the windows "
        "against benchmarks whose quantiles are those of their errors on the past:",
        _table(("benchmark", "ours ÷ theirs"), losses),
        "### Gates",
        _table(("gate", "limit", "measured", "passed"), gates(evaluation)),
    ]
    for key in ("product_group", "age_band"):
        parts = evaluation["groups"][key]
        rows = [
            (name, *(_number(value) for value in part.values())) for name, part in parts.items()
        ]
        blocks.append(_table((key, *next(iter(parts.values()))), rows))
    return blocks


def gates(evaluation: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return each gate of a promotion that figures can decide: limit, measured, whether passed."""
    ratio = evaluation["rmsle_ratio"]
    bias = max(abs(window["bias_log"]) for window in evaluation["windows"])
    large = [
        part["coverage_90"]
        for part in evaluation["groups"]["product_group"].values()
        if part["rows"] >= GROUP_ROWS_MIN
    ]
    coverage = evaluation["coverage_90"]
    pinball = max(
        _mean_pinball_ratio(evaluation["windows"], rival)
        for rival in evaluation["windows"][0]["rival_pinball"]
    )
    checks = [
        ("RMSLE ÷ untuned LightGBM", "≤ 0.92", ratio["untuned_lightgbm"], 0.0, 0.92),
        ("RMSLE ÷ random forest", "≤ 0.93", ratio["random_forest"], 0.0, 0.93),
        ("largest absolute bias of a window", "≤ 0.03", bias, 0.0, 0.03),
        ("coverage of the 90 % interval", "0.88–0.92", coverage, 0.88, 0.92),
        ("lowest coverage of a large group", "≥ 0.83", min(large, default=1.0), 0.83, 1.0),
        ("width ÷ constant width", "≤ 0.9", evaluation["width_90_ratio"], 0.0, 0.9),
        ("pinball ÷ benchmarks", "≤ 0.9", pinball, 0.0, 0.9),
    ]
    return [
        (name, limit, f"{value:.4f}", "yes" if low <= value <= high else "no")
        for name, limit, value, low, high in checks
    ]


def _mean_pinball_ratio(windows: Sequence[Mapping[str, Any]], rival: str) -> float:
    logs = [math.log(part["pinball"] / part["rival_pinball"][rival]) for part in windows]
    return math.exp(sum(logs) / len(logs))


def _parts(parts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not parts:
        return ["The sales name no parts."]
    rows = [(part, f"{guess['auc']:.3f}", ", ".join(guess["by"])) for part, guess in parts.items()]
    return [
        "A booster guessed the part (`source`) of half the sales from what the boosters see, ages "
        "cut to whole years; 0.5 is chance. The levels say a part where its machines differ; hours "
        "and usage are known more often in some parts, and unknown build years stand in some only, "
        "and those two are facts of a sale that a value must widen for. The base model, known in "
        "some parts only, is no feature of a booster.",
        _table(("part", "area under the ROC curve", "told most by"), rows),
    ]


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
