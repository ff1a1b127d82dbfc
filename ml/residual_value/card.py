"""The model card: what a model is, how it was measured, where it must not be used."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ml.residual_value.features import FEATURES, MONOTONE, PRODUCT_GROUPS
from ml.residual_value.model import Calibration
from ml.residual_value.sales import Rejection, Sales
from ml.residual_value.training import (
    CALIBRATION_MONTHS,
    DETERMINISTIC,
    MEDIAN_ROUNDS,
    TAIL_ROUNDS,
)

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
    "The index after the window is its last month's; nothing here nowcasts it further.",
    "There is no column for the maker: a model's name alone tells machines apart.",
    "Condition grades, maintenance, faults and emission stages are not among the features.",
    "Equipment that is not stated is taken as the product group's most frequent.",
    "Six product groups only: " + ", ".join(PRODUCT_GROUPS) + " (backhoe loaders, motor graders, "
    "skid steer loaders, track excavators, track-type tractors, wheel loaders).",
    "The conformal offsets were found with boosters that had not seen the last "
    f"{CALIBRATION_MONTHS} months and are used with boosters trained on all sales. Coverage is "
    "measured that way too, yet is no guarantee where prices drift: see the last window.",
    "The levels of classes and the index are learned from all sales of a training side at once; "
    "the price levels of variants and models never from a row's own price.",
    "Whether the features can tell parts of the data apart that carry different columns has not "
    "been tested.",
)


def render_card(
    sales: Sales,
    rejections: Sequence[Rejection],
    calibration: Calibration,
    evaluation: Mapping[str, Any] | None,
    *,
    about: str,
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
        "price, by LightGBM: an L2 booster for the middle, pinball boosters for the tails, "
        "monotone in " + ", ".join(f"{name} ({sign:+d})" for name, sign in MONOTONE.items()) + ".",
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
        f"{len(FEATURES)} features; {MEDIAN_ROUNDS} trees for the middle, {TAIL_ROUNDS} for each "
        f"tail. Labels are log prices at the index of the window's last month (hedonic regression, "
        f"random-walk months). Conformal offsets by product group from {CALIBRATION_MONTHS} months "
        f"({calibration.calibration_rows:,} sales) that the boosters had not seen.",
        "Deterministic: "
        + ", ".join(f"{name}={value}" for name, value in DETERMINISTIC.items())
        + "; libraries: "
        + ", ".join(f"{name} {value}" for name, value in sorted(calibration.libraries.items()))
        + ". Same data, seed and libraries give the same bytes.",
        "## Measured out of time",
        *(_measured(evaluation) if evaluation else ["Not measured."]),
        "## Limits",
        "\n".join(f"- {limit}" for limit in LIMITS),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _measured(evaluation: Mapping[str, Any]) -> list[str]:
    columns = ("rows", "rmsle", "mape", "median_ape", "bias_log", "within_10pct", "coverage_90")
    rivals = sorted(evaluation["rmsle_ratio"])
    windows = [*evaluation["windows"], {"window": "all", **evaluation}]
    rows = [
        (
            window["window"],
            *(_number(window[column]) for column in columns),
            *(_number(window["rivals"][rival]) if "rivals" in window else "" for rival in rivals),
        )
        for window in windows
    ]
    ratios = ", ".join(
        f"{evaluation['rmsle_ratio'][rival]:.3f} of {rival.replace('_', ' ')}" for rival in rivals
    )
    blocks = [
        "Each two-month window was predicted by the same recipe from what was sold before it; "
        "machines sold in the window were left out of its training side. Bias is predicted − "
        "actual in log price; the two last columns are RMSLE of a rival on the same rows: the "
        "class's median, and LightGBM with its defaults on the same facts.",
        _table(("window", *columns, *(f"rmsle {rival}" for rival in rivals)), rows),
        f"RMSLE, geometric mean over the windows: {ratios}. Median width of the 90 % interval: "
        f"{evaluation['width_90_median']:.3f} in log price. Pinball loss: "
        f"{evaluation['pinball']:.4f}.",
    ]
    for key in ("product_group", "age_band"):
        parts = evaluation["groups"][key]
        rows = [
            (name, *(_number(value) for value in part.values())) for name, part in parts.items()
        ]
        blocks.append(_table((key, *next(iter(parts.values()))), rows))
    return blocks


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
