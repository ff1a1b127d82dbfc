"""Run the fault campaign: `python -m loadtests.faults [--seed N] [--rounds N]`.

Round number i has the seed SEED + i; `--seed S --rounds 1` runs the round of seed S again. Ends
with 1 where a round failed, or where what the ledger holds in the end cannot be proved.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

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
        task = loop.create_task(_run(arguments.seed, arguments.rounds))
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


async def _run(seed: int, rounds: int) -> int:
    started_s = time.monotonic()
    done: list[Round] = []
    left_out: list[str] = []
    final: list[str] = []
    seeds = iter(range(seed, seed + rounds))
    for _ in range(STACKS_MAX):
        print("starting PostgreSQL, Kafka, parties, two replicas of settlement, a consumer …")
        async with open_campaign() as campaign:
            print(f"they serve after {time.monotonic() - started_s:.0f} s", flush=True)
            if not campaign.stack.disk and not left_out:
                left_out.append(f"{DISK}: {campaign.stack.no_disk}")
                print(f"LEFT OUT {left_out[0]}")
            failed = await _run_rounds(campaign, seeds, done, rounds)
            if failed:
                at_fault = done[-1].seed
                logs = report.keep_logs(campaign.stack.logs, f"seed-{at_fault}")
                print(f"replay: make faults SEED={at_fault} ROUNDS=1; logs: {logs}")
            else:
                report.keep_logs(campaign.stack.logs, "logs")
                print("proving the whole ledger …", flush=True)
                final = await check.prove(campaign.stack, since=None)
                break
    report.print_table(done)
    path = report.write_json(done, left_out=left_out, final=final)
    for problem in final:
        print(problem)
    bad = [one.seed for one in done if one.problems]
    posted = sum(one.tally.posted for one in done)
    print(
        f"faults: {len(done) - len(bad)} rounds passed, {len(bad)} failed, {posted:,} transfers "
        f"acknowledged, {time.monotonic() - started_s:.0f} s; {path}"
    )
    return 1 if bad or final or len(done) + _count_left_out(seed, rounds, left_out) < rounds else 0


async def _run_rounds(
    campaign: Campaign, seeds: Iterator[int], done: list[Round], total: int
) -> bool:
    """Run rounds until one fails or none is left; return whether one failed."""
    for seed in seeds:
        if not faults_of(seed, with_disk=campaign.stack.disk is not None):
            print(f"seed {seed} is left out: its only fault is {DISK}")
            continue
        outcome = await campaign.run_round(seed)
        done.append(outcome)
        print(report.line_of(len(done), total, outcome), flush=True)
        if outcome.problems:
            for line in (*outcome.proofs, *outcome.problems):
                print(f"          {line}")
            return True
    return False


def _count_left_out(seed: int, rounds: int, left_out: list[str]) -> int:
    if not left_out:
        return 0
    return sum(not faults_of(each, with_disk=False) for each in range(seed, seed + rounds))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first round; 0")
    parser.add_argument("--rounds", type=int, default=20, help="how many rounds; 20")
    arguments = parser.parse_args()
    if arguments.seed < 0 or not 1 <= arguments.rounds <= ROUNDS_MAX:
        parser.error(f"seeds go from 0, rounds from 1 to {ROUNDS_MAX:,}")
    return arguments


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main())
