"""The proof: what the tables and the topic hold agrees, seen in one snapshot.

Each check is independent of how postings are made: it counts again from the transfers.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from google.protobuf.message import DecodeError
from ironloop.settlement.v1.settlement_events_pb2 import TransfersPosted

from services.kit.connection import Connection, Row
from services.kit.contract import event_of
from services.kit.database import Database
from services.kit.ids import name
from services.settlement import verify_store as store
from services.settlement.copy_form import DIGEST_BYTES
from services.settlement.event_topic import TopicRecord, event_in, read_topic
from services.settlement.verify_store import FINDINGS_MAX

COMMITS_READ_MAX = 500  # with their transfers, at most two million rows of a hundred bytes
TRANSFERS_READ_MAX = 200_000

Say = Callable[[str], None]
EventKey = tuple[str, int]  # ledger and sequence


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: which resource, and what with it."""

    subject: str
    problem: str


@dataclass(slots=True)
class Verdict:
    """What one check came to.

    Attributes:
        counted: How much it looked at, in words.
        findings: The first things that are wrong; empty where all is well.
    """

    check: str
    counted: str = ""
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0

    def find(self, subject: str, problem: str) -> None:
        """Note something that is wrong, up to the limit."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(subject, problem))


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the events are; no bootstrap: they are not looked at."""

    bootstrap: str
    prefix: str


async def verify(
    database: Database, broker: Broker, *, since: datetime | None, say: Say
) -> list[Verdict]:
    """Return the verdict of every check.

    Args:
        since: Commits before this instant are not read again; sums are always whole.
        say: Gets a line of progress now and then.
    """
    verdicts: list[Verdict] = []
    async with database.snapshot() as connection:
        checks: Sequence[tuple[str, Callable[[Verdict], Awaitable[None]]]] = (
            ("debits equal credits in every ledger", lambda v: _check_ledgers(connection, v)),
            ("accounts are the sum of their transfers", lambda v: _check_accounts(connection, v)),
            ("open holds are what is pending", lambda v: _check_holds(connection, v)),
            (
                "commits hold their transfers, unaltered",
                lambda v: _check_commits(connection, v, since=since, say=say),
            ),
            (
                "every event is in the outbox or the topic, unaltered",
                lambda v: _check_events(database, connection, v, broker, since=since, say=say),
            ),
        )
        for check, run in checks:
            say(check)
            verdict = Verdict(check)
            started_s = time.monotonic()
            await run(verdict)
            verdict.seconds = time.monotonic() - started_s
            verdicts.append(verdict)
    return verdicts


async def _check_ledgers(connection: Connection, verdict: Verdict) -> None:
    for row in await store.list_unbalanced_ledgers(connection):
        verdict.find(
            name("ledgers", row["ledger"]),
            f"debits less credits: {row['posted']} posted, {row['pending']} pending",
        )
    verdict.counted = f"{len(await store.list_ledgers(connection)):,} ledgers"


async def _check_accounts(connection: Connection, verdict: Verdict) -> None:
    for row in await store.list_drifted_accounts(connection):
        verdict.find(
            name("accounts", row["id"]),
            f"holds {list(row['holds'])}, its transfers make {list(row['explained'])} "
            "(debits and credits pending, debits and credits posted)",
        )
    count = await store.count_accounts(connection)
    verdict.counted = f"{count:,} accounts"


async def _check_holds(connection: Connection, verdict: Verdict) -> None:
    for row in await store.list_wrong_holds(connection):
        verdict.find(name("transfers", row["id"]), row["problem"])
    for row in await store.list_wrong_pending_sums(connection):
        verdict.find(
            name("accounts", row["id"]),
            f"holds {row['debits_pending']} and {row['credits_pending']} pending, its open holds "
            f"make {row['debit']} and {row['credit']}",
        )
    for row in await store.list_wrong_reversals(connection):
        verdict.find(name("transfers", row["id"]), "is a reversal posted or noted by halves")
    count = await store.count_holds(connection)
    verdict.counted = f"{count:,} holds"


async def _check_commits(
    connection: Connection, verdict: Verdict, *, since: datetime | None, say: Say
) -> None:
    commits = transfers = 0
    for ledger in await store.list_ledgers(connection):
        subject = name("ledgers", ledger["id"])
        for counter, counted in (
            ("transfer_count", "transfers"),
            ("commit_count", "commits"),
            ("event_sequence", "events"),
        ):
            if ledger[counter] != ledger[counted]:
                verdict.find(
                    subject, f"{counter} {ledger[counter]}, its commits make {ledger[counted]}"
                )
        for row in await store.list_broken_commits(connection, ledger["id"]):
            verdict.find(f"{subject}/commits/{row['sequence']}", "does not follow the one before")
        strays = await store.count_stray_transfers(
            connection, ledger["id"], count=ledger["transfer_count"]
        )
        if strays:
            verdict.find(subject, f"{strays} transfers have numbers that were never given out")
        async for batch in _commit_batches(connection, ledger["id"], since=since):
            read = await _check_batch(connection, verdict, ledger["id"], batch)
            commits, transfers = commits + len(batch), transfers + read
            say(f"{transfers:,} transfers in {commits:,} commits")
    verdict.counted = f"{transfers:,} transfers in {commits:,} commits"


async def _commit_batches(
    connection: Connection, ledger: int, *, since: datetime | None
) -> AsyncIterator[Sequence[Row]]:
    """Yield consecutive commits, as many at once as their transfers fit in memory."""
    after = 0
    while rows := await store.list_commits(
        connection, ledger, since=since, after=after, limit=COMMITS_READ_MAX
    ):
        start = size = 0
        for place, row in enumerate(rows):
            if size and size + row["transfer_count"] > TRANSFERS_READ_MAX:
                yield rows[start:place]
                start, size = place, 0
            size += row["transfer_count"]
        yield rows[start:]
        after = rows[-1]["sequence"]


async def _check_batch(
    connection: Connection, verdict: Verdict, ledger: int, batch: Sequence[Row]
) -> int:
    """Hold consecutive commits against their transfers; return how many transfers were read."""
    end_number = batch[-1]["first_number"] + batch[-1]["transfer_count"]
    rows = await store.list_transfers(
        connection, ledger, first_number=batch[0]["first_number"], end_number=end_number
    )
    place = 0
    for commit in batch:
        start = place
        end = commit["first_number"] + commit["transfer_count"]
        while place < len(rows) and rows[place][0] < end:
            place += 1
        held = rows[start:place]
        subject = f"{name('ledgers', ledger)}/commits/{commit['sequence']}"
        unsound = [row for row in held if not row[3]]
        for row in unsound:
            verdict.find(name("transfers", row[1]), f"was altered after {subject}")
        _check_numbers(verdict, subject, commit, held)
        digest = hashlib.sha256(b"".join(row[2] for row in held)).digest()
        if not unsound and not commit["detached"] and digest != commit["digest"]:
            verdict.find(subject, "holds other transfers than it was made of")
    return len(rows)


def _check_numbers(verdict: Verdict, subject: str, commit: Row, held: Sequence[Row]) -> None:
    """Find numbers of a commit that are missing, or given to two transfers."""
    numbers = [row[0] for row in held]
    for row, following in pairwise(held):
        if row[0] == following[0]:
            verdict.find(
                name("transfers", following[1]),
                f"has the number {row[0]} of {name('transfers', row[1])}",
            )
    expected = commit["transfer_count"] - commit["detached"]
    if len(set(numbers)) < expected:
        first, count = commit["first_number"], commit["transfer_count"]
        missing = sorted(set(range(first, first + count)) - set(numbers))
        verdict.find(
            subject,
            f"holds {len(set(numbers))} of {expected} transfers; the first number missing is "
            f"{missing[0]}",
        )


async def _check_events(
    database: Database,
    connection: Connection,
    verdict: Verdict,
    broker: Broker,
    *,
    since: datetime | None,
    say: Say,
) -> None:
    expected = await _expected_events(connection, since=since)
    topic = event_of(TransfersPosted.DESCRIPTOR).topic
    waiting = [
        TopicRecord(row["key"], row["payload"], is_from_start=True)
        for row in await store.list_outbox(connection, topic)
    ]
    events = _Events(verdict, expected)
    events.hold(waiting, place="the outbox")
    if broker.bootstrap:
        say("reading the topic")
        records = read_topic(broker.bootstrap, broker.prefix + topic)
        await asyncio.to_thread(events.hold, records, place="the topic")
        events.find_lost()
    # Asked last, so that no event that was committed meanwhile looks forged.
    async with database.read() as present:
        lasts = {row["id"]: row["event_sequence"] for row in await store.list_ledgers(present)}
    events.find_forged({name("ledgers", number): last for number, last in lasts.items()})
    verdict.counted = f"{len(events.seen):,} of {len(expected):,} events"
    if not broker.bootstrap:
        verdict.counted += ", no broker is set"
    elif not events.is_whole:
        verdict.counted += ", the topic no longer holds older ones"


async def _expected_events(
    connection: Connection, *, since: datetime | None
) -> dict[EventKey, bytes]:
    """Return the digest of each event's payload, as the commits keep it."""
    expected: dict[EventKey, bytes] = {}
    for ledger in await store.list_ledgers(connection):
        async for batch in _commit_batches(connection, ledger["id"], since=since):
            for commit in batch:
                digests = commit["event_digest"]
                for part in range(len(digests) // DIGEST_BYTES):
                    key = (name("ledgers", ledger["id"]), commit["first_event"] + part)
                    expected[key] = digests[part * DIGEST_BYTES : (part + 1) * DIGEST_BYTES]
    return expected


class _Events:
    """Records of the outbox and the topic, held against the digests that the commits keep.

    Attributes:
        seen: The events that were found as they were committed.
        is_whole: Whether the topic still holds all that it ever held.
    """

    def __init__(self, verdict: Verdict, expected: dict[EventKey, bytes]) -> None:
        self._verdict = verdict
        self._expected = expected
        self._unknown: set[EventKey] = set()
        self.seen: set[EventKey] = set()
        self.is_whole = True

    def hold(self, records: Iterable[TopicRecord], *, place: str) -> None:
        """Hold each record against its commit. A second copy of an event is no fault."""
        for record in records:
            self.is_whole &= record.is_from_start
            try:
                event = event_in(record)
            except DecodeError:
                self._verdict.find(record.key, f"{place} holds a record that is no event")
                continue
            key = (event.ledger, event.sequence)
            digest = self._expected.get(key)
            if digest is None:
                self._unknown.add(key)
            elif digest != event.digest or record.key != event.ledger:
                self._verdict.find(
                    f"{event.ledger}/events/{event.sequence}",
                    f"{place} holds it with other content than was committed",
                )
            else:
                self.seen.add(key)

    def find_lost(self) -> None:
        """Find events that are nowhere. What the topic has dropped for its age is not lost."""
        for ledger, sequence in sorted(self._expected.keys() - self.seen):
            first_kept = min((kept for of, kept in self.seen if of == ledger), default=1)
            if self.is_whole or sequence > first_kept:
                self._verdict.find(
                    f"{ledger}/events/{sequence}", "is neither waiting nor published as committed"
                )

    def find_forged(self, lasts: Mapping[str, int]) -> None:
        """Find events that no commit has made.

        One that the snapshot does not show may be older than `since`, or committed after it.
        """
        for ledger, sequence in sorted(self._unknown):
            if not 1 <= sequence <= lasts.get(ledger, 0):
                self._verdict.find(f"{ledger}/events/{sequence}", "was never committed")
