"""Run the fault campaign: `python -m loadtests.faults [--seed N] [--rounds N]`.

Round number i has the seed SEED + i; `--seed S --rounds 1` runs the round of seed S again. Ends
with 1 where a round failed, or where what the ledger holds in the end cannot be proved.
"""

import argparse
import asyncio
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from infra.local.processes import StartFailed
from loadtests.faults import check, report
from loadtests.faults.campaign import Campaign, Round, open_campaign
from loadtests.faults.plan import DISK, faults_of

ROUNDS_MAX = 10_000
STACKS_MAX = 3  # a failed round's stack is not trusted; after so many failures there is no point
INTERRUPTED = 130


def main() -> int:
    """Run the campaign of this process's arguments."""
    arguments = _parse()
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(_run(arguments.seed, arguments.rounds, arguments.out))
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            return loop.run_until_complete(task)
        except asyncio.CancelledError:
            print("interrupted; nothing is left running", file=sys.stderr)
            return INTERRUPTED
        except (StartFailed, TimeoutError) as error:
            print(f"the campaign cannot start: {error or 'not in time'}", file=sys.stderr)
            return 1


async def _run(seed: int, rounds: int, folder: Path) -> int:
    started_s = time.monotonic()
    course = Course(seed, rounds)
    try:
        while course.is_under_way:
            print("starting PostgreSQL, Kafka, parties, two replicas of settlement, a consumer …")
            async with open_campaign() as campaign:
                print(f"they serve after {time.monotonic() - started_s:.0f} s", flush=True)
                await course.run_on(campaign)
                report.keep_logs(campaign.stack.logs, folder / f"logs-{len(course.stacks)}")
    finally:  # an interrupted campaign tells what it saw, too
        _report(course, folder, seconds=time.monotonic() - started_s)
    return 1 if course.failed or course.final or course.left else 0


def _report(course: "Course", folder: Path, *, seconds: float) -> None:
    """Print the table and what the whole ledger's proof found, and write everything down."""
    report.print_table(course.done)
    path = report.write_json(
        folder,
        course.done,
        stacks=course.stacks,
        left_out=course.left_out,
        final=course.final,
    )
    for problem in course.final:
        print(problem)
    posted = sum(one.tally.posted for one in course.done)
    print(
        f"faults: {len(course.done) - len(course.failed)} rounds passed, "
        f"{len(course.failed)} failed, {course.left} not run, {posted:,} transfers acknowledged, "
        f"{seconds:.0f} s; {path}"
    )


@dataclass(slots=True)
class Course:
    """The rounds of a campaign, on one stack as long as none fails.

    Attributes:
        left: Rounds that have not begun.
        left_out: Faults that this machine does not allow, and why.
        final: What the proof of a whole ledger found.
    """

    seed: int
    left: int
    done: list[Round] = field(default_factory=list)
    stacks: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    final: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[Round]:
        """Return the rounds that failed."""
        return [one for one in self.done if one.problems]

    @property
    def is_under_way(self) -> bool:
        """Whether there are rounds to run, and they are worth it."""
        return self.left > 0 and len(self.stacks) < STACKS_MAX

    async def run_on(self, campaign: Campaign) -> None:
        """Run rounds on a stack until one fails or none is left, then prove the whole ledger."""
        self.stacks.append(campaign.stack.folder)
        if campaign.stack.no_disk and not self.left_out:
            self.left_out.append(f"{DISK}: {campaign.stack.no_disk}")
            print(f"LEFT OUT {self.left_out[0]}")
        total = len(self.done) + self.left
        while self.left:
            seed, self.seed, self.left = self.seed, self.seed + 1, self.left - 1
            if not faults_of(seed, with_disk=campaign.stack.disk is not None):
                print(f"seed {seed} is left out: its only fault is {DISK}")
                continue
            try:
                outcome = await campaign.run_round(seed)
            except Exception:
                print(f"seed {seed} broke the campaign itself:", flush=True)
                raise
            self.done.append(outcome)
            print(report.line_of(len(self.done), total, outcome), flush=True)
            if outcome.problems:
                for line in (*outcome.proofs, *outcome.problems):
                    print(f"          {line}")
                print(f"replay: make faults SEED={seed} ROUNDS=1")
                return
        print("proving the whole ledger …", flush=True)
        self.final = await check.prove(campaign.stack, since=None)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first round; 0")
    parser.add_argument("--rounds", type=int, default=20, help="how many rounds; 20")
    parser.add_argument("--out", type=Path, default=report.DEFAULT_FOLDER, help="for the report")
    arguments = parser.parse_args()
    if arguments.seed < 0 or not 1 <= arguments.rounds <= ROUNDS_MAX:
        parser.error(f"seeds go from 0, rounds from 1 to {ROUNDS_MAX:,}")
    return arguments


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main())
