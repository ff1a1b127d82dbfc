"""What a round must have left: the journal, the ledger, and the consumer's copy agree, row by row.

Everything is read by the owner's own connection, after the load has ended and all is at rest.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
from ironloop.settlement.v1 import settlement_pb2 as pb

from loadtests.faults import consumer
from loadtests.faults.journal import Journal
from loadtests.faults.patience import Patience
from loadtests.faults.stack import AWAY, Stack
from services.kit.clock import BusinessClock
from services.kit.database import Database
from services.settlement.verify import Broker, verify

POLL_S = 0.1
READS_MAX = 100  # holds expire one after the other, for two seconds at most
FINDINGS_MAX = 5  # of a kind; the first ones show what happened
STATEMENT_TIMEOUT_MS = 60_000
ANSWER_WITHIN_S = 3.0
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


async def until_reached(stack: Stack, patience: Patience, *, meanwhile: Callable[[], None]) -> str:
    """Wait until the consumer is as far as the ledger is now; return what is missing, or "".

    The load goes on meanwhile, so there is always some event on its way.

    Args:
        meanwhile: Called between two looks.
    """
    goal: int | None = None
    missing = "the databases do not answer"
    async with Lookout.open(stack) as lookout:
        while not patience.is_over:
            if standing := await lookout.standing():
                goal = standing.last if goal is None else goal
                if standing.applied >= goal:
                    return ""
                missing = standing.missing()
            meanwhile()
            await asyncio.sleep(POLL_S)
    return missing


async def until_applied(stack: Stack, patience: Patience) -> str:
    """Wait until no event waits and the consumer has applied all; return what is missing, or ""."""
    missing = "the databases do not answer"
    async with Lookout.open(stack) as lookout:
        while not patience.is_over:
            if standing := await lookout.standing():
                missing = standing.missing()
                if not missing:
                    return ""
            await asyncio.sleep(POLL_S)
    return missing


@dataclass(slots=True)
class Lookout:
    """Looks at both databases over connections that it keeps: one costs more than a look."""

    stack: Stack
    _connections: dict[str, asyncpg.Connection] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def open(cls, stack: Stack) -> AsyncIterator["Lookout"]:
        """Hold one open for the length of the block."""
        lookout = cls(stack)
        try:
            yield lookout
        finally:
            lookout._forget()

    async def standing(self) -> Standing | None:
        """Return how far the events are, or None where a database is away."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                owner = await self._connection("settlement")
                waiting = await owner.fetchval("select count(*) from outbox")
                last = await owner.fetchval("select event_sequence from ledger where id = 1")
                copy = await self._connection(consumer.NAME)
                applied = await copy.fetchval(
                    "select coalesce(max(sequence), 0) from inbox where topic = $1", TOPIC
                )
                parked = await copy.fetchval("select count(*) from parked_event")
        except AWAY:
            self._forget()
            return None
        return Standing(waiting, last, applied, parked)

    async def _connection(self, database: str) -> asyncpg.Connection:
        if database not in self._connections:
            self._connections[database] = await asyncpg.connect(self.stack.owner_dsn(database))
        return self._connections[database]

    def _forget(self) -> None:
        for connection in self._connections.values():
            connection.terminate()
        self._connections.clear()


@dataclass(frozen=True, slots=True)
class Remains:
    """What both databases hold after a round, all of one standing."""

    posted: Sequence[Row]
    refused: Sequence[Row]
    balances: Sequence[Row]
    effects: Sequence[Row]
    effect_count: int
    copied: Sequence[Row]


async def check(stack: Stack, journal: Journal, before: Mark, *, since: datetime) -> list[str]:
    """Return everything that is wrong after a round."""
    remains = await _remains(stack, before)
    problems = [
        *check_transfers(journal, remains.posted, before),
        *check_refusals(journal, remains.refused, before),
        *check_effects(remains.posted, remains.effects),
        *check_copies(remains.balances, remains.copied),
    ]
    if remains.effect_count != before.transfers + len(remains.posted):
        problems.append(
            f"the consumer holds {remains.effect_count} effects of "
            f"{before.transfers + len(remains.posted)}"
        )
    return problems + await prove(stack, since=since)


async def _remains(stack: Stack, before: Mark) -> Remains:
    """Read what is left, anew where a hold expired meanwhile: a transfer that nobody asks for."""
    async with Lookout.open(stack) as lookout:
        for _ in range(READS_MAX):
            standing = await lookout.standing()
            remains = await _read(stack, before)
            await asyncio.sleep(POLL_S)
            if standing is None or standing.missing():
                continue
            if standing == await lookout.standing():
                break
    return remains


async def _read(stack: Stack, before: Mark) -> Remains:
    owner = await asyncpg.connect(stack.owner_dsn("settlement"))
    copy = await asyncpg.connect(stack.owner_dsn(consumer.NAME))
    try:
        return Remains(
            posted=await owner.fetch(
                "select * from transfer where ledger = 1 and number > $1 order by number, id",
                before.transfers,
            ),
            refused=await owner.fetch("select id, reason from rejection"),
            balances=await owner.fetch(
                "select id, credits_posted - debits_posted as balance from account order by id"
            ),
            effects=await copy.fetch(
                "select * from effect where number > $1 order by number, id", before.transfers
            ),
            effect_count=await copy.fetchval("select count(*) from effect"),
            copied=await copy.fetch("select account, balance from balance_copy"),
        )
    finally:
        await owner.close()
        await copy.close()


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
