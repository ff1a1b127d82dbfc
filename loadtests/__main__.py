"""`make load` and `make seed`: drive a local stack to its limit, and prove that nothing was lost.

The stack is one of the loads' own, in .local/load, unless the running one is asked for.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import grpc

ROOT = Path(__file__).resolve().parents[1]
OWN_STATE = ROOT / ".local" / "load"


def main() -> int:
    """Run a load or a seeding; 0 where all went well and everything that is proven holds."""
    arguments = _parse()
    if arguments.stack == "own":
        os.environ["IRONLOOP_STATE"] = str(OWN_STATE)
    # Imported here: they read the state's folder when they are imported.
    from infra.local.business_time import NotAtRest  # noqa: PLC0415
    from infra.local.processes import StartFailed  # noqa: PLC0415
    from loadtests.generator import LoadFailed  # noqa: PLC0415
    from loadtests.plan import NotLocal  # noqa: PLC0415

    try:
        return _seed(arguments) if arguments.command == "seed" else _load(arguments)
    except (StartFailed, LoadFailed, NotLocal, NotAtRest, ValueError) as error:
        print(f"{arguments.command}: {error}", file=sys.stderr)
    except grpc.aio.AioRpcError as error:
        print(f"{arguments.command}: {error.code().name} {error.details()}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
    return 1


def _seed(arguments: argparse.Namespace) -> int:
    from loadtests.run import run_seed  # noqa: PLC0415
    from loadtests.seed import size_of  # noqa: PLC0415

    made = asyncio.run(run_seed(size_of(arguments.size), uses_running=arguments.stack == "running"))
    print(
        f"{len(made.sellers)} sellers, {len(made.buyers)} buyers, {len(made.wallets):,} accounts; "
        f"machines: {made.created:,} created, {made.unchanged:,} were there"
    )
    return 0


def _load(arguments: argparse.Namespace) -> int:
    from loadtests.plan import DURATION_S_MAX, USERS_MAX  # noqa: PLC0415
    from loadtests.run import Wanted, run_load  # noqa: PLC0415
    from loadtests.scenario import MISSING, SCENARIOS  # noqa: PLC0415
    from loadtests.seed import size_of  # noqa: PLC0415

    name = arguments.scenario.lower()
    if name in MISSING:
        raise ValueError(f"{name} cannot be run yet: {MISSING[name]}")
    if name not in SCENARIOS:
        lines = [f"  {one.name:<8} {one.title}" for one in SCENARIOS.values()]
        raise ValueError("\n".join([f'there is no scenario "{name}"; there are:', *lines]))
    scenario = SCENARIOS[name]
    users = arguments.users or scenario.users
    if not 1 <= users <= USERS_MAX:
        raise ValueError(f"{users} users; 1 to {USERS_MAX} may be")
    if not 5 <= arguments.duration <= DURATION_S_MAX:
        raise ValueError(f"{arguments.duration} s; a load lasts 5 to {DURATION_S_MAX:,} s")
    if arguments.rate < 0 or (arguments.loop == "open" and not arguments.rate):
        raise ValueError("an open loop alone needs RATE, operations a second")
    return asyncio.run(
        run_load(
            Wanted(
                scenario=scenario,
                users=users,
                duration_s=float(arguments.duration),
                loop="closed" if scenario.has_outage else arguments.loop,
                rate=arguments.rate if arguments.loop == "open" else 0.0,
                has_steps=not scenario.has_outage,
                size=size_of(arguments.size),
                has_web=arguments.web,
                uses_running=arguments.stack == "running",
                keeps=arguments.keep,
            )
        )
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    seed = commands.add_parser("seed", help="make the machines, parties and accounts of a size")
    load = commands.add_parser("load", help="run a scenario")
    load.add_argument("scenario", help="batches, stream, unary, s1, s2, s3, s4, s7, s8")
    load.add_argument("--users", type=int, default=0, help="how many at the most")
    load.add_argument("--duration", type=int, default=60, help="seconds")
    load.add_argument("--loop", choices=("both", "closed", "open"), default="both")
    load.add_argument("--rate", type=float, default=0.0, help="of an open loop, operations/s")
    load.add_argument("--web", action="store_true", help="show locust's page meanwhile")
    load.add_argument("--keep", action="store_true", help="leave the loads' own stack up")
    for command in (seed, load):
        command.add_argument("--size", default="small", help="small, medium, large, or a number")
        command.add_argument("--stack", choices=("own", "running"), default="own")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
