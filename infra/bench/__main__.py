"""Run benchmarks: `python -m infra.bench [--only kit]`; each writes `build/bench/<name>.json`."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import uvloop

from infra.bench import kit, loop, settlement, valuation
from infra.bench.report import Figure, print_table, write_json

# Each takes minutes on two cores; add one here and it is part of `make bench`.
BENCHES: dict[str, Callable[[], Coroutine[Any, Any, list[Figure]]]] = {
    "kit": kit.measure,
    "settlement": settlement.measure,
    "valuation": valuation.measure,
    "loop": loop.measure,
}


def main(arguments: Sequence[str]) -> int:
    """Run the wanted benchmarks; 1 where a figure misses what it must reach, or is rejected."""
    parser = argparse.ArgumentParser(prog="python -m infra.bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(BENCHES), help="run one of them")
    only = parser.parse_args(arguments).only
    missed = 0
    for name, measure in BENCHES.items():
        if only in (None, name):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                figures = runner.run(measure())
            write_json(name, figures)
            print_table(name, figures)
            missed += sum(one.reaches_must is False or one.is_rejected for one in figures)
            if any(figure.is_rejected for figure in figures):
                print("the rounds lie too far apart: measure again on a quieter machine")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
