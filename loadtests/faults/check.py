"""What a round must have left: the journal, the ledger, and the consumer's copy agree, row by row.

Everything is read by the owner's own connection, after the load has ended and all is at rest.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from ironloop.settlement.v1 import settlement_pb2 as pb

from loadtests.faults import consumer
from loadtests.faults.journal import Journal
from loadtests.faults.stack import AWAY, Stack
from services.kit.clock import BusinessClock
from services.kit.database import Database
from services.settlement.verify import Broker, verify

POLL_S = 0.05
FINDINGS_MAX = 5  # of a kind; the first ones show what happened
STATEMENT_TIMEOUT_MS = 60_000
CONNECT_WITHIN_S = 2.0
TOPIC = "settlement.ledger.v1"

Row = asyncpg.Record


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the events are.

    Attributes:
        waiting: Events in the outbox.
        last: The ledger's last event.
        applied: The last that the consumer has applied.
        parked: Events that it has set aside.
    """

    waiting: int
    last: int
    applied: int
    parked: int

    def missing(self) -> str:
        """Return what is not done yet, or ""."""
        if not self.waiting and not self.parked and self.applied == self.last:
            return ""
        return (
            f"{self.waiting} events wait in the outbox, {self.applied} of {self.last} are applied, "
            f"{self.parked} are parked"
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the ledger stood before a round.

    Attributes:
        transfers: How many it held.
        refusals: How many it kept.
    """

    transfers: int
    refusals: int


async def mark(stack: Stack) -> Mark:
    """Return where the ledger stands."""
    owner = await asyncpg.connect(stack.owner_dsn("settlement"))
    try:
        return Mark(
            await owner.fetchval("select transfer_count from ledger where id = 1"),
            await owner.fetchval("select count(*) from rejection"),
        )
    finally:
        await owner.close()


async def until_reached(stack: Stack, *, deadline_s: float, meanwhile: Callable[[], None]) -> bool:
    """Wait until the consumer is as far as the ledger is now; return whether it is in time.

    The load goes on meanwhile, so there is always some event on its way.

    Args:
        deadline_s: Monotonic.
        meanwhile: Called between two looks.
    """
    goal: int | None = None
    while time.monotonic() < deadline_s:
        with contextlib.suppress(*AWAY):
            standing = await _standing(stack)
            goal = standing.last if goal is None else goal
            if standing.applied >= goal:
                return True
        meanwhile()
        await asyncio.sleep(POLL_S)
    return False


async def until_applied(stack: Stack, *, deadline_s: float) -> str:
    """Wait until no event waits and the consumer has applied all; return what is missing, or "".

    Args:
        deadline_s: Monotonic.
    """
    missing = "the databases do not answer"
    while time.monotonic() < deadline_s:
        with contextlib.suppress(*AWAY):
            missing = (await _standing(stack)).missing()
            if not missing:
                return ""
        await asyncio.sleep(POLL_S)
    return missing


async def _standing(stack: Stack) -> Standing:
    owner = await asyncpg.connect(stack.owner_dsn("settlement"), timeout=CONNECT_WITHIN_S)
    try:
        waiting = await owner.fetchval("select count(*) from outbox")
        last = await owner.fetchval("select event_sequence from ledger where id = 1")
    finally:
        owner.terminate()
    copy = await asyncpg.connect(stack.owner_dsn(consumer.NAME), timeout=CONNECT_WITHIN_S)
    try:
        applied = await copy.fetchval(
            "select coalesce(max(sequence), 0) from inbox where topic = $1", TOPIC
        )
        parked = await copy.fetchval("select count(*) from parked_event")
    finally:
        copy.terminate()
    return Standing(waiting, last, applied, parked)


async def check(stack: Stack, journal: Journal, before: Mark, *, since: datetime) -> list[str]:
    """Return everything that is wrong after a round."""
    owner = await asyncpg.connect(stack.owner_dsn("settlement"))
    copy = await asyncpg.connect(stack.owner_dsn(consumer.NAME))
    try:
        posted = await owner.fetch(
            "select * from transfer where ledger = 1 and number > $1 order by number, id",
            before.transfers,
        )
        refused = await owner.fetch("select id, reason from rejection")
        balances = await owner.fetch(
            "select id, credits_posted - debits_posted as balance from account order by id"
        )
        effects = await copy.fetch(
            "select * from effect where number > $1 order by number, id", before.transfers
        )
        effect_count = await copy.fetchval("select count(*) from effect")
        copied = await copy.fetch("select account, balance from balance_copy")
    finally:
        await owner.close()
        await copy.close()
    problems = [
        *check_transfers(journal, posted, before),
        *check_refusals(journal, refused, before),
        *check_effects(posted, effects),
        *check_copies(balances, copied),
    ]
    if effect_count != before.transfers + len(posted):
        problems.append(
            f"the consumer holds {effect_count} effects of {before.transfers + len(posted)}"
        )
    return problems + await prove(stack, since=since)


async def prove(stack: Stack, *, since: datetime | None) -> list[str]:
    """Return what settlement's own proof finds."""
    async with Database.open(
        stack.owner_dsn("settlement"),
        service="settlement",
        clock=BusinessClock(),
        size_max=2,
        statement_timeout_ms=STATEMENT_TIMEOUT_MS,
    ) as database:
        verdicts = await verify(
            database, Broker(stack.bootstrap, ""), since=since, say=lambda _: None
        )
    return [
        f"verify: {finding.subject} {finding.problem}"
        for verdict in verdicts
        for finding in verdict.findings
    ]


def check_transfers(journal: Journal, posted: Sequence[Row], before: Mark) -> list[str]:
    """Hold what was acknowledged against the ledger, both ways."""
    problems: list[str] = []
    by_id: dict[str, Row] = {}
    for row in posted:
        if str(row["id"]) in by_id:
            problems.append(f"transfers/{row['id']} is in the ledger twice")
        by_id[str(row["id"])] = row
    numbers = [row["number"] for row in posted]
    first = before.transfers + 1
    if numbers != list(range(first, first + len(numbers))):
        problems.append("the numbers of the round's transfers have gaps or repeat")
    for identifier, entry in journal.entries.items():
        held = by_id.get(identifier)
        if entry.result is None:
            problems.append(f"transfers/{identifier} was never answered")
        elif not entry.is_posted:
            if held is not None:
                problems.append(f"transfers/{identifier} was refused and is in the ledger")
        elif held is not None:
            problems += _differences(entry.row, entry.result, held)
        elif entry.result.number > before.transfers:
            problems.append(f"transfers/{identifier} was acknowledged and is not in the ledger")
    problems += _check_unasked(journal, by_id)
    return problems[:FINDINGS_MAX]


def _check_unasked(journal: Journal, by_id: dict[str, Row]) -> list[str]:
    """Return what nobody asked for; only a hold whose time is up is released unasked, once."""
    problems = []
    expired: Counter[str] = Counter()
    for identifier, row in by_id.items():
        if identifier in journal.entries:
            continue
        if row["kind"] == pb.TRANSFER_KIND_EXPIRE_PENDING:
            expired[str(row["pending_id"])] += 1
        else:
            problems.append(f"transfers/{identifier} is in the ledger and was never sent")
    problems += [f"transfers/{hold} expired {n} times" for hold, n in expired.items() if n > 1]
    return problems


def _differences(sent: pb.Transfer, result: pb.TransferResult, row: Row) -> list[str]:
    """Return in what a transfer of the ledger is not as it was sent and answered."""
    is_resolving = bool(sent.pending_id)
    wanted = {
        "txn": sent.txn or sent.id,
        "kind": sent.kind,
        "timeout_s": sent.timeout_s,
        "linked": sent.linked,
        "code": sent.code,
        "purpose": sent.purpose,
        "memo": sent.memo,
        "pending_id": sent.pending_id or "None",
        "number": result.number,
        "debit_balance": result.debit_balance_fen,
        "debit_available": result.debit_available_fen,
        "credit_balance": result.credit_balance_fen,
        "credit_available": result.credit_available_fen,
    }
    if not is_resolving:  # one that resolves a hold takes the hold's accounts
        wanted |= {"debit_account": sent.debit_account, "credit_account": sent.credit_account}
    if sent.amount_fen or not is_resolving:
        wanted["amount"] = sent.amount_fen
    held = {name: str(row[name]) for name in wanted}
    return [
        f"transfers/{sent.id} was altered: {name} is {held[name]}, not {value}"
        for name, value in wanted.items()
        if held[name] != str(value)
    ]


def check_refusals(journal: Journal, refused: Sequence[Row], before: Mark) -> list[str]:
    """Hold the refusals that were answered against those that are kept."""
    kept = {str(row["id"]): row["reason"] for row in refused}
    problems = []
    answered = 0
    for identifier, entry in journal.entries.items():
        if entry.result is None or entry.is_posted:
            continue
        answered += 1
        if kept.get(identifier) != entry.result.code:
            problems.append(
                f"transfers/{identifier} was refused with {entry.result.code}, and "
                f"{kept.get(identifier)} is kept"
            )
    if len(refused) > before.refusals + answered:
        problems.append(f"{len(refused) - before.refusals} refusals are new, {answered} were told")
    return problems[:FINDINGS_MAX]


def check_effects(posted: Sequence[Row], effects: Sequence[Row]) -> list[str]:
    """Hold the consumer's effects against the ledger: each transfer once, and as it is."""
    columns = ("number", "id", "debit_account", "credit_account", "amount", "kind")
    wanted = Counter(tuple(row[name] for name in columns) for row in posted)
    held = Counter(tuple(row[name] for name in columns) for row in effects)
    problems = [f"no effect of transfer {row[0]}, {row[1]}" for row in wanted - held]
    problems += [f"an effect too many of transfer {row[0]}, {row[1]}" for row in held - wanted]
    return problems[:FINDINGS_MAX]


def check_copies(balances: Sequence[Row], copied: Sequence[Row]) -> list[str]:
    """Hold the sums that the consumer keeps against the accounts."""
    copies = {row["account"]: row["balance"] for row in copied}
    return [
        f"accounts/{row['id']} holds {row['balance']} fen, the consumer's copy "
        f"{copies.get(row['id'], 0)}"
        for row in balances
        if copies.get(row["id"], 0) != row["balance"]
    ][:FINDINGS_MAX]
