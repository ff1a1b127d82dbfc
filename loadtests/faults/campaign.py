"""The campaign: round after round on one stack, each broken by its seed, then held to account."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ironloop.settlement.v1 import settlement_pb2 as pb

from infra.local.processes import tail
from loadtests.faults import check
from loadtests.faults.bank import Bank
from loadtests.faults.journal import Journal, Tally
from loadtests.faults.knocking import Knocking
from loadtests.faults.patience import Patience
from loadtests.faults.plan import DISK, Fault, faults_of
from loadtests.faults.stack import AWAY, CONSUMER, REPLICAS, Stack, open_stack
from loadtests.faults.strike import Strike, strike
from loadtests.faults.traffic import FUNDED_FEN, WALLETS, Client, Traffic, fund
from services.kit.ids import new_id

SERVES_WITHIN_S = 30.0  # of a machine of its own, see `patience`
CALM_S = (0.2, 0.6)  # of load before a fault, and after everything serves again
PROBE_EVERY_S = 0.05
STRIKES_WITHIN_S = 120.0
DOMAIN_TIME_SLACK = timedelta(seconds=5)
PARTIES = "parties"  # its links only carry something where somebody asks for it


@dataclass(frozen=True, slots=True)
class Round:
    """What a round came to.

    Attributes:
        recovery_s: From the end of its last fault until all serves again, by the clock; None
            where not all did in time.
        counted_s: The same, less what others held of the machine: what the limit is about.
        problems: Empty where it passed.
    """

    seed: int
    faults: list[str]
    proofs: list[str]
    tally: Tally
    snapshots: int
    recovery_s: float | None
    counted_s: float
    seconds: float
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a stack came to serve again.

    Attributes:
        wall_s: How long it took, by the clock.
        used_s: How much of that counts.
        missing: What does not serve yet; "" where all does.
    """

    is_met: bool
    wall_s: float
    used_s: float
    missing: str


@dataclass(slots=True)
class Campaign:
    """A stack under load, and everything that watches it."""

    stack: Stack
    client: Client
    traffic: Traffic
    bank: Bank
    _token: list[str]
    _reading: "asyncio.Task[None]"

    async def run_round(self, seed: int) -> Round:
        """Run the round of a seed."""
        started_s = time.monotonic()
        since = datetime.now(UTC) - DOMAIN_TIME_SLACK
        rng = random.Random(f"round {seed}")
        faults = faults_of(seed, with_disk=self.stack.disk is not None)
        self._token[0] = await self.stack.token()
        self.client.journal.begin_round(self.traffic.kept_rows())
        self.bank.begin_round()
        before = await check.mark(self.stack)
        strikes, recovery, problems = await self._break(seed, faults, rng)
        journal = self.client.journal
        problems += await self._come_to_rest()
        try:
            problems += await check.check(self.stack, journal, before, since=since)
        except AWAY as error:
            problems.append(f"what is left cannot be read: {error!r}")
        if self._reading.done():
            problems.append(f"the reader has ended: {self._reading.exception()!r}")
        elif not self.bank.reads:
            problems.append("the reader saw no snapshot")
        return Round(
            seed,
            [fault.name for fault in faults],
            [f"{one.fault.name}: {one.proof}" for one in strikes],
            journal.tally,
            self.bank.reads,
            recovery.wall_s if recovery.is_met else None,
            recovery.used_s,
            time.monotonic() - started_s,
            [*problems, *self.bank.problems, *journal.problems],
        )

    async def _break(
        self, seed: int, faults: list[Fault], rng: random.Random
    ) -> tuple[list[Strike], Recovery, list[str]]:
        """Break the stack under load; return what struck, the recovery, and what was wrong."""
        stopping = asyncio.Event()
        leader = await self.stack.leader()
        load = [asyncio.create_task(self.traffic.run(seed, stopping))]
        if any(PARTIES in fault.parts for fault in faults):
            knocking = Knocking(self.stack, self.client, self._token)
            load.append(asyncio.create_task(knocking.run(stopping)))
        try:
            await asyncio.sleep(rng.uniform(*CALM_S))
            async with asyncio.timeout(STRIKES_WITHIN_S):
                strikes = await asyncio.gather(
                    *(
                        strike(self.stack, one, random.Random(rng.random()), leader=leader)
                        for one in faults
                    )
                )
            problems = [f"{one.fault.name} never fired" for one in strikes if not one.fired]

            def start_ended() -> None:
                problems.extend(self._start_ended(faults))

            start_ended()
            last_s = max(one.ended_at_s for one in strikes)
            recovery = await self._recover(last_s, meanwhile=start_ended)
            if not recovery.is_met:
                problems.append(
                    f"not all serves after {recovery.wall_s:.1f} s, of which {recovery.used_s:.1f} "
                    f"count of {SERVES_WITHIN_S:.0f} s: {recovery.missing}"
                )
            await asyncio.sleep(rng.uniform(*CALM_S))
        finally:
            stopping.set()
            await asyncio.gather(*load)
        return strikes, recovery, problems

    def _start_ended(self, faults: list[Fault]) -> list[str]:
        """Start what has ended by itself, and return with its last log lines what should not have.

        A full disk may end PostgreSQL, and what starts while PostgreSQL is away ends again: an
        orchestrator starts it until it stays.
        """
        logs = {name: process.log for name, process in self.stack.processes.items()}
        allowed = {"postgres"} if any(fault.kind == DISK for fault in faults) else set()
        if any(fault.kind == "kill" for fault in faults):
            allowed |= {*REPLICAS, CONSUMER}
        return [
            f"{name} ended by itself:\n{tail(logs[name])}"
            for name in self.stack.start_ended()
            if name not in allowed
        ]

    async def _recover(self, since_s: float, *, meanwhile: Callable[[], None]) -> Recovery:
        """Wait until tokens are issued, both replicas post and the consumer applies."""
        patience = Patience(SERVES_WITHIN_S, since_s)

        def recovery(missing: str = "") -> Recovery:
            return Recovery(not missing, patience.wall_s, patience.used_s, missing)

        while not await self.stack.try_token():
            meanwhile()
            if patience.is_over:
                return recovery("parties issues no token")
            await asyncio.sleep(PROBE_EVERY_S)
        for replica in range(len(REPLICAS)):
            probe = (self._probe(),)
            while not await self.client.post(probe, replica=replica):
                meanwhile()
                if patience.is_over:
                    return recovery(f"{REPLICAS[replica]} does not post")
                await asyncio.sleep(PROBE_EVERY_S)
        missing = await check.until_reached(self.stack, patience, meanwhile=meanwhile)
        return recovery(missing)

    def _probe(self) -> pb.Transfer:
        debit, credit = self.traffic.wallets[:2]
        return pb.Transfer(
            id=str(new_id()),
            kind=pb.TRANSFER_KIND_POSTED,
            debit_account=debit,
            credit_account=credit,
            amount_fen=1,
            code=pb.TRANSFER_CODE_LEASE_RENT,
            purpose="campaign/probe",
        )

    async def _come_to_rest(self) -> list[str]:
        """Ask for every fate that is unknown, and wait until every event has its effect."""
        patience = Patience(SERVES_WITHIN_S)
        while not await self.traffic.settle(replica=0):
            if patience.is_over:
                return ["some transfers are not answered, however often they are sent"]
            await asyncio.sleep(PROBE_EVERY_S)
        missing = await check.until_applied(self.stack, patience)
        return [f"not at rest: {missing}"] if missing else []


@asynccontextmanager
async def open_campaign() -> AsyncIterator[Campaign]:
    """Hold a stack with funded wallets and its watchers open for the length of the block."""
    async with open_stack() as stack:
        token = [await stack.token()]
        addresses = [stack.channel_address(replica) for replica in REPLICAS]
        async with Client(Journal(), addresses, lambda: token[0]) as client:
            bank_account, wallets = await fund(client)
            bank = Bank(stack.owner_dsn("settlement"), bank_account, WALLETS * FUNDED_FEN)
            reading = asyncio.create_task(bank.run())
            try:
                traffic = Traffic(client, wallets)
                yield Campaign(stack, client, traffic, bank, token, reading)
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
