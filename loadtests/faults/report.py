"""How a campaign reads: a line a round, a table, and build/faults/campaign.json."""

import json
import os
import platform
import shutil
import statistics
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.local.paths import ROOT
from loadtests.faults.campaign import SERVES_WITHIN_S, Round

DEFAULT_FOLDER = ROOT / "build" / "faults"
COUNT_SHOWN_FROM_S = 1.0  # of a difference between the clock's seconds and those that count


def line_of(place: int, total: int, done: Round) -> str:
    """Return one line that says what a round did."""
    tally = done.tally
    recovery = "not recovered" if done.recovery_s is None else f"{done.recovery_s:.1f} s to serve"
    if done.recovery_s is not None and done.recovery_s - done.counted_s >= COUNT_SHOWN_FROM_S:
        recovery += f" ({done.counted_s:.1f} count)"
    verdict = "FAILED" if done.problems else "passed"
    return (
        f"{place:4}/{total} seed {done.seed:<5} {' + '.join(done.faults):44} "
        f"{tally.calls:4} calls, {tally.unanswered:3} lost, {tally.posted:5} posted, "
        f"{tally.refused:3} refused, {tally.repeated:4} repeated, {done.snapshots:3} sums, "
        f"{recovery}, {done.seconds:.1f} s  {verdict}"
    )


def print_table(rounds: Sequence[Round]) -> None:
    """Print what each fault came to over all rounds."""
    table = Table(
        "fault", "rounds", "failed", "median", "longest", title="Seconds until all serves again"
    )
    for name in sorted({name for one in rounds for name in one.faults}):
        of_fault = [one for one in rounds if name in one.faults]
        recoveries = [one.recovery_s for one in of_fault if one.recovery_s is not None]
        table.add_row(
            name,
            str(len(of_fault)),
            str(sum(bool(one.problems) for one in of_fault)),
            f"{statistics.median(recoveries):.1f}" if recoveries else "-",
            f"{max(recoveries):.1f}" if recoveries else "-",
        )
    Console().print(table)


def write_json(
    folder: Path,
    rounds: Sequence[Round],
    *,
    stacks: Sequence[Path],
    left_out: Sequence[str],
    final: Sequence[str],
) -> Path:
    """Write everything down and return where.

    Args:
        stacks: Where the stacks were, which are gone.
        left_out: Faults that this machine does not allow, and why.
        final: What the proof of the whole ledger found in the end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "campaign.json"
    faults = Counter(name for one in rounds for name in one.faults)
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "stacks": [str(stack) for stack in stacks],
        "serves_within_s": SERVES_WITHIN_S,
        "rounds": len(rounds),
        "failed_seeds": [one.seed for one in rounds if one.problems],
        "posted": sum(one.tally.posted for one in rounds),
        "repeated": sum(one.tally.repeated for one in rounds),
        "snapshots": sum(one.snapshots for one in rounds),
        "faults": dict(sorted(faults.items())),
        "left_out": list(left_out),
        "final_proof": list(final),
        "by_round": [one.to_json() for one in rounds],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path


def keep_logs(logs: Path, kept: Path) -> Path:
    """Copy a stack's logs, and return where they are."""
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(logs, kept)
    return kept
