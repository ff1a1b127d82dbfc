"""The proof after a load, read-only: what was told is true, once, and nothing else happened."""

import asyncio
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from infra.local import paths
from infra.local.databases import dsn_of
from infra.local.environment import database_of
from infra.local.state import Stack
from loadtests import checker_store as store
from loadtests.bid_checker import BIDS, check_lot, check_told
from loadtests.event_counts import count_events
from loadtests.journal import (
    UNKNOWN,
    JournalledCommand,
    JournalledTransfer,
    read_commands,
    read_transfers,
)
from loadtests.telemetry_checker import INGEST, check_telemetry, told_instants
from loadtests.watch import Watched
from services.kit.connection import Connection
from services.settlement.transfer import SUCCESSES

PROBLEMS_MAX = 10


@dataclass(slots=True)
class Verdict:
    """What one check came to.

    Attributes:
        counted: How much it looked at, in words.
        problems: The first things that are wrong; empty where the claim holds.
    """

    claim: str
    counted: str = ""
    problems: list[str] = field(default_factory=list)

    def find(self, problem: str) -> None:
        """Note something that is wrong, up to the limit."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON takes it."""
        return {
            "claim": self.claim,
            "holds": not self.problems,
            "counted": self.counted,
            "problems": self.problems,
        }


class Checker:
    """Reads what a run has left in a stack at rest, and holds it against the run's journal."""

    def __init__(self, stack: Stack, folder: Path, watched: Watched) -> None:
        self._stack = stack
        self._folder = folder
        self._watched = watched
        self._readers: dict[str, asyncpg.Connection[asyncpg.Record]] = {}

    async def run(self) -> list[Verdict]:
        """Return the verdict of every check that the running services allow."""
        commands = read_commands(self._folder)
        running = self._stack.addresses.services
        checks: list[tuple[str, Callable[[Verdict], Awaitable[None]], str]] = [
            ("Σ ledger = 0 in every snapshot under load", self._sums, "settlement"),
            ("settlement's own proof holds", self._verify, "settlement"),
            ("no balance is or was under its limit", self._limits, "settlement"),
            ("each transfer told is in the ledger once, unaltered", self._transfers, "settlement"),
            ("each request id has one answer", lambda v: self._requests(v, commands), "parties"),
            ("each event was applied once", self._events, "parties"),
            (
                "what leases were paid is what the ledger moved",
                lambda v: self._payments(v, commands),
                "leasing",
            ),
            (
                "each request for a value made one valuation",
                lambda v: self._valuations(v, commands),
                "valuation",
            ),
            (
                "no bid is lost, doubled or reordered",
                lambda v: self._bids(v, commands),
                "marketplace",
            ),
            (
                "each reading that was told is kept once",
                lambda v: self._telemetry(v, commands),
                "maintenance",
            ),
            ("one title and one custody a machine", self._custody, "marketplace"),
            ("a listing is in one live order", self._orders, "procurement"),
            ("escrow released = funded − refunds", self._escrow, "procurement"),
        ]
        verdicts = []
        try:
            for claim, check, service in checks:
                if service in running:
                    verdict = Verdict(claim)
                    await check(verdict)
                    verdicts.append(verdict)
        finally:
            for reader in self._readers.values():
                await reader.close()
        return verdicts

    async def _sums(self, verdict: Verdict) -> None:
        verdict.counted = f"{self._watched.sums_read:,} snapshots"
        for problem in self._watched.sums_wrong:
            verdict.find(problem)
        if not self._watched.sums_read:
            verdict.find("no snapshot was read")

    async def _verify(self, verdict: Verdict) -> None:
        """Run `python -m services.settlement verify` with the service's own settings."""
        command = [sys.executable, "-m", "infra.local.topology", "run", "settlement", "verify"]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=paths.ROOT, capture_output=True, text=True, check=False
        )
        (self._folder / "verify.txt").write_text(done.stdout + done.stderr)
        verdict.counted = "see verify.txt"
        if done.returncode != 0:
            for line in (done.stdout or done.stderr).strip().splitlines()[-PROBLEMS_MAX:]:
                verdict.find(line)

    async def _limits(self, verdict: Verdict) -> None:
        reader = await self._reader("settlement")
        for account in await store.list_overdrawn(reader):
            verdict.find(f"accounts/{account} is under its limit")
        for transfer in await store.list_overdrawing(reader):
            verdict.find(f"transfers/{transfer} left an account under its limit")
        count = await reader.fetchval("select count(*) from account where flags & 3 <> 0")
        verdict.counted = f"{count:,} limited accounts"

    async def _transfers(self, verdict: Verdict) -> None:
        await check_transfers(verdict, await self._reader("settlement"), self._folder)

    async def _requests(self, verdict: Verdict, commands: Sequence[JournalledCommand]) -> None:
        """Answers to one request id must be the same; services must hold one record of it."""
        # A stream of telemetry has no request id: its readings are their own keys.
        answered = [one for one in commands if one.outcome and one.method != INGEST]
        for command in answered:
            if any(effect != command.effects[0] for effect in command.effects[1:]):
                verdict.find(f"{command.method} {command.request_id} had answers {command.effects}")
        ids = [UUID(one.request_id) for one in answered if one.outcome == "OK"]
        records: Counter[UUID] = Counter()
        for service in self._stack.addresses.services:
            records.update(await store.count_records(await self._reader(service), ids))
        if "valuation" in self._stack.addresses.services:
            records.update(await store.count_streams(await self._reader("valuation"), ids))
        for identifier in ids:
            if records[identifier] != 1:
                verdict.find(f"request {identifier} has {records[identifier]} records, not one")
        copies = sum(len(one.effects) for one in answered)
        verdict.counted = f"{len(answered):,} commands, {copies:,} answers"

    async def _events(self, verdict: Verdict) -> None:
        total = 0
        for count in await count_events(self._stack.addresses):
            total += count.published
            if count.dead:
                verdict.find(f"{count.topic}: {count.dead} events went to the dead letters")
            for consumer, applied in count.consumed.items():
                if applied != count.published:
                    verdict.find(
                        f"{consumer} applied {applied:,} of {count.published:,} events of "
                        f"{count.topic}"
                    )
        for service in self._stack.addresses.services:
            reader = await self._reader(service)
            for event in await store.list_applied_twice(reader):
                verdict.find(f"{service} applied event {event} twice")
        verdict.counted = f"{total:,} events"

    async def _payments(self, verdict: Verdict, commands: Sequence[JournalledCommand]) -> None:
        paid: defaultdict[str, int] = defaultdict(int)
        unknown: set[str] = set()
        for command in commands:
            if command.method == "PayInstalment":
                if command.outcome == "OK":
                    paid[command.subject] += command.effects[0]
                elif not command.outcome:
                    unknown.add(command.subject)
        moved = await store.sum_lease_payments(await self._reader("settlement"), list(paid))
        for lease, amount_fen in paid.items():
            if moved.get(lease, 0) != amount_fen and lease not in unknown:
                verdict.find(f"{lease} was told {amount_fen} fen, moved {moved.get(lease, 0)}")
        verdict.counted = f"{sum(paid.values()):,} fen on {len(paid)} leases"

    async def _valuations(self, verdict: Verdict, commands: Sequence[JournalledCommand]) -> None:
        made = [one for one in commands if one.method == "CreateValuation" and one.outcome == "OK"]
        names = {effect for command in made for effect in command.effects}
        if len(names) != len(made):
            verdict.find(f"{len(made)} requests were answered with {len(names)} valuations")
        ids = [UUID(name.removeprefix("valuations/")) for name in names]
        found = await store.count_valuations(await self._reader("valuation"), ids)
        if found != len(names):
            verdict.find(f"{found} of {len(names)} valuations are kept")
        batches = await self._batches(verdict, commands)
        verdict.counted = f"{len(names):,} valuations, {batches:,} portfolios"

    async def _batches(self, verdict: Verdict, commands: Sequence[JournalledCommand]) -> int:
        """Hold each portfolio that was told against its row; return how many there are."""
        made = [one for one in commands if one.method == "StreamValuations" and one.outcome == "OK"]
        told = {
            UUID(batch.removeprefix("batches/")): int(rows)
            for command in made
            for batch, rows in [effect.split() for effect in command.effects]
        }
        if len(told) != len(made):
            verdict.find(f"{len(made)} portfolios were answered with {len(told)} batches")
        kept = await store.rows_of_batches(await self._reader("valuation"), list(told))
        for batch, rows in told.items():
            if kept.get(batch) != rows:
                verdict.find(f"batches/{batch} was told {rows} rows, keeps {kept.get(batch)}")
        return len(told)

    async def _telemetry(self, verdict: Verdict, commands: Sequence[JournalledCommand]) -> None:
        reader = await self._reader("maintenance")
        kept = await store.readings_by_instant(reader, told_instants(commands))
        check_telemetry(verdict, commands, kept)

    async def _bids(self, verdict: Verdict, commands: Sequence[JournalledCommand]) -> None:
        auctions = list({one.subject for one in commands if one.method == BIDS})
        lots = await store.read_lots(await self._reader("marketplace"), auctions)
        for lot in lots.values():
            check_lot(verdict, lot)
        check_told(verdict, lots, commands)

    async def _custody(self, verdict: Verdict) -> None:
        reader = await self._reader("marketplace")
        for table in ("title_interval", "custody_interval"):
            for machine in await store.list_overlapping(reader, table):
                verdict.find(f"machines/{machine} has two rows of {table} at one instant")
            for machine in await store.list_not_open_once(reader, table):
                verdict.find(f"machines/{machine} has not one open row of {table}")
        count = await reader.fetchval("select count(*) from machine")
        verdict.counted = f"{count:,} machines"

    async def _orders(self, verdict: Verdict) -> None:
        reader = await self._reader("procurement")
        for row in await store.list_twice_ordered(reader):
            verdict.find(f"{row['machine']} is in {row['orders']} live orders")
        count = await reader.fetchval("select count(*) from purchase_order")
        verdict.counted = f"{count:,} orders"

    async def _escrow(self, verdict: Verdict) -> None:
        """Money of an order that is over has left its escrow, whole."""
        over = await store.list_orders_over(await self._reader("procurement"))
        rows = await store.sum_escrows(await self._reader("settlement"))
        funded_fen = 0
        for row in rows:
            funded_fen += row["funded"]
            left_fen = row["funded"] - row["refunded"] - row["released"]
            if left_fen != row["balance"]:
                verdict.find(f"escrow of {row['reference']} holds {row['balance']}, not {left_fen}")
            if row["reference"] in over and left_fen:
                verdict.find(f"{row['reference']} is over and {left_fen} fen stay in its escrow")
        verdict.counted = f"{len(rows):,} escrows, {funded_fen:,} fen funded"

    async def _reader(self, service: str) -> "asyncpg.Connection[asyncpg.Record]":
        if service not in self._readers:
            dsn = dsn_of(self._stack.addresses.postgres_dsn, database=database_of(service))
            settings = {"default_transaction_read_only": "on"}
            self._readers[service] = await asyncpg.connect(dsn, server_settings=settings)
        return self._readers[service]


async def check_transfers(verdict: Verdict, reader: Connection, folder: Path) -> None:
    """Hold what users were told of transfers against what the ledger holds."""
    told: Counter[str] = Counter()
    for entries in read_transfers(folder):
        ids = list({entry.id for entry in entries})
        posted = await store.find_transfers(reader, ids)
        refused = await store.find_refusals(reader, ids)
        for entry in entries:
            if entry.code == UNKNOWN:
                told["never answered"] += 1
                continue
            told["posted" if entry.code in SUCCESSES else "refused"] += 1
            problem = _problem_of(entry, posted.get(entry.id), refused.get(entry.id))
            if problem is not None:
                verdict.find(f"transfers/{entry.id} {problem}")
    verdict.counted = ", ".join(f"{count:,} {what}" for what, count in told.items()) or "none"


def _problem_of(
    entry: JournalledTransfer, posted: tuple[int, int, int] | None, refused: int | None
) -> str | None:
    """Return what is wrong with a transfer that was answered, or None."""
    if entry.code in SUCCESSES:
        if posted is None:
            return "was acknowledged and is missing"
        sent = entry[1:4]
        return f"was sent as {sent} and is in the ledger as {posted}" if posted != sent else None
    if posted is not None:
        return "was refused and is in the ledger"
    if refused != entry.code:
        return f"was refused with {entry.code}, and stored is {refused}"
    return None


def holds(verdicts: Sequence[Verdict]) -> bool:
    """Whether every claim holds."""
    return bool(verdicts) and not any(verdict.problems for verdict in verdicts)
