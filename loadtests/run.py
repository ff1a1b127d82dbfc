"""One run: a stack, what the scenario needs in it, the load, the proof, the report."""

import asyncio
import fcntl
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from infra.local import paths
from infra.local.business_time import BusinessTime
from infra.local.demo.cast import Addresses
from infra.local.processes import StartFailed
from infra.local.stack import bring_up, is_up, running_stack, take_down
from infra.local.state import Stack
from loadtests import report
from loadtests.checker import Checker, Verdict, holds
from loadtests.generator import LoadFailed, generate
from loadtests.people import People
from loadtests.plan import Plan, check_local
from loadtests.prepare import Stage
from loadtests.scenario import Scenario
from loadtests.seed import Seeded, seed
from loadtests.watch import OUTAGE_S_MAX, Watched, sample, watching

RUN_LOCK = paths.STATE.with_suffix(".lock")  # beside the state's folder
REST_WITHIN_S = 180.0
REST_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked for.

    Attributes:
        uses_running: Whether to load the stack that runs, rather than one of the loads' own.
        keeps: Whether the loads' own stack stays up.
    """

    scenario: Scenario
    users: int
    duration_s: float
    loop: str
    rate: float
    has_steps: bool
    size: int
    has_web: bool
    uses_running: bool
    keeps: bool


async def run_load(wanted: Wanted) -> int:
    """Run a load; 0 where everything it proves holds."""
    console = Console()
    with _alone():
        stack = _stack_for(wanted)
        try:
            return await _load(stack, wanted, console)
        finally:
            if not (wanted.uses_running or wanted.keeps):
                take_down()


async def run_seed(size: int, *, uses_running: bool) -> Seeded:
    """Seed a stack; its own is brought up and taken down again."""
    with _alone():
        stack = running_stack() if uses_running else _bring_up(())
        check_local(stack.addresses.services)
        addresses = Addresses(stack.addresses.services)
        try:
            people = People(addresses)
            operator = await people.operator()
            clock = BusinessTime(operator, lambda: addresses.services, with_broker=True)
            with Progress() as progress:
                made = await seed(people, size, today=await clock.today(), progress=progress)
            await clock.until_at_rest()
            return made
        finally:
            await addresses.close()
            if not uses_running:
                take_down()


async def _load(stack: Stack, wanted: Wanted, console: Console) -> int:
    scenario = wanted.scenario
    check_local(stack.addresses.services)
    folder = report.FOLDER / scenario.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    facts = await _prepare(stack, wanted)
    plan = Plan(
        scenario=scenario.name,
        users=wanted.users,
        duration_s=wanted.duration_s,
        loop=wanted.loop,
        rate=wanted.rate,
        has_steps=wanted.has_steps,
        folder=str(folder),
        addresses=stack.addresses.services,
        facts=facts,
    )
    console.print(f"[bold]{scenario.title}[/bold]: {wanted.users} users, {wanted.duration_s:.0f} s")
    outage_s = min(OUTAGE_S_MAX, wanted.duration_s / 3) if scenario.has_outage else 0.0
    async with watching(stack, outage_s=outage_s, outage_at_s=wanted.duration_s / 4) as watched:
        await generate(plan, has_web=wanted.has_web)
        recovery_s = await _until_at_rest(stack, watched)
    console.print("proving …")
    verdicts = await Checker(stack, folder, watched).run()
    measured = json.loads((folder / "measured.json").read_text())
    document = report.compose(
        plan, scenario.title, measured, watched, verdicts, recovery_s=recovery_s
    )
    report.write(document, folder)
    _print(console, document, verdicts)
    console.print(f"{(folder / 'report.html').relative_to(paths.ROOT)}")
    return 0 if holds(verdicts) else 1


async def _prepare(stack: Stack, wanted: Wanted) -> dict[str, object]:
    addresses = Addresses(stack.addresses.services)
    try:
        people = People(addresses)
        operator = await people.operator()
        clock = BusinessTime(operator, lambda: addresses.services, with_broker=True)
        with Progress() as progress:
            stage = Stage(addresses, people, clock, wanted.size, progress)
            facts = await wanted.scenario.prepare(stage)
        await clock.until_at_rest()
        return facts
    finally:
        await addresses.close()


async def _until_at_rest(stack: Stack, watched: Watched) -> float:
    """Return the seconds until nothing waits any more.

    Raises:
        LoadFailed: Something still does after three minutes.
    """
    started_s = time.monotonic()
    while True:
        taken = await sample(stack, watched)
        whole = len(taken.outbox) == len(stack.addresses.services)
        if whole and not sum(taken.outbox.values()) and not sum(taken.lag.values()):
            return time.monotonic() - started_s
        if time.monotonic() - started_s > REST_WITHIN_S:
            raise LoadFailed(f"not at rest: outboxes {taken.outbox}, consumers {taken.lag}")
        await asyncio.sleep(REST_POLL_S)


def _stack_for(wanted: Wanted) -> Stack:
    if not wanted.uses_running:
        return _bring_up(wanted.scenario.services)
    if wanted.scenario.has_outage:
        raise LoadFailed("the broker of a stack that others use is not stopped")
    return running_stack()


def _bring_up(services: tuple[str, ...]) -> Stack:
    if is_up():
        take_down()
    return bring_up(services)


@contextmanager
def _alone() -> Iterator[None]:
    RUN_LOCK.parent.mkdir(parents=True, exist_ok=True)
    with RUN_LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartFailed("another load runs in this checkout; wait for its end") from None
        yield


def _print(console: Console, document: dict[str, object], verdicts: list[Verdict]) -> None:
    steps = Table("loop", "users", "rate", "operations/s", "items/s", "p50 ms", "p95 ms", "p99 ms")
    for step in [*document["curve"], *document["open_loop"]]:  # type: ignore[misc]
        steps.add_row(
            step["loop"],
            str(step["users"]),
            f"{step['rate']:,.1f}" if step["rate"] else "",
            f"{step['operations_per_second']:,.1f}",
            f"{step['items_per_second']:,.0f}",
            *(f"{step['latency_ms'][name]:,.1f}" for name in ("p50", "p95", "p99")),
        )
    console.print(steps)
    proof = Table("claim", "looked at", "verdict")
    for verdict in verdicts:
        state = "[red]broken" if verdict.problems else "[green]holds"
        proof.add_row(verdict.claim, verdict.counted, state)
    console.print(proof)
    for verdict in verdicts:
        for problem in verdict.problems:
            console.print(f"  {problem}", highlight=False)
