"""Figures with their spread, as JSON and as a table."""

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.local.paths import ROOT

FOLDER = ROOT / "build" / "bench"
ROUNDS_TO_TRIM = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        rounds: What each round measured; the figure is their median.
        must: What it has to reach, where anything.
        aim: What it should reach.
        is_at_least: Whether more is better.
        spread_max: How far the rounds may lie apart, as a share of their median; beyond it the
            run says nothing and is rejected.
    """

    name: str
    unit: str
    rounds: Sequence[float]
    must: float | None = None
    aim: float | None = None
    is_at_least: bool = True
    spread_max: float | None = None

    @property
    def spread(self) -> float:
        """Return how far the rounds lie apart, as a share of their median.

        Of five rounds or more the best and the worst are left out: one hiccup is no spread.
        """
        ordered = sorted(self.rounds)
        kept = ordered[1:-1] if len(ordered) >= ROUNDS_TO_TRIM else ordered
        return (kept[-1] - kept[0]) / self.median if self.median else 0.0

    @property
    def is_rejected(self) -> bool:
        """Whether the rounds lie too far apart to say anything."""
        return self.spread_max is not None and self.spread > self.spread_max

    @property
    def median(self) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.rounds)

    @property
    def reaches_must(self) -> bool | None:
        """Whether the median reaches what it must; None where it need not reach anything."""
        return None if self.must is None else self._reaches(self.must)

    def to_json(self) -> dict[str, Any]:
        """Return the figure as JSON takes it."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": round(self.median, 4),
            "min": round(min(self.rounds), 4),
            "max": round(max(self.rounds), 4),
            "rounds": len(self.rounds),
            "spread": round(self.spread, 4),
            "rejected": self.is_rejected,
            "must": self.must,
            "aim": self.aim,
            "reaches_must": self.reaches_must,
            "reaches_aim": None if self.aim is None else self._reaches(self.aim),
        }

    def _reaches(self, limit: float) -> bool:
        return self.median >= limit if self.is_at_least else self.median <= limit


def write_json(bench: str, figures: Sequence[Figure]) -> None:
    """Write `build/bench/<bench>.json`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    document = {
        "bench": bench,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_average_1m": round(os.getloadavg()[0], 2),
        "rejected": [figure.name for figure in figures if figure.is_rejected],
        "figures": [figure.to_json() for figure in figures],
        # The same by name, for whoever looks one up.
        **{figure.name: figure.to_json() for figure in figures},
    }
    (FOLDER / f"{bench}.json").write_text(json.dumps(document, indent=2) + "\n")


def print_table(bench: str, figures: Sequence[Figure]) -> None:
    """Print the figures for a person."""
    table = Table("figure", "median", "min", "max", "must", "aim", "", title=bench)
    for figure in figures:
        sign = "≥" if figure.is_at_least else "≤"
        values = (figure.median, min(figure.rounds), max(figure.rounds))
        limits = (
            "" if limit is None else f"{sign} {limit:g}" for limit in (figure.must, figure.aim)
        )
        verdict = {None: "", True: "reached", False: "MISSED"}[figure.reaches_must]
        verdict += f" REJECTED: spread {figure.spread:.0%}" if figure.is_rejected else ""
        name = f"{figure.name} ({figure.unit})"
        table.add_row(name, *(f"{value:,.3g}" for value in values), *limits, verdict)
    Console().print(table)
