"""Events made anew from the ledger itself, for a broker that lost its log.

Transfers of a detached partition are read as long as its table is in the database, or back in it.
An event is only published where it is, byte for byte, what its commit kept the digest of, under
the id and sequence that it had: consumers that applied it pass over it, the others go on from it.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from services.kit import outbox
from services.kit.connection import Connection, Row
from services.kit.database import Database
from services.kit.kafka_log import KafkaEventLog
from services.kit.outbox import OutboxRow
from services.settlement import verify_store as store
from services.settlement.account import Ledger
from services.settlement.copy_form import DIGEST_BYTES
from services.settlement.events import event_id, events_of, payload_digest, transfer_to_wire
from services.settlement.posting_store import find_ledger, list_numbered

COMMITS_AT_ONCE = 20  # twenty thousand transfers where commits are of a thousand
SOURCE = "settlement"

Say = Callable[[str], None]


class BrokerSilent(Exception):
    """The broker does not acknowledge what is published."""


@dataclass(slots=True)
class Republished:
    """What became of the events of some commits.

    Attributes:
        events: How many were published.
        unlike: Events that could not be made as they were committed, and why.
    """

    events: int
    unlike: list[str]


async def republish(
    database: Database, log: KafkaEventLog, *, since: datetime, say: Say
) -> Republished:
    """Publish the events of every commit from an instant of domain time on, in order.

    Raises:
        BrokerSilent: The broker does not take them; those before are published.
    """
    done = Republished(0, [])
    async with database.snapshot() as connection:
        for row in await store.list_ledgers(connection):
            ledger = await find_ledger(connection, row["id"])
            async for commits in _commits(connection, ledger.id, since=since):
                await _publish(connection, log, ledger, commits, done)
                say(f"{ledger.name}: commit {commits[-1]['sequence']:,}, {done.events:,} events")
    return done


async def _commits(
    connection: Connection, ledger: int, *, since: datetime
) -> AsyncIterator[Sequence[Row]]:
    after = 0
    while rows := await store.list_commits(
        connection, ledger, since=since, after=after, limit=COMMITS_AT_ONCE
    ):
        yield rows
        after = rows[-1]["sequence"]


async def _publish(
    connection: Connection,
    log: KafkaEventLog,
    ledger: Ledger,
    commits: Sequence[Row],
    done: Republished,
) -> None:
    end_number = commits[-1]["first_number"] + commits[-1]["transfer_count"]
    first_number = commits[0]["first_number"]
    posted = await list_numbered(
        connection, ledger.id, first_number=first_number, end_number=end_number
    )
    if any(commit["detached"] for commit in commits):
        posted += await store.list_detached(
            connection, ledger.id, first_number=first_number, end_number=end_number
        )
        posted.sort(key=attrgetter("number"))
    ready: list[OutboxRow] = []
    place = 0
    for commit in commits:
        beyond = commit["first_number"] + commit["transfer_count"]
        start = place
        while place < len(posted) and posted[place].number < beyond:
            place += 1
        transfers = posted[start:place]
        if len(transfers) != commit["transfer_count"]:
            done.unlike.append(
                f"{ledger.name} commit {commit['sequence']}: {len(transfers)} of "
                f"{commit['transfer_count']} transfers are at hand; {commit['detached']} were "
                "detached with their partition: bring its table back from the archive under its "
                "name, and run this again"
            )
            continue
        before = _before(ledger, commit)
        told = [transfer_to_wire(each) for each in transfers]
        for part, event in enumerate(events_of(before, transfers, told)):
            row = outbox.row_of(
                event,
                service=SOURCE,
                occurred_at=commit["event_at"],
                event_id=event_id(event, commit["event_at"]),
            )
            kept = commit["event_digest"][part * DIGEST_BYTES : (part + 1) * DIGEST_BYTES]
            if payload_digest(row.payload) == kept:
                ready.append(row)
            else:
                done.unlike.append(
                    f"{ledger.name}/events/{event.sequence}: its transfers are not what "
                    "was committed"
                )
    await _send(log, ready)
    done.events += len(ready)


def _before(ledger: Ledger, commit: Row) -> Ledger:
    """Return a ledger as it stood before a commit, as far as events tell of it."""
    return replace(
        ledger,
        event_sequence=commit["first_event"] - 1,
        commit_count=commit["sequence"] - 1,
        transfer_count=commit["first_number"] - 1,
        last_event_at=None,
    )


async def _send(log: KafkaEventLog, rows: Sequence[OutboxRow]) -> None:
    shaped: list[Any] = [
        {"topic": row.topic, "key": row.key, "headers": row.headers, "payload": row.payload}
        for row in rows
    ]
    taken = await log.publish(shaped)
    if taken != len(rows):
        raise BrokerSilent(f"{taken} of {len(rows)} events were acknowledged")
