"""What streams of telemetry were told, held against the readings that are kept (S3)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from loadtests.journal import JournalledCommand

INGEST = "IngestTelemetry"
READINGS_A_MACHINE = 6


class Findings(Protocol):
    """What a check comes to."""

    counted: str

    def find(self, problem: str) -> None:
        """Note something that is wrong."""
        ...


def told_instants(commands: Sequence[JournalledCommand]) -> list[datetime]:
    """Return the instants of which streams were sent."""
    return sorted({_instant(one) for one in commands if one.method == INGEST})


def check_telemetry(
    verdict: Findings, commands: Sequence[JournalledCommand], kept: Mapping[datetime, int]
) -> None:
    """Check that each reading that was acknowledged is kept, once, and none that nobody sent.

    Args:
        kept: Readings in the database by instant.
    """
    told: Counter[datetime] = Counter()
    open_ended: Counter[datetime] = Counter()
    for one in commands:
        if one.method != INGEST:
            continue
        readings = int(one.subject.split()[1]) * READINGS_A_MACHINE
        if not one.outcome:  # never answered: what it sent may be there
            open_ended[_instant(one)] += readings
            continue
        for effect in one.effects:
            stored, refused = map(int, effect.split())
            if (stored, refused) != (readings, 0):
                verdict.find(f"of {readings} readings of {one.subject} {stored} were acknowledged")
            told[_instant(one)] += stored
    for instant, readings in told.items():
        found = kept.get(instant, 0)
        if not readings <= found <= readings + open_ended[instant]:
            verdict.find(f"of {instant:%Y-%m-%d %H:%M} {readings} were told, {found} are kept")
    verdict.counted = f"{told.total():,} readings of {len(told):,} quarters of an hour"


def _instant(command: JournalledCommand) -> datetime:
    return datetime.fromisoformat(command.subject.split()[0])
