"""The report of a run: `report.json`, and `report.html` drawn from it."""

import html
import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from infra.local.paths import ROOT
from loadtests.checker import Verdict
from loadtests.plan import Plan
from loadtests.recorder import knee_of
from loadtests.watch import Watched

FOLDER = ROOT / "build" / "load"
WIDTH, HEIGHT, MARGIN = 640, 220, 44

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .2rem .8rem .2rem 0;
text-align: left; border-bottom: 1px solid #ddd; vertical-align: top } .ok { color: #17692f }
.bad { color: #b3261e; font-weight: 600 }
svg { max-width: 100%; height: auto } small { color: #555 }
"""


def compose(
    plan: Plan,
    title: str,
    measured: dict[str, Any],
    watched: Watched,
    verdicts: Sequence[Verdict],
    *,
    recovery_s: float,
) -> dict[str, Any]:
    """Return the report.

    Args:
        recovery_s: How long the stack took to come to rest after the load.
    """
    steps: list[dict[str, Any]] = measured["steps"]
    closed = [step for step in steps if step["loop"] == "closed"]
    opened = [step for step in steps if step["loop"] == "open"]
    place = knee_of([step["operations_per_second"] for step in closed], patience=1)
    best = max(closed or opened, key=lambda step: float(step["operations_per_second"]))
    errors: dict[str, int] = {}
    for step in steps:
        for reason, count in step["errors"].items():
            errors[reason] = errors.get(reason, 0) + count
    return {
        "scenario": plan.scenario,
        "title": title,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {
            "users": plan.users,
            "duration_s": plan.duration_s,
            "loop": plan.loop,
            "rate": plan.rate,
        },
        "hardware": hardware(),
        "generator_cores": measured["generator_cores"],
        "max": {
            "operations_per_second": best["operations_per_second"],
            "items_per_second": best["items_per_second"],
            "users": best["users"],
        },
        "knee": closed[place]["users"] if place is not None else None,
        "curve": closed,
        "open_loop": opened,
        "errors": dict(sorted(errors.items(), key=lambda item: -item[1])),
        "backlog": watched.backlog_json(),
        "recovery_s": round(recovery_s, 2),
        "outage_s": [round(at, 2) for at in watched.outage] if watched.outage else None,
        "checks": [verdict.to_json() for verdict in verdicts],
        "verdict": "holds"
        if verdicts and not any(verdict.problems for verdict in verdicts)
        else "broken",
    }


def hardware() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_average_1m": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def write(report: dict[str, Any], folder: Path) -> None:
    """Write report.json and report.html."""
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    (folder / "report.html").write_text(page(report))


def page(report: dict[str, Any]) -> str:
    """Return the report as a page without anything to load from elsewhere."""
    hard = report["hardware"]
    verdict = report["verdict"]
    tone = "ok" if verdict == "holds" else "bad"
    knee = f"{report['knee']} users" if report["knee"] else "not reached"
    backlog = [
        (sample["at_s"], sum(sample["outbox"].values()), sum(sample["lag"].values()))
        for sample in report["backlog"]
    ]
    return f"""<!doctype html><html lang="en"><meta charset="utf-8">
<title>{_text(report["title"])}</title><style>{_STYLE}</style>
<h1>{_text(report["title"])}</h1>
<p>The proof <b class="{tone}">{verdict}</b>. At most
<b>{report["max"]["operations_per_second"]:,.0f}</b> operations a second
({report["max"]["items_per_second"]:,.0f} items) with {report["max"]["users"]} users; knee: {knee}.
At rest {report["recovery_s"]:.1f} s after the load.</p>
<p><small>{_text(report["measured_at"])}; {hard["cores"]} cores {_text(hard["machine"])},
{hard["memory_gib"]} GiB, {_text(hard["system"])}, Python {_text(hard["python"])}, load average
{hard["load_average_1m"]}; the load's own process took {report["generator_cores"]} of the cores, and
server and load share them.</small></p>
<h2>Throughput by users</h2>
{_chart([(s["users"], s["items_per_second"]) for s in report["curve"]], "users", "items/s")}
{_steps([*report["curve"], *report["open_loop"]])}
<h2>What was refused or failed</h2>{_errors(report["errors"])}
<h2>Events that waited</h2>
<h3>in the outboxes</h3>{_chart([(at, out) for at, out, _ in backlog], "s", "events")}
<h3>for their consumers</h3>{_chart([(at, lag) for at, _, lag in backlog], "s", "events")}
{_outage(report["outage_s"])}
<h2>Proof</h2>{_checks(report["checks"])}</html>
"""


def _steps(steps: Sequence[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{step['loop']}<td>{step['users']}<td>{step['rate'] or ''}"
        f"<td>{step['operations_per_second']:,.1f}<td>{step['items_per_second']:,.0f}"
        + "".join(f"<td>{step['latency_ms'][name]:,.1f}" for name in ("p50", "p95", "p99"))
        for step in steps
    )
    return (
        "<table><tr><th>loop<th>users<th>rate<th>operations/s<th>items/s<th>p50 ms<th>p95 ms"
        f"<th>p99 ms{rows}</table><p><small>In an open loop latency counts from the instant at "
        "which an operation was meant to begin.</small></p>"
    )


def _errors(errors: dict[str, int]) -> str:
    if not errors:
        return "<p>Nothing.</p>"
    rows = "".join(f"<tr><td>{_text(name)}<td>{count:,}" for name, count in errors.items())
    return f"<table><tr><th>class<th>count{rows}</table>"


def _outage(outage: Sequence[float] | None) -> str:
    if outage is None:
        return ""
    return f"<p>The broker was stopped from {outage[0]:.0f} s to {outage[1]:.0f} s.</p>"


def _checks(checks: Sequence[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{_text(check['claim'])}<td>{_text(check['counted'])}<td>"
        + (
            '<span class="ok">holds</span>'
            if check["holds"]
            else f'<span class="bad">{"<br>".join(map(_text, check["problems"]))}</span>'
        )
        for check in checks
    )
    return f"<table><tr><th>claim<th>looked at<th>verdict{rows}</table>"


def _chart(points: Sequence[tuple[float, float]], across: str, up: str) -> str:
    """Return a line through points as an SVG."""
    if not points:
        return "<p>Not measured.</p>"
    across_max = max(x for x, _ in points) or 1
    up_max = max(y for _, y in points) or 1
    placed = [
        (
            MARGIN + x / across_max * (WIDTH - 2 * MARGIN),
            HEIGHT - MARGIN - y / up_max * (HEIGHT - 2 * MARGIN),
        )
        for x, y in points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#1f5fa8"/>' for x, y in placed)
    floor = HEIGHT - MARGIN
    return f"""<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">
<path d="M{MARGIN} {MARGIN / 2} V{floor} H{WIDTH - MARGIN / 2}" fill="none" stroke="#999"/>
<polyline points="{line}" fill="none" stroke="#1f5fa8" stroke-width="2"/>{dots}
<text x="{MARGIN}" y="{MARGIN / 2 - 6}" font-size="12">{up_max:,.0f} {_text(up)}</text>
<text x="{WIDTH - MARGIN}" y="{floor + 18}" font-size="12">{across_max:,.0f} {_text(across)}</text>
</svg>"""


def _text(value: object) -> str:
    return html.escape(str(value))
