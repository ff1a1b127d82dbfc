"""The report of a trained model that a person reads: one HTML page, its plots drawn as SVG here."""

from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from typing import Any

import numpy as np

from ml.residual_value.features import PRODUCT_GROUPS, MachineFacts
from ml.residual_value.levels import matrix_of
from ml.residual_value.model import MEDIAN, QUANTILES, TAILS
from ml.residual_value.sales import month_start
from ml.residual_value.training import TrainedModel

REPORT = "report.html"
WIDTH, HEIGHT, MARGIN = 640, 240, 46
HOURS_PER_YEAR = 1_000.0
CURVE_YEARS = tuple(range(1, 16))
COLOURS = ("#1b6ca8", "#c8553d", "#588157", "#8e6c8a", "#b08900", "#444444")

Points = Sequence[tuple[float, float]]


def render_report(model: TrainedModel, figures: Mapping[str, Any]) -> str:
    """Return the page: figures by window, and the four plots."""
    plots = "".join(
        f"<h2>{escape(title)}</h2>{lines(series)}" for title, series in _plots(model, figures)
    )
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        f"<title>{escape(model.calibration.version)}</title>"
        "<style>body{font:15px sans-serif;max-width:760px;margin:2em auto}"
        "table{border-collapse:collapse}td,th{padding:2px 10px;text-align:right}</style>"
        f"<h1>{escape(model.calibration.version)}, measured out of time</h1>"
        f"{_windows(figures['windows'])}{plots}</html>\n"
    )


def _plots(
    model: TrainedModel, figures: Mapping[str, Any]
) -> list[tuple[str, Mapping[str, Points]]]:
    bands, below = figures["plots"]["price_bands"], figures["plots"]["below"]
    wanted = {name: TAILS.get(name, 0.5) for name in QUANTILES}
    index, first = model.calibration.index, model.calibration.first_month
    last = month_start(first + len(index) - 1)
    return [
        (
            "Error by price band: RMSLE and bias, against the price in thousand USD",
            {
                "RMSLE": [(band["from_usd"] / 1000, band["rmsle"]) for band in bands],
                "bias": [(band["from_usd"] / 1000, band["bias_log"]) for band in bands],
            },
        ),
        (
            "Calibration: how often a sale lay below a quantile, against how often it should",
            {
                "measured": [(wanted[name], below[name]) for name in QUANTILES],
                "wanted": [(share, share) for share in wanted.values()],
            },
        ),
        (
            f"Index of all groups: log price against {last:%B %Y}",
            {"index": [((first + place) / 12, value) for place, value in enumerate(index)]},
        ),
        (
            "Curve by product group: share of the price at one year, against age in years, at "
            f"{HOURS_PER_YEAR:,.0f} hours a year and a fixed index",
            curves(model),
        ),
    ]


def curves(model: TrainedModel) -> dict[str, Points]:
    """Return each product group's share of the price at one year, by age."""
    on = date.fromisoformat(model.calibration.window_end).replace(month=1, day=1)
    median = model.loaded(MEDIAN)
    found: dict[str, Points] = {}
    for group in PRODUCT_GROUPS:
        machines = [
            MachineFacts(
                on=on,
                product_group=group,
                build_year=on.year - years,
                hours_meter=years * HOURS_PER_YEAR,
            )
            for years in CURVE_YEARS
        ]
        rows = matrix_of(machines, model.encodings)[:, : median.num_feature()]
        log_price = np.asarray(median.predict(rows), dtype=np.float64)
        shares = np.exp(log_price - log_price[0]).tolist()
        found[group] = list(zip(CURVE_YEARS, shares, strict=True))
    return found


def lines(series: Mapping[str, Points]) -> str:
    """Return a line chart as SVG, with a legend and the ends of both axes."""
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    low_x, high_x, low_y, high_y = min(xs), max(xs), min(0.0, *ys), max(ys)
    across = (WIDTH - 2 * MARGIN) / ((high_x - low_x) or 1.0)
    up = (HEIGHT - 2 * MARGIN) / ((high_y - low_y) or 1.0)

    def place(x: float, y: float) -> str:
        return f"{MARGIN + (x - low_x) * across:.1f},{HEIGHT - MARGIN - (y - low_y) * up:.1f}"

    parts = [
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' role='img' font-size='11'>",
        f"<path d='M{place(low_x, high_y)} L{place(low_x, low_y)} L{place(high_x, low_y)}' "
        "fill='none' stroke='#999'/>",
    ]
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(place(x, y) for x, y in points)
        parts += [
            f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2'/>",
            f"<text x='{MARGIN + 90 * number}' y='16' fill='{colour}'>{escape(name)}</text>",
        ]
    foot, left = HEIGHT - MARGIN + 16, MARGIN - 6
    for x, anchor in ((low_x, "start"), (high_x, "end")):
        at = place(x, low_y).split(",")[0]
        parts.append(f"<text x='{at}' y='{foot}' text-anchor='{anchor}'>{x:,.5g}</text>")
    for y in (low_y, high_y):
        at = place(low_x, y).split(",")[1]
        parts.append(f"<text x='{left}' y='{at}' text-anchor='end'>{y:,.3g}</text>")
    return "".join(parts) + "</svg>"


def _windows(windows: Sequence[Mapping[str, Any]]) -> str:
    columns = ("rows", "rmsle", "mape", "bias_log", "within_10pct", "coverage_90")
    head = "".join(f"<th>{escape(column)}</th>" for column in ("window", *columns))
    rows = "".join(
        f"<tr><td>{escape(window['window'])}</td>"
        + "".join(f"<td>{window[column]:,.4g}</td>" for column in columns)
        + "</tr>"
        for window in windows
    )
    return f"<table><tr>{head}</tr>{rows}</table>"
