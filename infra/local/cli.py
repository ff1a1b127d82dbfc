"""The commands of the local stack; each imports what it needs when it runs."""

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

from infra.local.parts import Topology

INTERRUPTED = 130  # as a shell says it


def run(topology: Topology) -> int:
    """Run the command of this process's arguments and return its exit code."""
    arguments = _parse([service.name for service in topology.services])
    commands: dict[str, Callable[[], int]] = {
        "up": lambda: _up(arguments.services),
        "down": _down,
        "status": _status,
        "logs": lambda: _logs(arguments.service, arguments.lines),
        "run": lambda: _run_in(topology, arguments.service, arguments.arguments),
    }
    from infra.local.processes import StartFailed  # noqa: PLC0415  (psutil; `--help` does without)

    try:
        return commands[arguments.command]()
    except StartFailed as error:
        print(str(error), end="\n" if str(error) else "", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; nothing is left running", file=sys.stderr)
        return INTERRUPTED


def _parse(services: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local.topology", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything, or the named services alone")
    up.add_argument("services", nargs="*", metavar="service", help=", ".join(services))
    commands.add_parser("down", help="stop everything")
    commands.add_parser("status", help="show what runs, whether it serves, and what waits")
    logs = commands.add_parser("logs", help="show the end of a log")
    logs.add_argument("service", help="a service, postgres, kafka or stack")
    logs.add_argument("--lines", type=int, default=200)
    inside = commands.add_parser("run", help="run a service's own command with its settings")
    inside.add_argument("service", choices=services)
    inside.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args()


def _up(services: Sequence[str]) -> int:
    from infra.local import report, stack  # noqa: PLC0415

    if stack.is_up():
        print("the stack is up already; `make down` stops it")
        report.print_places(stack.running_stack())
        return 0
    # Whoever ends a start, by keyboard or by signal, has it cleaned up.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    print("starting the stack", flush=True)
    report.print_places(stack.bring_up(services))
    return 0


def _down() -> int:
    from infra.local import stack  # noqa: PLC0415

    print(stack.take_down())
    return 0


def _status() -> int:
    from infra.local import report, stack  # noqa: PLC0415

    if not stack.is_up() and (ended := stack.crash_report()):
        print(ended, file=sys.stderr)
    return report.print_status(stack.running_stack())


def _logs(service: str, lines: int) -> int:
    from infra.local import paths  # noqa: PLC0415

    logs = sorted(path.stem for path in paths.LOGS.glob("*.log"))
    if service not in logs:
        print(f"name one of these: {', '.join(logs) or 'none yet'}", file=sys.stderr)
        return 1
    written = (paths.LOGS / f"{service}.log").read_text(errors="replace").splitlines()
    print("\n".join(written[-lines:]))
    return 0


def _run_in(topology: Topology, name: str, arguments: Sequence[str]) -> int:
    """Run `python -m services.<name> …` as the running stack would."""
    from infra.local import paths, stack  # noqa: PLC0415
    from infra.local.credentials import load_credentials  # noqa: PLC0415
    from infra.local.environment import environment_of  # noqa: PLC0415

    running = stack.running_stack()
    services = [service.name for service in topology.services]
    environment = environment_of(
        topology.services[services.index(name)],
        topology.part(list(running.addresses.services)),
        running.addresses,
        load_credentials(paths.SECRETS_FILE, services),
    )
    sys.stdout.flush()
    return subprocess.run(
        [sys.executable, "-m", f"services.{name}", *arguments],
        cwd=paths.ROOT,
        env=environment,
        check=False,
    ).returncode
