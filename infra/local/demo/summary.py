"""The end of the demo: tables a person reads, and the same as JSON."""

import json
from pathlib import Path
from typing import Any

from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from rich.table import Table

from infra.local.demo.act_trade import PAID_IN_FEN
from infra.local.demo.checks import EventCount
from infra.local.demo.scene import Scene
from infra.local.paths import ROOT
from services.kit import wire
from services.kit.amounts import yuan

SUMMARY_FILE = ROOT / "build" / "demo" / "summary.json"


async def print_money(scene: Scene) -> dict[str, Any]:
    """Print each party's money: paid in, held now, and the difference."""
    table = Table("party", "paid in", "holds now", "moved", title="Money by party, CNY")
    held: dict[str, int] = {}
    cast = scene.cast
    for actor in (cast.manufacturer, cast.dealer, cast.lessee, cast.financier, *cast.buyers):
        name = cast.name_of(actor.party)
        held[name] = await scene.wallet_fen(actor)
        paid_in_fen = PAID_IN_FEN.get(name, 0)
        row = (paid_in_fen, held[name], held[name] - paid_in_fen)
        table.add_row(name, *(yuan(amount) for amount in row))
    for column in table.columns[1:]:
        column.justify = "right"
    scene.narrator.console.print(table)
    return {"held_fen": held, "paid_in_fen": PAID_IN_FEN}


async def print_life(scene: Scene, machine: str) -> None:
    """Print a machine's titles and custodies as a timeline."""
    registry = scene.cast.operator.stub(machines_pb2_grpc.MachineServiceStub)
    titles = await registry.ListTitleHistory(
        machines_pb2.ListTitleHistoryRequest(machine=machine, page_size=200)
    )
    custodies = await registry.ListCustodyHistory(
        machines_pb2.ListCustodyHistoryRequest(machine=machine, page_size=200)
    )
    lines = [
        (interval.start_time, f"title: {scene.cast.name_of(interval.holder)}", interval.reference)
        for interval in titles.intervals
    ] + [
        (
            interval.start_time,
            f"{wire.enum_name(machines_pb2.Custody, interval.custody, prefix='CUSTODY_').lower()}"
            f": {scene.cast.name_of(interval.custodian)}",
            interval.reference,
        )
        for interval in custodies.intervals
    ]
    table = Table("from", "what", "by", title=f"The life of {machine}")
    for start, what, reference in sorted(lines, key=lambda line: line[0].ToNanoseconds()):
        table.add_row(f"{start.ToDatetime():%Y-%m-%d %H:%M:%S}", what, reference)
    scene.narrator.console.print(table)


def print_events(scene: Scene, events: list[EventCount]) -> None:
    """Print how many events went over each topic, and who applied them."""
    table = Table("topic", "published", "applied by", title="Events")
    for count in events:
        if count.published:
            applied = ", ".join(f"{name} {done}" for name, done in sorted(count.consumed.items()))
            table.add_row(count.topic, str(count.published), applied or "nobody yet")
    scene.narrator.console.print(table)


def print_checks(scene: Scene) -> bool:
    """Print the checks and return whether all of them hold."""
    table = Table("check", "", title="Checks")
    for name, is_ok in sorted(scene.checks.items()):
        table.add_row(name, "[green]ok[/green]" if is_ok else "[red]FAILED[/red]")
    scene.narrator.console.print(table)
    return all(scene.checks.values())


def write_summary(scene: Scene, events: list[EventCount], money: dict[str, Any]) -> Path:
    """Write build/demo/summary.json and return its path."""
    SUMMARY_FILE.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "checks": [{"name": name, "ok": is_ok} for name, is_ok in sorted(scene.checks.items())],
        "elapsed_s": round(scene.narrator.elapsed_s(), 1),
        "machines": len(scene.machines),
        "money": money,
        "events": {
            count.topic: {"published": count.published, "applied": count.consumed}
            for count in events
        },
    }
    SUMMARY_FILE.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return SUMMARY_FILE
