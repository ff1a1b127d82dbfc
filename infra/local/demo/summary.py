"""The end of the demo: tables a person reads, and the same as JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironloop.finance.v1 import watch_pb2
from rich.table import Table

from infra.local.demo.act_value import olv_fen
from infra.local.demo.events import EventType
from infra.local.demo.life import Moment
from infra.local.demo.money import Holding
from infra.local.demo.scene import Scene, fen
from infra.local.paths import ROOT
from services.kit import wire
from services.kit.amounts import yuan

SUMMARY_FILE = ROOT / "build" / "demo" / "summary.json"
COVER_STEP = 6  # a table shows every sixth month
MILLISECONDS = "{:,.0f}"


@dataclass(frozen=True, slots=True)
class Ending:
    """What the end shows.

    Attributes:
        turnover: The measures by name; empty where nobody computes them.
    """

    machine: str
    life: list[Moment]
    holdings: list[Holding]
    turnover: dict[str, Any]
    events: list[EventType]


def print_ending(scene: Scene, ending: Ending) -> bool:
    """Print every table; return whether every check holds."""
    console = scene.narrator.console
    for table in (
        _life(ending),
        _waterfall(scene),
        _money(ending.holdings),
        _values(scene),
        _moves(scene),
        _cover(scene.covers),
        _turnover(ending.turnover),
        _events(ending.events),
        _checks(scene),
    ):
        if table.row_count:
            console.print(table)
    return all(scene.checks.values())


def write_summary(scene: Scene, ending: Ending) -> Path:
    """Write build/demo/summary.json and return its path."""
    document = {
        "checks": [{"name": name, "ok": is_ok} for name, is_ok in sorted(scene.checks.items())],
        "elapsed_s": round(scene.narrator.elapsed_s(), 1),
        "acts_s": scene.narrator.acts_s,
        "machines": len(scene.machines),
        "machine": ending.machine,
        "life": [
            {"at": moment.at.isoformat(), "what": moment.what, "reference": moment.reference}
            for moment in ending.life
        ],
        "money": {
            "sum_fen": sum(one.holds_fen for one in ending.holdings),
            "holdings": [
                {"who": one.who, "paid_in_fen": one.paid_in_fen, "holds_fen": one.holds_fen}
                for one in ending.holdings
            ],
        },
        "waterfall": [
            {"claimant": claimant, "party": whose, "paid_fen": amount}
            for claimant, whose, amount in scene.waterfall
        ],
        "values": {
            moment: {"valuation": valuation.name, "olv_fen": olv_fen(valuation)}
            for moment, valuation in scene.values.items()
        },
        "moves": {
            move: [
                {"code": line.code, "why": line.description, "amount_fen": fen(line.amount)}
                for line in lines
            ]
            for move, lines in scene.moves.items()
        },
        "cover": {
            moment: [
                {
                    "month": point.month,
                    "balance_fen": fen(point.balance),
                    "collateral_fen": fen(point.collateral_value),
                    "loan_to_value": point.loan_to_value.value,
                    "flv_ratio": point.flv_ratio.value,
                }
                for point in cover.points
            ]
            for moment, cover in scene.covers.items()
        },
        "turnover": ending.turnover,
        "events": {
            one.name: {
                "topic": one.topic,
                "published": one.published,
                "applied": dict(one.applied),
                "lag_ms": {"median": one.median_ms, "highest": one.highest_ms},
            }
            for one in ending.events
        },
    }
    SUMMARY_FILE.parent.mkdir(parents=True, exist_ok=True)
    SUMMARY_FILE.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return SUMMARY_FILE


def _life(ending: Ending) -> Table:
    table = Table("when", "what", "by", title=f"The life of {ending.machine}")
    for moment in ending.life:
        table.add_row(f"{moment.at:%Y-%m-%d %H:%M}", moment.what, moment.reference)
    return table


def _money(holdings: Iterable[Holding]) -> Table:
    table = _figures("party", "paid in", "holds now", "moved", title="Money by party, CNY")
    for one in holdings:
        table.add_row(one.who, *map(yuan, (one.paid_in_fen, one.holds_fen, one.moved_fen)))
    table.add_section()
    table.add_row("sum", "", yuan(sum(one.holds_fen for one in holdings)), "")
    return table


def _waterfall(scene: Scene) -> Table:
    table = _figures("claimant", "whose", "paid", title="The price of the last sale, CNY", texts=2)
    for claimant, whose, amount in scene.waterfall:
        table.add_row(claimant, whose, yuan(amount))
    if scene.waterfall:
        table.add_section()
        table.add_row("price", "", yuan(sum(amount for _, _, amount in scene.waterfall)))
    return table


def _values(scene: Scene) -> Table:
    table = _figures("when", "FMV", "OLV", "FLV", "OLV q10", title="Values of the machine, CNY")
    for moment, valuation in scene.values.items():
        medians = (valuation.fmv.q50, valuation.olv.q50, valuation.flv.q50, valuation.olv.q10)
        table.add_row(moment, *(yuan(fen(amount)) for amount in medians))
    return table


def _moves(scene: Scene) -> Table:
    table = _figures("move of OLV", "why", "CNY", title="Why the value moved", texts=2)
    for move, lines in scene.moves.items():
        for line in lines:
            table.add_row(move, line.description, yuan(fen(line.amount)))
    return table


def _cover(covers: dict[str, watch_pb2.Cover]) -> Table:
    columns = ("when", "month", "balance", "OLV q10 less haircut", "LTV", "balance ÷ FLV q10")
    table = _figures(*columns, title="Cover of the financier's draw over the term, CNY")
    for moment, cover in covers.items():
        table.add_section()
        for point in cover.points:
            if point.month % COVER_STEP == 0 or point is cover.points[-1]:
                table.add_row(
                    moment,
                    f"{wire.to_date(point.date, field='date'):%Y-%m}",
                    yuan(fen(point.balance)),
                    yuan(fen(point.collateral_value)),
                    point.loan_to_value.value,
                    point.flv_ratio.value,
                )
    return table


def _turnover(turnover: dict[str, Any]) -> Table:
    table = _figures("measure", "value", title="Turnover of the dealer's fleet (insights)")
    for name, value in turnover.items():
        table.add_row(name.replace("_", " "), str(value))
    return table


def _events(events: Sequence[EventType]) -> Table:
    columns = ("event", "told", "applied by", "lag, median ms", "highest")
    table = Table(*columns, title="Events")
    for one in events:
        applied = ", ".join(sorted(one.applied)) or "nobody yet"
        lags = (one.median_ms, one.highest_ms)
        shown = ("" if lag is None else MILLISECONDS.format(lag) for lag in lags)
        table.add_row(one.short_name, str(one.published), applied, *shown)
    for column in (table.columns[1], *table.columns[3:]):
        column.justify = "right"
    return table


def _checks(scene: Scene) -> Table:
    table = Table("check", "", title="Checks")
    for name, is_ok in sorted(scene.checks.items()):
        table.add_row(name, "[green]ok[/green]" if is_ok else "[red]FAILED[/red]")
    return table


def _figures(*columns: str, title: str, texts: int = 1) -> Table:
    """Return a table whose columns are figures but for the first ones."""
    table = Table(*columns, title=title)
    for column in table.columns[texts:]:
        column.justify = "right"
    return table
