"""Run the gate: `python -m infra.gate [CHECK…]`."""

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from infra.gate import leaks, manifests, proto
from infra.gate.check import Check, CheckFailed, program

SIDE_BY_SIDE = 2  # as many as the smallest machine has cores

CHECKS = (
    # The slowest first, so that the others run beside it.
    Check("mypy", program("mypy")),
    Check("ruff", program("ruff", "check", "--output-format=concise", ".")),
    Check("format", program("ruff", "format", "--check", ".")),
    Check("imports", program("lint-imports", "--no-logo")),
    Check("buf-lint", proto.lint),
    Check("buf-breaking", proto.breaking),
    Check("migrations", program("squawk", "services/*/migrations/*.sql")),
    Check("manifests", manifests.check),
    Check("events-page", program("python", "-m", "infra.gate.events_page", "--check")),
    Check("leaks", leaks.check),
)


def main(wanted: Sequence[str]) -> int:
    """Run the wanted checks, or all; print a line each, and the first failure whole."""
    names = [check.name for check in CHECKS]
    if unknown := sorted(set(wanted) - set(names)):
        print(f"no check {', '.join(unknown)}; there are {', '.join(names)}", file=sys.stderr)
        return 2
    started_s = time.monotonic()
    checks = [check for check in CHECKS if not wanted or check.name in wanted]
    first_failure = ""
    failed = 0
    for check, seconds, failure, note in _results(checks):
        verdict = "FAILED" if failure else "passed"
        print(f"{check.name:12} {verdict} {seconds:6.1f} s  {note}".rstrip(), flush=True)
        failed += bool(failure)
        first_failure = first_failure or (failure and f"\n--- {check.name}\n{failure}")
    if first_failure:
        print(first_failure, file=sys.stderr)
    seconds = time.monotonic() - started_s
    print(f"gate: {len(checks) - failed} passed, {failed} failed in {seconds:.1f} s")
    return 1 if failed else 0


def _results(checks: Sequence[Check]) -> Iterator[tuple[Check, float, str, str]]:
    """Run checks side by side; yield each in its order with seconds, failure and note."""

    def timed(check: Check) -> tuple[Check, float, str, str]:
        started_s = time.monotonic()
        failure = note = ""
        try:
            note = check.run()
        except CheckFailed as error:
            failure = str(error) or "it failed and said nothing"
        return check, time.monotonic() - started_s, failure, note

    with ThreadPoolExecutor(SIDE_BY_SIDE) as beside:
        yield from beside.map(timed, checks)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
